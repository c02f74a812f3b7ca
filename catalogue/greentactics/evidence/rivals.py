"""The best rival of a tactic, and how the two compare.

A rival is any other way to the same end that ran under the same conditions: all arms but the baseline, the
net as it was given, and those with the tactic in them. Where results tell the quality on examples other than
those of the test, the best one is chosen by these, which is one comparison, however many rivals there are.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from greentactics.evidence.comparison import (
    Estimate,
    NotComparable,
    loss_interval,
    pairs,
    tolerance_points,
)
from greentactics.models.record import RecipeUse
from greentactics.models.results import (
    AS_GIVEN,
    BASELINE,
    CHOICE,
    COMBINED,
    TACTIC,
    TEST,
    VARIED,
    Better,
    Results,
)
from greentactics.models.vocabulary import Term

EQUAL_COSTS = 1.01
"""Costs whose ratio is no larger are equal."""


class Against(Term):
    """How the tactic fares against its best rival."""

    WINS = "wins", "cheaper at no less quality, or better at no higher cost"
    MATCHED = "matched", "no cost that differs by more than 1 % is shown, and no quality that differs"
    BEATEN = "beaten", "dearer at no more quality, or worse at no lower cost"
    CHEAPER = "cheaper", "cheaper, but worse or not shown to be as good"
    DEARER = "dearer", "dearer, but better or not shown not to be"


@dataclass(frozen=True)
class BestRival:
    """The tactic against the rival to beat."""

    arm: str
    """The rival."""
    chosen_by: str
    """Metric of the quality that it was chosen by."""
    cost: Estimate
    """The tactic's headline cost against the rival's."""
    quality: Estimate
    """The same for the quality that must not suffer, as a difference."""
    outcome: Against | None
    """How the tactic fares; None without intervals."""


def rivals(results: Results) -> tuple[str, ...]:
    """Return the arms that are rivals of the tactic."""
    own = (BASELINE, AS_GIVEN, TACTIC, *combinations(results))
    return tuple(arm for arm in results.arms if arm not in own and not arm.startswith(VARIED))


def combinations(results: Results) -> dict[str, str]:
    """Return the arms that join the tactic with another arm, and which one."""
    return {arm: arm.removeprefix(COMBINED) for arm in results.arms if arm.startswith(COMBINED)}


def choice_metric(results: Results, recipe: RecipeUse) -> str:
    """Return the metric that rivals are chosen by: quality on the choice examples, else the quality."""
    quality = results.quality_metric(recipe.quality_metric)
    name = CHOICE + quality.removeprefix(TEST)
    return name if name in results.metrics else quality


def best_rival(results: Results, recipe: RecipeUse) -> str | None:
    """Return the cheapest rival whose mean loss is within the tolerance, of equally cheap ones the best.

    Where none is within, the one of least loss; None without a rival whose cost, as a ratio, and quality, as
    a difference, compare with the baseline's.
    """
    losses, savings = dict[str, float](), dict[str, float]()
    metric = choice_metric(results, recipe)
    for arm in rivals(results):
        try:
            cost, quality = pairs(results, arm, recipe.cost_metric), pairs(results, arm, metric)
        except NotComparable:
            continue
        if quality.is_difference and not cost.is_difference:
            lost = results.metrics[metric].better == "lower"
            losses[arm] = quality.mean.value if lost else -quality.mean.value
            savings[arm] = cost.mean.value  # the logarithm of a ratio
    within = [arm for arm in losses if losses[arm] <= tolerance_points(results, recipe)]
    most = max((savings[arm] for arm in within), default=-math.inf)
    cheapest = [arm for arm in within if savings[arm] >= most - math.log(EQUAL_COSTS)]
    return min(cheapest or losses, key=losses.__getitem__, default=None)


def fares(
    cost: Estimate, quality: Estimate, better: Better, tolerance_points: float, *, cost_differs: bool
) -> Against | None:
    """Return how the tactic fares against a rival; None without intervals.

    Args:
        cost: How many times cheaper the tactic is than the rival.
        quality: What its quality is more than the rival's, in hundredths.
        better: Which direction of the quality is an improvement.
        tolerance_points: Difference in quality that counts for nothing, where costs differ.
        cost_differs: Whether a difference in cost exceeds what the machine cannot tell apart.
    """
    loss = loss_interval(quality, better)
    if cost.low is None or cost.high is None or loss is None:
        return None
    cheaper = cost_differs and cost.low > EQUAL_COSTS
    dearer = cost_differs and cost.high < 1 / EQUAL_COSTS
    finer, coarser = loss[1] < 0, loss[0] > 0
    if (cheaper and loss[1] < tolerance_points) or (finer and not dearer):
        return Against.WINS
    if (dearer and -loss[0] < tolerance_points) or (coarser and not cheaper):
        return Against.BEATEN
    if cheaper:
        return Against.CHEAPER
    return Against.DEARER if dearer else Against.MATCHED
