"""Gates: what they do to outputs and gradients, what they save, what is left without them, and the arms."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recipes import prune_layers_and_channels_with_gates as recipe
from recipes.common.nets.resnet import resnet8
from recipes.common.trial.costs import cost_of
from recipes.common.trial.study import lifetime_examples
from recipes.prune_layers_and_channels_with_gates import Gates, insert_gates, opened, remove_closed, skippable
from tests.recipes.digits_trial import digits_trial

pytest.importorskip("torch_pruning")


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Bottleneck(nn.Module):
    """A residual block with a depthwise and a grouped convolution, 8 channels in and out."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(8, 12, 1, bias=False),
            nn.BatchNorm2d(12),
            nn.Hardswish(),
            nn.Conv2d(12, 12, 3, padding=1, groups=12, bias=False),
            nn.BatchNorm2d(12),
            nn.ReLU(),
            nn.Conv2d(12, 8, 3, padding=1, groups=2, bias=False),
            nn.BatchNorm2d(8),
        )

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs + self.layers(inputs)


class PreNorm(nn.Module):
    """A block of a transformer: (batch, tokens, 8) to the same."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.attention = nn.LayerNorm(8), nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm2, self.wide, self.narrow = nn.LayerNorm(8), nn.Linear(8, 16), nn.Linear(16, 8)

    def forward(self, x: Tensor) -> Tensor:
        normed = self.norm(x)
        x = x + self.attention(normed, normed, normed, need_weights=False)[0]
        return x + self.narrow(torch.relu(self.wide(self.norm2(x))))


class Mean(nn.Module):
    def forward(self, tokens: Tensor) -> Tensor:
        return tokens.mean(1)


def stranger() -> nn.Sequential:
    stem = nn.Conv2d(1, 8, 3, bias=False), nn.BatchNorm2d(8), nn.ReLU()
    return nn.Sequential(*stem, Bottleneck(), Bottleneck(), nn.Flatten(), nn.Linear(8 * 36, 3))


def transformer() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(1, 2), nn.Linear(8, 8), PreNorm(), PreNorm(), Mean(), nn.Linear(8, 3))


NETS = {"residual": lambda: resnet8((4, 6, 8)), "grouped": stranger, "transformer": transformer}


def net_and_images(name: str) -> tuple[nn.Module, Tensor]:
    """Return a net with moving averages, scales and offsets of its own, and images."""
    torch.manual_seed(0)
    net, images = NETS[name](), torch.randn(8, 1, 8, 8)
    with torch.no_grad():
        for _ in range(3):
            net(images)
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    return net.eval(), images


@torch.no_grad()
def close(gates: Gates, *gone: int, group: int = 0) -> None:
    gates.channels[group][list(gone)] = -1.0


def test_a_gate_is_exactly_zero_or_one_and_has_the_gradient_of_a_sigmoid() -> None:
    scores = torch.tensor([0.0, -math.log(3), 2.0], requires_grad=True)
    values = opened(scores, 0)
    assert values.tolist() == [0, 0, 1]
    values[:2].sum().backward()
    assert scores.grad.tolist() == pytest.approx([1 / 4, 3 / 16, 0])
    assert opened(scores - 9, 1).tolist() == [0, 0, 1], "the best stays open"


def test_the_gradient_of_gates_on_units_by_hand_and_a_closed_one_has_one_too() -> None:
    net = nn.Sequential(nn.Linear(1, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[2.0], [3.0]]))
        net[2].weight.copy_(torch.tensor([[5.0, 7.0]]))
    gates = insert_gates(net, torch.ones(2, 1))
    with torch.no_grad():
        gates.channels[0].copy_(torch.tensor([0.1, -math.log(3)]))
    outputs = net(torch.ones(1, 1))
    assert outputs.item() == 10
    outputs.backward()
    soft = 1 / (1 + math.exp(-0.1))
    assert gates.channels[0].grad.tolist() == pytest.approx([10 * soft * (1 - soft), 21 * 3 / 16])
    assert len(list(net.parameters())) == 2, "scores are no weights of the net"


def test_the_share_of_macs_by_hand_and_the_pull_from_both_sides() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1)).eval()
    gates = insert_gates(net, torch.randn(4, 2))
    assert gates.macs_share().item() == 1
    sizes = [len(scores) for scores in gates.channels]
    close(gates, 0, group=sizes.index(3))
    close(gates, 1, 2, group=sizes.index(4))
    assert gates.macs_share().item() == pytest.approx((2 * 2 + 2 * 2 + 2) / (2 * 3 + 3 * 4 + 4))
    for wanted, sign in ((0.2, 1), (0.8, -1)):
        gates.optimizer.zero_grad()
        gates.pull(wanted, 1.0).backward()
        assert all((sign * scores.grad > 0).all() for scores in gates.channels), "closed gates can open again"
    assert gates.pull(0.0, 0.3).item() == pytest.approx(0.5 * gates.macs_share().item())


@pytest.mark.parametrize("name", NETS)
def test_inserted_gates_are_open_and_change_no_output(name: str) -> None:
    net, images = net_and_images(name)
    expected = net(images)
    gates = insert_gates(net, images)
    assert torch.equal(net(images), expected)
    assert gates.macs_share().item() == 1
    assert gates.work.macs.sum().item() == cost_of(net, images, "macs")


def test_a_layer_can_go_where_the_module_around_it_hands_its_input_on() -> None:
    assert skippable(*net_and_images("residual")) == ["block1"]  # the others change the shape
    assert skippable(*net_and_images("grouped")) == ["3", "4"]
    assert skippable(*net_and_images("transformer")) == ["2", "3"]
    assert skippable(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)), torch.randn(2, 4)) == []


@given(st.sampled_from(sorted(NETS)), st.integers(0, 1000), st.floats(0.1, 0.9))
@settings(max_examples=12, deadline=None)
def test_what_is_left_gives_the_outputs_and_the_macs_of_the_gated_net(
    name: str, seed: int, closed: float
) -> None:
    net, images = net_and_images(name)
    gates, total = insert_gates(net, images), cost_of(net, images, "macs")
    torch.manual_seed(seed)
    with torch.no_grad():
        for scores in (*gates.channels, *gates.layers.values()):
            scores.copy_(torch.where(torch.rand(len(scores)) < closed, -1, 1))
        gates.channels[0][0], gates.channels[0][1] = -1, 1
    expected, share = net(images), gates.macs_share().item()
    smaller = remove_closed(net, gates, images)
    torch.testing.assert_close(smaller(images), expected, rtol=1e-4, atol=1e-5)
    assert cost_of(smaller, images, "macs") == pytest.approx(share * total)
    assert not any(module._forward_hooks for module in smaller.modules())


def test_a_closed_layer_is_gone_and_the_tactic_raises_when_it_changed_nothing() -> None:
    net, images = net_and_images("grouped")
    gates = insert_gates(net, images)
    with pytest.raises(ValueError, match="no gate has closed; train for longer"):
        remove_closed(net, gates, images)
    with torch.no_grad():
        gates.layers["4"].fill_(-0.1)
    expected = net(images)
    smaller = remove_closed(net, gates, images)
    assert isinstance(smaller[4], nn.Identity)
    assert torch.equal(smaller(images), expected)


def test_the_arms_yield_curves_from_nets_of_one_budget(tmp_path) -> None:
    trial = digits_trial(recipe, tmp_path)
    arms, whole = trial.arms, trial.arms["baseline"].chosen
    assert not trial.left_out
    total = whole.costs["macs"]
    for point, share in zip(arms["tactic"].points, recipe.SHARES, strict=True):
        assert point.costs["macs"] / total == pytest.approx(share, abs=0.05)
    for point, share in zip(arms["group_norm"].points, recipe.SHARES, strict=True):
        assert point.costs["macs"] <= share * total
    found = arms["tactic"].chosen.costs["macs"]
    assert all(arms[name].chosen.costs["macs"] <= found for name in ("random_channels", "thin_distilled"))
    for arm in arms.values():
        for point in arm.points:
            assert lifetime_examples(point.net) <= 1.02 * lifetime_examples(whole.net)
