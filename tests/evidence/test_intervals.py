"""Interval, power and equivalence against numbers worked by hand, published tables and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greentactics.evidence.intervals import equivalence_p, mean_interval, minimal_detectable_effect

T_2_975 = 4.3026527297
SAMPLES = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12)


def spread_of_one(count: int) -> list[float]:
    """Return values whose standard deviation is 1."""
    values = np.arange(count) / np.arange(count).std(ddof=1)
    return [float(value) for value in values]


def within_one(values: list[float]) -> float:
    return equivalence_p(values, 1.0)


def test_t_interval_of_one_two_three() -> None:
    half_width = T_2_975 / math.sqrt(3)
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - half_width, 2 + half_width))


def test_one_value_has_no_interval_and_equal_values_one_of_no_width() -> None:
    assert mean_interval([3.0]) == (3.0, None, None)
    assert mean_interval([0.1, 0.1, 0.1]) == (0.1, 0.1, 0.1)


@pytest.mark.parametrize(
    ("function", "values", "reason"),
    [
        *(
            (function, [], "all finite")
            for function in (mean_interval, minimal_detectable_effect, within_one)
        ),
        (mean_interval, [1.0, math.nan], "all finite"),
        (mean_interval, [math.inf, 1.0], "all finite"),
        (minimal_detectable_effect, [1.0], "at least two values"),
        (within_one, [1.0], "at least two values"),
    ],
)
def test_values_that_are_too_few_or_not_finite_are_refused(function, values, reason) -> None:
    with pytest.raises(ValueError, match=reason):
        function(values)


@pytest.mark.parametrize(
    ("count", "effect", "power"),
    [(10, 1.0, 0.8030968), (15, 0.8, 0.8213105), (34, 0.5, 0.8077775)],
)
def test_detectable_effect_agrees_with_published_power(count: int, effect: float, power: float) -> None:
    """`TTestPower` of statsmodels and `pwr` of R give these powers for a paired t test, two-sided at 5 %."""
    assert minimal_detectable_effect(spread_of_one(count), power) == pytest.approx(effect, abs=1e-5)


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
    with pytest.raises(ValueError, match="a power between"):
        minimal_detectable_effect([1.0, 2.0], power)


@pytest.mark.parametrize("sign", [1, -1])
def test_equivalence_of_three_values_by_hand(sign: int) -> None:
    """The mean is 0.5 off, its error 0.5, so the smaller t is 3; for two degrees of freedom p is closed."""
    deviation = math.sqrt(3) / 2
    values = [sign * (0.5 + step * deviation) for step in (-1, 0, 1)]
    assert equivalence_p(values, 2.0) == pytest.approx(0.5 - 3 / (2 * math.sqrt(2 + 9)))


@given(SAMPLES, st.floats(0.5, 60))
def test_equivalent_means_that_both_one_sided_tests_reject(values, margin) -> None:
    from scipy import stats

    if min(values) == max(values):
        assert equivalence_p(values, margin) == float(abs(values[0]) >= margin)
        return
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert equivalence_p(values, margin) == pytest.approx(max(above, below), abs=1e-12)


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_a_margin_that_is_not_positive_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="positive margin"):
        equivalence_p([1.0, 2.0], margin)
