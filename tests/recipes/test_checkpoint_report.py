"""The expected cost of a training with failures, against simulation and by hand; equal states."""

from __future__ import annotations

import math
import random

import pytest
import torch

from recipes import use_checkpoints_during_training as recipe


def simulated_steps(interval: int | None, steps: int, mean_steps: float, generator: random.Random) -> int:
    first = done = 0
    while True:
        lifetime = int(generator.expovariate(1 / mean_steps))
        if lifetime >= steps - first:
            return done + steps - first
        done += lifetime
        first = (first + lifetime) // interval * interval if interval else 0


@pytest.mark.parametrize("interval", [1, 7, 30, None])
def test_the_expected_waste_is_that_of_a_simulation(interval: int | None) -> None:
    generator, runs = random.Random(1), 4000
    simulated = sum(simulated_steps(interval, 100, 60.0, generator) for _ in range(runs)) / runs - 100
    costs = recipe.Costs(1.0, 0.0)
    assert recipe.expected_cost(interval, 100, 60.0, costs)[0] == pytest.approx(simulated, rel=0.06, abs=0.5)


def test_the_expected_cost_of_a_case_worked_by_hand() -> None:
    # M = 1 / ln 2: an attempt outlives each further step with probability one half. Two steps in a row take 4
    # attempts, 3 of them failures, and 3 / 1 = 3 steps; with a checkpoint between, 2 failures and 2 steps.
    mean, costs = 1 / math.log(2), recipe.Costs(step_s=1.0, write_s=10.0, start_s=100.0)
    assert recipe.expected_cost(None, 2, mean, costs) == pytest.approx((1, 3, 3 + 400))
    assert recipe.expected_cost(1, 2, mean, costs) == pytest.approx((0, 2, 2 + 10 + 300))


def test_when_failures_are_rare_a_checkpoint_a_step_costs_more_than_none() -> None:
    costs = recipe.Costs(step_s=0.002, write_s=0.005, start_s=2.0)
    often, never = (recipe.expected_cost(at, 2500, 250_000.0, costs)[2] for at in (1, None))
    assert often > 2 * never


def test_differing_bytes_see_a_single_bit() -> None:
    one, other = ({"a": torch.zeros(3), "b": [1, {"c": 2.0, "d": None}]} for _ in range(2))
    assert recipe.differing_bytes(one, other) == 0
    other["a"][1] = -0.0
    assert recipe.differing_bytes(one, other) == 1
