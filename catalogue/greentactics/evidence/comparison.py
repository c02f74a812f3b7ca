"""Paired comparison of an arm with the baseline, seed by seed.

A cost is compared as a ratio, so the interval is taken on logarithms and the estimate is a geometric mean;
or it is the ratio of the two means, for costs of which the recipe says so, as they have heavy tails.
A fraction, such as an accuracy, is compared as a difference in percentage points, and a loss in nats as one
in hundredths of a nat, each about 1 % of the perplexity. All these intervals are
Student's t intervals over the pairs; they say how far the mean would move with other seeds. Where both arms
have a score for each test example, the interval of the test metric holds other examples, too. None says how
far the mean would move with other data or devices. `intervals` holds the mathematics.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greentactics.evidence.intervals import (
    Mean,
    crossed_mean,
    difference_p,
    equivalence_p,
    interval,
    log_ratio_of_means,
    mean_of,
    minimal_detectable_effect,
    shown_among,
)
from greentactics.models.record import RecipeUse
from greentactics.models.results import BASELINE, RATIO_OF_MEANS, TEST, Better, Results

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TIMES_LOWER = "times lower"
TIMES_HIGHER = "times higher"
POINTS = "percentage points"
DIFFERENCES = {"fraction": POINTS, "nats": "hundredths of a nat"}
"""Units of differences, by that of the metrics that are compared by them: each is a hundredth of it."""
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
    """`times lower`, `times higher`, one of `DIFFERENCES`, or a metric's own for an absolute value."""
    of_means: bool = False
    """Whether a ratio is that of the means, in place of the geometric mean of the ratios."""

    @property
    def is_difference(self) -> bool:
        """Whether 0 means that nothing differs."""
        return self.unit in DIFFERENCES.values()


@dataclass(frozen=True)
class Pairs:
    """One value for each seed that both arms were run with, and their mean."""

    values: tuple[float, ...]
    """Differences in hundredths, or natural logarithms of ratios; jackknifed for a ratio of means."""
    mean: Mean
    """Over these; over seeds and test examples where both arms have scores."""
    unit: str
    """`times lower`, `times higher` or one of `DIFFERENCES`."""
    of_means: bool = False
    """Whether a ratio is that of the means."""

    @property
    def is_difference(self) -> bool:
        """Whether 0 means that nothing differs."""
        return self.unit in DIFFERENCES.values()


def times_lower(ratios: Sequence[float]) -> Estimate:
    """Return the geometric mean of ratios that say how many times lower a value is, with its interval.

    Raises:
        NotComparable: A ratio that is beyond all bounds.
    """
    return _estimate(_logarithms(ratios, TIMES_LOWER))


def pairs(results: Results, arm: str, metric: str, reference: str = BASELINE) -> Pairs:
    """Pair an arm with another, the baseline unless told, as the metric's unit and direction ask for.

    Raises:
        NotComparable: One of the two arms lacks the metric, or its values give no number.
    """
    info = results.metrics.get(metric)
    if info is None:
        raise NotComparable(f"{metric} was not measured")
    references, treated = results.values(reference, metric), results.values(arm, metric)
    for name, values in ((reference, references), (arm, treated)):
        if not values:
            raise NotComparable(f"{name} lacks it")
    seeds = sorted(references.keys() & treated.keys())
    both = [(references[seed], treated[seed]) for seed in seeds]
    if not both:
        raise NotComparable("no seed was run with both arms")
    if not all(math.isfinite(value) for pair in both for value in pair):
        raise NotComparable("a value is not a finite number")
    if info.unit in DIFFERENCES:
        points = tuple(100 * (of_arm - of_reference) for of_reference, of_arm in both)
        if not all(abs(value) < LARGEST for value in points):
            raise NotComparable("a difference is too large to compute with")
        scores = _scores(results, (arm, reference), seeds) if metric.startswith(TEST) else None
        if scores is None:
            return Pairs(points, mean_of(points), DIFFERENCES[info.unit])
        return Pairs(points, crossed_mean(scores[0] - scores[1]).times(100), DIFFERENCES[info.unit])
    if metric in results.config.get(RATIO_OF_MEANS, ()):
        return _of_means(both, info.better)
    if not all(value > 0 for pair in both for value in pair):
        raise NotComparable("a ratio needs positive values")
    if info.better == "higher":
        return _logarithms([of_arm / of_reference for of_reference, of_arm in both], TIMES_HIGHER)
    return _logarithms([of_reference / of_arm for of_reference, of_arm in both], TIMES_LOWER)


def compare(results: Results, arm: str, metric: str, reference: str = BASELINE) -> Estimate:
    """Compare an arm with another by Student's t interval, in the unit that `pairs` chooses.

    Raises:
        NotComparable: One of the two arms lacks the metric, or its values give no number.
    """
    return _estimate(pairs(results, arm, metric, reference))


def detectable(results: Results, arm: str, metric: str) -> float:
    """Return the smallest true effect that these seeds would have shown with 80 % power.

    An estimate, as the spread that it rests on is one: see `intervals.minimal_detectable_effect`.

    Returns:
        For a ratio a factor of at least 1: at 1.12 a true difference of 1.12x, either way, would have been
        shown four times out of five. Else the difference in hundredths.

    Raises:
        NotComparable: As `compare`, or a single pair, which has no spread.
    """
    paired = _several(pairs(results, arm, metric))
    effect = minimal_detectable_effect(paired.mean)
    return effect if paired.is_difference else math.exp(effect)


