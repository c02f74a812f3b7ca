"""Paired comparison against numbers worked by hand."""

import math

import pytest

from greentactics.comparison import (
    POINTS,
    TIMES_HIGHER,
    TIMES_LOWER,
    NotComparable,
    absolute,
    compare,
    point_difference,
    times_higher,
    times_lower,
)
from tests.site.synthetic import results

T_1 = 12.7062047364
T_2 = 4.3026527297


def test_ratio_of_two_pairs() -> None:
    estimate = times_lower({0: 8.0, 1: 2.0}, {0: 1.0, 1: 1.0})
    half_width = T_1 * math.log(2)
    assert estimate.value == pytest.approx(4.0)
    assert estimate.low == pytest.approx(4 * math.exp(-half_width))
    assert estimate.high == pytest.approx(4 * math.exp(half_width))
    assert (estimate.n, estimate.unit) == (2, TIMES_LOWER)


def test_difference_of_three_pairs_in_points() -> None:
    estimate = point_difference({0: 0.90, 1: 0.90, 2: 0.90}, {0: 0.89, 1: 0.90, 2: 0.88})
    half_width = T_2 / math.sqrt(3)
    assert estimate.value == pytest.approx(-1.0)
    assert estimate.low == pytest.approx(-1.0 - half_width)
    assert estimate.high == pytest.approx(-1.0 + half_width)
    assert (estimate.n, estimate.unit) == (3, POINTS)


def test_pairs_are_matched_by_seed_and_not_by_order() -> None:
    estimate = times_lower({0: 2.0, 1: 4.0}, {1: 2.0, 0: 1.0})
    assert estimate.value == pytest.approx(2.0)
    assert estimate.low == pytest.approx(2.0)


def test_one_pair_gives_no_interval() -> None:
    estimate = times_lower({3: 6.0}, {3: 2.0})
    assert (estimate.value, estimate.low, estimate.high, estimate.n) == (pytest.approx(3.0), None, None, 1)


def test_no_spread_gives_an_interval_of_no_width() -> None:
    estimate = times_lower(dict.fromkeys(range(5), 6.0), dict.fromkeys(range(5), 2.0))
    assert (estimate.low, estimate.high) == (pytest.approx(3.0), pytest.approx(3.0))


def test_seeds_of_one_arm_only_are_left_out() -> None:
    estimate = times_lower({0: 6.0, 1: 6.0, 2: 600.0}, {0: 2.0, 1: 2.0, 9: 1.0})
    assert (estimate.value, estimate.n) == (pytest.approx(3.0), 2)


def test_more_is_better_is_turned_round() -> None:
    estimate = times_higher({0: 2.0, 1: 2.0}, {0: 6.0, 1: 6.0})
    assert (estimate.value, estimate.unit) == (pytest.approx(3.0), TIMES_HIGHER)


@pytest.mark.parametrize(
    ("baseline", "treated", "reason"),
    [
        ({0: 1.0}, {1: 1.0}, "no seed"),
        ({}, {}, "no seed"),
        ({0: 1.0}, {0: 0.0}, "positive"),
        ({0: -1.0}, {0: 1.0}, "positive"),
        ({0: math.nan}, {0: 1.0}, "finite"),
        ({0: 1.0}, {0: math.inf}, "finite"),
    ],
)
def test_values_that_give_no_ratio_are_refused(baseline, treated, reason) -> None:
    with pytest.raises(NotComparable, match=reason):
        times_lower(baseline, treated)


def test_the_unit_decides_the_comparison() -> None:
    measured = results()
    assert compare(measured, "tactic", "test_accuracy").unit == POINTS
    assert compare(measured, "tactic", "energy_batch_1").unit == TIMES_LOWER


@pytest.mark.parametrize(
    ("arm", "metric", "reason"),
    [("tactic", "unknown", "was not measured"), ("other", "energy_batch_1", "other lacks it")],
)
def test_what_was_not_measured_is_refused(arm, metric, reason) -> None:
    with pytest.raises(NotComparable, match=reason):
        compare(results(), arm, metric)


def test_absolute_value_is_a_mean_with_the_unit_of_the_metric() -> None:
    mean = absolute(results(), "baseline", "nonzero_weights")
    assert mean is not None
    assert (mean.value, mean.n, mean.unit) == (pytest.approx(44190), 5, "count")
    assert absolute(results(), "other", "nonzero_weights") is None
