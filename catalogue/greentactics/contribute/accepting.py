"""Results from another machine: looked through, then filed beside those that are there."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greentactics.evidence.level import Evidence, assess
from greentactics.evidence.runs import (
    LEAST_PAIRS,
    Objection,
    needs_control,
    objections,
    tactic_runs,
    timing_is_stale,
)
from greentactics.evidence.verdict import verdict
from greentactics.measure.measuring import write_results
from greentactics.models.record import Record
from greentactics.models.results import MetricInfo, Results
from greentactics.models.timings import CONTROL
from greentactics.records.checks import results_findings
from greentactics.records.documents import Document, read_document
from greentactics.records.ids import former_ids
from greentactics.records.loading import Catalogue
from greentactics.text.files import catalogue_locked, display_name
from greentactics.text.json_source import parse_json, values_of
from greentactics.text.problems import (
    CatalogueError,
    FieldPath,
    Finding,
    Problem,
    Rule,
    UserError,
    printable,
    quoted,
    shown,
)

_ADDRESS = "an address in a network"
# Each starts at the beginning of a word only, so that the time stays in proportion to the text.
_PERSONAL = (
    (re.compile(r"(?<![\w.+-])[\w.+-]+@[A-Za-z][\w-]+(?:\.[\w-]+)*"), "an e-mail address or a login"),
    (re.compile(r"(?<![\w./~-])(?:~|/[\w.@+-]+)/[^\s\"',;:)\]]+"), "a path of the machine"),
    (re.compile(r"\b[A-Za-z]:\\+\w[^\s\"']*|\\\\[\w.-]+\\"), "a path of the machine"),
    (re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.])"), _ADDRESS),
    (re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b"), _ADDRESS),
    (
        re.compile(r"(?<![\w-])[\w-]+\.(?:local|localdomain|lan|intranet|internal|corp|home)\b"),
        "the name of a machine",
    ),
)
_PERSONAL_KEY = re.compile(
    r"(?:^|_)(?:host|host_?name|user|user_?name|login|node_?name|e_?mail|home|cwd|ip)$", re.IGNORECASE
)
_NEVER_NEGATIVE = frozenset({"s", "ms", "J", "W", "bytes", "count", "nats", "MAC energy"})
_LONGEST_FOUND = 40
_CLOCKS_DIFFER = datetime.timedelta(days=1)


_PACKED = ("scores", "packed")


def personal_findings(tree: object) -> Iterator[tuple[FieldPath, str]]:
    """Yield the places of a JSON tree that may tell whose machine it was, and what stands there.

    A name by itself cannot be told from another word; what is found are addresses, paths, names in a
    network, and keys that announce one of these. Packed scores are no words, and whatever else stands in
    their place cannot be unpacked.
    """
    told: set[FieldPath] = set()
    for path, text in _texts(tree):
        if path[-2:] == _PACKED and text != path[-1]:
            continue
        what = _personal(text, is_version=path[:1] == ("versions",))
        if what is None and path and path[-1] == text and _PERSONAL_KEY.search(text):
            what = f'the key "{shown(text, _LONGEST_FOUND)}"'
        if what and path not in told:
            told.add(path)
            yield path, what


def infinite_findings(tree: object) -> Iterator[Finding]:
    """Yield the places of numbers that are not finite; JSON can spell them as 1e999."""
    for path, value in values_of(tree):
        if isinstance(value, float) and not math.isfinite(value):
            yield _out_of_range(path, "a finite number", "one that is too large")


def plausibility_findings(results: Results, now: datetime.datetime) -> Iterator[Finding]:
    """Yield figures that no run gives: durations of zero, fractions above one, arms with other seeds.

    Args:
        results: The results.
        now: The present time, to tell what was measured in the future.
    """
    for index, repeat in enumerate(results.repeats):
        for name, value in (("duration_s", repeat.duration_s), ("cpu_s", repeat.cpu_s)):
            if value <= 0:
                yield _out_of_range(("repeats", index, name), "more than 0", f"{value:g}")
        if repeat.started.tzinfo is None or repeat.started > now + _CLOCKS_DIFFER:
            expected = f"a time before {now:%Y-%m-%d %H:%M} UTC, with its zone"
            yield _out_of_range(("repeats", index, "started"), expected, repeat.started.isoformat())
        for name, value in repeat.values.items():
            limits = _limits(results.metrics[name])
            if limits and not limits[0] <= value <= limits[1]:
                expected = "0 to 1, as it is a fraction" if limits[1] == 1 else "at least 0"
                yield _out_of_range(("repeats", index, "values", name), expected, f"{value:g}")
    yield from _unequal_seeds(results)


def control_findings(record: Record, results: Results) -> Iterator[Finding]:
    """Yield the missing A/A control where the record's headline cost is read from a clock or a meter."""
    if not needs_control(record, results):
        return
    again = {repeat.seed for repeat in results.repeats if repeat.arm == CONTROL}
    missing = [seed for seed in results.seeds if seed not in again]
    if missing:
        expected = f"a repeat of {CONTROL} with each seed, as the headline cost is measured"
        found = f"none with seed {', '.join(map(str, missing))}"
        cure = f"greentactics measure {results.tactic} --control"
        yield Finding(("repeats",), Rule.RESULTS_ARMS, expected, found, cure)


