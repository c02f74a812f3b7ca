"""Timing passes joined to one ratio, and when a difference may be claimed."""

from __future__ import annotations

import math

import pytest

from greentactics.evidence.comparison import POINTS, TIMES_LOWER, Estimate, NotComparable
from greentactics.evidence.latency import compare_passes, engines, shows_difference, timed_arms
from greentactics.models.timings import CONTROL
from tests.examples.synthetic import timing


def compared(*factors, quantity="wall_ms", **changes):
    passes = [timing(seed, factor, **changes) for seed, factor in enumerate(factors)]
    return compare_passes(passes, "pytorch", "tactic", quantity)


def test_drift_cancels_and_the_passes_give_the_interval() -> None:
    found = compared(2.0, 2.0, 2.0)
    assert found.estimate.value == pytest.approx(2.0)
    assert (found.estimate.low, found.estimate.high) == pytest.approx((2.0, 2.0))
    assert found.control.value == pytest.approx(1.0)
    assert (found.baseline, found.treated) == pytest.approx((2.1, 1.05))
    assert found.difference_shown
    assert [entry.seed for entry in found.passes] == [0, 1, 2]


def test_the_interval_over_passes_is_students_on_logarithms() -> None:
    found = compared(1.0, 2.0, 4.0)
    # logs -ln2, 0, +ln2 around ln2: standard error ln2 / sqrt 3, t(2, 97.5 %) = 4.3027
    half_width = 4.30265 * math.log(2) / math.sqrt(3)
    assert found.estimate.value == pytest.approx(2.0)
    assert found.estimate.high == pytest.approx(2.0 * math.exp(half_width), rel=1e-5)
    assert not found.difference_shown


def test_a_difference_within_the_control_is_not_claimed() -> None:
    noisy = [timing(seed, 1.05, control=control) for seed, control in enumerate((1.2, 0.8, 1.1))]
    found = compare_passes(noisy, "pytorch", "tactic")
    assert found.estimate.low > 1
    assert not found.difference_shown


def test_one_pass_keeps_its_interval_over_rounds_and_claims_nothing() -> None:
    found = compared(2.0)
    assert (found.estimate.n, found.estimate.low) == (1, pytest.approx(2.0))
    assert not found.difference_shown


@pytest.mark.parametrize(
    ("unit", "value", "low", "high", "shown"),
    [
        (TIMES_LOWER, 1.5, 1.3, 1.7, True),
        (TIMES_LOWER, 0.7, 0.6, 0.8, True),
        (TIMES_LOWER, 1.5, 0.9, 2.0, False),
        (TIMES_LOWER, 1.05, 1.02, 1.08, False),
        (TIMES_LOWER, 0.95, 0.92, 0.98, False),
        (TIMES_LOWER, 1.5, None, None, False),
        (POINTS, -4.0, -5.0, -3.0, True),
        (POINTS, 4.0, 3.0, 5.0, True),
        (POINTS, 0.3, 0.1, 0.5, False),
        (POINTS, -4.0, -9.0, 1.0, False),
    ],
)
def test_the_rule_of_a_claim(unit, value, low, high, shown) -> None:
    ends = (0.0, -0.5, 0.4) if unit == POINTS else (1.0, 0.92, 1.07)
    assert shows_difference(Estimate(value, low, high, 5, unit), Estimate(*ends, 5, unit)) is shown


def test_metered_energy_is_compared_like_time_whatever_another_arm_lacks() -> None:
    energy = {"baseline": (4.0,) * 5, CONTROL: (4.0,) * 5, "tactic": (1.0,) * 5, "magnitude": (-1.0,) * 5}
    found = compared(2.0, quantity="energy_above_idle_j", energy_above_idle_j=energy)
    assert (found.estimate.value, found.baseline, found.treated) == pytest.approx((4.0, 4.0, 1.0))


def test_what_was_not_timed_is_not_compared() -> None:
    for other in ({"engine": "onnxruntime"}, {"quantity": "energy_j"}):
        with pytest.raises(NotComparable, match="not timed"):
            compare_passes([timing(0, 2.0)], **{"engine": "pytorch", "arm": "tactic"} | other)
    with pytest.raises(NotComparable, match="positive"):
        compared(2.0, quantity="cpu_ms", cpu_ms=timing(0, 2.0).cpu_ms | {"tactic": (0.0,) * 6})


def test_lists_engines_and_arms() -> None:
    entries = [timing(0, 2.0, arm="magnitude"), timing(0, 2.0, engine="onnxruntime")]
    assert engines(entries) == ("pytorch", "onnxruntime")
    assert timed_arms(entries) == ("tactic", "magnitude")
