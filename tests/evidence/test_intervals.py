"""Interval, power and equivalence against numbers worked by hand, published tables and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greentactics.evidence.intervals import (
    equivalence,
    mean_interval,
    minimal_detectable_effect,
)

T_2_975 = 4.3026527297
T_2_95 = 2.9199855804
SAMPLES = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12)


def spread_of_one(count: int) -> list[float]:
    """Return values whose standard deviation is 1."""
    values = np.arange(count) / np.arange(count).std(ddof=1)
    return [float(value) for value in values]


@pytest.mark.parametrize(("confidence", "quantile"), [(0.95, T_2_975), (0.90, T_2_95)])
def test_t_interval_of_one_two_three(confidence: float, quantile: float) -> None:
    mean, low, high = mean_interval([1.0, 2.0, 3.0], confidence)
    half_width = quantile / math.sqrt(3)
    assert (mean, low, high) == pytest.approx((2.0, 2 - half_width, 2 + half_width))


def test_one_value_has_no_interval_and_equal_values_one_of_no_width() -> None:
    assert mean_interval([3.0]) == (3.0, None, None)
    assert mean_interval([0.1, 0.1, 0.1]) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 1.0]])
@pytest.mark.parametrize(
    "function",
    [mean_interval, minimal_detectable_effect, lambda values: equivalence(values, 1.0)],
)
def test_no_value_or_one_that_is_not_finite_is_refused(function, values) -> None:
    with pytest.raises(ValueError, match="all finite"):
        function(values)


@pytest.mark.parametrize(
    ("count", "effect", "power"),
    [(10, 1.0, 0.8030968), (15, 0.8, 0.8213105), (34, 0.5, 0.8077775)],
)
def test_detectable_effect_agrees_with_published_power(count: int, effect: float, power: float) -> None:
    """`TTestPower` of statsmodels and `pwr` of R give these powers for a paired t test, two-sided at 5 %."""
    assert minimal_detectable_effect(spread_of_one(count), power) == pytest.approx(effect, abs=1e-5)


@pytest.mark.parametrize(("count", "effect"), [(5, 1.682), (10, 0.996)])
def test_detectable_effect_in_standard_deviations(count: int, effect: float) -> None:
    assert minimal_detectable_effect(spread_of_one(count)) == pytest.approx(effect, abs=5e-4)


@pytest.mark.parametrize("count", [2, 5, 10])
def test_detectable_effect_is_shown_four_times_out_of_five(count: int) -> None:
    effect = minimal_detectable_effect(spread_of_one(count))
    samples = np.random.default_rng(3).normal(effect, 1, (4000, count)).tolist()
    shown = [low > 0 for _, low, _ in map(mean_interval, samples)]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.02)


def test_detectable_effect_without_spread_is_zero() -> None:
    assert minimal_detectable_effect([2.0, 2.0, 2.0]) == 0.0


@pytest.mark.parametrize("power", [0.04, 1.0, math.nan])
def test_a_power_that_no_test_has_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="alpha < power < 1"):
        minimal_detectable_effect([1.0, 2.0], power)


def test_equivalence_of_three_values_by_hand() -> None:
    """The mean is 0.5, its error 0.5, so t is 5 and 3; for two degrees of freedom p has a closed form."""
    deviation = math.sqrt(3) / 2
    result = equivalence([0.5 - deviation, 0.5, 0.5 + deviation], 2.0)
    p_lower, p_upper = (0.5 - t / (2 * math.sqrt(2 + t * t)) for t in (5, 3))
    assert (result.p_lower, result.p_upper, result.p) == pytest.approx((p_lower, p_upper, p_upper))
    assert (result.value, result.low, result.high) == pytest.approx((0.5, 0.5 - T_2_95 / 2, 0.5 + T_2_95 / 2))
    assert (result.n, result.margin, result.equivalent) == (3, 2.0, True)


@given(SAMPLES, st.floats(0.5, 60))
def test_equivalent_means_that_the_90_percent_interval_lies_within_the_margin(values, margin) -> None:
    result = equivalence(values, margin)
    assert result.equivalent == (-margin < result.low and result.high < margin)


@given(SAMPLES, st.floats(0.5, 60))
def test_not_worse_ignores_a_gain(values, margin) -> None:
    higher, lower = equivalence(values, margin), equivalence(values, margin, higher_is_better=False)
    assert (higher.p_not_worse, lower.p_not_worse) == (higher.p_lower, lower.p_upper)
    assert higher.equivalent == (higher.not_worse and lower.not_worse)


def test_a_large_gain_is_not_worse_and_not_equivalent() -> None:
    result = equivalence([5.0, 5.1, 4.9], 1.0)
    assert result.not_worse
    assert not result.equivalent


@pytest.mark.parametrize(
    ("value", "expected"), [(0.9, (0, 0)), (1.0, (0, 1)), (1.1, (0, 1)), (-1.0, (1, 0)), (-1.1, (1, 0))]
)
def test_without_spread_the_mean_decides(value: float, expected: tuple[float, float]) -> None:
    result = equivalence([value] * 5, 1.0)
    assert (result.p_lower, result.p_upper) == expected
    assert (result.low, result.high) == (value, value)


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_a_margin_that_is_not_positive_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="positive margin"):
        equivalence([1.0, 2.0], margin)


@pytest.mark.parametrize("function", [minimal_detectable_effect, lambda values: equivalence(values, 1.0)])
def test_one_value_has_no_power_and_no_equivalence(function) -> None:
    with pytest.raises(ValueError, match="at least two values"):
        function([1.0])
