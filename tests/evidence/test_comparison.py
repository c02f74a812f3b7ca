"""Paired comparison against numbers worked by hand."""

import base64
import math
import statistics
import zlib
from functools import partial

import numpy as np
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
    loss_interval,
    pairs,
    times_lower,
    tolerance_points,
)
from greentactics.evidence.intervals import crossed_mean, interval
from greentactics.evidence.wording import estimate_phrase, times_phrase
from greentactics.models.results import Results, Scores
from tests.examples.records import PRUNING
from tests.examples.synthetic import METRICS, results

T_1 = 12.7062047364
T_2 = 4.3026527297
DETECTABLE_5 = 1.6820
"""What five pairs show with 80 % power, in standard deviations; statsmodels' `TTestPower` agrees."""
ENERGY, ACCURACY = "energy_batch_1", "test_accuracy"


def measured(baseline, treated, metric=ENERGY, **info) -> Results:
    """Return results of two arms with these values of one metric by seed."""
    plain = results(seeds=1)
    metrics = METRICS | {metric: METRICS.get(metric, METRICS[ACCURACY]).model_copy(update=info)}
    repeats = tuple(
        plain.repeats[0].model_copy(update={"arm": arm, "seed": seed, "values": {metric: value}})
        for arm, values in (("baseline", baseline), ("tactic", treated))
        for seed, value in values.items()
    )
    return plain.model_copy(update={"repeats": repeats, "metrics": metrics})


def compared(baseline, treated, metric=ENERGY, **info) -> Estimate:
    return compare(measured(baseline, treated, metric, **info), "tactic", metric)


def test_ratio_of_two_pairs() -> None:
    estimate = compared({0: 8.0, 1: 2.0}, {0: 1.0, 1: 1.0})
    half_width = T_1 * math.log(2)
    assert estimate.value == pytest.approx(4.0)
    assert estimate.low == pytest.approx(4 * math.exp(-half_width))
    assert estimate.high == pytest.approx(4 * math.exp(half_width))
    assert (estimate.n, estimate.unit) == (2, TIMES_LOWER)


def test_a_loss_in_nats_is_a_difference_in_hundredths() -> None:
    estimate = compared({0: 2.50, 1: 2.00}, {0: 2.51, 1: 2.03}, "test_loss", unit="nats", better="lower")
    assert estimate.value == pytest.approx(2.0)
    assert (estimate.low, estimate.high) == pytest.approx((2 - T_1, 2 + T_1))  # 1 and 3: an error of 1
    assert loss_interval(estimate, "lower") == (estimate.low, estimate.high)
    assert estimate_phrase(estimate) == "+2.0 hundredths of a nat [-10.7, +14.7]"


def of_means(baseline, treated, **info) -> Estimate:
    found = measured(baseline, treated, **info)
    return compare(found.model_copy(update={"config": {"ratio_of_means": [ENERGY]}}), "tactic", ENERGY)


def test_ratio_of_the_means_of_two_pairs() -> None:
    estimate = of_means({0: 2.0, 1: 4.0}, {0: 1.0, 1: 1.0})
    half_width = T_1 * math.log(2) / 2  # without one pair 4 and 2 times lower: ln 2 apart
    assert estimate.value == pytest.approx(3.0)
    assert (estimate.low, estimate.high) == pytest.approx(
        (3 * math.exp(-half_width), 3 * math.exp(half_width))
    )
    assert (estimate.n, estimate.unit, estimate.of_means) == (2, TIMES_LOWER, True)
    assert times_phrase(estimate).startswith("3.0x lower [")
    assert times_phrase(estimate).endswith("] (ratio of means)")


def test_ratio_of_means_turned_over_with_one_pair_and_without_an_error() -> None:
    assert of_means({0: 2.0, 1: 3.0}, {0: 4.0, 1: 6.0}, better="higher").high == pytest.approx(2.0)
    assert of_means({0: 2.0}, {0: 1.0}) == Estimate(
        pytest.approx(2.0), None, None, 1, TIMES_LOWER, of_means=True
    )
    assert of_means({0: 0.0, 1: 4.0, 2: 2.0}, dict.fromkeys(range(3), 1.0)).value == pytest.approx(2.0)
    with pytest.raises(NotComparable, match="two positive values or more"):
        of_means({0: 0.0, 1: 4.0}, {0: 1.0, 1: 1.0})
    with pytest.raises(NotComparable, match="not negative"):
        of_means({0: -1.0, 1: 4.0}, {0: 1.0, 1: 1.0})


def test_shares_are_compared_in_points_whatever_the_settings_name() -> None:
    found = measured({0: 0.9, 1: 0.9}, {0: 0.8, 1: 0.8}, ACCURACY)
    named = found.model_copy(update={"config": {"ratio_of_means": [ACCURACY]}})
    assert compare(named, "tactic", ACCURACY).unit == POINTS


