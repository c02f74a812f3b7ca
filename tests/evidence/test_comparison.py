"""Paired comparison against numbers worked by hand."""

import math
import statistics

import pytest

from greentactics.evidence.comparison import (
    POINTS,
    TIMES_HIGHER,
    TIMES_LOWER,
    Estimate,
    NotComparable,
    absolute,
    compare,
    detectable,
    equivalence_in_points,
    largest_loss,
    pairs,
    point_difference,
    times_higher,
    times_lower,
)
from greentactics.models.results import Results
from tests.examples.synthetic import METRICS, results

T_1 = 12.7062047364
T_2 = 4.3026527297
DETECTABLE_5 = 1.6820
"""What five pairs show with 80 % power, in standard deviations; statsmodels' `TTestPower` agrees."""


def within_a_point(measured: Results, arm: str, metric: str):
    return equivalence_in_points(measured, arm, metric, 1.0)


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
    [
        ("tactic", "unknown", "unknown was not measured"),
        ("other", "energy_batch_1", "other lacks it"),
        ("other", "test_accuracy", "other lacks it"),
    ],
)
@pytest.mark.parametrize("comparison", [pairs, compare, detectable, within_a_point])
def test_what_was_not_measured_is_refused(comparison, arm, metric, reason) -> None:
    with pytest.raises(NotComparable, match=reason):
        comparison(results(), arm, metric)


def test_absolute_value_is_a_mean_with_the_unit_of_the_metric() -> None:
    mean = absolute(results(), "baseline", "nonzero_weights")
    assert mean is not None
    assert (mean.value, mean.n, mean.unit) == (pytest.approx(44190), 5, "count")
    assert absolute(results(), "other", "nonzero_weights") is None


def test_pairs_are_logarithms_of_ratios_or_points() -> None:
    measured = results(seeds=2)
    energies = [measured.values(arm, "energy_batch_1") for arm in ("baseline", "tactic")]
    ratios = [math.log(energies[0][seed] / energies[1][seed]) for seed in (0, 1)]
    assert pairs(measured, "tactic", "energy_batch_1").values == pytest.approx(ratios)
    accuracies = [measured.values(arm, "test_accuracy") for arm in ("baseline", "tactic")]
    points = [100 * (accuracies[1][seed] - accuracies[0][seed]) for seed in (0, 1)]
    assert pairs(measured, "tactic", "test_accuracy").values == pytest.approx(points)


def test_detectable_is_a_factor_for_a_ratio_and_points_for_a_fraction() -> None:
    measured = results()
    for metric, turned in (("energy_batch_1", math.log), ("test_accuracy", float)):
        effect = turned(detectable(measured, "tactic", metric))
        assert effect == pytest.approx(
            DETECTABLE_5 * statistics.stdev(pairs(measured, "tactic", metric).values), rel=1e-4
        )


def test_detectable_factor_of_a_count_without_spread_is_one() -> None:
    assert detectable(results(), "tactic", "nonzero_weights") == 1.0


def test_equivalence_is_of_the_difference_in_points() -> None:
    test = equivalence_in_points(results(), "tactic", "test_accuracy", 1.0)
    assert test.value == compare(results(), "tactic", "test_accuracy").value
    assert (test.equivalent, test.not_worse, test.n) == (True, True, 5)


def test_a_loss_beyond_the_margin_is_worse() -> None:
    measured = results(factors={"tactic": (7.4, 3.1, -0.05, 8.0, 4.0)}, arms=("baseline", "tactic"))
    assert not equivalence_in_points(measured, "tactic", "test_accuracy", 1.0).not_worse


def test_a_gain_beyond_the_margin_is_not_worse_where_higher_is_better() -> None:
    gained = {"factors": {"tactic": (7.4, 3.1, 0.05, 8.0, 4.0)}, "arms": ("baseline", "tactic")}
    turned = METRICS | {"test_accuracy": METRICS["test_accuracy"].model_copy(update={"better": "lower"})}
    for metrics, not_worse in ((METRICS, True), (turned, False)):
        test = equivalence_in_points(results(metrics=metrics, **gained), "tactic", "test_accuracy", 1.0)
        assert (test.not_worse, test.equivalent) == (not_worse, False)


@pytest.mark.parametrize(
    ("comparison", "metric"),
    [(detectable, "energy_batch_1"), (detectable, "test_accuracy"), (within_a_point, "test_accuracy")],
)
def test_a_single_pair_shows_neither_power_nor_equivalence(comparison, metric) -> None:
    with pytest.raises(NotComparable, match="a single pair has no spread"):
        comparison(results(seeds=1), "tactic", metric)


def test_a_margin_in_points_needs_a_fraction_with_a_better_direction() -> None:
    with pytest.raises(NotComparable, match="energy_batch_1 is no fraction"):
        within_a_point(results(), "tactic", "energy_batch_1")
    neither = METRICS | {"test_accuracy": METRICS["test_accuracy"].model_copy(update={"better": "neither"})}
    with pytest.raises(NotComparable, match="test_accuracy has no better direction"):
        within_a_point(results(metrics=neither), "tactic", "test_accuracy")


@pytest.mark.parametrize(
    ("estimate", "better", "expected"),
    [
        (Estimate(-0.5, -0.7, -0.3, 5, POINTS), "higher", 0.7),
        (Estimate(-0.5, -0.7, -0.3, 5, POINTS), "lower", -0.3),
        (Estimate(0.5, 0.3, 0.7, 5, POINTS), "higher", -0.3),
        (Estimate(0.5, None, None, 1, POINTS), "higher", None),
        (Estimate(1.5, 1.3, 1.7, 5, TIMES_LOWER), "higher", None),
        (None, "higher", None),
    ],
)
def test_the_largest_loss_is_the_worse_end_of_an_interval_in_points(estimate, better, expected) -> None:
    assert largest_loss(estimate, better) == expected


@pytest.mark.parametrize(
    ("baseline", "treated", "reason"),
    [
        ({0: 1e308, 1: 1e308}, {0: 5e-324, 1: 1.0}, "a ratio is too large to compute with"),
        ({0: 5e-324, 1: 1.0}, {0: 1e308, 1: 1.0}, "a ratio is too large to compute with"),
        ({0: 1e90, 1: 1.0}, {0: 1.0, 1: 1e90}, "the ratios are too far apart to compute with"),
    ],
)
def test_numbers_beyond_all_bounds_give_no_estimate(baseline, treated, reason) -> None:
    with pytest.raises(NotComparable, match=reason):
        times_lower(baseline, treated)


def test_differences_beyond_all_bounds_give_no_estimate() -> None:
    with pytest.raises(NotComparable, match="a difference is too large to compute with"):
        point_difference({0: -1e308, 1: 0.0}, {0: 1e308, 1: 0.0})