def unlike_findings(results: Results, other: Results, file: str) -> Iterator[Finding]:
    """Yield what differs from other results of the recipe though a device has no say in it.

    Args:
        results: The results to judge.
        other: Results that are in the catalogue.
        file: Name of their file.
    """
    for name in sorted(results.metrics.keys() & other.metrics.keys()):
        for field in ("unit", "better", "provenance"):
            here, there = getattr(results.metrics[name], field), getattr(other.metrics[name], field)
            if here != there:
                yield _unlike(("metrics", name, field), quoted(there), quoted(here), file)
    if results.preset != other.preset or results.recipe_sha256 != other.recipe_sha256:
        return
    for name in sorted({*results.config, *other.config}):
        here, there = results.config.get(name, "nothing"), other.config.get(name, "nothing")
        if here != there:
            yield _unlike(("config", name), shown(str(there), 60), shown(str(here), 60), file)
    readings = {(repeat.arm, repeat.seed, repeat.duration_s, repeat.cpu_s) for repeat in other.repeats}
    for index, repeat in enumerate(results.repeats):
        if (repeat.arm, repeat.seed, repeat.duration_s, repeat.cpu_s) in readings:
            expected, found = "readings of its own", f"those that stand in {file}"
            cure = "file a run of another device, not a copy"
            yield Finding(("repeats", index), Rule.REPEATED_RUN, expected, found, cure)
            return


def _personal(text: str, *, is_version: bool) -> str | None:
    for pattern, what in _PERSONAL:
        found = pattern.search(text)
        if found and not (is_version and what == _ADDRESS):  # 4.10.0.84 is a version as well
            return f'{what}, "{shown(found[0], _LONGEST_FOUND)}"'
    return None


def _unequal_seeds(results: Results) -> Iterator[Finding]:
    ran = {(repeat.arm, repeat.seed) for repeat in results.repeats}
    for arm in results.arms:
        missing = [seed for seed in results.seeds if (arm, seed) not in ran]
        if missing:
            found = f"none of {shown(arm)} with seed {', '.join(map(str, missing))}"
            cure = "measure the missing repeats with --resume"
            yield Finding(("repeats",), Rule.RESULTS_ARMS, "each arm with each seed", found, cure)


def _limits(info: MetricInfo) -> tuple[float, float] | None:
    if info.unit == "fraction":
        return 0.0, 1.0
    return (0.0, math.inf) if info.unit in _NEVER_NEGATIVE else None


def _out_of_range(path: FieldPath, expected: str, found: str) -> Finding:
    return Finding(path, Rule.OUT_OF_RANGE, expected, found, "measure again")


def _unlike(path: FieldPath, expected: str, found: str, file: str) -> Finding:
    return Finding(
        path, Rule.RESULTS_METRIC, f"{expected}, as in {file}", found, "measure with the recipe as it is"
    )


def _texts(tree: object) -> Iterator[tuple[FieldPath, str]]:
    """Yield keys and texts, each with the path of its value."""
    for path, value in values_of(tree):
        if path and isinstance(path[-1], str) and value is not None:
            yield path, path[-1]
        if isinstance(value, str):
            yield path, value


ACCEPTED_BYTES = 5_000_000
"""Largest file that is looked at; the largest one in the catalogue has less than a tenth of it."""
PERSONAL_DATA = "personal-data"
"""Name of the rule against text that tells whose machine it was."""
NOT_EVIDENCE = "not-evidence"
"""Name of the rule against results that would be filed and not count."""
_RESULTS = Path("recipes/results")
_TOLD_BY_FIELD = (Objection.SMOKE_RUN, Objection.RECIPE_CHANGED, Objection.UNCOMMITTED_CHANGES)
"""Objections that the rules on committed results name with their field."""


@dataclass(frozen=True)
class Accepted:
    """What became of a file."""

    path: Path
    """Where it was filed, relative to the root."""
    results: Results
    """Its content."""
    before: Evidence
    """Evidence of the tactic without it."""
    after: Evidence
    """Evidence of the tactic with it."""
    verdict: str
    """What this file by itself shows."""