def test_difference_of_three_pairs_in_points() -> None:
    estimate = compared(dict.fromkeys(range(3), 0.90), {0: 0.89, 1: 0.90, 2: 0.88}, ACCURACY)
    half_width = T_2 / math.sqrt(3)
    assert estimate.value == pytest.approx(-1.0)
    assert (estimate.low, estimate.high) == pytest.approx((-1.0 - half_width, -1.0 + half_width))
    assert (estimate.n, estimate.unit) == (3, POINTS)


def test_pairs_are_matched_by_seed_and_seeds_of_one_arm_are_left_out() -> None:
    estimate = compared({0: 2.0, 1: 4.0, 2: 600.0}, {1: 2.0, 0: 1.0, 9: 1.0})
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((2.0, 2.0, 2.0))
    assert estimate.n == 2


def test_one_pair_gives_no_interval() -> None:
    assert compared({3: 8.0}, {3: 2.0}) == Estimate(pytest.approx(4.0), None, None, 1, TIMES_LOWER)


def test_more_is_better_is_turned_round() -> None:
    estimate = compared({0: 2.0, 1: 2.0}, {0: 6.0, 1: 6.0}, better="higher")
    assert (estimate.value, estimate.unit) == (pytest.approx(3.0), TIMES_HIGHER)


@pytest.mark.parametrize(
    ("metric", "baseline", "treated", "reason"),
    [
        (ENERGY, {0: 1.0}, {1: 1.0}, "no seed"),
        (ENERGY, {0: 1.0}, {0: 0.0}, "positive"),
        (ENERGY, {0: -1.0}, {0: 1.0}, "positive"),
        (ENERGY, {0: math.nan}, {0: 1.0}, "finite"),
        (ENERGY, {0: 1.0}, {0: math.inf}, "finite"),
        (ENERGY, {}, {0: 1.0}, "baseline lacks it"),
        (ENERGY, {0: 1.0}, {}, "tactic lacks it"),
        (ENERGY, {0: 1e308, 1: 1e308}, {0: 5e-324, 1: 1.0}, "a ratio is too large to compute with"),
        (ENERGY, {0: 5e-324, 1: 1.0}, {0: 1e308, 1: 1.0}, "a ratio is too large to compute with"),
        (ENERGY, {0: 1e90, 1: 1.0}, {0: 1.0, 1: 1e90}, "the ratios are too far apart to compute with"),
        (ACCURACY, {0: -1e308, 1: 0.0}, {0: 1e308, 1: 0.0}, "a difference is too large to compute with"),
    ],
)
def test_values_that_give_no_number_are_refused(metric, baseline, treated, reason) -> None:
    with pytest.raises(NotComparable, match=reason):
        compared(baseline, treated, metric)
    with pytest.raises(NotComparable, match="unknown was not measured"):
        compare(results(), "tactic", "unknown")


@pytest.mark.parametrize("ratio", [0.0, math.inf])
def test_ratios_beyond_all_bounds_are_refused(ratio) -> None:
    with pytest.raises(NotComparable, match="a ratio is too large to compute with"):
        times_lower([ratio, 1.0])


def test_absolute_value_is_a_mean_with_the_unit_of_the_metric() -> None:
    mean = absolute(results(), "baseline", "nonzero_weights")
    assert mean is not None
    assert (mean.value, mean.n, mean.unit) == (pytest.approx(44190), 5, "count")
    assert absolute(results(), "other", "nonzero_weights") is None


def scored(baseline, treated, better="higher", metric=ACCURACY) -> Results:
    """Return results of two arms whose metric is the mean of these scores by seed."""
    means = [{seed: sum(row) / len(row) for seed, row in enumerate(arm)} for arm in (baseline, treated)]
    plain = measured(*means, metric=metric, better=better)
    rows = {"baseline": baseline, "tactic": treated}
    repeats = tuple(
        repeat.model_copy(update={"scores": packed(rows[repeat.arm][repeat.seed])})
        for repeat in plain.repeats
    )
    return plain.model_copy(update={"repeats": repeats})


def packed(scores) -> Scores:
    content = base64.b64encode(zlib.compress(np.packbits(np.array(scores, bool)).tobytes())).decode()
    return Scores(kind="bits", count=len(scores), packed=content)


BOTH_SEEDS = [[1, 1, 1, 1], [1, 1, 1, 1]]
SAME_EXAMPLE_LOST = [[1, 0, 1, 1], [1, 0, 1, 1]]


