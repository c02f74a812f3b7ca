from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greentactics.evidence.medians import median_ratio

positive = st.floats(min_value=1e-6, max_value=1e6)
rounds = st.lists(st.tuples(positive, positive), min_size=1, max_size=40).map(
    lambda pairs: list(zip(*pairs, strict=True))
)


def test_a_few_rounds_by_hand() -> None:
    got = median_ratio([2.0, 9.0, 8.0], [1.0, 3.0, 1.0])
    assert (got.value, got.low, got.high, got.rounds, got.relative_half_width) == (3, 2, 8, 3, 1)
    assert median_ratio([1.0, 2.0, 8.0, 9.0], [1.0] * 4).value == 4, "the geometric mean of the middle two"


def test_seven_rounds_by_hand_are_the_first_that_leave_the_extremes_out() -> None:
    """With p = 1/7 at least 4 of 7 draws have probability 0.0101, with p = 2/7 it is 0.1003."""
    for count in range(1, 8):
        got = median_ratio([float(value) for value in range(1, count + 1)], [1.0] * count)
        assert (got.low, got.high) == ((2, 6) if count == 7 else (1, count))


@pytest.mark.parametrize("count", [8, 9, 15, 20, 21, 40, 41])
def test_the_interval_is_that_of_a_bootstrap_by_brute_force(count: int) -> None:
    """With an even number of rounds it is no narrower, and not a whole rank wider."""
    generator = np.random.default_rng(count)
    ratios = generator.lognormal(0, 0.1, count)
    medians = np.median(generator.choice(ratios, (100_000, count)), axis=1)
    got = median_ratio(ratios.tolist(), [1.0] * count)
    if count % 2:
        low, high = np.percentile(medians, [2.5, 97.5], method="inverted_cdf")
        assert (got.low, got.high) == (low, high)
        return
    low, high = np.percentile(medians, [2.5, 97.5])
    ordered = sorted(ratios)
    assert got.low <= low < ordered[ordered.index(got.low) + 1]
    assert ordered[ordered.index(got.high) - 1] < high <= got.high


@given(rounds)
def test_the_median_lies_in_its_interval_and_the_interval_within_the_data(pairs) -> None:
    got = median_ratio(*pairs)
    ratios = [top / bottom for top, bottom in zip(*pairs, strict=True)]
    assert min(ratios) <= got.low <= got.value <= got.high <= max(ratios)


@given(rounds, st.integers(-20, 20))
def test_a_change_of_unit_changes_nothing(pairs, exponent: int) -> None:
    tops, bottoms = pairs
    scaled = (
        [math.ldexp(value, exponent) for value in tops],
        [math.ldexp(value, exponent) for value in bottoms],
    )
    assert median_ratio(*scaled) == median_ratio(tops, bottoms)


@given(rounds)
def test_swapping_inverts(pairs) -> None:
    tops, bottoms = pairs
    got, swapped = median_ratio(tops, bottoms), median_ratio(bottoms, tops)
    assert swapped.value == pytest.approx(1 / got.value)
    assert (swapped.low, swapped.high) == pytest.approx((1 / got.high, 1 / got.low))


@pytest.mark.parametrize(
    ("tops", "bottoms", "message"),
    [
        ([], [], "at least one; got 0 and 0"),
        ([1.0], [1.0, 2.0], "as many numerators as denominators, at least one; got 1 and 2"),
        ([1.0, 0.0], [1.0, 1.0], "positive, finite"),
        ([1.0], [math.nan], "positive, finite"),
        ([math.inf], [1.0], "positive, finite"),
    ],
)
def test_what_has_no_ratio_is_refused(tops, bottoms, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        median_ratio(tops, bottoms)
