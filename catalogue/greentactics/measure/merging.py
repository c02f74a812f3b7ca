"""Runs of single arms and seeds to one results file."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

from greentactics.models.results import Conditions, DeviceInfo, Failure, MetricInfo, Repeat, Results, Run
from greentactics.models.timings import Timing
from greentactics.text.files import write_atomically
from greentactics.text.problems import UserError

_NOISE = re.compile(
    r"\((?:r|tm|c)\)|@.*$|\b\d+-core\b|\b(?:cpu|processor|with radeon graphics)\b", re.IGNORECASE
)
_LONGEST_SLUG = 80
_ABSENT = object()


class ConditionsDiffer(UserError):  # noqa: N818 - reads as the answer it is
    """Two runs that cannot stand in one file."""


class RunError(Exception):
    """A repeat ended well, and yet what it wrote cannot be used; the message says why."""


def read_run(path: Path) -> Run:
    """Read the file that a recipe's process wrote.

    Raises:
        RunError: The file is missing or is not a run.
    """
    try:
        run = Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RunError("the process ended without writing its file") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        raise RunError(f"what the process wrote is not a run: {place}: {first['msg']}") from None
    for name, measurement in run.metrics.items():
        if not math.isfinite(measurement.value):
            raise RunError(f"{name} is {measurement.value}, expected a finite number")
    return run


def differences(there: Conditions, here: Conditions) -> list[str]:
    """Return what differs between the conditions of two runs, one line for each field."""
    names = set(Conditions.model_fields)
    old, new = (_flat(run.model_dump(mode="json", include=names)) for run in (there, here))
    return [
        f"{key}: {_shown(old, key)} before, {_shown(new, key)} now"
        for key in [*old, *(key for key in new if key not in old)]
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


def descriptor_differences(there: Run, here: Run) -> list[str]:
    """Return how two runs describe the same metrics in different words or units."""
    found = []
    for name in sorted(set(there.metrics) & set(here.metrics)):
        for field in MetricInfo.model_fields:
            old, new = getattr(there.metrics[name], field), getattr(here.metrics[name], field)
            if old != new:
                found.append(f"{name}.{field}: {old!r} before, {new!r} now")
    return found


def merge(
    runs: Sequence[Run],
    failures: Iterable[Failure] = (),
    *,
    device_slug: str,
    recipe_sha256: str,
    commit: str | None = None,
    dirty: bool = False,
    jobs: int = 1,
    complete: bool = True,
    timings: Sequence[Timing] = (),
    timing_sha256: str | None = None,
    not_timed: Mapping[str, str] = MappingProxyType({}),
) -> Results:
    """Put runs of equal conditions into one document, in the order they were run.

    Raises:
        ConditionsDiffer: Conditions or descriptions of metrics differ between runs.
    """
    ordered = sorted(runs, key=lambda run: (run.started, run.seed, run.arm))
    first = ordered[0]
    for run in ordered[1:]:
        require_equal(first, run)
    metrics: dict[str, MetricInfo] = {}
    for run in ordered:
        for name, measurement in run.metrics.items():
            metrics.setdefault(name, MetricInfo(**measurement.model_dump(exclude={"value"})))
    return Results(
        **{name: getattr(first, name) for name in Conditions.model_fields},
        device_slug=device_slug,
        recipe_sha256=recipe_sha256,
        commit=commit,
        dirty=dirty,
        jobs=jobs,
        complete=complete,
        metrics=metrics,
        repeats=tuple(_repeat(run) for run in ordered),
        failures=tuple(failures),
        timings=tuple(timings),
        timing_sha256=timing_sha256 if timings else None,
        not_timed=dict(not_timed),
    )


def require_equal(there: Run, here: Run) -> None:
    """Refuse two runs that cannot stand in one file.

    Raises:
        ConditionsDiffer: Naming everything that differs.
    """
    found = differences(there, here) + descriptor_differences(there, here)
    if found:
        raise ConditionsDiffer(
            f"conditions of {here.arm}, seed {here.seed}, differ from those of {there.arm}, seed "
            f"{there.seed}; repeats of one results file need equal ones:\n  " + "\n  ".join(found)
        )


def device_slug(device: DeviceInfo) -> str:
    """Return the device's name for file names, such as `cpu-amd-epyc-2-cores`."""
    name = re.sub(r"[^a-z0-9]+", "-", _NOISE.sub(" ", device.name.lower())).strip("-") or "unknown"
    prefix = "" if name.startswith(device.kind) else f"{device.kind}-"
    suffix = f"-{device.cores}-core{'s' if device.cores > 1 else ''}" if device.kind == "cpu" else ""
    return f"{prefix}{name}"[: _LONGEST_SLUG - len(suffix)].strip("-") + suffix


def write_results(path: Path, results: Results) -> None:
    """Write a results file in one step."""
    document = results.model_dump(mode="json")
    write_atomically(path, json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def _repeat(run: Run) -> Repeat:
    kept = {name: getattr(run, name) for name in Repeat.model_fields if name != "values"}
    return Repeat(**kept, values={name: entry.value for name, entry in run.metrics.items()})


def _flat(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return nested mappings as one mapping by dotted path."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    found: dict[str, Any] = {}
    for key, entry in value.items():
        found |= _flat(entry, f"{path}.{key}" if path else str(key))
    return found


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "absent"
