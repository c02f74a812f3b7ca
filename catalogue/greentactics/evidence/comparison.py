"""Paired comparison of an arm with the baseline, seed by seed.

A cost is compared as a ratio, so the interval is taken on logarithms and the estimate is a geometric mean.
A fraction, such as an accuracy, is compared as a difference in percentage points. Both intervals are
Student's t intervals over the pairs; they say how far the mean would move with other seeds, not with other
data or devices. `intervals` holds the mathematics.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from greentactics.evidence.intervals import (
    Equivalence,
    equivalence,
    mean_interval,
    minimal_detectable_effect,
)
from greentactics.models.results import BASELINE, Better, Results

TIMES_LOWER = "times lower"
TIMES_HIGHER = "times higher"
POINTS = "percentage points"
LARGEST = 1e100
"""Values, differences and ratios from here on are no result, and their intervals may be no numbers."""
LARGEST_EXPONENT = 700
"""Close to where the exponential function leaves the range of numbers."""


class NotComparable(ValueError):  # noqa: N818 - reads as the answer it is, not as a fault
    """The values give no number; the message says why, in words a reader of a page understands."""


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % interval."""

    value: float
    """The estimate, in `unit`."""
    low: float | None
    """Lower end of the interval; None with a single pair."""
    high: float | None
    """Upper end of the interval; None with a single pair."""
    n: int
    """Number of pairs, or of repeats for an absolute value."""
    unit: str
    """`times lower`, `times higher`, `percentage points`, or the unit of the metric for an absolute value."""


@dataclass(frozen=True)
class Pairs:
    """One value for each seed that both arms were run with; the mean and its interval are taken of these."""

    values: tuple[float, ...]
    """Differences in percentage points, or natural logarithms of ratios."""
    unit: str
    """`times lower`, `times higher` or `percentage points`."""


