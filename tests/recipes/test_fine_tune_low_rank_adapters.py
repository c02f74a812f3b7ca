"""All weights of a language model trained, thin matrices beside them, or parts of them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recipes import fine_tune_low_rank_adapters as recipe
from recipes.language import smollm2
from recipes.language.training import bytes_for_gradients, fine_tune, loss_of, padded
from tests.recipes.fake_meter import FakeMeter

BATCHES = [padded([[1, 2, 3, 4], [5, 6]]), padded([[7, 8, 9], [10, 11]])]
CONFIG = recipe.Config(last=1, rank=3)
ALL = 52_608


def test_two_thin_matrices_add_their_product() -> None:
    layer = nn.Linear(2, 3, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    adapted = recipe.LowRank(layer, 1)
    assert adapted(torch.tensor([3.0, 4.0])).tolist() == [3, 4, 7]  # nothing is added at first
    adapted.down.data, adapted.up.data = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0], [0.0], [-1.0]])
    assert adapted(torch.tensor([3.0, 4.0])).tolist() == [3 + 11, 4, 7 - 11]
    assert adapted.merged().weight.tolist() == [[2, 2], [0, 1], [0, -1]]


def test_merged_adapters_give_what_they_gave_and_leave_the_net_as_it_was_built() -> None:
    net, plain = smollm2.tiny().net, smollm2.tiny().net
    weights, _ = recipe.trained_by("tactic", net, CONFIG)
    batch = BATCHES[0]
    with torch.no_grad():
        assert loss_of(net, batch) == loss_of(plain, batch)
    fine_tune(net, BATCHES, torch.optim.SGD(weights, lr=1.0))
    with torch.no_grad():
        expected = loss_of(net, batch)
        recipe.merge(net)
        assert float(loss_of(net, batch)) == pytest.approx(float(expected), rel=1e-5)
        assert float(loss_of(plain, batch)) > float(expected) + 0.01
    assert net.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("arm", "count", "changed"),
    [
        # two layers: inputs and outputs of four projections of attention and three of the gated unit
        ("tactic", 3 * 2 * (96 + 64 + 64 + 96 + 3 * 144), {"down", "up"}),
        ("last_layers", (ALL - 259 * 48 - 48) // 2 + 48, {"layers.1", "norm"}),
        ("norms_only", 5 * 48, {"norm"}),
        ("baseline", ALL, {"layers", "norm", "embedding"}),
        ("lean_optimiser", ALL, {"layers", "norm", "embedding"}),
    ],
)
def test_an_arm_trains_what_it_says_and_nothing_else(arm: str, count: int, changed: set[str]) -> None:
    net = smollm2.tiny().net
    weights, _ = recipe.trained_by(arm, net, CONFIG)
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    assert len(fine_tune(net, BATCHES, torch.optim.AdamW(weights, lr=0.01))) == 2
    moved = {name for name, weight in net.named_parameters() if not weight.equal(before[name])}
    assert sum(weight.numel() for weight in weights) == count
    assert len(moved) == len(weights)
    assert all(any(part in name for part in changed) for name in moved)


def test_fewer_trained_weights_keep_less_for_their_gradients() -> None:
    kept = {}
    for arm in recipe.ARMS:
        net = smollm2.tiny().net
        recipe.trained_by(arm, net, CONFIG)
        kept[arm] = bytes_for_gradients(net, lambda net=net: loss_of(net, BATCHES[0]))
    assert kept["last_layers"] < kept["norms_only"] < kept["baseline"] == kept["lean_optimiser"]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_recipe_charges_training_and_counts_what_is_stored(arm: str) -> None:
    meter = FakeMeter()
    found = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    assert set(found) == set(recipe.METRICS)
    assert meter.names == ["training"]
    trained_bytes = 4 * found["trained_weights"]
    assert found["task_bytes"] == trained_bytes
    if arm == "lean_optimiser":
        assert found["moment_bytes"] < trained_bytes / 5
    else:
        assert found["moment_bytes"] == 2 * trained_bytes  # two of Adam for each weight
    beside = found["moment_bytes"] + max(found["kept_bytes"], trained_bytes)
    assert found["training_bytes"] == 4 * ALL + beside + (trained_bytes if arm == "tactic" else 0)
