"""Interval, power and equivalence against numbers worked by hand, published tables and simulation."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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

T_2_975 = 4.3026527297
SAMPLES = st.lists(st.integers(-50, 50).map(float), min_size=2, max_size=12)


def spread_of_one(count: int) -> list[float]:
    """Return values whose standard deviation is 1."""
    values = np.arange(count) / np.arange(count).std(ddof=1)
    return [float(value) for value in values]


def within_one(mean: Mean) -> float:
    return equivalence_p(mean, 1.0)


def test_t_interval_of_one_two_three() -> None:
    half_width = T_2_975 / math.sqrt(3)
    assert interval(mean_of([1.0, 2.0, 3.0])) == pytest.approx((2 - half_width, 2 + half_width))


def test_one_value_has_no_interval_and_equal_values_one_of_no_width() -> None:
    assert interval(mean_of([3.0])) is None
    assert interval(mean_of([0.1, 0.1, 0.1])) == (0.1, 0.1)


@pytest.mark.parametrize("values", [[], [1.0, math.nan], [math.inf, 1.0]])
def test_values_that_are_too_few_or_not_finite_are_refused(values) -> None:
    with pytest.raises(ValueError, match="all finite"):
        mean_of(values)


@pytest.mark.parametrize("function", [minimal_detectable_effect, within_one])
def test_one_value_has_neither_power_nor_equivalence(function) -> None:
    with pytest.raises(ValueError, match="at least two values"):
        function(mean_of([1.0]))


@pytest.mark.parametrize(
    ("count", "effect", "power"),
    [(10, 1.0, 0.8030968), (15, 0.8, 0.8213105), (34, 0.5, 0.8077775)],
)
def test_detectable_effect_agrees_with_published_power(count: int, effect: float, power: float) -> None:
    """`TTestPower` of statsmodels and `pwr` of R give these powers for a paired t test, two-sided at 5 %."""
    assert minimal_detectable_effect(mean_of(spread_of_one(count)), power) == pytest.approx(effect, abs=1e-5)


@pytest.mark.parametrize("count", [2, 5, 10])
def test_detectable_effect_is_shown_four_times_out_of_five(count: int) -> None:
    effect = minimal_detectable_effect(mean_of(spread_of_one(count)))
    samples = np.random.default_rng(3).normal(effect, 1, (4000, count)).tolist()
    shown = [low > 0 for low, _ in map(interval, map(mean_of, samples))]
    assert np.mean(shown) == pytest.approx(0.8, abs=0.02)


def test_detectable_effect_without_spread_is_zero() -> None:
    assert minimal_detectable_effect(mean_of([2.0, 2.0, 2.0])) == 0.0


@pytest.mark.parametrize("power", [0.04, 1.0, math.nan])
def test_a_power_that_no_test_has_is_refused(power: float) -> None:
    with pytest.raises(ValueError, match="a power between"):
        minimal_detectable_effect(mean_of([1.0, 2.0]), power)


@pytest.mark.parametrize("sign", [1, -1])
def test_equivalence_of_three_values_by_hand(sign: int) -> None:
    """The mean is 0.5 off, its error 0.5, so the smaller t is 3; for two degrees of freedom p is closed."""
    deviation = math.sqrt(3) / 2
    values = [sign * (0.5 + step * deviation) for step in (-1, 0, 1)]
    assert equivalence_p(mean_of(values), 2.0) == pytest.approx(0.5 - 3 / (2 * math.sqrt(2 + 9)))


@given(SAMPLES, st.floats(0.5, 60))
def test_equivalent_means_that_both_one_sided_tests_reject(values, margin) -> None:
    from scipy import stats

    if min(values) == max(values):
        assert equivalence_p(mean_of(values), margin) == float(abs(values[0]) >= margin)
        return
    above = stats.ttest_1samp(values, -margin, alternative="greater").pvalue
    below = stats.ttest_1samp(values, margin, alternative="less").pvalue
    assert equivalence_p(mean_of(values), margin) == pytest.approx(max(above, below), abs=1e-12)


@given(SAMPLES)
def test_a_difference_is_significant_where_the_interval_leaves_zero_out(values) -> None:
    mean = mean_of(values)
    low, high = interval(mean)
    p = difference_p(mean)
    if 0.0499 < p < 0.0501:
        return
    assert (p < 0.05) == (low > 0 or high < 0)


@pytest.mark.parametrize(
    ("p_values", "shown"),
    [
        ((), ()),
        ((0.05,), (True,)),
        ((0.03, 0.04), (False, False)),
        ((0.04, 0.02), (True, True)),
        ((0.04, 0.001, 0.03), (False, True, False)),
        ((0.001, 0.06, 0.02), (True, False, True)),
    ],
)
def test_several_tests_are_held_to_the_level_together(p_values, shown) -> None:
    assert shown_among(p_values) == shown


@pytest.mark.parametrize("margin", [0.0, -1.0, math.nan, math.inf])
def test_a_margin_that_is_not_positive_is_refused(margin: float) -> None:
    with pytest.raises(ValueError, match="positive margin"):
        equivalence_p(mean_of([1.0, 2.0]), margin)


def test_crossed_mean_of_two_seeds_and_three_examples_by_hand() -> None:
    """Means by seed are 1 and 3, by example 0, 2 and 4; the rest is nothing.

    So MS_seed = 3 * 2 = 6, MS_example = 2 * 4 = 8, MS_rest = 0, and the variance of the mean is 14 / 6. The
    degrees of freedom are 14^2 / (6^2 / 1 + 8^2 / 2) = 196 / 68.
    """
    found = crossed_mean(np.array([[-1.0, 1.0, 3.0], [1.0, 3.0, 5.0]]))
    assert (found.value, found.error) == (2.0, pytest.approx(math.sqrt(14 / 6)))
    assert found.freedom == pytest.approx(196 / 68)


def test_crossed_mean_of_two_seeds_and_two_examples_with_a_rest_by_hand() -> None:
    """The mean is 3; by seed it is 1 and 5, by example 2 and 4, and each rest is 1 away from nothing.

    So MS_seed = 2 * 8 = 16, MS_example = 2 * 2 = 4, MS_rest = 4 * 1 / 1 = 4; their sum 16 + 4 - 4 is that of
    the seeds alone. The degrees of freedom would be 16^2 / (16^2 + 4^2 + 4^2), less than those of any part.
    """
    found = crossed_mean(np.array([[1.0, 1.0], [3.0, 7.0]]))
    assert (found.value, found.error, found.freedom) == (3.0, pytest.approx(math.sqrt(16 / 4)), 1.0)


def test_where_no_example_differs_three_in_all_of_them_may() -> None:
    assert interval(crossed_mean(np.zeros((5, 10_000)))) == pytest.approx((-3e-4, 3e-4))
    nearly = np.zeros((5, 10_000))
    nearly[0, 0] = 1
    low, high = interval(crossed_mean(nearly))
    assert (high - low) / 2 == pytest.approx(3e-4, rel=1e-3), (
        "one that differs does not make the interval narrower"
    )


TABLES = st.tuples(st.integers(2, 4), st.integers(2, 8)).flatmap(
    lambda shape: st.lists(
        st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=shape[1], max_size=shape[1]),
        min_size=shape[0],
        max_size=shape[0],
    )
)


@given(TABLES)
def test_a_crossed_error_is_never_less_than_that_of_seeds_or_of_examples_alone(rows) -> None:
    table = np.array(rows)
    found, turned = crossed_mean(table), crossed_mean(table.T)
    for alone in (mean_of(table.mean(1).tolist()), mean_of(table.mean(0).tolist())):
        assert found.value == pytest.approx(alone.value, abs=1e-12)
        assert found.error >= alone.error - 1e-12
    assert found.freedom >= min(table.shape) - 1
    assert found.freedom == pytest.approx(turned.freedom), "seeds and examples are treated alike"


@given(TABLES)
def test_a_crossed_mean_turns_with_the_arms_and_scales_with_the_unit(rows) -> None:
    table = np.array(rows)
    found, swapped = crossed_mean(table), crossed_mean(-table).times(-1)
    assert (swapped.value, swapped.error, swapped.freedom) == pytest.approx(
        (found.value, found.error, found.freedom)
    )
    low, high = interval(found)
    assert interval(found.times(100)) == pytest.approx((100 * low, 100 * high), abs=1e-9)


@pytest.mark.parametrize(
    "table", [np.zeros((1, 5)), np.zeros((5, 1)), np.array([[0.0, 1.0], [math.nan, 0.0]])]
)
def test_a_table_that_is_too_small_or_not_finite_is_refused(table) -> None:
    with pytest.raises(ValueError, match="two seeds and examples or more, all finite"):
        crossed_mean(table)


@pytest.mark.parametrize(
    ("shared", "spread", "least"), [(0.0, 1.0, 0.91), (0.75, 1.0, 0.90), (0.0, 0.1, 0.87)]
)
def test_the_interval_of_a_ratio_of_means_holds_the_truth_for_heavy_tails(shared, spread, least) -> None:
    """Logarithms of standard deviation 1 in one arm, `spread` in the other, correlated by `shared`."""
    generator = np.random.default_rng(0)
    experiments, pairs = 1000, 10
    common = math.sqrt(shared) * generator.standard_normal((experiments, pairs))
    own = math.sqrt(1 - shared) * generator.standard_normal((2, experiments, pairs))
    above, below = np.exp(common + own[0]), np.exp(spread * (common + own[1]))
    truth = (1 - spread**2) / 2  # the mean of such values is exp(variance / 2)
    ends = [
        interval(mean_of(log_ratio_of_means(*both)))
        for both in zip(above.tolist(), below.tolist(), strict=True)
    ]
    held = np.mean([low <= truth <= high for low, high in ends])
    assert least < held < 0.96