def test_a_test_metric_with_scores_holds_the_test_examples_too() -> None:
    """The tactic loses the same example of four with both seeds, so seeds alone have no spread."""
    found = compare(scored(BOTH_SEEDS, SAME_EXAMPLE_LOST), "tactic", ACCURACY)
    by_hand = crossed_mean(np.array(SAME_EXAMPLE_LOST) - 1.0)
    assert by_hand.error == pytest.approx(0.25), "one of four: the error of a share"
    low, high = interval(by_hand)
    assert (found.value, found.n, found.unit) == (-25.0, 2, POINTS)
    assert (found.low, found.high) == pytest.approx((100 * low, 100 * high))
    swapped = compare(scored(SAME_EXAMPLE_LOST, BOTH_SEEDS), "tactic", ACCURACY)
    assert (swapped.low, swapped.high) == pytest.approx((-found.high, -found.low))


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_scores_are_turned_as_the_metric_is(better) -> None:
    with_scores = scored(BOTH_SEEDS, SAME_EXAMPLE_LOST, better=better)
    bare = tuple(repeat.model_copy(update={"scores": None}) for repeat in with_scores.repeats)
    found, alone = (
        compare(each, "tactic", ACCURACY)
        for each in (with_scores, with_scores.model_copy(update={"repeats": bare}))
    )
    assert found.value == alone.value == -25.0


def test_seeds_stand_alone_where_scores_are_missing_or_not_of_the_metric() -> None:
    results = scored(BOTH_SEEDS, SAME_EXAMPLE_LOST)
    without = results.repeats[0].model_copy(update={"scores": None})
    for other in (
        results.model_copy(update={"repeats": (without, *results.repeats[1:])}),
        scored(BOTH_SEEDS, SAME_EXAMPLE_LOST, metric="relevant_accuracy"),
    ):
        metric = next(iter(other.repeats[0].values))
        assert (compare(other, "tactic", metric).low, compare(other, "tactic", metric).high) == (-25, -25)


def test_scores_of_other_examples_are_refused() -> None:
    results = scored(BOTH_SEEDS, SAME_EXAMPLE_LOST)
    repeats = (results.repeats[0].model_copy(update={"scores": packed([1, 1])}), *results.repeats[1:])
    with pytest.raises(NotComparable, match="as many test examples"):
        compare(results.model_copy(update={"repeats": repeats}), "tactic", ACCURACY)


def test_detectable_is_a_factor_for_a_ratio_and_points_for_a_fraction() -> None:
    for metric, turned in ((ENERGY, math.log), (ACCURACY, float)):
        spread = statistics.stdev(pairs(results(), "tactic", metric).values)
        effect = turned(detectable(results(), "tactic", metric))
        assert effect == pytest.approx(DETECTABLE_5 * spread, rel=1e-4)
    assert detectable(results(), "tactic", "nonzero_weights") == 1.0, "a count without spread"


def test_equivalence_is_of_the_difference_in_points() -> None:
    assert equivalence_in_points(results(), "tactic", ACCURACY, 1.0) < 0.05
    for change in (-0.05, 0.05):
        moved = results(factors={"tactic": (7.4, 3.1, change, 8.0, 4.0)}, arms=("baseline", "tactic"))
        assert equivalence_in_points(moved, "tactic", ACCURACY, 1.0) > 0.95
    with pytest.raises(NotComparable, match="energy_batch_1 is compared by a ratio"):
        equivalence_in_points(results(), "tactic", ENERGY, 1.0)


@pytest.mark.parametrize("function", [detectable, partial(equivalence_in_points, margin_points=1.0)])
def test_a_single_pair_shows_neither_power_nor_equivalence(function) -> None:
    with pytest.raises(NotComparable, match="a single pair has no spread"):
        function(results(seeds=1), "tactic", ACCURACY)


@pytest.mark.parametrize(
    ("estimate", "better", "expected"),
    [
        (Estimate(-0.5, -0.7, -0.3, 5, POINTS), "higher", (0.3, 0.7)),
        (Estimate(-0.5, -0.7, -0.3, 5, POINTS), "lower", (-0.7, -0.3)),
        (Estimate(0.5, -0.3, 1.3, 5, POINTS), "higher", (-1.3, 0.3)),
        (Estimate(0.5, None, None, 1, POINTS), "higher", None),
        (Estimate(1.5, 1.3, 1.7, 5, TIMES_LOWER), "higher", None),
        (None, "higher", None),
    ],
)
def test_a_loss_is_the_change_seen_from_the_better_direction(estimate, better, expected) -> None:
    assert loss_interval(estimate, better) == expected


def test_the_tolerance_is_the_one_that_nets_were_chosen_with() -> None:
    recipe = PRUNING.recipe
    assert tolerance_points(results(), recipe) == recipe.quality_tolerance_points
    # a recipe of its own workload, whatever it calls tolerance
    assert tolerance_points(results(config={"tolerance": 0.5}), recipe) == recipe.quality_tolerance_points
    assert tolerance_points(results(subject="digits_cnn", config={"tolerance": 0.03}), recipe) == 3.0
    gained = results(
        subject="mine", config={"tolerance": "1% of what training gains"}, details={"tolerance": 0.004}
    )
    assert tolerance_points(gained, recipe) == pytest.approx(0.4)
