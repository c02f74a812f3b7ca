"""Rounding with gradients that pass through, and what is left of it in the net that is shipped."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from recipes import use_quantization_aware_training as recipe
from tests.recipes.fake_meter import FakeMeter


def test_gradients_pass_within_the_bounds_as_if_nothing_were_rounded() -> None:
    values = torch.tensor([-9.0, 0.8, 1.3, 20.0], requires_grad=True)
    found = recipe.rounded(values, torch.tensor(2.0), -4, 4)
    assert found.tolist() == [-8, 0, 2, 8]
    found.sum().backward()
    assert values.grad.tolist() == [0, 1, 1, 0]


def test_weights_on_a_grid_stay_and_an_outlier_is_cut_off_where_that_costs_less() -> None:
    on_grid = torch.tensor([[0.5, -3.5, 1.0, 0.0], [0.02, 0.14, -0.06, 0.0]])  # 4 bits: -7 to 7 steps
    assert torch.allclose(recipe.RoundedWeight(on_grid, 4)(on_grid), on_grid)
    together = recipe.RoundedWeight(on_grid, 4, by_layer=True)
    assert together.step.numel() == 1
    assert together(on_grid)[1].tolist() == pytest.approx([0, 0, 0, 0])  # the small filter is lost
    torch.manual_seed(0)
    weight = torch.randn(1, 1_000)
    rounding = recipe.RoundedWeight(weight, 3)
    whole = recipe.rounded(weight, weight.abs().max() / 3, -3, 3)
    assert (rounding(weight) - weight).square().sum() < 0.5 * (whole - weight).square().sum()


def test_weights_between_the_steps_are_trained_and_those_on_them_are_kept() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 10))
    images, labels = torch.randn(64, 1, 4, 4), torch.arange(64) % 10
    recipe.round_in_training(net, 3)
    behind = net[1].parametrizations.weight.original.detach().clone()
    recipe.train(net, images, labels, steps=1, batch=64, rate=1e-3)
    assert not torch.equal(net[1].parametrizations.weight.original, behind)
    wanted = net.eval()(images)
    recipe.keep_rounded(net)
    assert torch.equal(net(images), wanted)
    assert [name for name, _ in net.named_parameters()] == ["1.bias", "1.weight"]
    assert all(len(row.unique()) <= 7 for row in net[1].weight)


def test_repair_keeps_to_the_steps_and_halves_the_error_of_outputs() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(32, 10))
    inputs = torch.randn(500, 4) @ torch.randn(4, 32) + 0.1 * torch.randn(500, 32)  # that move together
    wanted, plain, repaired = net(inputs), copy.deepcopy(net), copy.deepcopy(net)
    recipe.round_in_training(plain, 4)
    recipe.keep_rounded(plain)
    recipe.round_and_repair(repaired, 4, inputs)
    assert all(len(row.unique()) <= 15 for row in repaired[0].weight)
    assert (repaired(inputs) - wanted).square().mean() < 0.5 * (plain(inputs) - wanted).square().mean()


def test_a_folded_net_answers_as_before() -> None:
    torch.manual_seed(0)
    net = recipe.separable_net(4)
    images = torch.randn(8, 1, 16, 16)
    for _ in range(3):
        net(images)  # statistics of batch normalisation
    wanted = net.eval()(images)
    found = recipe.folded(net)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in found)
    torch.testing.assert_close(found(images), wanted, rtol=1e-4, atol=1e-5)


def test_bytes_are_counted_with_biases_and_steps() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Linear(8, 10))  # 98 weights of 12 filters
    assert recipe.packed_bytes(net, 32) == 4 * 98 + 4 * 12
    assert recipe.packed_bytes(net, 4) == 98 / 2 + 4 * 12 + 4 * 12
    assert recipe.packed_bytes(net, 8, by_layer=True) == 98 + 4 * 12 + 4 * 2


@pytest.mark.parametrize("arm", ["baseline", "tactic", "rounded_in_8_bits_by_layer"])
def test_the_shipped_net_is_judged_and_all_training_charged(arm: str) -> None:
    pytest.importorskip("onnxruntime")
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    assert meter.names == ["training", "rounding", "answers"]
    assert outcome.metrics["training_cpu_s"] == 2 * outcome.metrics["rounding_cpu_s"]
    # 1, 4, 16, 16, 16, 16 channels, 10 classes; a bias and, where rounded, a step of 4 bytes
    weights, filters = 9 * (4 + 4 * 16 + 16 + 16 * 16) + 16 * 16 + 10 * 16, 4 + 4 * 16 + 10
    steps = {"baseline": 0, "tactic": filters}.get(arm, 6)
    bits = {"baseline": 32, "tactic": 4}.get(arm, 8)
    assert outcome.metrics["model_bytes"] == weights * bits / 8 + 4 * (filters + steps)
