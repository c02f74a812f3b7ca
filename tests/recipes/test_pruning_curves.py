"""Curves of energy against accuracy: the next depth, and the energy at an accuracy, by hand."""

from __future__ import annotations

import math
from dataclasses import asdict, replace
from itertools import permutations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recipes.consider_energy_aware_pruning import (
    Point,
    describe,
    energy_at,
    equal_accuracy_metrics,
    next_allowed_loss,
)

DENSE = Point(0.0, 0.92, 1000, 1000.0, 100.0)


def point(accuracy: float, energy: float = 1.0, loss: float = 0.02) -> Point:
    return Point(loss, accuracy, 10, energy, energy / 10)


def test_a_net_is_described_by_its_weights_and_energies(capsys: pytest.CaptureFixture[str]) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 4))
    with torch.no_grad():
        net[1].weight[0] = 0
    found = describe(0.02, net.eval(), torch.ones(3, 1, 4, 4), 0.9)
    assert (found.nonzero_weights, found.validation_accuracy) == (48, 0.9)
    assert found.energy(1) == found.energy_batch_1 > found.energy(48) == found.energy_batch_48
    assert "allowing 2.00%" in (told := capsys.readouterr().err)
    assert "48 weights" in told
    assert all(isinstance(value, int | float) for value in asdict(found).values())


def test_the_allowed_loss_doubles_or_halves_until_two_enclose_the_accuracy() -> None:
    assert next_allowed_loss([point(0.95, loss=0.02)], 0.9) == 0.04
    assert next_allowed_loss([point(0.85, loss=0.02)], 0.9) == 0.01
    assert next_allowed_loss([point(0.95, loss=0.02), point(0.94, loss=0.04)], 0.9) == 0.08


def test_between_two_it_is_where_a_line_over_its_logarithm_meets_the_accuracy() -> None:
    good, bad = point(0.92, loss=0.01), point(0.88, loss=0.04)
    assert next_allowed_loss([bad, good], 0.90) == pytest.approx(0.02)
    assert next_allowed_loss([bad, good], 0.9199) == pytest.approx(0.01 * 4**0.25)
    assert next_allowed_loss([bad, good], 0.8801) == pytest.approx(0.01 * 4**0.75)


def test_a_deeper_net_that_is_accurate_by_luck_does_not_move_the_limit() -> None:
    points = [point(0.92, loss=0.01), point(0.88, loss=0.04), point(0.91, loss=0.08)]
    assert next_allowed_loss(points, 0.90) == pytest.approx(0.02)


def test_energy_at_an_accuracy_is_log_linear_between_two_nets() -> None:
    pruned = [point(0.92, 400.0), point(0.90, 100.0)]
    assert energy_at(DENSE, pruned, 0.91, 1) == pytest.approx(200.0)
    assert energy_at(DENSE, pruned, 0.91, 48) == pytest.approx(20.0)
    assert energy_at(DENSE, pruned, 0.905, 1) == pytest.approx(100 * math.sqrt(2))


def test_energy_is_never_read_beyond_the_deepest_net() -> None:
    assert energy_at(DENSE, [point(0.915, 100.0)], 0.91, 1) == pytest.approx(100.0)


def test_the_dense_net_ends_a_curve_without_an_accurate_net() -> None:
    assert energy_at(DENSE, [point(0.90, 10.0)], 0.91, 1) == pytest.approx(100.0)
    assert energy_at(DENSE, [], 0.91, 1) == pytest.approx(1000.0)


def test_points_out_of_order_are_averaged() -> None:
    # 0.90 at 100 and 0.92 at 25 become 0.91 at 50; halfway to 0.93 at 200 lies 0.92 at 100.
    pruned = [point(0.90, 100.0), point(0.92, 25.0), point(0.93, 200.0)]
    assert energy_at(DENSE, pruned, 0.92, 1) == pytest.approx(100.0)
    assert energy_at(DENSE, pruned, 0.80, 1) == pytest.approx(50.0)


@given(st.lists(st.tuples(st.floats(0.5, 1), st.floats(1, 999)), min_size=1, max_size=6), st.floats(0.5, 0.9))
def test_less_accuracy_never_needs_more_energy(
    nets: list[tuple[float, float]], least_accuracy: float
) -> None:
    pruned = [point(accuracy, energy) for accuracy, energy in nets]
    strict = energy_at(DENSE, pruned, least_accuracy + 0.02, 1)
    assert energy_at(DENSE, pruned, least_accuracy, 1) <= strict * (1 + 1e-9)
    assert strict <= 1000 * (1 + 1e-9)


def test_the_order_of_the_points_does_not_matter() -> None:
    pruned = [point(0.93, 300.0), point(0.90, 100.0), point(0.91, 90.0)]
    found = {round(energy_at(DENSE, order, 0.915, 1), 9) for order in permutations(pruned)}
    assert len(found) == 1


def test_the_metrics_hold_both_batch_sizes() -> None:
    pruned = [replace(point(0.92, 400.0), energy_batch_48=50.0)]
    metrics = equal_accuracy_metrics(DENSE, pruned, 0.915)
    assert metrics["energy_batch_1_at_equal_accuracy"].value == pytest.approx(400.0)
    assert metrics["energy_batch_48_at_equal_accuracy"].value == pytest.approx(50.0)
    assert {metric.provenance for metric in metrics.values()} == {"modelled"}
