"""Checkpoints: the interval, resuming bit for bit, and the recipe with its real kills."""

from __future__ import annotations

import copy
import json
import math
import os
import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recipes import use_checkpoints_during_training as recipe
from recipes.common.run.contract import Outcome
from recipes.use_checkpoints_during_training import lifetimes, save_checkpoint
from tests.recipes.fake_meter import FakeMeter

# --- The interval ---


@pytest.mark.parametrize(
    ("write_min", "mean_min", "published_min"), [(5, 24 * 60, 117), (5, 6 * 60, 57), (5, 15, 9.1)]
)
def test_the_interval_is_that_of_the_figures_of_daly_2006(
    write_min: float, mean_min: float, published_min: float
) -> None:
    assert recipe.checkpoint_interval(write_min, mean_min) == pytest.approx(published_min, rel=0.006)


def test_the_interval_of_a_case_worked_by_hand() -> None:
    # sqrt(2 * 2 * 100) = 20; ratio 2 / 200 = 0.01; 20 * (1 + 0.1 / 3 + 0.01 / 9) - 2
    assert recipe.checkpoint_interval(2, 100) == pytest.approx(20 + 2 / 3 + 0.2 / 9 - 2)


def test_where_writing_costs_more_than_failures_take_the_interval_is_their_mean() -> None:
    assert recipe.checkpoint_interval(10, 5) == 5


@given(st.floats(1e-3, 1e3), st.floats(1.0, 1e6), st.floats(1e-3, 1e3))
def test_the_interval_does_not_depend_on_the_unit(cost: float, mean: float, unit: float) -> None:
    scaled = recipe.checkpoint_interval(cost * unit, mean * unit)
    assert scaled == pytest.approx(
        unit * recipe.checkpoint_interval(cost, mean), rel=1e-6, abs=1e-9 * unit * mean
    )


@pytest.mark.parametrize(("cost", "mean"), [(0, 1), (1, 0), (-1, 1), (math.nan, 1)])
def test_an_interval_needs_positive_numbers(cost: float, mean: float) -> None:
    with pytest.raises(ValueError, match="expected two positive numbers"):
        recipe.checkpoint_interval(cost, mean)


@pytest.mark.parametrize("mean_steps", [20.0, 150.0])
def test_no_interval_is_much_cheaper_than_the_chosen_one(mean_steps: float) -> None:
    costs = recipe.Costs(step_s=1.0, write_s=2.0)
    found = [recipe.expected_cost(interval, 1000, mean_steps, costs)[2] for interval in range(1, 500)]
    chosen = round(recipe.checkpoint_interval(2.0, mean_steps))
    assert found[chosen - 1] <= 1.02 * min(found)


# --- Resuming in one process: a foreign net, an optimiser with two moments, and a schedule ---


class StopError(Exception):
    pass


def foreign_training(seed: int = 0):
    torch.manual_seed(seed)
    net = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.Dropout(0.3), nn.Linear(16, 3))
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)

    def step(_: int) -> None:
        optimizer.zero_grad()
        net(torch.randn(8, 6)).square().mean().backward()
        optimizer.step()
        schedule.step()

    return {"net": net, "optimizer": optimizer, "schedule": schedule}, step


def interrupted(folder: Path, interval: int, failures: list[int]) -> tuple[dict, list[int]]:
    """Train 40 steps with an exception after each number of steps; return the state and the first steps."""
    firsts = []
    for lifetime in [*failures, 40]:
        parts, step = foreign_training(seed=len(firsts))  # another start each time, which must not matter
        done: list[int] = []

        def mortal(number: int, step=step, done=done, lifetime=lifetime) -> None:
            if len(done) == lifetime:
                raise StopError
            done.append(number)
            step(number)

        try:
            firsts.append(
                recipe.train_with_checkpoints(parts, mortal, steps=40, interval=interval, folder=folder)
            )
        except StopError:
            firsts.append(done[0] if done else -1)
    return recipe.snapshot(parts), firsts


def test_an_interrupted_training_ends_bit_for_bit_like_an_uninterrupted_one(tmp_path: Path) -> None:
    parts, step = foreign_training()
    for number in range(40):
        step(number)
    whole = copy.deepcopy(recipe.snapshot(parts))
    found, firsts = interrupted(tmp_path, 7, [17, 3, 9])
    assert firsts == [0, 14, 14, 21]
    assert recipe.differing_bytes(whole, found) == 0


def test_without_the_random_state_the_training_would_end_elsewhere(tmp_path: Path, monkeypatch) -> None:
    whole, _ = interrupted(tmp_path / "whole", 7, [])
    monkeypatch.setattr(torch, "set_rng_state", lambda _: None)
    found, _ = interrupted(tmp_path / "found", 7, [17])
    assert recipe.differing_bytes(whole, found) > 0


