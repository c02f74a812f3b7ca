"""What a published claim says: which way it points, as what ratio, and in words."""

from __future__ import annotations

import re

from greentactics.models.record import Claim, Record
from greentactics.models.vocabulary import Bound, ClaimDirection, ClaimUnit, Kind, Quantity

_ALSO_CALLED = {Quantity.WEIGHTS: "parameters", Quantity.OPERATIONS: "multiply-accumulates"}
_BOUND_WORDS = {Bound.EXACT: "", Bound.AT_MOST: "up to ", Bound.AT_LEAST: "at least ", Bound.ABOUT: "about "}


def is_saving(claim: Claim) -> bool:
    """Tell whether the claim states that something costs less, or that the same cost yields more."""
    wanted = ClaimDirection.INCREASE if claim.quantity is Quantity.THROUGHPUT else ClaimDirection.DECREASE
    return claim.quantity is not Quantity.QUALITY and claim.direction is wanted


def is_harm(claim: Claim) -> bool:
    """Tell whether the claim states that something costs more, or that the same cost yields less."""
    if claim.quantity is Quantity.QUALITY or claim.direction is ClaimDirection.NONE:
        return False
    return not is_saving(claim)


def effect_claims(record: Record) -> tuple[Claim, ...]:
    """Return the claims for the effect the record is about: a saving, or the harm of a dark tactic."""
    wanted = is_harm if record.kind is Kind.DARK else is_saving
    return tuple(claim for claim in record.impact.claims if wanted(claim))


def has_figure(claim: Claim) -> bool:
    """Tell whether the claim gives a number."""
    return claim.value is not None or claim.range is not None


def headline_claim(record: Record) -> Claim | None:
    """Return the claim our figure is set against: the first one with a figure for the record's effect."""
    effects = effect_claims(record)
    return next((claim for claim in effects if has_figure(claim)), effects[0] if effects else None)


def quality_claim(record: Record) -> Claim | None:
    """Return the claim that our figure of quality is set against: the first one about quality."""
    return next((claim for claim in record.impact.claims if claim.quantity is Quantity.QUALITY), None)


def most_claimed_loss(claim: Claim, tolerance_points: float) -> float | None:
    """Return the largest loss in percentage points that a claim about quality leaves room for.

    None for a claim that is no difference in points, or a lower limit. A quality that stays the same may lose
    the tolerance, one that rises nothing.
    """
    if claim.direction is not ClaimDirection.DECREASE:
        return tolerance_points if claim.direction is ClaimDirection.NONE else 0.0
    if claim.unit is not ClaimUnit.PERCENTAGE_POINTS or claim.bound is Bound.AT_LEAST:
        return None
    return claim.range.high if claim.range else claim.value


def claimed_times(claim: Claim) -> float | None:
    """Return how many times lower or higher the claim says the quantity becomes, at least.

    A range counts with its lower end. None where the unit is absolute or the figure cannot be a ratio.
    """
    figure = claim.range.low if claim.range else claim.value
    if figure is None or figure <= 0:
        return None
    if claim.unit is ClaimUnit.TIMES:
        return figure
    if claim.unit is not ClaimUnit.PERCENT:
        return None
    if claim.direction is ClaimDirection.INCREASE:
        return 1 + figure / 100
    return 1 / (1 - figure / 100) if figure < 100 else None


def claim_figure(claim: Claim) -> str:
    """Return the figure with its bound and unit, such as `about 3.7x` or `20 to 30 %`; a dash without one."""
    if not has_figure(claim):
        return "no figure"
    unit = {ClaimUnit.TIMES: "x", ClaimUnit.PERCENT: " %", ClaimUnit.PERCENTAGE_POINTS: " points"}.get(
        claim.unit or ClaimUnit.COUNT, f" {claim.unit}"
    )
    if claim.range:
        ends = f"{_plain(claim.range.low)} to {_plain(claim.range.high)}"
    else:
        ends = _plain(claim.value or 0.0)
    if (ends, claim.unit) == ("1", ClaimUnit.PERCENTAGE_POINTS):
        unit = " point"
    return f"{_BOUND_WORDS[claim.bound]}{ends}{unit}"


def direction_word(claim: Claim) -> str:
    """Return `lower`, `higher` or `unchanged`."""
    words = {ClaimDirection.DECREASE: "lower", ClaimDirection.INCREASE: "higher"}
    return words.get(claim.direction, "unchanged")


def claim_phrase(claim: Claim) -> str:
    """Return the claim in words, such as `energy 3.7x lower (AlexNet)`."""
    figure = f"{claim_figure(claim)} " if has_figure(claim) else ""
    return f"{claim.quantity} {figure}{direction_word(claim)} ({short_setting(claim)})"


def other_quantity(record: Record, claim: Claim) -> str:
    """Return what the claim counts where the label of the recipe's cost does not say it, else nothing."""
    if record.recipe is None or claim.quantity is Quantity.QUALITY:
        return ""
    names = (claim.quantity.value, _ALSO_CALLED.get(claim.quantity, claim.quantity.value))
    return "" if any(name in record.recipe.cost_label.lower() for name in names) else str(claim.quantity)


def short_setting(claim: Claim) -> str:
    """Return the first clause of the setting, which names the model or the system."""
    return re.split(r",(?!\d)|[;:(]", claim.setting, maxsplit=1)[0].strip() or claim.setting


def _plain(figure: float) -> str:
    """Write a published figure with the digits it was given with."""
    return f"{figure:,.10g}"
