"""The median of paired ratios, with the interval that a bootstrap over the rounds would give.

A bootstrap draws rounds with replacement and takes their median, over and over. For a median the outcome is
known without drawing: the median of a resample is at most the k-th smallest of n values when at least half of
its n draws are, and each draw is with probability k/n. That is the tail of a binomial distribution (Efron,
"Bootstrap Methods: Another Look at the Jackknife", 1979; Maritz and Jarrett, "A Note on Estimating the
Variance of the Sample Median", 1978). The interval is exact and depends on no random numbers.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

TAIL = 0.025
"""Probability left out on each side of a 95 % interval."""


@dataclass(frozen=True)
class MedianRatio:
    """A median of per-round ratios."""

    value: float
    """The median; for an even number of rounds the geometric mean of the middle two."""
    low: float
    """Lower end of the 95 % interval."""
    high: float
    """Upper end."""
    rounds: int
    """Rounds behind it."""

    @property
    def relative_half_width(self) -> float:
        """Half the width of the interval, as a share of the median."""
        return (self.high - self.low) / (2 * self.value)


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> MedianRatio:
    """Return the median over rounds of numerator / denominator, with its 95 % percentile-bootstrap interval.

    With an even number of rounds the median lies between two values; the low end is that of the lower one and
    the high end that of the upper one, so the interval is, if anything, too wide. With 6 rounds or fewer it
    is the whole range. Swapping numerators and denominators inverts the result.

    Args:
        numerators: Positive values, one a round; at least one.
        denominators: Positive values of the same rounds, in the same order.

    Raises:
        ValueError: No rounds, lists of different length, or a value that is not positive and finite.
    """
    if not numerators or len(numerators) != len(denominators):
        lengths = f"{len(numerators)} and {len(denominators)}"
        raise ValueError(f"expected as many numerators as denominators, at least one; got {lengths}")
    if not all(0 < value < math.inf for value in (*numerators, *denominators)):
        raise ValueError("expected positive, finite values")
    ratios = sorted(top / bottom for top, bottom in zip(numerators, denominators, strict=True))
    count, rank = len(ratios), _low_rank(len(ratios))
    lower, upper = ratios[(count - 1) // 2], ratios[count // 2]
    middle = lower if count % 2 else math.sqrt(lower * upper)
    return MedianRatio(middle, ratios[rank - 1], ratios[count - rank], count)


@functools.cache
def _low_rank(count: int) -> int:
    """Return the least k for which the median of a resample is at most the k-th smallest often enough.

    By symmetry the k-th largest value is the other end.
    """
    from scipy import special

    half = (count + 1) // 2
    return next(k for k in range(1, count + 1) if special.bdtrc(half - 1, count, k / count) >= TAIL)
