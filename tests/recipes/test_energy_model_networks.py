"""What a whole model does to the estimate: what its layers store, read and share; and it is left alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import register_parametrization
from torch.nn.utils.prune import l1_unstructured
from torch.utils.flop_counter import FlopCounterMode

from recipes.common.energy.model import Accesses, estimate


def ones(module: nn.Module) -> nn.Module:
    """Set all weights to 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1)
    return module


def test_stored_output_is_that_behind_relu_and_before_pooling():
    model = nn.Sequential(
        nn.Conv2d(1, 2, 1, bias=False), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8, 1)
    )
    ones(model)
    model[0].weight.data[1] = -1
    convolution, linear = estimate(model, torch.ones(1, 1, 4, 4), batch_size=1).layers
    # ReLU leaves 16 of 2 x 16 outputs; a coded value takes 4/3 words.
    assert convolution.dram_accesses == Accesses(2, 16, pytest.approx(16 * 4 / 3))
    # Pooling leaves 4 of 2 x 4; the linear layer multiplies those 4.
    assert linear.dram_accesses == Accesses(8, pytest.approx(4 * 4 / 3), 1)
    assert linear.macs == 4


class Residual(nn.Module):
    """Two convolutions of one weight, the second with an addition and a functional ReLU behind it."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 1, 1, bias=False)
        self.second = nn.Conv2d(1, 1, 1, bias=False)
        self.last = nn.Conv2d(1, 1, 1, bias=False)

    def forward(self, images):
        first = torch.relu(self.first(images))
        return self.last(torch.nn.functional.relu_(self.second(first) + first))


def test_stored_output_is_that_behind_a_residual_addition():
    model = ones(Residual())
    model.second.weight.data.fill_(-1)
    first, second, last = estimate(model, torch.ones(1, 1, 2, 2), batch_size=1).layers
    # 1 - 1 = 0 everywhere: the second layer stores, and the last reads, nothing but zeros.
    assert first.dram_accesses.outputs == 4
    assert second.dram_accesses == Accesses(1, 4, 0)
    assert last.dram_accesses == Accesses(1, 0, 0)
    assert last.macs == 0


def test_stored_output_of_branches_is_that_before_concatenation():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.left, self.right, self.last = nn.Conv2d(1, 2, 1), nn.Conv2d(1, 3, 1), nn.Conv2d(5, 1, 1)

        def forward(self, images):
            return self.last(torch.cat([torch.relu(self.left(images)), self.right(images)], dim=1))

    model = ones(Branches())
    model.left.weight.data.fill_(-2)
    left, right, last = estimate(model, torch.ones(1, 1, 2, 2), batch_size=1).layers
    assert (left.dram_accesses.outputs, right.dram_accesses.outputs) == (0, 12)
    assert last.dram_accesses.inputs == pytest.approx(12 * 4 / 3)


def test_module_called_twice_is_charged_for_both_calls():
    linear = ones(nn.Linear(4, 4, bias=False))
    once = estimate(linear, torch.ones(1, 4), batch_size=1)
    (layer,) = estimate(nn.Sequential(linear, nn.ReLU(), linear), torch.ones(1, 4), batch_size=1).layers
    assert layer.name == "0"
    assert len(layer.calls) == 2
    assert layer.energy == 2 * once.total
    assert layer.dram_accesses == Accesses(32, 8, 8)


def test_layer_called_by_keyword():
    class Keyword(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 2)

        def forward(self, features):
            return {"logits": self.linear(input=features)}

    assert estimate(Keyword(), torch.ones(1, 4), batch_size=1).macs == 8


def test_network_sums_its_layers():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(18, 3))
    network = estimate(model, torch.ones(1, 1, 5, 5), batch_size=2)
    assert [layer.name for layer in network.layers] == ["0", "2"]
    assert network.total == pytest.approx(sum(layer.energy for layer in network.layers))
    assert sum(network.by_level().values()) == pytest.approx(network.total)
    assert sum(network.by_data_type().values()) == pytest.approx(network.total)
    assert network.macs == network.dense_macs == 18 * 9 + 54


def test_dense_macs_are_half_the_flops_that_torch_counts():
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(inplace=True),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(8, 5),
    )
    images = torch.rand(1, 3, 9, 9)
    with FlopCounterMode(display=False) as counter:
        model(images)
    assert 2 * estimate(model, images, batch_size=1).dense_macs == counter.get_total_flops()


def test_calibration_batch_gives_means_per_image():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
    images = torch.rand(3, 1, 4, 4) - 0.5
    images[images < 0] = 0
    together = estimate(model, images, batch_size=2)
    apart = [estimate(model, image[None], batch_size=2) for image in images]
    assert together.macs == pytest.approx(sum(one.macs for one in apart) / 3)
    doubled = estimate(model, torch.cat([images, images]), batch_size=2)
    assert doubled.total == pytest.approx(together.total)


def test_model_is_left_as_it_was():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(18, 2))
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    estimate(model, torch.rand(4, 1, 5, 5), batch_size=1)
    assert [module.training for module in model] == [True, False, True, True, True]
    assert model.training
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_hooks_are_removed_when_the_model_fails():
    model = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        estimate(model, torch.ones(1, 4), batch_size=1)
    assert model.training
    assert not model[0]._forward_hooks


def test_pruned_and_parametrised_weights_count_as_they_are_used():
    linear = nn.Linear(4, 4)
    l1_unstructured(linear, "weight", amount=12)
    assert estimate(linear, torch.ones(1, 4), batch_size=1).macs == 4
    halved = nn.Linear(4, 4)
    register_parametrization(halved, "weight", Halved())
    assert estimate(nn.Sequential(halved), torch.ones(1, 4), batch_size=1).macs == 8


class Halved(nn.Module):
    def forward(self, weight):
        return weight * (torch.arange(weight.shape[1]) % 2)
