"""The recipe as a whole: the tactic on a foreign net, its errors, its arms, and a run."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes import remove_channels_by_modelled_energy as recipe
from recipes.common.energy.model import estimate
from recipes.common.nets.report import accuracy
from recipes.common.run.contract import Outcome
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_nets import residual_net


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class TwoWidths(nn.Module):
    """A wide map at high resolution, then one at low resolution; no normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.large, self.small = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, stride=4, padding=1)
        self.output = nn.Linear(8 * 9, 5)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.small(self.large(inputs).relu()).relu().flatten(1))


def energy(net: nn.Module, inputs: Tensor) -> float:
    return estimate(net, inputs, batch_size=48).total


def equal_scores(net: nn.Module) -> dict[str, Tensor]:
    return {name: torch.ones(net.get_submodule(name).out_channels) for name in ("large", "small")}


def test_the_tactic_shrinks_a_foreign_net_to_the_target() -> None:
    net, inputs = residual_net(), torch.randn(20, 1, 8, 8)
    before = copy.deepcopy(net.state_dict())
    target = 0.7 * energy(net, inputs)
    smaller = recipe.remove_channels_by_energy(net, inputs, target_energy=target, batch_size=48)
    assert 0.5 < energy(smaller, inputs) / energy(net, inputs) <= 0.7
    assert smaller(inputs).shape == (20, 10)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_at_equal_importance_the_dearest_channels_go() -> None:
    net, inputs = TwoWidths().eval(), torch.randn(8, 1, 12, 12)
    dense_energy = energy(net, inputs)
    by_energy = recipe.remove_channels_by_energy(
        net, inputs, target_energy=0.8 * dense_energy, batch_size=48, importance=equal_scores
    )
    assert by_energy.large.out_channels < 8
    assert by_energy.small.out_channels == 8
    by_other_cost = recipe.remove_channels_by_energy(
        net,
        inputs,
        target_energy=0.95 * dense_energy,
        batch_size=48,
        importance=equal_scores,
        cost=lambda smaller: smaller.small.out_channels,
    )
    assert by_other_cost.small.out_channels < 8
    assert by_other_cost.large.out_channels == 8


def test_unimportant_channels_go_first_and_the_net_is_trained_after_each_removal() -> None:
    net, inputs, widths = TwoWidths().eval(), torch.randn(8, 1, 12, 12), []

    def importance(smaller: nn.Module) -> dict[str, Tensor]:
        return {"large": torch.full((smaller.large.out_channels,), 1e6)} | {
            "small": smaller.small.weight.detach().square().sum((1, 2, 3))
        }

    smaller = recipe.remove_channels_by_energy(
        net,
        inputs,
        target_energy=0.99 * energy(net, inputs),
        batch_size=48,
        importance=importance,
        recover=lambda smaller: widths.append(smaller.small.out_channels),
    )
    assert widths == list(range(7, smaller.small.out_channels - 1, -1))
    kept = importance(smaller)["small"].sort(descending=True).values
    assert torch.equal(kept, importance(net)["small"].topk(len(kept)).values)


def test_a_target_that_is_met_already_is_an_error() -> None:
    net, inputs = residual_net(), torch.randn(2, 1, 8, 8)
    with pytest.raises(ValueError, match=r"target_energy: expected less than the net's [\d,]+, got"):
        recipe.remove_channels_by_energy(net, inputs, target_energy=energy(net, inputs), batch_size=48)


def test_a_target_that_cannot_be_met_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be met: no group of channels can lose more"):
        recipe.remove_channels_by_energy(
            residual_net(), torch.randn(2, 1, 8, 8), target_energy=1.0, batch_size=48
        )


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("checkpoints")))
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_smoke_run_of_each_arm_gives_the_metrics_of_the_record(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert set(outcome.metrics) == {
            "test_accuracy", "energy_batch_1", "energy_batch_48", "activation_words", "macs", "parameters",
            "training_cpu_s",
        }  # fmt: skip
        assert outcome.data.name == "digits"
        assert 0.6 < value(outcome, "test_accuracy") <= 1
        assert value(outcome, "training_cpu_s") == 1.5
        json.dumps(outcome.details, allow_nan=False)


def test_the_arms_really_differ(outcomes: dict[str, Outcome]) -> None:
    dense = outcomes["baseline"]
    for arm in ("tactic", "macs", "group_norm"):
        fraction = value(outcomes[arm], "energy_batch_48") / value(dense, "energy_batch_48")
        assert 0.5 < fraction < 0.9  # the target is 0.75, and training moves the zeros of the activations
        assert value(outcomes[arm], "macs") < value(dense, "macs")
        assert value(outcomes[arm], "activation_words") < value(dense, "activation_words")
    assert value(outcomes["scattered"], "macs") == value(dense, "macs")
    assert value(outcomes["scattered"], "energy_batch_48") < value(dense, "energy_batch_48")
    assert len({value(outcome, "energy_batch_48") for outcome in outcomes.values()}) == len(recipe.ARMS)


def test_each_arm_yields_the_net_that_it_reports(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        shipped = outcome.deployable
        weights = sum(parameter.numel() for parameter in shipped.model.parameters())
        assert weights == value(outcome, "parameters")
        found = accuracy(shipped.model, shipped.test_inputs, shipped.test_labels)
        assert found == value(outcome, "test_accuracy")
        assert len(shipped.calibration_inputs) == 256


def test_details_are_flat_tables(outcomes: dict[str, Outcome]) -> None:
    costs = outcomes["baseline"].details["cost_of_a_channel"]
    assert len(costs) == 6  # one row a group: three streams and the inside of three blocks
    for row in costs:
        assert 0 < row["energy_saved_by_a_channel_fraction"] < 0.5
        assert 0 < row["macs_saved_by_a_channel_fraction"] < 0.5
        assert -1 <= row["rank_correlation_of_both"] <= 1
    for outcome in outcomes.values():
        (point,) = outcome.details["curve"]
        assert point["test_accuracy"] == value(outcome, "test_accuracy")


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    again = recipe.run(recipe.SMOKE, arm="group_norm", seed=0, meter=FakeMeter())
    for name in again.metrics:
        assert value(again, name) == value(outcomes["group_norm"], name), name
