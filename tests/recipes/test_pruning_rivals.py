"""Pruning by one threshold: scaled magnitudes, the repair, and what it does when nothing can go."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from recipes.common.energy.model import estimate
from recipes.common.pruning.weights import (
    damped_factors,
    masks_of,
    prune_by_threshold,
    prune_global_magnitude,
)


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def small_net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 6, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 36, 5)).eval()


def closeness_to(dense: nn.Module, inputs: Tensor) -> Callable[[nn.Module], float]:
    """One less the relative error of the outputs."""
    with torch.no_grad():
        wanted = dense(inputs)

    @torch.no_grad()
    def evaluate(model: nn.Module) -> float:
        return 1 - float((model(inputs) - wanted).norm() / wanted.norm())

    return evaluate


def test_factors_scale_the_magnitudes_of_a_layer() -> None:
    net = nn.Sequential(nn.Linear(2, 1, bias=False), nn.Linear(1, 2, bias=False))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 3.0]]))
        net[1].weight.copy_(torch.tensor([[2.0], [4.0]]))
    prune_global_magnitude(net, 0.5, {"0": 10.0})
    assert net[0].weight.tolist() == [[1.0, 3.0]]
    assert not net[1].weight.any()


def test_damped_factors_are_the_fourth_root_of_weights_per_energy() -> None:
    net, inputs = small_net(), torch.randn(20, 1, 6, 6)
    by_name = {layer.name: layer.energy for layer in estimate(net, inputs, batch_size=48).layers}
    factors = damped_factors(net, inputs, 48)
    assert factors["0"] ** 4 == pytest.approx(54 / by_name["0"])
    assert factors["3"] ** 4 == pytest.approx(1080 / by_name["3"])
    assert factors["0"] < factors["3"]  # at a large batch a weight of a convolution costs more
    assert (
        damped_factors(net, inputs, 1)["3"] < factors["3"]
    )  # and one of a linear layer less than at batch 1


@pytest.mark.parametrize("repaired", [False, True])
def test_the_quality_is_held_and_the_masks_are_true(repaired: bool) -> None:
    net, inputs = small_net(), torch.randn(200, 1, 6, 6)
    evaluate = closeness_to(copy.deepcopy(net), inputs)
    masks = prune_by_threshold(net, evaluate, 0.3, repair_inputs=inputs if repaired else None)
    assert evaluate(net) >= 0.7
    assert all(torch.equal(masks[name], mask) for name, mask in masks_of(net).items())
    assert sum(int(mask.sum()) for mask in masks.values()) < 1000


def test_with_repair_fewer_weights_hold_the_same_quality() -> None:
    dense = small_net()
    inputs = torch.randn(400, 1, 6, 1).expand(-1, -1, -1, 6).contiguous()  # inputs that depend on each other
    evaluate, left = closeness_to(dense, inputs), []
    for repair_inputs in (None, inputs):
        net = copy.deepcopy(dense)
        masks = prune_by_threshold(net, evaluate, 0.3, repair_inputs=repair_inputs)
        left.append(sum(int(mask.sum()) for mask in masks.values()))
    assert left[1] < 0.8 * left[0]


def test_nothing_that_can_go_is_an_error_and_leaves_the_net_as_it_was() -> None:
    net = small_net()
    before = copy.deepcopy(net.state_dict())
    qualities = iter([1.0, *[0.0] * 8])
    with pytest.raises(ValueError, match=r"nothing could be removed within a loss of 0\.1;"):
        prune_by_threshold(net, lambda _: next(qualities), 0.1)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