@pytest.mark.parametrize("interval", [0, 40, 41])
def test_an_interval_that_writes_nothing_is_an_error(tmp_path: Path, interval: int) -> None:
    parts, step = foreign_training()
    with pytest.raises(ValueError, match="writes no checkpoint: expected 1 to 39 steps"):
        recipe.train_with_checkpoints(parts, step, steps=40, interval=interval, folder=tmp_path)


def test_a_checkpoint_of_another_training_is_an_error(tmp_path: Path) -> None:
    save_checkpoint(tmp_path, 5, {"parts": {"net": {}}})
    parts, step = foreign_training()
    with pytest.raises(ValueError, match=r"expected a checkpoint of \['net', 'optimizer', 'schedule'\]"):
        recipe.train_with_checkpoints(parts, step, steps=40, interval=7, folder=tmp_path)


class Part:
    """A part of a training that returns the given state, from a given call of `state_dict` on."""

    def __init__(self, state: object, calls: int = 0) -> None:
        self.state, self.calls = state, calls

    def state_dict(self) -> object:
        self.calls -= 1
        return {} if self.calls >= 0 else self.state

    def load_state_dict(self, state: object) -> None:
        self.state = state


@pytest.mark.parametrize(
    ("part", "words"),
    [
        (
            Part(np.random.RandomState(0).get_state()),
            r"part 'other': its state could not be read back .*numpy",
        ),
        (
            Part({"function": lambda: None}),
            r"part 'other': its state could not be read back .*\(\w+Error: Can't pickle",
        ),
        (Part({"place": Path("data")}), r"part 'other': its state could not be read back .*Unpickling"),
        (torch.Generator(), "part 'other': expected state_dict and load_state_dict, got Generator without"),
    ],
    ids=["numpy", "function", "path", "generator"],
)
def test_a_state_that_could_not_be_read_back_is_refused_before_the_first_step(
    tmp_path: Path, part: object, words: str
) -> None:
    parts, _ = foreign_training()
    with pytest.raises(ValueError, match=words):
        recipe.train_with_checkpoints(
            {**parts, "other": part}, pytest.fail, steps=4, interval=2, folder=tmp_path
        )
    assert not list(tmp_path.iterdir())


def test_a_state_that_comes_to_be_in_a_step_is_refused_when_it_is_first_written(tmp_path: Path) -> None:
    part = Part({"place": Path("data")}, calls=1)
    with pytest.raises(ValueError, match="part 'late': its state could not be read back"):
        recipe.train_with_checkpoints({"late": part}, lambda _: None, steps=4, interval=2, folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_generators_of_other_libraries_can_be_parts(tmp_path: Path) -> None:
    numpy_state = np.random.default_rng(0).bit_generator.state
    parts = {"numpy": Part(numpy_state), "python": Part({"state": random.Random(0).getstate()})}
    recipe.train_with_checkpoints(parts, lambda _: None, steps=3, interval=2, folder=tmp_path)
    again = {"numpy": Part({}), "python": Part({})}
    assert recipe.train_with_checkpoints(again, lambda _: None, steps=3, interval=2, folder=tmp_path) == 2
    assert {name: part.state for name, part in again.items()} == {
        name: part.state for name, part in parts.items()
    }


def test_a_training_without_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="parts: expected all that changes while training"):
        recipe.train_with_checkpoints({}, pytest.fail, steps=4, interval=2, folder=tmp_path)


def test_a_folder_with_more_steps_than_asked_for_is_refused(tmp_path: Path) -> None:
    parts, step = foreign_training()
    recipe.train_with_checkpoints(parts, step, steps=8, interval=6, folder=tmp_path)
    before = copy.deepcopy(recipe.snapshot(parts))
    with pytest.raises(ValueError, match="expected a training of up to 4 steps, got one of 6 so far"):
        recipe.train_with_checkpoints(parts, pytest.fail, steps=4, interval=2, folder=tmp_path)
    assert recipe.differing_bytes(recipe.snapshot(parts), before) == 0
    assert recipe.train_with_checkpoints(parts, pytest.fail, steps=6, interval=2, folder=tmp_path) == 6


def test_a_checkpoint_that_does_not_fit_a_part_names_it(tmp_path: Path) -> None:
    parts, step = foreign_training()
    recipe.train_with_checkpoints(parts, step, steps=8, interval=6, folder=tmp_path)
    parts["net"] = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"part 'net': the checkpoint does not fit it \(RuntimeError: Error"):
        recipe.train_with_checkpoints(parts, step, steps=8, interval=6, folder=tmp_path)