def times_lower(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Estimate:
    """Compare costs, given by seed: how many times lower the treated value is.

    Raises:
        NotComparable: No common seed, or a value that is not positive and finite.
    """
    return _estimate(_logarithms(baseline, treated, TIMES_LOWER))


def times_higher(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Estimate:
    """Compare quantities of which more is better, given by seed: how many times higher the treated value is.

    Raises:
        NotComparable: No common seed, or a value that is not positive and finite.
    """
    return _estimate(_logarithms(treated, baseline, TIMES_HIGHER))


def point_difference(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Estimate:
    """Compare fractions, given by seed: treated minus baseline in percentage points.

    Raises:
        NotComparable: No common seed, or a value that is not finite.
    """
    return _estimate(_points(baseline, treated))


def pairs(results: Results, arm: str, metric: str, reference: str = BASELINE) -> Pairs:
    """Pair an arm with another, the baseline unless told, as the metric's unit and direction ask for.

    Raises:
        NotComparable: One of the two arms lacks the metric, or its values give no number.
    """
    if metric not in results.metrics:
        raise NotComparable(f"{metric} was not measured")
    baseline, treated = results.values(reference, metric), results.values(arm, metric)
    for name, values in ((reference, baseline), (arm, treated)):
        if not values:
            raise NotComparable(f"{name} lacks it")
    info = results.metrics[metric]
    if info.unit == "fraction":
        return _points(baseline, treated)
    if info.better == "higher":
        return _logarithms(treated, baseline, TIMES_HIGHER)
    return _logarithms(baseline, treated, TIMES_LOWER)


def compare(results: Results, arm: str, metric: str, reference: str = BASELINE) -> Estimate:
    """Compare an arm with another by Student's t interval, in the unit that `pairs` chooses.

    Raises:
        NotComparable: One of the two arms lacks the metric, or its values give no number.
    """
    return _estimate(pairs(results, arm, metric, reference))


def detectable(results: Results, arm: str, metric: str, reference: str = BASELINE) -> float:
    """Return the smallest true effect that these seeds would have shown with 80 % power.

    An estimate, as the spread that it rests on is one: see `intervals.minimal_detectable_effect`.

    Returns:
        For a ratio a factor of at least 1: at 1.12 a true difference of 1.12x, either way, would have been
        shown four times out of five. For a fraction the difference in percentage points.

    Raises:
        NotComparable: As `compare`, or a single pair, which has no spread.
    """
    paired = _several(pairs(results, arm, metric, reference))
    effect = minimal_detectable_effect(paired.values)
    return effect if paired.unit == POINTS else math.exp(effect)


def equivalence_in_points(
    results: Results, arm: str, metric: str, margin_points: float, reference: str = BASELINE
) -> Equivalence:
    """Test whether a fraction, such as an accuracy, is the same in both arms up to a margin.

    Returns:
        Two one-sided t tests of arm minus reference in percentage points, with `not_worse` judged by the
        metric's direction.

    Raises:
        NotComparable: As `compare`; a single pair; a metric that is no fraction or has no better direction.
        ValueError: A margin that is not positive and finite.
    """
    paired = _several(pairs(results, arm, metric, reference))
    info = results.metrics[metric]
    if paired.unit != POINTS:
        raise NotComparable(f"{metric} is no fraction, so it has no margin in points")
    if info.better == "neither":
        raise NotComparable(f"{metric} has no better direction")
    return equivalence(paired.values, margin_points, higher_is_better=info.better == "higher")


def absolute(results: Results, arm: str, metric: str) -> Estimate | None:
    """Return the mean of a metric over an arm's repeats with its interval, or None where the arm lacks it."""
    values = list(results.values(arm, metric).values())
    if not values or not all(abs(value) < LARGEST for value in values):
        return None
    value, low, high = mean_interval(values)
    return Estimate(value, low, high, len(values), results.metrics[metric].unit)


def largest_loss(quality: Estimate | None, better: Better) -> float | None:
    """Return the worse end of the interval of a quality's change, as a loss.

    Returns:
        Percentage points, negative where the quality rose throughout; None without an interval in points.
    """
    if quality is None or quality.unit != POINTS or quality.low is None or quality.high is None:
        return None
    return quality.high if better == "lower" else -quality.low


def smallest_loss(quality: Estimate | None, better: Better) -> float | None:
    """Return the better end of the interval, as `largest_loss` returns the worse one."""
    if quality is None or quality.unit != POINTS or quality.low is None or quality.high is None:
        return None
    return quality.low if better == "lower" else -quality.high


def _common_seeds(baseline: Mapping[int, float], treated: Mapping[int, float]) -> list[int]:
    seeds = sorted(set(baseline) & set(treated))
    if not seeds:
        raise NotComparable("no seed was run with both arms")
    if not all(math.isfinite(values[seed]) for values in (baseline, treated) for seed in seeds):
        raise NotComparable("a value is not a finite number")
    return seeds


def _points(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Pairs:
    seeds = _common_seeds(baseline, treated)
    values = tuple(100 * (treated[seed] - baseline[seed]) for seed in seeds)
    if not all(abs(value) < LARGEST for value in values):
        raise NotComparable("a difference is too large to compute with")
    return Pairs(values, POINTS)


def _logarithms(numerator: Mapping[int, float], denominator: Mapping[int, float], unit: str) -> Pairs:
    seeds = _common_seeds(numerator, denominator)
    if not all(values[seed] > 0 for values in (numerator, denominator) for seed in seeds):
        raise NotComparable("a ratio needs positive values")
    ratios = [numerator[seed] / denominator[seed] for seed in seeds]
    if not all(1 / LARGEST < ratio < LARGEST for ratio in ratios):
        raise NotComparable("a ratio is too large to compute with")
    return Pairs(tuple(math.log(ratio) for ratio in ratios), unit)


def _several(paired: Pairs) -> Pairs:
    if len(paired.values) == 1:
        raise NotComparable("a single pair has no spread")
    return paired


def _estimate(paired: Pairs) -> Estimate:
    """Take the interval and turn logarithms back into ratios."""
    value, low, high = mean_interval(paired.values)
    count = len(paired.values)
    if paired.unit == POINTS:
        return Estimate(value, low, high, count, POINTS)
    if low is None or high is None:
        return Estimate(math.exp(value), None, None, count, paired.unit)
    if max(-low, high) > LARGEST_EXPONENT:
        raise NotComparable("the ratios are too far apart to compute with")
    return Estimate(math.exp(value), math.exp(low), math.exp(high), count, paired.unit)
