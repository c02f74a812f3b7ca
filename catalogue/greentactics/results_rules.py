"""Rules that tie committed results to their record and their recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from greentactics.diagnosis import did_you_mean, one_of
from greentactics.places import FieldPath, Finding, printable
from greentactics.recipe_source import RecipeChecksum, is_recipe_changed
from greentactics.results import Results
from greentactics.rules import Rule
from greentactics.schema import Record

_ARMS = ("baseline", "tactic")


def results_findings(
    results: Results,
    path: Path,
    *,
    known: frozenset[str],
    renamed: Mapping[str, str],
    checksum: RecipeChecksum | None,
    has_recipe: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with one results file.

    Args:
        results: Content of the file.
        path: The file; its folder names the tactic and its stem the device.
        known: Identifiers of all records.
        renamed: Their former identifiers, each with the present one.
        checksum: Tells the checksum of the tactic's recipe as it is now; None where it cannot be told.
        has_recipe: Whether there is a recipe.
    """
    tactic, stem = printable(path.parent.name), printable(path.stem)
    again = f"measure again: greentactics measure {tactic} --replace"
    if results.tactic != tactic:
        expected = f'"{tactic}", the name of the folder'
        yield Finding(("tactic",), Rule.RESULTS_FOLDER, expected, f'"{results.tactic}"', "move the file")
    if results.device_slug != path.stem:
        expected = f'"{stem}", the name of the file'
        yield Finding(
            ("device_slug",), Rule.RESULTS_FILE_NAME, expected, f'"{results.device_slug}"', "rename the file"
        )
    if tactic not in known:
        cure = (
            f"it is {renamed[tactic]} now: measure that, as results carry the identifier"
            if tactic in renamed
            else did_you_mean(tactic, sorted(known)) or f"add tactics/{tactic}.yaml or remove the results"
        )
        yield Finding((), Rule.RESULTS_WITHOUT_RECORD, f"the record of {tactic}", "none", cure)
    elif not has_recipe:
        name = f"recipes/{tactic.replace('-', '_')}.py"
        yield Finding((), Rule.RESULTS_WITHOUT_RECIPE, f"the recipe {name}", "none", "remove the results")
    elif checksum is not None and is_recipe_changed(results, checksum):
        now = checksum(results.preset, metered=results.is_metered)
        expected = f"the checksum of the recipe as it is now, {now[:12]}..."
        found = f"{results.recipe_sha256[:12]}..."
        yield Finding(("recipe_sha256",), Rule.RESULTS_STALE, expected, found, again)
    yield from _unpublishable(results, again)


def _unpublishable(results: Results, again: str) -> Iterator[Finding]:
    """Yield what keeps results from being published, whatever tactic they belong to."""
    missing = [arm for arm in _ARMS if arm not in results.arms]
    if missing:
        expected = "repeats of the arms baseline and tactic"
        yield Finding(("repeats",), Rule.RESULTS_ARMS, expected, f"none of {' and '.join(missing)}", again)
    if results.preset == "smoke":
        expected = "a preset for published results, default or full"
        yield Finding(("preset",), Rule.RESULTS_SMOKE, expected, '"smoke"', again)
    if results.dirty:
        expected = "results of a clean working tree"
        yield Finding(("dirty",), Rule.RESULTS_DIRTY, expected, "true", f"commit, then {again}")


def metric_findings(record: Record, measured: Sequence[tuple[str, Results]]) -> Iterator[Finding]:
    """Yield metrics that a record names and its results lack.

    Args:
        record: The record.
        measured: Its results, each with the name of the file.
    """
    use = record.recipe
    if use is None:
        return
    named: list[tuple[FieldPath, str]] = [
        (("recipe", "cost_metric"), use.cost_metric),
        (("recipe", "quality_metric"), use.quality_metric),
        *((("recipe", "also_metrics", index), name) for index, name in enumerate(use.also_metrics)),
    ]
    for file, results in measured:
        metrics = sorted(results.metrics)
        for path, name in named:
            if name not in metrics:
                expected = f"a metric of {file}" + (f", {one_of(metrics, name)}" if metrics else "")
                cure = did_you_mean(name, metrics)
                yield Finding(path, Rule.RESULTS_METRIC, expected, f'"{name}"', cure)
