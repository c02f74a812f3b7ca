"""Results from another machine: looked through, then filed beside those that are there."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greentactics.documents import Document, read_document
from greentactics.errors import CatalogueError, Problem, UserError
from greentactics.evidence import LEAST_PAIRS, Evidence, assess, objections, timing_is_stale
from greentactics.json_source import parse_json
from greentactics.loading import Catalogue
from greentactics.merging import write_results
from greentactics.places import Finding, printable
from greentactics.plausibility import (
    control_findings,
    infinite_findings,
    personal_findings,
    plausibility_findings,
    unlike_findings,
    unstorable_findings,
)
from greentactics.results import Results
from greentactics.results_rules import results_findings
from greentactics.rules import Rule
from greentactics.tactic_ids import former_ids
from greentactics.text_file import display_name
from greentactics.verdict import verdict_line
from greentactics.writing import catalogue_locked

ACCEPTED_BYTES = 5_000_000
"""Largest file that is looked at; the largest one in the catalogue has less than a tenth of it."""
PERSONAL_DATA = "personal-data"
"""Name of the rule against text that tells whose machine it was."""
NOT_EVIDENCE = "not-evidence"
"""Name of the rule against results that would be filed and not count."""
_RESULTS = Path("recipes/results")
_TOLD_BY_FIELD = (
    "smoke run",
    "stale: the recipe has changed since",
    "uncommitted changes in the working tree",
)
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
        assess(record, entries, catalogue.bibliography, recipe.checksum)
        for entries in (there, (*others, results))
    )
    with catalogue_locked(catalogue.root):
        _require_free(catalogue.root, path, replace=replace)
        write_results(catalogue.root / path, results)
    verdict = verdict_line(record, (results,), checksum=recipe.checksum)
    return Accepted(path, results, before, after, verdict)


def _read(file: Path) -> Document[Results]:
    """Read the file if it has the name and the size of one."""
    if file.suffix != ".json":
        problem = Problem(
            display_name(file, None), 1, 1, "", Rule.UNEXPECTED_FILE, "a file named <device>.json",
            printable(file.name),
            "name the file that `greentactics measure ID --out FILE.json` wrote",
        )  # fmt: skip
        raise CatalogueError([problem])
    if file.is_file() and file.stat().st_size > ACCEPTED_BYTES:
        size = f"{file.stat().st_size:,} bytes"
        problem = Problem(
            display_name(file, None), 1, 1, "", Rule.FILE_TOO_LARGE, f"at most {ACCEPTED_BYTES:,} bytes", size
        )
        raise CatalogueError([problem])
    return read_document(file, Results, root=None)


def _problems(
    document: Document[Results], results: Results, catalogue: Catalogue, now: datetime.datetime
) -> list[Problem]:
    """Return everything that keeps a readable file from being filed."""
    tree = parse_json(document.source)
    findings = [
        *_by_the_rules(results, catalogue),
        *plausibility_findings(results, now),
        *unstorable_findings(tree),
        *(
            Finding(path, Rule.OUT_OF_RANGE, "a finite number", "one that is too large", "measure again")
            for path in infinite_findings(tree)
        ),
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
    for reason in objections(results, checksum):
        if reason not in _TOLD_BY_FIELD:
            cure = f"greentactics measure {tactic} in a clone, all arms, at least {LEAST_PAIRS} seeds"
            yield Finding((), NOT_EVIDENCE, "results that count as evidence", reason, cure)
    if timing_is_stale(results, catalogue.timing_sha256):
        expected = "the checksum of the timing protocol as it is now"
        yield Finding(("timing_sha256",), Rule.RESULTS_STALE, expected, "another", "measure again")
    if record is None or record.recipe is None:
        return
    use = record.recipe
    for name in dict.fromkeys((use.cost_metric, use.quality_metric, *use.also_metrics)):
        if name not in results.metrics:
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
