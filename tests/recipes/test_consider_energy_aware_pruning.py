"""The tactic on a foreign net, its errors, and the arms on the digits."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path

import pytest
import torch
from torch import nn

from recipes import consider_energy_aware_pruning as recipe
from recipes.common.pruning.weights import masks_of, prunable_layers
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_nets import GroupedNet, agreement_with


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_the_tactic_prunes_a_foreign_net_with_groups_within_the_allowed_loss() -> None:
    net, inputs = GroupedNet().eval(), torch.randn(300, 2, 6, 6)
    evaluate = agreement_with(copy.deepcopy(net), inputs)
    masks = recipe.prune_energy_aware(net, inputs, evaluate=evaluate, largest_loss=0.2)
    assert evaluate(net) >= 0.8
    assert set(masks) == {"first", "grouped", "output"}
    assert all(torch.equal(masks[name], layer.weight != 0) for name, layer in prunable_layers(net).items())
    assert sum(int(mask.sum()) for mask in masks.values()) < 0.9 * sum(
        mask.numel() for mask in masks.values()
    )


def test_the_order_of_the_layers_follows_the_costs() -> None:
    net, inputs, seen = GroupedNet().eval(), torch.randn(50, 2, 6, 6), list[str]()
    dense, agreement = copy.deepcopy(net), agreement_with(copy.deepcopy(net), inputs)

    def evaluate(pruned: nn.Module) -> float:
        changed = {name for name, layer in prunable_layers(pruned).items()
                   if not torch.equal(layer.weight, prunable_layers(dense)[name].weight)}  # fmt: skip
        seen.extend(sorted(changed - set(seen)))
        return agreement(pruned)

    costs = {"first": 1.0, "grouped": 3.0, "output": 2.0}
    recipe.prune_energy_aware(net, inputs, evaluate=evaluate, largest_loss=0.5, cost_by_layer=costs)
    assert seen == ["grouped", "output", "first"]
    with pytest.raises(
        ValueError, match=r"cost_by_layer: expected a cost of every .* got none for first; add"
    ):
        recipe.prune_energy_aware(
            dense, inputs, evaluate=agreement, largest_loss=0.5, cost_by_layer={"grouped": 1.0, "output": 1.0}
        )


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_a_layer_refitted_with_nearly_all_weights_computes_nearly_what_it_did(
    groups: int, bias: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipe, "KEPT_STEP", 0.999)
    monkeypatch.setattr(recipe, "LEAST_KEPT", 0.998)  # one depth to try
    dense = nn.Sequential(nn.Conv2d(4, 6, 3, groups=groups, bias=bias, stride=2, padding=1)).eval()
    net, inputs = copy.deepcopy(dense), torch.randn(64, 4, 8, 8)
    with torch.no_grad():
        recipe.prune_layer(net, dense, "0", inputs, lambda _: 1.0, 0.5, 1.0)
        assert not torch.equal(net[0].weight, dense[0].weight)
        torch.testing.assert_close(net(inputs), dense(inputs), atol=0.02, rtol=0.02)


def test_the_tactic_raises_when_it_changed_nothing() -> None:
    net = GroupedNet().eval()
    before = copy.deepcopy(net.state_dict())
    qualities = itertools.chain([1.0], itertools.repeat(0.0))
    with pytest.raises(ValueError, match="nothing could be removed"):
        recipe.prune_energy_aware(
            net, torch.randn(40, 2, 6, 6), evaluate=lambda _: next(qualities), largest_loss=0.01
        )
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


def test_each_arm_cuts_deeper_along_its_curve_and_is_trained_as_long_as_the_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    monkeypatch.setattr(recipe, "LOSSES", (1.0, 8.0))
    monkeypatch.setattr(recipe, "AIMS", (1.0, 0.7))
    subject = load_subject("digits_cnn")
    subject.epochs = {"smoke": (6.0, 4.0)}
    trial = run_trial(recipe, subject, 0, "smoke", FakeMeter())
    assert trial.left_out == {}
    whole, found = (trial.arms[name].chosen for name in ("baseline", "tactic"))
    for name in ("tactic", "most_weights_first", "random_order", "magnitude", "magnitude_gradually"):
        first, last = trial.arms[name].points
        assert whole.costs["energy_batch_1"] > first.costs["energy_batch_1"] > last.costs["energy_batch_1"]
        for point in (first, last):
            assert point.costs["seen_examples"] == whole.costs["seen_examples"]
            kept = sum(int(mask.sum()) for mask in masks_of(point.net).values())
            assert kept < 0.7 * sum(mask.numel() for mask in masks_of(point.net).values())
    aimed = {name: trial.arms[name].points[0] for name in ("magnitude", "magnitude_gradually")}
    for point in aimed.values():  # zeros of the activations change while the net trains
        assert 0.8 < point.costs["energy_batch_1"] / found.costs["energy_batch_1"] < 1.25
    zeros, again = (masks_of(net) for net in (found.net, trial.arms["found_zeros_from_random"].chosen.net))
    assert all(torch.equal(zeros[name], mask) for name, mask in again.items())
