"""The tactic on a foreign net, its errors, and the arms on the digits."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes import remove_channels_by_modelled_energy as recipe
from recipes.common.energy.model import estimate
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
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


def test_each_arm_holds_its_energies_and_a_net_is_never_trained_longer_than_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    monkeypatch.setattr(recipe, "ENERGIES", (0.8, 0.6))
    subject = load_subject("digits_cnn")
    subject.epochs = {"smoke": (3.0, 2.0)}
    trial = run_trial(recipe, subject, 0, "smoke", FakeMeter())
    assert trial.left_out == {}
    whole = trial.arms["baseline"].chosen
    for name in ("tactic", "led_by_macs", "random_channels", "at_once"):
        points = trial.arms[name].points
        assert [point.label for point in points] == ["80% of the energy", "60% of the energy"]
        assert whole.costs["macs"] > points[0].costs["macs"] > points[1].costs["macs"]
        assert {point.costs["seen_examples"] for point in points} == {whole.costs["seen_examples"]}
    found = trial.arms["found_from_random"].chosen
    assert found.costs["parameters"] == trial.arms["tactic"].chosen.costs["parameters"]
