"""The expected cost of a training with failures, against simulation and by hand; equal states; metrics."""

from __future__ import annotations

import math
import random

import pytest
import torch

from recipes import use_checkpoints_during_training as recipe
from recipes.use_checkpoints_during_training import Attempt


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
    costs = recipe.Costs(1.0, 0.0, 0.0, 0.0)
    assert recipe.expected_cost(interval, 100, 60.0, costs)[0] == pytest.approx(simulated, rel=0.06, abs=0.5)


def test_the_expected_cost_of_a_case_worked_by_hand() -> None:
    # M = 1 / ln 2: an attempt outlives each further step with probability one half. Two steps in a row take 4
    # attempts, 3 of them failures, and 3 / 1 = 3 steps; with a checkpoint between, 2 failures and 2 steps.
    mean, costs = 1 / math.log(2), recipe.Costs(step_s=1.0, write_s=10.0, start_s=100.0, end_s=1000.0)
    assert recipe.expected_cost(None, 2, mean, costs) == pytest.approx((1, 3, 3 + 400 + 1000))
    assert recipe.expected_cost(1, 2, mean, costs) == pytest.approx((0, 2, 2 + 10 + 300 + 1000))


def test_when_failures_are_rare_a_checkpoint_a_step_costs_more_than_none() -> None:
    costs = recipe.Costs(step_s=0.002, write_s=0.005, start_s=2.0, end_s=1.0)
    often, never = (recipe.expected_cost(at, 2500, 250_000.0, costs)[2] for at in (1, None))
    assert often > 2 * never


def test_differing_bytes_see_a_single_bit_and_another_shape() -> None:
    one = {"a": torch.zeros(3), "b": [1, {"c": 2.0, "d": None}]}
    other = {"b": [1, {"d": None, "c": 2.0}], "a": torch.zeros(3)}
    assert recipe.differing_bytes(one, other) == 0
    other["a"][1] = -0.0
    assert recipe.differing_bytes(one, other) == 1
    with pytest.raises(ValueError, match="tensors of other sizes"):
        recipe.differing_bytes(one, other | {"a": torch.zeros(4)})


def test_metrics_of_a_run_worked_by_hand() -> None:
    attempts = [Attempt(0, 7, True, 1.0), Attempt(4, 6, False, 2.0)]
    costs = recipe.Costs(step_s=0.001, write_s=0.002, start_s=2.0, end_s=1.0)
    run = recipe.TrainingRun(4, 10, 5.0, costs, attempts, 100, cpu_s=3.5, duration_s=9.0)
    found = {name: metric.value for name, metric in recipe.cost_metrics(run).items()}
    assert (found["wasted_steps"], found["attempts"], found["written_bytes"]) == (3, 2, 200)
    assert (found["training_cpu_s"], found["interval_steps"], found["checkpoint_cpu_ms"]) == (3.5, 4, 2.0)
    rows = {row["interval_steps"]: row for row in recipe.interval_table(run)}
    assert [name for name, row in rows.items() if row["cpu_s_this_run"] is not None] == ["4"]
    assert (next(iter(rows)), list(rows)[-1]) == ("1", "none")
