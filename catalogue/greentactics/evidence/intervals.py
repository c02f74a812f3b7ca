"""Interval, power and equivalence for the mean of a few numbers.

The numbers are one value a pair, such as the logarithm of a cost ratio or a difference in percentage points.
`comparison` forms them from results; `simulation` shows how far the intervals can be trusted.
Importing scipy takes longer than most commands need for their work, so the functions that need it import it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

ALPHA = 0.05
"""Level of all tests; an interval covers the rest, 95 %."""
POWER = 0.8


def mean_interval(values: Sequence[float]) -> tuple[float, float | None, float | None]:
    """Return the mean and the ends of Student's 95 % t interval, which are None for one value.

    Exact for normal values; `simulation` shows what skewness does to it.

    Raises:
        ValueError: No value, or one that is not finite.

    Source: Student, The probable error of a mean, Biometrika 6 (1908).
    """
    from scipy import special

    mean, error = _mean_and_error(values)
    if error is None:
        return mean, None, None
    half_width = float(special.stdtrit(len(values) - 1, 1 - ALPHA / 2)) * error
    return mean, mean - half_width, mean + half_width


def minimal_detectable_effect(values: Sequence[float], power: float = POWER) -> float:
    """Return the smallest true mean that a two-sided t test with this n and spread shows with this power.

    Shown means that the whole interval lies on the same side of zero as the true mean. Exact, by the
    noncentral t distribution, for normal values whose true standard deviation is the one seen. With few
    values the one seen is uncertain, and so is the effect: a true mean of the size estimated is shown less
    often than the power says. `simulation` has the figures.

    Raises:
        ValueError: Fewer than two values, or one that is not finite; power not between 5 % and 1.

    Source: Cohen, Statistical power analysis for the behavioral sciences, chapter 2 (1988).
    """
    from scipy import special

    if not ALPHA < power < 1:
        raise ValueError(f"expected a power between {ALPHA} and 1, got {power}")
    freedom, (_, error) = len(values) - 1, _of_several(values)
    critical = special.stdtrit(freedom, 1 - ALPHA / 2)
    # A rejection on the wrong side shows nothing, so only the tail above the critical value counts.
    return float(special.nctdtrinc(freedom, 1 - power, critical)) * error


def equivalence_p(values: Sequence[float], margin: float) -> float:
    """Return the p value of the test that the true mean lies within a margin of zero: two one-sided t tests.

    A difference that is not significant shows nothing; this test turns the burden of proof round. The p
    value is the larger one of the two. Without spread the mean itself decides, and p is 0 or 1.

    Raises:
        ValueError: Fewer than two values, one that is not finite, or a margin not positive and finite.

    Sources: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15 (1987); Lakens, Social Psychological and
    Personality Science 8 (2017).
    """
    from scipy import special

    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"expected a positive margin, got {margin}")
    mean, error = _of_several(values)
    distance = margin - abs(mean)
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(special.stdtr(len(values) - 1, -distance / error))


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