def accept(catalogue: Catalogue, file: Path, *, replace: bool, now: datetime.datetime) -> Accepted:
    """Look a results file through and file it as the results of one more device.

    Args:
        catalogue: The catalogue.
        file: The file that `greentactics measure ID --out FILE` wrote on the other machine.
        replace: Whether results of the same name are replaced.
        now: The present time.

    Raises:
        CatalogueError: The file is not right; it carries all problems.
        UserError: Results of this name are there, their folder lies outside the catalogue, or another command
            holds the lock of the catalogue.
    """
    document = _read(file)
    results = document.model
    if results is None:
        raise CatalogueError(document.problems)
    problems = _problems(document, results, catalogue, now)
    if problems:
        raise CatalogueError(problems)
    path = _RESULTS / results.tactic / f"{results.device_slug}.json"
    record, recipe = catalogue.records[results.tactic], catalogue.recipes[results.tactic]
    there = catalogue.results.get(results.tactic, ())
    others = [entry for entry in there if entry.device_slug != results.device_slug]
    before, after = (
        assess(record, tactic_runs(record, entries, checksum=recipe.checksum), catalogue.bibliography)
        for entries in (there, (*others, results))
    )
    with catalogue_locked(catalogue.root):
        _require_free(catalogue.root, path, replace=replace)
        write_results(catalogue.root / path, results)
    shown = verdict(record, tactic_runs(record, [results], checksum=recipe.checksum))
    return Accepted(path, results, before, after, shown.line)


def _read(file: Path) -> Document[Results]:
    """Read the file if it has the name and the size of one."""
    name = display_name(file, None)
    if file.suffix != ".json":
        expected, cure = (
            "a file named <device>.json",
            "name the file that `greentactics measure ID --out FILE.json` wrote",
        )
        raise CatalogueError.of_file(name, Rule.UNEXPECTED_FILE, expected, printable(file.name), cure)
    if file.is_file() and file.stat().st_size > ACCEPTED_BYTES:
        expected, size = f"at most {ACCEPTED_BYTES:,} bytes", f"{file.stat().st_size:,} bytes"
        raise CatalogueError.of_file(name, Rule.FILE_TOO_LARGE, expected, size)
    return read_document(file, Results, root=None)


def _problems(
    document: Document[Results], results: Results, catalogue: Catalogue, now: datetime.datetime
) -> list[Problem]:
    """Return everything that keeps a readable file from being filed."""
    tree = parse_json(document.source)
    findings = [
        *_by_the_rules(results, catalogue),
        *plausibility_findings(results, now),
        *infinite_findings(tree),
        *(
            Finding(path, PERSONAL_DATA, "no trace of the machine's owner", what, "take it out of the recipe")
            for path, what in personal_findings(tree)
        ),
    ]
    return document.located(findings)


def _by_the_rules(results: Results, catalogue: Catalogue) -> Iterator[Finding]:
    """Yield what the catalogue's rules, its record and its other results say against the file."""
    tactic, path = results.tactic, _RESULTS / results.tactic / f"{results.device_slug}.json"
    record, recipe = catalogue.records.get(tactic), catalogue.recipes.get(tactic)
    checksum = recipe.checksum if recipe else None
    yield from results_findings(
        results,
        path,
        known=frozenset(catalogue.records),
        renamed=former_ids(catalogue.records.values()),
        checksum=checksum,
        has_recipe=recipe is not None,
    )
    for objection in objections(results, checksum):
        if objection not in _TOLD_BY_FIELD:
            cure = f"greentactics measure {tactic} in a clone, all arms, at least {LEAST_PAIRS} seeds"
            yield Finding((), NOT_EVIDENCE, "results that count as evidence", objection, cure)
    if timing_is_stale(results, catalogue.timing_sha256):
        expected = "the checksum of the timing protocol as it is now"
        yield Finding(("timing_sha256",), Rule.RESULTS_STALE, expected, "another", "measure again")
    if record is None or record.recipe is None:
        return
    use = record.recipe
    wanted = (use.cost_metric, results.quality_metric(use.quality_metric), *use.also_metrics)
    for name in dict.fromkeys(wanted):
        if name not in results.metrics and name not in results.metrics_without_values:
            expected = f"the metric {name}, which the record names"
            yield Finding(
                ("metrics",), Rule.RESULTS_METRIC, expected, "none", "measure with the recipe as it is"
            )
    yield from control_findings(record, results)
    for other in catalogue.results.get(tactic, ()):
        if other.device_slug != results.device_slug:
            yield from unlike_findings(results, other, f"{_RESULTS}/{tactic}/{other.device_slug}.json")


def _require_free(root: Path, path: Path, *, replace: bool) -> None:
    """Stop before something is overwritten, or written to a place outside of the catalogue.

    Raises:
        UserError: Results are there, or a link stands in the way.
    """
    target = root / path
    folders = [folder for folder in (target, *target.parents) if folder.is_relative_to(root / _RESULTS)]
    link = next((folder for folder in folders if folder.is_symlink()), None)
    if link is not None:
        raise UserError(f"{link}: expected a file or folder of the catalogue, got a link; remove it")
    if target.exists() and not replace:
        raise UserError(
            f"{path.as_posix()}: results of this name are there; replace them with --replace, or measure "
            "with another --device-slug where it is another device"
        )
