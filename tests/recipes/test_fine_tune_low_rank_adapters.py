"""All weights of a language model trained, thin matrices beside them, parts of them, or none."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recipes import fine_tune_low_rank_adapters as recipe
from recipes.language import smollm2
from recipes.language.training import bytes_for_gradients
from tests.recipes.fake_meter import FakeMeter

ANSWERS = torch.tensor([ord("N"), ord("Y")])
MAILS = [([1, 2, 3, 4], True), ([5, 6], False), ([7, 8, 9], True), ([10], False)]
CONFIG = recipe.Config(step=2, last=1, rank=3)


def test_two_thin_matrices_add_their_product() -> None:
    layer = nn.Linear(2, 3, bias=False)
    layer.weight.data = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    adapted = recipe.LowRank(layer, 1)
    assert adapted(torch.tensor([3.0, 4.0])).tolist() == [3, 4, 7]  # nothing is added at first
    adapted.down.data, adapted.up.data = torch.tensor([[1.0, 2.0]]), torch.tensor([[1.0], [0.0], [-1.0]])
    assert adapted(torch.tensor([3.0, 4.0])).tolist() == [3 + 11, 4, 7 - 11]
    assert adapted.merged().weight.tolist() == [[2, 2], [0, 1], [0, -1]]


def test_merged_adapters_answer_as_before_and_leave_the_net_as_it_was_built() -> None:
    net, plain = smollm2.tiny().net, smollm2.tiny().net
    weights, _ = recipe.trained_by("tactic", net, CONFIG)
    with torch.no_grad():
        assert recipe.logits_of(net, MAILS, ANSWERS).equal(recipe.logits_of(plain, MAILS, ANSWERS))
    recipe.fine_tune(CONFIG, net, MAILS, ANSWERS, weights, 0.01)
    with torch.no_grad():
        expected = recipe.logits_of(net, MAILS, ANSWERS)
        recipe.merge(net)
        assert torch.allclose(recipe.logits_of(net, MAILS, ANSWERS), expected, atol=1e-5)
        assert not torch.allclose(recipe.logits_of(plain, MAILS, ANSWERS), expected, atol=1e-2)
    assert net.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize(
    ("arm", "count", "changed"),
    [
        ("tactic", 3 * 2 * (96 + 64 + 64 + 96), {"down", "up"}),
        ("last_layers", (52_608 - 259 * 48 - 48) // 2 + 48, {"layers.1", "norm"}),
        ("norms_only", 5 * 48, {"norm"}),
        ("baseline", 52_608, {"layers", "norm", "embedding"}),
    ],
)
def test_an_arm_trains_what_it_says_and_nothing_else(arm: str, count: int, changed: set[str]) -> None:
    net = smollm2.tiny().net
    weights, _ = recipe.trained_by(arm, net, CONFIG)
    before = {name: weight.clone() for name, weight in net.named_parameters()}
    losses, moment_bytes = recipe.fine_tune(CONFIG, net, MAILS, ANSWERS, weights, 0.01)
    moved = {name for name, weight in net.named_parameters() if not weight.equal(before[name])}
    assert sum(weight.numel() for weight in weights) == count
    assert moment_bytes == 2 * 4 * count  # two of Adam for each weight
    assert len(losses) == 2
    assert len(moved) == len(weights)
    assert all(any(part in name for part in changed) for name in moved)


def test_fewer_trained_weights_keep_less_for_their_gradients() -> None:
    kept = {}
    for arm in recipe.ARMS[:4]:
        net = smollm2.tiny().net
        recipe.trained_by(arm, net, CONFIG)
        kept[arm] = bytes_for_gradients(net, lambda net=net: recipe.loss_of(net, MAILS, ANSWERS))
    assert kept["last_layers"] < kept["norms_only"] < kept["tactic"] < kept["baseline"]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_recipe_charges_training_and_counts_what_is_stored(arm: str) -> None:
    meter = FakeMeter()
    found = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    assert set(found) == set(recipe.METRICS)
    assert meter.names == ["training", "answers"]
    assert found["email_cpu_s"] == pytest.approx(1.5 / 32)
    trained = found["trained_weights"]
    assert found["task_bytes"] == 4 * trained
    if arm == "linear_read_out":
        assert trained == 49  # one for each entry of the state, and one more
        assert found["accuracy"] > 0.7
    beside = max(found["kept_bytes"], found["task_bytes"]) if arm != "linear_read_out" else 0
    thin_bytes = found["task_bytes"] if arm == "tactic" else 0
    assert found["training_bytes"] == 4 * 52_608 + thin_bytes + found["moment_bytes"] + beside
