"""What must be equal for runs to stand in one file, and for work begun earlier to be continued or kept."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from greentactics.models.results import Conditions, MetricInfo, Run
from greentactics.text.problems import UserError

RECIPE_CHANGED = "the recipe, or a shared module it uses, has been changed since"
_ABSENT = object()


class ConditionsDiffer(UserError):  # noqa: N818 - reads as the answer it is
    """Two runs that cannot stand in one file."""


def require_equal(there: Run, here: Run) -> None:
    """Refuse two runs of other conditions, or that describe the same metrics in other words or units.

    Raises:
        ConditionsDiffer: Naming everything that differs.
    """
    described = {name: set(MetricInfo.model_fields) for name in there.metrics if name in here.metrics}
    fields = dict.fromkeys(Conditions.model_fields, True) | {"metrics": described}
    if different := differences(there, here, fields):
        raise ConditionsDiffer(
            f"conditions of {here.arm}, seed {here.seed}, differ from those of {there.arm}, seed "
            f"{there.seed}; repeats of one results file need equal ones:\n  " + "\n  ".join(different)
        )


def differences(there: BaseModel, here: BaseModel, fields: Any) -> list[str]:  # noqa: ANN401 - as pydantic has it
    """Return what differs between fields of two documents, one line for each.

    Args:
        there: What was before.
        here: What is now.
        fields: The fields, as pydantic's `include` takes them.
    """
    old, new = (_flat(document.model_dump(mode="json", include=fields)) for document in (there, here))
    return [
        f"{key}: {_shown(old, key)} before, {_shown(new, key)} now"
        for key in {**old, **new}
        if old.get(key, _ABSENT) != new.get(key, _ABSENT)
    ]


def version_differences(versions: Mapping[str, str]) -> list[str]:
    """Return which recorded versions differ from those installed here; unknown names are passed over."""
    different = []
    for name, version in versions.items():
        try:
            here = platform.python_version() if name == "python" else importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        if here.split("+")[0] != version.split("+")[0]:
            different.append(f"{name}: {version} before, {here} now")
    return different


def _flat(value: Any, path: str = "") -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return nested mappings as one mapping by dotted path."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    flat: dict[str, Any] = {}
    for key, entry in value.items():
        flat |= _flat(entry, f"{path}.{key}" if path else str(key))
    return flat


def _shown(values: Mapping[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "absent"
