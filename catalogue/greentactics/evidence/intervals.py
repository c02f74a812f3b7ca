"""Interval, power and equivalence for the mean of a few numbers.

The numbers are one value a pair, such as the logarithm of a cost ratio or a difference in percentage points.
`comparison` forms them from results; `simulation` shows by simulation how far the intervals can be trusted.
Importing scipy takes longer than most commands need for their work, so the functions that need it import it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

CONFIDENCE = 0.95
ALPHA = 0.05
POWER = 0.8

Interval = tuple[float, float | None, float | None]
"""Mean, lower end, upper end; the ends are None for one value."""


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided t tests of a mean against a margin on either side, each at 5 %."""

    value: float
    """The mean."""
    low: float
    """Lower end of the 90 % interval, which lies within the margin exactly when both tests reject."""
    high: float
    """Upper end of the 90 % interval."""
    n: int
    """Number of values."""
    margin: float
    """The largest difference that is held to be of no consequence, in the unit of the values."""
    p_lower: float
    """p value against a true mean of `-margin` or less."""
    p_upper: float
    """p value against a true mean of `margin` or more."""
    higher_is_better: bool
    """Whether a mean below zero is the loss."""

    @property
    def p(self) -> float:
        """The larger of the two p values, which is that of equivalence."""
        return max(self.p_lower, self.p_upper)

    @property
    def equivalent(self) -> bool:
        """Whether the true mean is shown to lie within the margin on both sides."""
        return self.p < ALPHA

    @property
    def p_not_worse(self) -> float:
        """The p value against a loss of `margin` or more; a gain of any size is allowed."""
        return self.p_lower if self.higher_is_better else self.p_upper

    @property
    def not_worse(self) -> bool:
        """Whether the loss is shown to be smaller than the margin (non-inferiority)."""
        return self.p_not_worse < ALPHA


def mean_interval(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval:
    """Return the mean and the ends of Student's t interval.

    Exact for normal values; `simulation` shows what skewness does to it.

    Raises:
        ValueError: No value, or one that is not finite.

    Source: Student, The probable error of a mean, Biometrika 6 (1908).
    """
    from scipy import special

    mean, error = _mean_and_error(values)
    if error is None:
        return mean, None, None
    half_width = float(special.stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return mean, mean - half_width, mean + half_width


def minimal_detectable_effect(values: Sequence[float], power: float = POWER, alpha: float = ALPHA) -> float:
    """Return the smallest true mean that a two-sided t test with this n and spread shows with this power.

    Shown means that the whole interval lies on the same side of zero as the true mean. Exact, by the
    noncentral t distribution, for normal values whose true standard deviation is the one seen. With few
    values the one seen is uncertain, and so is the effect: a true mean of the size estimated is shown less
    often than the power says. `simulation` has the figures.

    Raises:
        ValueError: Fewer than two values, or one that is not finite; power not between alpha and 1.

    Source: Cohen, Statistical power analysis for the behavioral sciences, chapter 2 (1988).
    """
    from scipy import special

    if not 0 < alpha < power < 1:
        raise ValueError(f"expected 0 < alpha < power < 1, got alpha {alpha} and power {power}")
    freedom, (_, error) = len(values) - 1, _of_several(values)
    critical = float(special.stdtrit(freedom, 1 - alpha / 2))

    def shown(shift: float) -> float:
        # A rejection on the wrong side shows nothing; scipy's function is also unreliable in that tail.
        return float(1 - special.nctdtr(freedom, shift, critical))

    low, high = 0.0, critical
    while shown(high) < power:
        low, high = high, 2 * high
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        low, high = (middle, high) if shown(middle) < power else (low, middle)
    return high * error


def equivalence(values: Sequence[float], margin: float, *, higher_is_better: bool = True) -> Equivalence:
    """Test whether the true mean lies within a margin of zero, by two one-sided t tests.

    A difference that is not significant shows nothing; this test turns the burden of proof round.
    Without spread the mean itself decides, and p is 0 or 1.

    Raises:
        ValueError: Fewer than two values, one that is not finite, or a margin not positive and finite.

    Sources: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987); Lakens, Social Psychological and
    Personality Science 8 (2017).
    """
    from scipy import special

    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"expected a positive margin, got {margin}")
    freedom, (value, error) = len(values) - 1, _of_several(values)
    half_width = float(special.stdtrit(freedom, 1 - ALPHA)) * error

    def p_of(distance: float) -> float:
        if error == 0:
            return 0.0 if distance > 0 else 1.0
        return float(special.stdtr(freedom, -distance / error))

    return Equivalence(
        value=value,
        low=value - half_width,
        high=value + half_width,
        n=len(values),
        margin=margin,
        p_lower=p_of(value + margin),
        p_upper=p_of(margin - value),
        higher_is_better=higher_is_better,
    )


def _mean_and_error(values: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and its standard error; the error is None for one value."""
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("expected at least one value, all finite")
    count = len(values)
    if count == 1:
        return values[0], None
    if min(values) == max(values):
        return values[0], 0.0
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return mean, math.sqrt(variance / count)


def _of_several(values: Sequence[float]) -> tuple[float, float]:
    mean, error = _mean_and_error(values)
    if error is None:
        raise ValueError("expected at least two values, got one")
    return mean, error
