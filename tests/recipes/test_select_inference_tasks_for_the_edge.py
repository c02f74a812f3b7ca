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
from recipes.select_inference_tasks_for_the_edge import Cell, least_power_beams
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_cells import TWO_POINTS, drawn, make_cell

RECORD = Path(__file__).parents[2] / "tactics" / f"{recipe.TACTIC}.yaml"


# --- The choice of pairs ---------------------------------------------------------------------------------


def test_the_tactic_keeps_the_one_access_point_that_is_worth_its_computing() -> None:
    # both: 1.6 W sent and 2 W computed; the first alone: 2 W and 1 W
    selection = recipe.select_tasks(**vars(make_cell(TWO_POINTS)))
    assert selection.active.tolist() == [[True], [False]]
    assert [pairs for pairs, _ in selection.path] == [2, 1]
    assert [power_w for _, power_w in selection.path] == pytest.approx([3.6, 3.0], rel=1e-5)


def test_the_tactic_takes_single_precision() -> None:
    fields = vars(make_cell(TWO_POINTS))
    fields = {**fields, "channels": fields["channels"].to(torch.cfloat)}
    assert recipe.select_tasks(**fields).active.tolist() == [[True], [False]]


def test_a_dear_computer_is_switched_off_in_spite_of_its_channel() -> None:
    cell = make_cell(TWO_POINTS)
    dear = replace(cell, computation_power_w=torch.tensor([[9.0], [1.0]], dtype=torch.double))
    # the second alone: 4 / 1 W radiated, 8 W drawn and 1 W computed, against 2 + 9 of the first
    selection = recipe.select_tasks(**vars(dear))
    assert selection.active.tolist() == [[False], [True]]
    assert selection.path[-1][1] == pytest.approx(9.0, rel=1e-5)


def test_the_tactic_raises_when_computing_is_too_cheap_to_save() -> None:
    cheap = make_cell(TWO_POINTS, computing_w=0.1)  # both: 1.8 W; the first alone: 2.1 W
    with pytest.raises(ValueError, match="nothing could be switched off"):
        recipe.select_tasks(**vars(cheap))
    assert recipe.log_sum(cheap).active.all()


def test_the_tactic_raises_when_the_users_cannot_be_served() -> None:
    weak = make_cell(TWO_POINTS, power_limit_w=0.01)
    with pytest.raises(ValueError, match=r"cannot be served: a ratio of 4 with 0\.01 W.* lower the target"):
        recipe.select_tasks(**vars(weak))


def test_pairs_are_tried_from_the_weakest_on_and_no_user_loses_the_last(monkeypatch) -> None:
    cell = make_cell([[[3.0 + 0j]], [[1.0 + 0j]], [[2.0 + 0j]]], computing_w=100.0)
    tried = []
    real = recipe.least_power_beams

    def spy(cell: Cell, active: Tensor, **keywords):
        tried.append(active.flatten().tolist())
        return real(cell, active, **keywords)

    monkeypatch.setattr(recipe, "least_power_beams", spy)
    recipe.switch_off(cell, torch.ones(3, 1))
    assert tried == [[True, True, True], [True, False, True], [True, False, False]]


def test_the_mixed_norm_leaves_the_order_to_the_channels_where_the_solver_gives_up(monkeypatch) -> None:
    cell = drawn(0)
    real = recipe.least_power_beams

    def gives_up_on_norms(cell: Cell, active: Tensor, **keywords):
        return None if keywords else real(cell, active)

    monkeypatch.setattr(recipe, "least_power_beams", gives_up_on_norms)
    chosen = recipe.mixed_l12(cell)
    assert torch.equal(chosen.active, recipe.gain_order(cell).active)
    assert not chosen.active.all()


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
    for cell in (drawn(seed) for seed in range(3)):
        best = recipe.exhaustive(cell)
        least_w = cell.total_power_w(best.beams, best.active)
        for choose in recipe.CHOICES.values():
            selection = choose(cell)
            assert cell.total_power_w(selection.beams, selection.active) >= least_w * (1 - 1e-5)


