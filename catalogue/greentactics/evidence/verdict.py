"""The verdict line: what was reproduced beside what is claimed, in one sentence of plain text."""

from __future__ import annotations

from collections.abc import Iterable

from greentactics.evidence.claims import (
    claim_figure,
    claim_phrase,
    effect_claims,
    has_figure,
    headline_claim,
    short_setting,
)
from greentactics.evidence.comparison import POINTS, smallest_loss
from greentactics.evidence.level import (
    contests,
    cost_estimate,
    doubt,
    is_stale,
    objections,
    quality_estimate,
    within_tolerance,
)
from greentactics.evidence.wording import (
    estimate_phrase,
    points_interval,
    points_phrase,
    with_provenance,
)
from greentactics.models.record import RecipeUse, Record
from greentactics.models.results import DEFAULT_PRESET, SMOKE_PRESET, Results
from greentactics.models.vocabulary import Kind
from greentactics.records.recipes import RecipeChecksum


def verdict_line(
    record: Record, results: Iterable[Results] = (), *, checksum: RecipeChecksum | None = None
) -> str:
    """Return the verdict: saving and quality with intervals, seeds, data, condition, and the claim.

    Smoke and stale results are never shown. Results that do not count as evidence for another reason are
    shown with that reason.

    Args:
        record: The tactic.
        results: Its results, committed ones or those of this machine.
        checksum: Tells the checksum of the recipe as it is now; None takes no result for stale.
    """
    known = tuple(results)
    shown = headline_results(record, known, checksum)
    if record.recipe is None or shown is None:
        stale = any(is_stale(entry, checksum) and entry.preset != SMOKE_PRESET for entry in known)
        return _without_reproduction(record, stale)
    against = objections(shown, checksum)
    contested = None if against else contests(record, shown)
    line = f"{_reproduced(record, record.recipe, shown)}; {_claimed(record, record.recipe)}"
    if contested:
        line = f"Contested: {line}"
    return f"{line}; not counted as evidence: {', '.join(against)}" if against else line


def verdict_output(
    record: Record, committed: Iterable[Results], local: Iterable[Results], checksum: RecipeChecksum | None
) -> tuple[str, ...]:
    """Return the lines of the command `verdict`; the second, on this machine, only where it has results."""
    here = tuple(local)
    lines = [f"published: {verdict_line(record, committed, checksum=checksum)}"]
    if here:
        lines.append(f"this machine: {verdict_line(record, here, checksum=checksum)}")
    return tuple(lines)


def headline_results(
    record: Record, results: Iterable[Results], checksum: RecipeChecksum | None = None
) -> Results | None:
    """Return the results a verdict rests on: counting ones first, the default preset, then more seeds."""
    usable = [
        entry
        for entry in results
        if entry.preset != SMOKE_PRESET
        and not is_stale(entry, checksum)
        and cost_estimate(record, entry) is not None
    ]
    order = sorted(
        usable,
        key=lambda entry: (
            bool(objections(entry)),
            entry.preset != DEFAULT_PRESET,
            -len(entry.seeds),
            entry.device_slug,
        ),
    )
    return order[0] if order else None


def _reproduced(record: Record, recipe: RecipeUse, results: Results) -> str:
    cost = cost_estimate(record, results)
    if cost is None:  # pragma: no cover - headline_results leaves such results out
        raise ValueError("results without the headline cost")
    label = with_provenance(recipe.cost_label, results.metrics[recipe.cost_metric])
    reason = doubt(record, results) if cost.n > 1 else None
    lead = f"{reason}: " if reason else ""
    parts = [f"{cost.n} seed, no interval" if cost.n == 1 else f"{cost.n} seeds", results.data.name]
    if recipe.condition:
        parts.append(recipe.condition)
    return f"{lead}{label} {estimate_phrase(cost)} {_quality(record, recipe, results)} ({', '.join(parts)})"


def _quality(record: Record, recipe: RecipeUse, results: Results) -> str:
    quality, label = quality_estimate(record, results), recipe.quality_label
    if quality is None:
        return f"({label} was not measured)"
    if quality.unit != POINTS:
        return f"at {label} {estimate_phrase(quality)}"
    words = f"at {points_phrase(quality)} of {label}{points_interval(quality)}"
    if record.kind is Kind.DARK or quality.low is None or within_tolerance(record, results):
        return words
    least = smallest_loss(quality, results.metrics[recipe.quality_metric].better)
    beyond = least is not None and least > recipe.quality_tolerance_points
    where = "outside the tolerance" if beyond else "not shown to lie within the tolerance"
    return f"{words}, {where} of {recipe.quality_tolerance_points:g}"


def _claimed(record: Record, recipe: RecipeUse) -> str:
    claim = headline_claim(record)
    if claim is None:
        return "no published figure"
    if not has_figure(claim):
        return "claimed without a figure"
    if claim.quantity.value in recipe.cost_label.lower():
        return f"claimed {claim_figure(claim)} ({short_setting(claim)})"
    return f"claimed {claim_phrase(claim)}"


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