def differences_shown(results: Results, arm: str, metric: str, references: Sequence[str]) -> dict[str, bool]:
    """Tell from which of several arms a difference is shown, by t tests with Holm's correction.

    Arms that give no number, or a single pair, are left out.
    """
    p_values = dict[str, float]()
    for reference in references:
        with contextlib.suppress(NotComparable):
            p_values[reference] = difference_p(_several(pairs(results, arm, metric, reference)).mean)
    return dict(zip(p_values, shown_among([*p_values.values()]), strict=True))


def equivalence_in_points(results: Results, arm: str, metric: str, margin_points: float) -> float:
    """Return the p value of the test that a metric differs from the baseline's by less than a margin.

    Raises:
        NotComparable: As `compare`; a single pair; a metric that is compared by a ratio.
        ValueError: A margin that is not positive and finite.
    """
    paired = _several(pairs(results, arm, metric))
    if not paired.is_difference:
        raise NotComparable(f"{metric} is compared by a ratio, so it has no margin in points")
    return equivalence_p(paired.mean, margin_points)


def absolute(results: Results, arm: str, metric: str) -> Estimate | None:
    """Return the mean of a metric over an arm's repeats with its interval, or None where the arm lacks it."""
    values = list(results.values(arm, metric).values())
    if not values or not all(abs(value) < LARGEST for value in values):
        return None
    mean = mean_of(values)
    low, high = interval(mean) or (None, None)
    return Estimate(mean.value, low, high, len(values), results.metrics[metric].unit)


def loss_interval(quality: Estimate | None, better: Better) -> tuple[float, float] | None:
    """Return the interval of a quality's change as a loss, the smaller loss first.

    Returns:
        Hundredths, negative where the quality rose; None without an interval of a difference.
    """
    if quality is None or not quality.is_difference or quality.low is None or quality.high is None:
        return None
    return (quality.low, quality.high) if better == "lower" else (-quality.high, -quality.low)


def tolerance_points(results: Results, recipe: RecipeUse) -> float:
    """Return the loss of quality that is still acceptable, in percentage points or other hundredths.

    It is the one that nets were chosen with, the subject's. One that is a share of what training gains is
    the mean over the seeds. The record's holds for a recipe that brings its own workload.
    """
    told = results.config.get("tolerance")
    if told is None or results.subject is None:
        return recipe.quality_tolerance_points
    if isinstance(told, int | float):
        return 100.0 * told
    own = [float(repeat.details["tolerance"]) for repeat in results.repeats if repeat.arm == BASELINE]
    return 100.0 * sum(own) / len(own)


def _logarithms(ratios: Sequence[float], unit: str) -> Pairs:
    if not all(1 / LARGEST < ratio < LARGEST for ratio in ratios):
        raise NotComparable("a ratio is too large to compute with")
    logarithms = tuple(math.log(ratio) for ratio in ratios)
    return Pairs(logarithms, mean_of(logarithms), unit)


def _of_means(both: Sequence[tuple[float, float]], better: Better) -> Pairs:
    """Compare (reference, arm) by their means; an error of the ratio, as a ratio has, is on the logarithm."""
    of_reference, of_arm = zip(*both, strict=True)
    if not all(0 <= value < LARGEST for pair in both for value in pair):
        raise NotComparable("a ratio of means needs values that are not negative, and not too large")
    higher = better == "higher"
    try:
        values = log_ratio_of_means(*((of_arm, of_reference) if higher else (of_reference, of_arm)))
    except ValueError:
        raise NotComparable("a ratio of means needs two positive values or more of each arm") from None
    return Pairs(values, mean_of(values), TIMES_HIGHER if higher else TIMES_LOWER, of_means=True)


def _scores(results: Results, arms: tuple[str, str], seeds: Sequence[int]) -> NDArray[np.float64] | None:
    """Return scores by arm, seed and test example; None with one seed, or where a repeat lacks them."""
    import numpy as np

    by_seed = [results.scores(arm) for arm in arms]
    if len(seeds) < 2 or not all(entry.keys() >= set(seeds) for entry in by_seed):
        return None
    unpacked = [[entry[seed].unpacked() for seed in seeds] for entry in by_seed]
    counts = {len(scores) for of_arm in unpacked for scores in of_arm}
    if len(counts) > 1 or counts == {1}:
        raise NotComparable("scores of as many test examples, two or more, are needed with each seed")
    return np.array(unpacked)


def _several(paired: Pairs) -> Pairs:
    if len(paired.values) == 1:
        raise NotComparable("a single pair has no spread")
    return paired


def _estimate(paired: Pairs) -> Estimate:
    """Take the interval and turn logarithms back into ratios."""
    value, count = paired.mean.value, len(paired.values)
    low, high = interval(paired.mean) or (None, None)
    if paired.is_difference:
        return Estimate(value, low, high, count, paired.unit)
    if low is None or high is None:
        return Estimate(math.exp(value), None, None, count, paired.unit, paired.of_means)
    if max(-low, high) > LARGEST_EXPONENT:
        raise NotComparable("the ratios are too far apart to compute with")
    return Estimate(math.exp(value), math.exp(low), math.exp(high), count, paired.unit, paired.of_means)