def test_the_sets_left_out_of_the_search_are_not_better() -> None:
    cell = drawn(7, 2, 2)
    powers_w = []
    for on in itertools.product((False, True), repeat=4):
        active = torch.tensor(on).view(2, 2)
        beams = least_power_beams(cell, active) if active.any(0).all() else None
        powers_w += [] if beams is None else [cell.total_power_w(beams, active)]
    best = recipe.exhaustive(cell)
    assert cell.total_power_w(best.beams, best.active) == pytest.approx(min(powers_w), rel=1e-6)


# --- A run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter(cpu_s=3.0)) for arm in recipe.ARMS}


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_smoke_run_gives_the_metrics_that_the_record_names(outcomes: dict[str, Outcome]) -> None:
    use = yaml.safe_load(RECORD.read_text())["recipe"]
    named = {use["cost_metric"], use["quality_metric"], *use["also_metrics"]}
    for arm in recipe.ARMS[:-1]:
        assert set(outcomes[arm].metrics) == named
        json.dumps(outcomes[arm].details, allow_nan=False)
    assert set(outcomes["exhaustive"].metrics) < named


def test_every_arm_serves_all_users(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert value(outcome, "served_fraction") == 1
        assert value(outcome, "constraint_violations") == 0
        assert outcome.data.test_count == 3


def test_the_arms_switch_pairs_off_and_save_power(outcomes: dict[str, Outcome]) -> None:
    baseline = outcomes["baseline"]
    assert value(baseline, "active_pairs") == 25
    assert value(baseline, "computation_power_w") == pytest.approx(25 * 0.278)
    for arm in ("tactic", "mixed_l12", "gain_order"):
        assert value(outcomes[arm], "total_power_w") < 0.8 * value(baseline, "total_power_w")
        assert value(outcomes[arm], "transmission_power_w") > value(baseline, "transmission_power_w")
        assert value(outcomes[arm], "computation_power_w") == pytest.approx(
            0.278 * value(outcomes[arm], "active_pairs")
        )
    assert value(outcomes["exhaustive"], "power_over_optimum") == 1
    assert value(baseline, "power_over_optimum") > value(outcomes["tactic"], "power_over_optimum") >= 1 - 1e-6


def test_processor_time_is_given_for_one_draw(outcomes: dict[str, Outcome]) -> None:
    for arm in recipe.ARMS[:-1]:
        assert value(outcomes[arm], "tactic_cpu_s") == 3.0 / recipe.SMOKE.draws
        assert value(outcomes[arm], "small_cell_cpu_s") == 3.0 / recipe.SMOKE.small_draws


def test_details_agree_with_the_metrics(outcomes: dict[str, Outcome]) -> None:
    for arm in ("tactic", "mixed_l12", "gain_order"):
        rows, path = outcomes[arm].details["draws"], outcomes[arm].details["steps_of_the_first_draw"]
        mean_w = sum(row["total_power_w"] for row in rows) / len(rows)
        assert mean_w == pytest.approx(value(outcomes[arm], "total_power_w"))
        assert path[0]["active_pairs"] == 25
        assert path[-1] == {name: rows[0][name] for name in ("active_pairs", "total_power_w")}
        assert [row["total_power_w"] for row in path] == sorted(
            (row["total_power_w"] for row in path), reverse=True
        )
    levels = outcomes["tactic"].details["power_of_computing"]
    assert [row["power_of_one_task_w"] for row in levels] == list(recipe.SMOKE.computation_levels_w)
    gains = [row["times_lower"] for row in levels]
    assert gains == sorted(gains)
    assert gains[0] >= 1


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome]) -> None:
    again = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter(cpu_s=3.0))
    assert again == outcomes["tactic"]


def test_seeds_share_the_description_of_the_data_but_not_the_draws(outcomes: dict[str, Outcome]) -> None:
    other = recipe.run(recipe.SMOKE, arm="baseline", seed=1, meter=FakeMeter(cpu_s=3.0))
    assert other.data == outcomes["baseline"].data
    assert value(other, "total_power_w") != value(outcomes["baseline"], "total_power_w")
