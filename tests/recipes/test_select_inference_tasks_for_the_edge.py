"""The choice of pairs, its rivals, and a run of each arm."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor

from recipes import select_inference_tasks_for_the_edge as recipe
from recipes.common.run.contract import Outcome
from recipes.select_inference_tasks_for_the_edge import Cell
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_cells import TWO_POINTS, drawn, make_cell

RECORD = Path(__file__).parents[2] / "tactics" / f"{recipe.TACTIC}.yaml"


# --- The choice of pairs ---------------------------------------------------------------------------------


def test_the_tactic_keeps_the_one_access_point_that_is_worth_its_computing() -> None:
    # both: 1.6 W sent and 2 W computed; the first alone: 2 W and 1 W
    cell = make_cell(TWO_POINTS)
    assert recipe.all_on(cell).power_w == pytest.approx(3.6, rel=1e-5)
    selection = recipe.select_tasks(cell)
    assert selection.active.tolist() == [[True], [False]]
    assert (selection.sent_w, selection.power_w) == pytest.approx((2.0, 3.0), rel=1e-5)


def test_the_tactic_takes_single_precision() -> None:
    cell = make_cell(TWO_POINTS)
    single = replace(
        cell, channels=cell.channels.cfloat(), computation_power_w=cell.computation_power_w.float()
    )
    assert recipe.select_tasks(single).active.tolist() == [[True], [False]]


def test_a_dear_computer_is_switched_off_in_spite_of_its_channel() -> None:
    cell = make_cell(TWO_POINTS)
    dear = replace(cell, computation_power_w=torch.tensor([[9.0], [1.0]], dtype=torch.double))
    # the second alone: 4 / 1 W radiated, 8 W drawn and 1 W computed, against 2 + 9 of the first
    selection = recipe.select_tasks(dear)
    assert selection.active.tolist() == [[False], [True]]
    assert selection.power_w == pytest.approx(9.0, rel=1e-5)


def test_the_tactic_raises_when_computing_is_too_cheap_to_save() -> None:
    cheap = make_cell(TWO_POINTS, computing_w=0.1)  # both: 1.8 W; the first alone: 2.1 W
    with pytest.raises(ValueError, match="nothing could be switched off"):
        recipe.select_tasks(cheap)
    assert recipe.log_sum(cheap).active.all()


def test_the_tactic_raises_when_the_users_cannot_be_served() -> None:
    weak = make_cell(TWO_POINTS, power_limit_w=0.01)
    with pytest.raises(ValueError, match=r"cannot be served: a ratio of 4 with 0\.01 W.* lower the target"):
        recipe.select_tasks(weak)


def test_pairs_are_tried_from_the_weakest_on_and_no_user_loses_the_last(monkeypatch) -> None:
    cell = make_cell([[[3.0 + 0j]], [[1.0 + 0j]], [[2.0 + 0j]]], computing_w=100.0)
    tried = []
    real = recipe.least_power_beams

    def spy(cell: Cell, active: Tensor, **keywords):
        tried.append(active.flatten().tolist())
        return real(cell, active, **keywords)

    monkeypatch.setattr(recipe, "least_power_beams", spy)
    recipe.switch_off_by_norms(cell, torch.ones(3, 1))
    assert tried == [[True, True, True], [True, False, True], [True, False, False]]


def test_the_mixed_norm_leaves_the_order_to_the_channels_where_the_solver_gives_up(monkeypatch) -> None:
    cell = drawn(0)
    real = recipe.least_power_beams

    def gives_up_on_norms(cell: Cell, active: Tensor, **keywords):
        return None if keywords else real(cell, active)

    monkeypatch.setattr(recipe, "least_power_beams", gives_up_on_norms)
    by_channels = recipe.switch_off_by_norms(cell, torch.ones_like(cell.computation_power_w))
    assert torch.equal(recipe.mixed_l12(cell).active, by_channels.active)
    assert not by_channels.active.all()


@pytest.mark.parametrize("seed", [0, 1])
def test_each_round_lowers_the_log_sum_objective(seed: int) -> None:
    cell, smoothing = drawn(seed, 4, 4), 0.01

    def objective(rounds: int) -> float:
        norms = recipe.log_sum_norms(cell, rounds, smoothing)
        degree_on = (norms / smoothing).log1p() / math.log1p(1 / smoothing)
        sent_w = norms.square().sum() / cell.amplifier_efficiency
        return float(sent_w + (cell.computation_power_w * degree_on).sum())

    objectives = [objective(rounds) for rounds in range(5)]
    assert all(after <= before + 1e-4 for before, after in itertools.pairwise(objectives))
    assert objectives[-1] < objectives[1]


def test_no_choice_is_better_than_the_best_of_all_sets() -> None:
    cell = drawn(7, 2, 2)
    sets = [torch.tensor(on).view(2, 2) for on in itertools.product((False, True), repeat=4)]
    found = [recipe.serve(cell, active) for active in sets if active.any(0).all()]
    least_w = min(selection.power_w for selection in found if selection is not None)
    for choose in recipe.CHOICES.values():
        assert choose(cell).power_w >= least_w * (1 - 1e-5)


def test_the_strongest_points_are_kept_as_many_as_pay() -> None:
    # gains 1, 4, 9: all three take 8 / 14 W and three tasks, two 8 / 13 W, the strongest alone 8 / 9 W
    three = [[[1.0 + 0j]], [[2.0 + 0j]], [[3j]]]
    dear, cheap = (
        recipe.strongest_points(make_cell(three, computing_w=computing_w)) for computing_w in (1.0, 0.1)
    )
    assert (dear.active.flatten().tolist(), dear.power_w) == ([False, False, True], pytest.approx(8 / 9 + 1))
    assert cheap.power_w == pytest.approx(8 / 13 + 0.2)
    assert cheap.active.flatten().tolist() == [False, True, True]


# --- A run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter(cpu_s=3.0)) for arm in recipe.ARMS}


def test_smoke_run_gives_the_metrics_that_the_record_names(outcomes: dict[str, Outcome]) -> None:
    use = yaml.safe_load(RECORD.read_text())["recipe"]
    named = {use["cost_metric"], use["quality_metric"], *use["also_metrics"]}
    for outcome in outcomes.values():
        assert set(outcome.metrics) == named == set(recipe.METRICS)
        json.dumps(outcome.details, allow_nan=False)


def test_every_arm_serves_all_users(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert outcome.metrics["served_fraction"] == 1
        assert outcome.metrics["constraint_violations"] == 0
        assert outcome.metrics["tactic_cpu_s"] == 3.0 / recipe.SMOKE.draws


def test_the_arms_switch_pairs_off_and_save_power(outcomes: dict[str, Outcome]) -> None:
    baseline = outcomes["baseline"].metrics
    assert baseline["active_pairs"] == 25
    for outcome in outcomes.values():
        found = outcome.metrics
        assert found["computation_power_w"] == pytest.approx(0.278 * found["active_pairs"])
    for arm in ("tactic", "mixed_l12", "random_order", "strongest_points"):
        found = outcomes[arm].metrics
        assert found["total_power_w"] < 0.9 * baseline["total_power_w"]
        assert found["transmission_power_w"] > baseline["transmission_power_w"]


def test_the_dearer_the_computing_the_larger_the_gain(outcomes: dict[str, Outcome]) -> None:
    levels = outcomes["tactic"].details["power_of_computing"]
    assert [row["power_of_one_task_w"] for row in levels] == list(recipe.SMOKE.computation_levels_w)
    gains = [row["times_lower"] for row in levels]
    assert gains == sorted(gains)
    assert gains[0] >= 1 - 1e-6


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome]) -> None:
    again = recipe.run(recipe.SMOKE, arm="random_order", seed=0, meter=FakeMeter(cpu_s=3.0))
    assert again == outcomes["random_order"]


def test_seeds_share_the_description_of_the_data_but_not_the_draws(outcomes: dict[str, Outcome]) -> None:
    other = recipe.run(recipe.SMOKE, arm="baseline", seed=1, meter=FakeMeter(cpu_s=3.0))
    assert other.data == outcomes["baseline"].data
    assert other.metrics["total_power_w"] != outcomes["baseline"].metrics["total_power_w"]
