"""A last layer on features that are computed once, and what each arm is charged."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recipes import consider_transfer_learning as recipe
from tests.recipes.fake_meter import FakeMeter


def test_the_layer_is_at_the_minimum_of_loss_and_decay_on_features_of_any_size() -> None:
    torch.manual_seed(0)
    images, labels = torch.randn(40, 3), torch.arange(40) % 2
    stored = images / images.square().mean().sqrt()
    scales = [recipe.fit_last_layer(nn.Identity(), k * images, labels, classes=2, decay=4.0) for k in (1, 7)]
    assert torch.allclose(scales[0].weight, 7 * scales[1].weight, atol=1e-3)
    layer = nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(scales[0].weight * images.square().mean().sqrt())
        layer.bias.copy_(scales[0].bias)
    loss = F.cross_entropy(layer(stored), labels) + 4.0 * layer.weight.square().sum() / 40
    loss.backward()
    assert layer.weight.grad.abs().max() < 1e-3
    assert layer.bias.grad.abs().max() < 1e-3


def test_features_are_computed_once() -> None:
    net, seen = nn.Flatten(), list[int]()
    net.register_forward_hook(lambda _, __, outputs: seen.append(len(outputs)))
    recipe.fit_last_layer(net, torch.randn(600, 1, 2, 2), torch.arange(600) % 5, classes=5, decay=1.0)
    assert seen == [500, 100]


def test_classes_are_counted_anew_in_the_order_given() -> None:
    images, labels = torch.arange(5.0), torch.tensor([3, 0, 7, 3, 9])
    found = recipe.of_classes((images, labels), torch.tensor([9, 3]))
    assert [each.tolist() for each in found] == [[0, 3, 4], [1, 1, 0]]


@pytest.mark.parametrize(
    ("arm", "same"),
    [("tactic", [True, True]), ("last_block", [True, False]), ("whole_net", [False, False])],
)
def test_frozen_parts_stay_and_the_start_is_left_alone(arm: str, same: list[bool]) -> None:
    torch.manual_seed(0)
    start = recipe.in_parts(16, 5)
    before = copy.deepcopy(start.state_dict())
    images, labels = torch.randn(30, 1, 16, 16), torch.arange(30) % 5
    net = recipe.learn(arm, replace(recipe.SMOKE, parts=2), start, images, labels, 5)
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    parts = [all(map(torch.equal, net[k].parameters(), start[k].parameters())) for k in (0, 1)]
    assert parts == same


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_pre_training_is_charged_to_what_starts_from_it(arm: str) -> None:
    meter = FakeMeter()
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    pretrained = arm in recipe.PRETRAINED
    assert meter.names == ["pretraining"] * pretrained + ["learning"] * 2
    assert metrics["training_cpu_s"] == 3.0
    # two tasks of twenty bear a tenth of it
    assert metrics["shared_cpu_s"] == pytest.approx(3.0 + 0.15 * pretrained)
    # 3x3 filters on 16x16 and 8x8 pixels; a last layer on their maps or on pixels, or a layer between
    convolutions = 0 if arm == "pixels" else 256 * 9 * 8 + 64 * 72 * 16
    is_short = arm in ("tactic", "random_features", "pixels")
    assert metrics["answer_macs"] == convolutions + (256 * 5 if is_short else 256 * 64 + 64 * 5)
    assert ("break_even_tasks" in metrics) == pretrained


def test_break_even_is_pre_training_over_what_a_task_saves() -> None:
    metrics = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter()).metrics
    # in answers: 150 steps of 32 images; two tasks of 100 such steps each; and 80 images for their features
    assert metrics["break_even_tasks"] == pytest.approx(2 * 3 * 150 * 32 / (2 * 3 * 100 * 32 - 80))
