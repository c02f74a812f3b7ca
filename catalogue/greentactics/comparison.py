"""Paired comparison of an arm with the baseline, seed by seed.

A cost is compared as a ratio, so the interval is taken on logarithms and the estimate is a geometric mean.
A fraction, such as an accuracy, is compared as a difference in percentage points. Both intervals are
Student's t intervals over the pairs; they say how far the mean would move with other seeds, not with other
data or devices.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.special import stdtrit

from greentactics.results import Results

BASELINE = "baseline"
TACTIC = "tactic"
TIMES_LOWER = "times lower"
TIMES_HIGHER = "times higher"
POINTS = "percentage points"
CONFIDENCE = 0.95


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


def times_lower(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Estimate:
    """Compare costs, given by seed: how many times lower the treated value is.

    Raises:
        NotComparable: No common seed, or a value that is not positive and finite.
    """
    return _ratio(baseline, treated, TIMES_LOWER)


def times_higher(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Estimate:
    """Compare quantities of which more is better, given by seed: how many times higher the treated value is.

    Raises:
        NotComparable: No common seed, or a value that is not positive and finite.
    """
    return _ratio(treated, baseline, TIMES_HIGHER)


def point_difference(baseline: Mapping[int, float], treated: Mapping[int, float]) -> Estimate:
    """Compare fractions, given by seed: treated minus baseline in percentage points.

    Raises:
        NotComparable: No common seed, or a value that is not finite.
    """
    seeds = _common_seeds(baseline, treated)
    differences = [100 * (treated[seed] - baseline[seed]) for seed in seeds]
    value, low, high = _mean_interval(differences)
    return Estimate(value, low, high, len(seeds), POINTS)


def compare(results: Results, arm: str, metric: str, reference: str = BASELINE) -> Estimate:
    """Compare an arm with another, the baseline unless told, as the metric's unit and direction ask for.

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
        return point_difference(baseline, treated)
    return (times_higher if info.better == "higher" else times_lower)(baseline, treated)


def absolute(results: Results, arm: str, metric: str) -> Estimate | None:
    """Return the mean of a metric over an arm's repeats with its interval, or None where the arm lacks it."""
    values = list(results.values(arm, metric).values())
    if not values or not all(map(math.isfinite, values)):
        return None
    value, low, high = _mean_interval(values)
    return Estimate(value, low, high, len(values), results.metrics[metric].unit)


def _common_seeds(baseline: Mapping[int, float], treated: Mapping[int, float]) -> list[int]:
    seeds = sorted(set(baseline) & set(treated))
    if not seeds:
        raise NotComparable("no seed was run with both arms")
    if not all(math.isfinite(values[seed]) for values in (baseline, treated) for seed in seeds):
        raise NotComparable("a value is not a finite number")
    return seeds


def _ratio(numerator: Mapping[int, float], denominator: Mapping[int, float], unit: str) -> Estimate:
    seeds = _common_seeds(numerator, denominator)
    if not all(values[seed] > 0 for values in (numerator, denominator) for seed in seeds):
        raise NotComparable("a ratio needs positive values")
    logarithms = [math.log(numerator[seed] / denominator[seed]) for seed in seeds]
    value, low, high = _mean_interval(logarithms)
    if low is None or high is None:
        return Estimate(math.exp(value), None, None, len(seeds), unit)
    return Estimate(math.exp(value), math.exp(low), math.exp(high), len(seeds), unit)


def _mean_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return mean and ends of Student's t interval; the ends are None for one value."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return mean, None, None
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    half_width = float(stdtrit(count - 1, (1 + CONFIDENCE) / 2)) * math.sqrt(variance / count)
    return mean, mean - half_width, mean + half_width
