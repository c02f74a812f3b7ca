"""The verdict line: what was reproduced beside what is claimed, in one sentence of plain text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from greentactics.evidence.claims import (
    claim_figure,
    claim_phrase,
    effect_claims,
    has_figure,
    headline_claim,
    other_quantity,
    short_setting,
)
from greentactics.evidence.comparison import POINTS, Estimate
from greentactics.evidence.runs import TacticRun
from greentactics.evidence.wording import estimate_phrase, points_interval, points_phrase, with_provenance
from greentactics.models.record import RecipeUse, Record
from greentactics.models.results import DEFAULT_PRESET
from greentactics.models.vocabulary import Kind


def verdict_line(record: Record, runs: Iterable[TacticRun] = ()) -> str:
    """Return the verdict: saving and quality with intervals, seeds, data, condition, and the claim.

    Smoke and stale runs are never shown. Runs that do not count as evidence for another reason are shown with
    that reason.

    Args:
        record: The tactic.
        runs: Its runs, committed ones or those of this machine.
    """
    known = tuple(runs)
    shown = headline_run(known)
    if record.recipe is None or shown is None or shown.cost is None:
        return _without_reproduction(record, any(run.stale and not run.is_smoke for run in known))
    contested = not shown.against and shown.contests
    line = f"{_reproduced(shown, record.recipe, shown.cost)}; {_claimed(record)}"
    if contested:
        line = f"Contested: {line}"
    return f"{line}; not counted as evidence: {', '.join(shown.against)}" if shown.against else line


def verdict_output(record: Record, runs: Sequence[TacticRun]) -> tuple[str, ...]:
    """Return the lines of the command `verdict`; the second, on this machine, only where it has results."""
    here = [run for run in runs if run.local]
    lines = [f"published: {verdict_line(record, (run for run in runs if not run.local))}"]
    if here:
        lines.append(f"this machine: {verdict_line(record, here)}")
    return tuple(lines)


def headline_run(runs: Iterable[TacticRun]) -> TacticRun | None:
    """Return the run a verdict rests on: counting ones first, the default preset, then more seeds."""
    return min(
        (run for run in runs if not run.is_smoke and not run.stale and run.cost is not None),
        key=lambda run: (
            bool(run.against),
            run.results.preset != DEFAULT_PRESET,
            -len(run.results.seeds),
            run.results.device_slug,
        ),
        default=None,
    )


def _reproduced(run: TacticRun, recipe: RecipeUse, cost: Estimate) -> str:
    label = with_provenance(recipe.cost_label, run.results.metrics[recipe.cost_metric])
    lead = f"{run.doubt}: " if cost.n > 1 and run.doubt else ""
    parts = [f"{cost.n} seed, no interval" if cost.n == 1 else f"{cost.n} seeds", run.results.data.name]
    if recipe.condition:
        parts.append(recipe.condition)
    return f"{lead}{label} {estimate_phrase(cost)} {_quality(run, recipe)} ({', '.join(parts)})"


def _quality(run: TacticRun, recipe: RecipeUse) -> str:
    quality, label = run.quality, recipe.quality_label
    if quality is None:
        return f"({label} was not measured)"
    if quality.unit != POINTS:
        return f"at {label} {estimate_phrase(quality)}"
    words = f"at {points_phrase(quality)} of {label}{points_interval(quality)}"
    loss = run.loss_interval
    if run.record.kind is Kind.DARK or loss is None or run.within_tolerance:
        return words
    beyond = loss[0] > recipe.quality_tolerance_points
    where = "outside the tolerance" if beyond else "not shown to lie within the tolerance"
    return f"{words}, {where} of {recipe.quality_tolerance_points:g}"


def _claimed(record: Record) -> str:
    claim = headline_claim(record)
    if claim is None:
        return "no published figure"
    if not has_figure(claim):
        return "claimed without a figure"
    if other_quantity(record, claim):
        return f"claimed {claim_phrase(claim)}"
    return f"claimed {claim_figure(claim)} ({short_setting(claim)})"


def _without_reproduction(record: Record, stale: bool) -> str:
    lead = (
        "No current reproduction, as the recipe or its data have changed since it was measured"
        if stale
        else "No reproduction yet"
    )
    claim = headline_claim(record)
    if claim is None:
        return f"{lead}, and no published figure"
    if not has_figure(claim):
        return f"{lead}; the effect is argued, without a figure"
    sources = len({entry.source for entry in effect_claims(record) if has_figure(entry)})
    who = "one source claims" if sources == 1 else f"{sources} sources give figures, the first"
    return f"{lead}; {who} {claim_phrase(claim)}"