def test_a_checkpoint_of_more_gpus_is_refused_before_anything_is_put_back(tmp_path: Path) -> None:
    parts, step = foreign_training()
    state = {**recipe.snapshot(parts), "random_cuda": [torch.get_rng_state()] * 99}
    save_checkpoint(tmp_path, 2, state)
    with pytest.raises(ValueError, match="got 99 GPUs in the checkpoint and"):
        recipe.train_with_checkpoints(parts, step, steps=8, interval=6, folder=tmp_path)


def test_the_order_of_the_data_goes_on_within_an_epoch_and_covers_it() -> None:
    torch.manual_seed(0)
    batches = recipe.Batches(10, 3)
    drawn = [batches.draw()]
    saved = copy.deepcopy(batches.state_dict())
    drawn += [batches.draw() for _ in range(2)]
    assert len(torch.cat(drawn).unique()) == 9
    again = recipe.Batches(10, 3)
    again.load_state_dict(saved)
    assert torch.equal(torch.cat(drawn[1:]), torch.cat([again.draw() for _ in range(2)]))


# --- The recipe ---


class KilledError(Exception):
    pass


class InProcess:
    """Stands for a process of its own: quick, and dead all the same when it is killed."""

    def __init__(self, target: Callable[..., None], args: tuple[object, ...]) -> None:
        self.target, self.args, self.exitcode = target, args, 0

    def start(self) -> None:
        try:
            self.target(*self.args)
        except KilledError:
            self.exitcode = -9

    def join(self) -> None:
        pass


def die(process: int, number: int) -> None:
    assert (process, number) == (os.getpid(), 9)
    raise KilledError


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    """With this seed the first attempt dies after a quarter and the second one lives."""
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe.multiprocessing, "get_context", lambda _: recipe.multiprocessing)
        patch.setattr(recipe.multiprocessing, "Process", InProcess)
        patch.setattr(recipe.os, "kill", die)
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=8, meter=FakeMeter()) for arm in recipe.ARMS}


def test_a_process_that_is_really_killed_and_started_again_ends_in_the_same_state(
    outcomes: dict[str, Outcome],
) -> None:
    torch.set_num_threads(1)
    found = recipe.run(recipe.SMOKE, arm="tactic", seed=8, meter=FakeMeter())
    first, second = found.details["attempts"]
    assert first["killed"]
    assert not second["killed"]
    assert min(first["cpu_s"], second["cpu_s"]) > 0
    assert found.metrics["differing_bytes"] == 0
    assert found.metrics["wasted_steps"] < found.metrics["interval_steps"]


def test_smoke_run_of_each_arm_ends_in_the_very_same_state(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        found = outcome.metrics
        assert set(found) <= set(recipe.METRICS)
        assert set(recipe.RATIO_OF_MEANS) <= set(found)
        assert found["differing_bytes"] == 0
        assert found["test_accuracy"] > 0.9
        assert found["attempts"] == 2
        assert outcome.data.name == "digits"
        json.dumps(outcome.details, allow_nan=False)


def test_only_work_since_the_last_checkpoint_is_lost(outcomes: dict[str, Outcome]) -> None:
    lifetime = next(lifetimes(140.0, 8))
    assert outcomes["starting_anew"].metrics["wasted_steps"] == lifetime
    for arm in ("baseline", "tactic"):
        found = outcomes[arm].metrics
        assert found["wasted_steps"] == lifetime % found["interval_steps"]
        assert outcomes[arm].details["attempts"][1]["first_step"] == lifetime - found["wasted_steps"]


def test_the_tactic_takes_the_interval_of_its_measured_cost(outcomes: dict[str, Outcome]) -> None:
    # all windows of the rehearsal took 1.5 s: four checkpoints cost as much as twenty steps
    best = round(recipe.checkpoint_interval(5.0, 140.0))
    assert outcomes["tactic"].metrics["interval_steps"] == best
    assert outcomes["baseline"].metrics["interval_steps"] == 897 // 32
    written = outcomes["baseline"].metrics["written_bytes"]
    assert written == pytest.approx(9 / (279 // best) * outcomes["tactic"].metrics["written_bytes"])
    assert outcomes["starting_anew"].metrics["written_bytes"] == 0


def test_finding_the_interval_is_charged_to_the_tactic_alone(outcomes: dict[str, Outcome]) -> None:
    for arm, rehearsal_s in (("baseline", 0.0), ("tactic", 3 * 1.5), ("starting_anew", 0.0)):
        attempts_s = sum(row["cpu_s"] for row in outcomes[arm].details["attempts"])
        assert outcomes[arm].metrics["training_cpu_s"] == pytest.approx(attempts_s + rehearsal_s)


def test_the_table_of_intervals_goes_from_every_step_to_none(outcomes: dict[str, Outcome]) -> None:
    names = [row["interval_steps"] for row in outcomes["tactic"].details["intervals"]]
    assert (names[0], names[-1]) == ("1", "none")
    assert str(outcomes["tactic"].metrics["interval_steps"]) in names
