"""Groups of channels: their removal, two ways to score them, and the rival that removes them at once."""

from __future__ import annotations

import copy
import sys
from functools import partial

import pytest
import torch
from torch import Tensor, nn

from recipes.common.energy.model import estimate
from recipes.common.nets.resnet import resnet8
from recipes.common.pruning.channels import (
    cut_channels,
    gate_importance,
    group_norms,
    recalibrate,
    without_channels,
)
from recipes.common.run.contract import UserError
from recipes.common.trial.costs import cost_of
from recipes.subjects import lenet_fashion
from tests.recipes.small_nets import residual_net


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def count_weights(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


class GatedNet(nn.Module):
    """A net that is linear behind its normalisation, so that a first-order change is exact."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)
        self.output = nn.Linear(4 * 9, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.norm(self.conv(inputs)).flatten(1))


def test_channels_of_a_residual_sum_go_together() -> None:
    net, inputs = residual_net(), torch.randn(2, 1, 8, 8)
    smaller = without_channels(net, "stem", [0, 5, 7], inputs)
    assert (net.stem.out_channels, net.inner.out_channels) == (8, 8)
    assert (smaller.stem.out_channels, smaller.inner.in_channels, smaller.inner.out_channels) == (5, 5, 5)
    assert smaller.output.in_features == 5 * 16
    assert smaller(inputs).shape == (2, 10)


def test_a_silent_channel_can_go_without_a_trace() -> None:
    net, inputs = GatedNet().eval(), torch.randn(5, 2, 3, 3)
    with torch.no_grad():
        net.norm.weight[2] = net.norm.bias[2] = 0
    smaller = without_channels(net, "conv", [2], inputs)
    assert torch.allclose(smaller(inputs), net(inputs), atol=1e-6)


def test_the_group_norm_counts_all_weights_that_touch_a_channel() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.Conv2d(2, 3, 1, bias=False)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([1.0, 2.0]).view(2, 1, 1, 1))
        net[1].weight.copy_(torch.tensor([[3.0, 0.0], [0.0, 1.0], [0.0, 1.0]]).view(3, 2, 1, 1))
    scores = group_norms(net, torch.randn(1, 1, 4, 4))
    assert set(scores) == {"0"}  # nothing reads the outputs, so they stay
    assert scores["0"].tolist() == pytest.approx([10 / 8, 6 / 8])  # 1 + 9 and 4 + 1 + 1, over their mean


def test_gate_importance_is_the_squared_change_of_the_loss() -> None:
    net, inputs = GatedNet().eval(), torch.randn(6, 2, 3, 3)
    with torch.no_grad():
        net.norm.weight.uniform_(0.5, 2.0)
        net.norm.bias.normal_()
    scores = gate_importance(net, inputs, (net(batch).sum() for batch in inputs.split(3)))
    expected = torch.zeros(4)
    for channel in range(4):
        smaller = without_channels(net, "conv", [channel], inputs)
        with torch.no_grad():
            changes = torch.stack([net(batch).sum() - smaller(batch).sum() for batch in inputs.split(3)])
        expected[channel] = changes.square().mean()
    assert torch.allclose(scores["conv"], expected, rtol=1e-3)
    assert net.norm.weight.grad is None


def test_channels_that_are_added_have_the_sum_of_their_gates() -> None:
    net, inputs = residual_net(), torch.randn(4, 1, 8, 8)
    loss = net(inputs).square().sum()
    gates = [net.stem_norm.weight, net.stem_norm.bias, net.inner_norm.weight, net.inner_norm.bias]
    gradients = torch.autograd.grad(loss, gates)
    change = sum(gate * gradient for gate, gradient in zip(gates, gradients, strict=True))
    (score,) = gate_importance(net, inputs, [net(inputs).square().sum()]).values()
    assert torch.allclose(score, change.square(), rtol=1e-4)


def test_gate_importance_names_a_group_without_a_gate() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 2, 1)).eval()
    with pytest.raises(ValueError, match="0: expected a batch normalisation behind it"):
        gate_importance(net, torch.randn(1, 1, 4, 4), [])


def test_recalibration_takes_the_statistics_of_the_inputs() -> None:
    net, inputs = GatedNet().eval(), torch.randn(50, 2, 3, 3)
    recalibrate(net, inputs)
    with torch.no_grad():
        maps = net.conv(inputs)
    assert torch.allclose(net.norm.running_mean, maps.mean((0, 2, 3)), atol=1e-6)
    assert net.norm.momentum == 0.1
    assert not net.training


def test_a_cut_meets_an_energy_and_keeps_the_outputs() -> None:
    net, inputs = residual_net(), torch.randn(8, 1, 8, 8)

    def energy(model: nn.Module) -> float:
        recalibrate(model, inputs)
        return estimate(model, inputs, batch_size=48).total

    dense = energy(copy.deepcopy(net))
    smaller = cut_channels(net, inputs, energy, 0.6 * dense)
    assert 0.3 * dense < energy(smaller) <= 0.6 * dense
    assert smaller.output.out_features == 10
    with pytest.raises(ValueError, match="cannot be met with a tenth"):
        cut_channels(net, inputs, energy, 0.01 * dense)


@pytest.mark.parametrize("in_each", [True, False])
def test_a_cut_meets_a_number_of_weights(in_each: bool) -> None:
    net = lenet_fashion.build_model().eval()
    dense = count_weights(net)
    smaller = cut_channels(net, torch.zeros(1, 1, 28, 28), count_weights, 0.3 * dense, in_each=in_each)
    assert 0.2 * dense < count_weights(smaller) <= 0.3 * dense
    assert count_weights(net) == dense
    widths = [len(layer.weight) for layer in smaller.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    before = [len(layer.weight) for layer in net.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    shares = [width / all_ for width, all_ in zip(widths[:-1], before[:-1], strict=True)]
    if in_each:
        assert max(shares) - min(shares) < 0.15


def test_random_channels_are_the_same_for_the_same_seed() -> None:
    net, image = resnet8((8, 8, 16)).eval(), torch.zeros(1, 1, 16, 16)
    macs = partial(cost_of, inputs=image, name="macs")
    limit = 0.5 * macs(net)
    cuts = [cut_channels(net, image, macs, limit, by_norm=False, seed=seed) for seed in (1, 1, 2)]
    assert all(macs(cut) <= limit for cut in cuts)
    first, same, other = (cut.state_dict() for cut in cuts)
    assert all(torch.equal(first[name], tensor) for name, tensor in same.items())
    assert any(not torch.equal(first[name], tensor) for name, tensor in other.items())


def test_a_missing_torch_pruning_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(UserError, match=r"the extra prune is not installed .*\[prune\]"):
        group_norms(residual_net(), torch.randn(1, 1, 8, 8))
