"""Pruning without retraining: the tactic on a foreign net, its rivals, and a run of each arm."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from recipes import prune_without_retraining as recipe
from recipes.common.nets.report import accuracy
from recipes.common.pruning.weights import masks_of, prunable_layers
from recipes.common.run.contract import Outcome
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_nets import GroupedNet, agreement_with

RECORD = Path(__file__).parents[2] / "tactics" / f"{recipe.TACTIC}.yaml"


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


# --- The tactic ------------------------------------------------------------------------------------------


def test_a_foreign_net_is_pruned_within_the_allowed_loss_and_without_a_gradient() -> None:
    net, inputs = GroupedNet().eval(), torch.randn(300, 2, 6, 6)
    evaluate = agreement_with(copy.deepcopy(net), inputs)
    masks = recipe.prune_without_retraining(net, inputs, evaluate=evaluate, largest_loss=0.2)
    assert evaluate(net) >= 0.8
    assert all(torch.equal(masks[name], mask) for name, mask in masks_of(net).items())
    assert sum(int(mask.sum()) for mask in masks.values()) < sum(mask.numel() for mask in masks.values())
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_weight_left_takes_over_from_the_one_removed() -> None:
    net = nn.Sequential(nn.Linear(2, 1)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 1.1]]))
    inputs = torch.randn(200, 1).expand(-1, 2).contiguous()  # both inputs are the same number
    with torch.no_grad():
        wanted = net(inputs)
    recipe.prune_without_retraining(
        net, inputs, evaluate=lambda model: -float((model(inputs) - wanted).abs().max()), largest_loss=0.05
    )
    assert net[0].weight.tolist() == [[0.0, pytest.approx(2.1, rel=2e-3)]]


def test_a_batch_that_shares_weights_spares_the_layer_that_has_most_of_them() -> None:
    kept = []
    for batch_size in (1, 48):
        torch.manual_seed(0)
        net, inputs = GroupedNet().eval(), torch.randn(300, 2, 6, 6)
        evaluate = agreement_with(copy.deepcopy(net), inputs)
        masks = recipe.prune_without_retraining(
            net, inputs, evaluate=evaluate, largest_loss=0.2, batch_size=batch_size
        )
        total = sum(int(mask.sum()) for mask in masks.values())
        kept.append(int(masks["output"].sum()) / total)
    assert kept[0] < kept[1]


def test_it_is_an_error_when_nothing_can_go() -> None:
    net, inputs = GroupedNet().eval(), torch.randn(30, 2, 6, 6)
    dense = copy.deepcopy(net.state_dict())

    def unchanged(model: nn.Module) -> float:
        return float(all(torch.equal(value, dense[name]) for name, value in model.state_dict().items()))

    with pytest.raises(ValueError, match=r"nothing could be removed within a loss of 0\.5; allow a larger"):
        recipe.prune_without_retraining(net, inputs, evaluate=unchanged, largest_loss=0.5)


# --- A run -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_DATA", "/nonexistent")
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("cache")))
        found = {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}
    assert len(found) == 6
    return found


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_every_arm_gives_the_metrics_that_the_record_names(outcomes: dict[str, Outcome]) -> None:
    asked = yaml.safe_load(RECORD.read_text())["recipe"]
    named = {asked["cost_metric"], asked["quality_metric"], *asked["also_metrics"]}
    of_pruning = {"gain_over_magnitude_before_fine_tuning", "pruning_cpu_s"}
    for arm, outcome in outcomes.items():
        assert set(outcome.metrics) == named - (of_pruning if arm == "baseline" else set())
        assert outcome.data.name == "digits"
        json.dumps(outcome.details, allow_nan=False)


def test_energies_and_repair_each_pay(outcomes: dict[str, Outcome]) -> None:
    energy = {arm: value(outcome, "energy_batch_1") for arm, outcome in outcomes.items()}
    assert energy["tactic"] < energy["damped"] < energy["baseline"]
    assert energy["magnitude_repaired"] < energy["magnitude"] < energy["baseline"]
    assert len(set(energy.values())) == len(recipe.ARMS)
    assert value(outcomes["tactic"], "gain_over_magnitude_before_fine_tuning") > 5
    assert value(outcomes["magnitude"], "gain_over_magnitude_before_fine_tuning") == pytest.approx(0, abs=1)


def test_the_curve_starts_with_the_net_reported_and_goes_deeper_with_the_loss(
    outcomes: dict[str, Outcome],
) -> None:
    dense = outcomes["baseline"].details["curve"][0]["validation_accuracy"]
    for arm, outcome in outcomes.items():
        first, *others = outcome.details["curve"]
        assert first["energy_batch_1"] == value(outcome, "energy_batch_1")
        assert len(others) == (0 if arm == "baseline" else len(recipe.SMOKE.largest_losses) - 1)
        for row, loss in zip([first, *others], recipe.SMOKE.largest_losses, strict=False):
            assert row["validation_accuracy"] >= dense - loss - 1e-9
        assert all(row["energy_batch_1"] < first["energy_batch_1"] for row in others)


def test_each_arm_yields_the_net_that_it_reports(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        net = outcome.deployable
        assert accuracy(net.model, net.test_inputs, net.test_labels) == value(outcome, "test_accuracy")
        weights = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(net.model).values())
        assert weights == value(outcome, "nonzero_weights")


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_DATA", "/nonexistent")
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    short = replace(recipe.SMOKE, dense_examples=1_280)
    first, second = (recipe.run(short, arm="tactic", seed=3, meter=FakeMeter()) for _ in range(2))
    assert first.details == second.details
    assert {name: metric.value for name, metric in first.metrics.items()} == {
        name: metric.value for name, metric in second.metrics.items()
    }
    assert first.details != outcomes["tactic"].details
