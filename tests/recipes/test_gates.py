"""Gates: what they do to outputs and gradients, what they cost, and what is left without them."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from recipes.common.nets.report import macs_per_image
from recipes.common.nets.resnet import ResidualBlock, resnet8
from recipes.prune_layers_and_channels_with_gates import Gate, Gates, insert_gates, remove_closed, settle


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def small_net(seed: int = 0) -> nn.Sequential:
    """A ResNet-8 with moving averages of its own."""
    torch.manual_seed(seed)
    net = resnet8((4, 6, 8))
    with torch.no_grad():
        for _ in range(3):
            net(torch.randn(16, 1, 8, 8))
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_()
    return net.eval()


def images() -> Tensor:
    return torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def close(gates: Gates, block: int, *channels: int) -> None:
    gates.paths[block].channels.scores[list(channels)] = -1.0


def test_a_gate_is_exactly_zero_or_one_and_has_the_gradient_of_a_sigmoid() -> None:
    gate = Gate(torch.tensor([0.3, -0.3, 2.0]))
    values = gate.values()
    assert values.tolist() == [1.0, 0.0, 1.0]
    values.sum().backward()
    soft = torch.sigmoid(torch.tensor([0.3, -0.3, 2.0]))
    torch.testing.assert_close(gate.scores.grad, soft * (1 - soft))


def test_inserted_gates_are_open_and_change_no_output() -> None:
    net = small_net()
    expected = net(images())
    gates = insert_gates(net, images())
    assert torch.equal(net(images()), expected)
    assert [path.open_channels() for path in gates.paths] == [4, 6, 8]
    assert gates.macs_fraction().item() == 1.0
    assert len(gates.scores()) == 6


def test_the_least_important_channel_starts_nearest_to_closing() -> None:
    net = small_net()
    with torch.no_grad():
        net.block1.conv2.weight[:, 2] *= 0.01
        net.block1.bn1.weight[1] *= 100
    scores = insert_gates(net, images()).paths[0].channels.scores
    assert (scores.argmin(), scores.argmax()) == (2, 1)
    assert scores.min() > 0


def test_a_closed_gate_on_the_weights_is_a_zero_channel_and_still_has_a_gradient() -> None:
    net = small_net()
    gates = insert_gates(net, images())
    close(gates, 0, 2)
    block, inputs = net.block1, torch.randn(3, 4, 5, 5)
    hidden = block.relu1(block.bn1(block.conv1(inputs)))
    hidden[:, 2] = 0
    expected = block.relu2(block.bn2(block.conv2(hidden)) + inputs)
    torch.testing.assert_close(block(inputs), expected)
    block(inputs).square().sum().backward()
    assert gates.paths[0].channels.scores.grad[2] != 0, "so that it can open again"


def test_the_open_share_of_macs_by_hand() -> None:
    net = small_net()  # 4x4 after the stem, 4x4, 2x2, 1x1
    gates = insert_gates(net, images())
    first, second, third = 2 * 16 * 9 * 16, 4 * 9 * (24 + 36), 9 * (48 + 64)
    total = 16 * 9 * 4 + first + second + 4 * 24 + third + 48 + 80
    assert gates.total_macs == total == macs_per_image(small_net(), images())
    close(gates, 0, 0)
    with torch.no_grad():
        gates.paths[2].whole.scores.fill_(-1)
    assert gates.macs_fraction().item() == pytest.approx(1 - (first / 4 + third) / total)
    gates.macs_fraction().backward()
    reached = [bool(score.grad.any()) for score in gates.scores()]
    assert reached == [True, True, True, True, False, True], "channels of a closed path wait for the path"


@given(st.lists(st.lists(st.booleans(), min_size=8, max_size=8), min_size=3, max_size=3), st.integers(1, 4))
@settings(max_examples=10, deadline=None)
def test_what_is_left_gives_the_outputs_and_macs_of_the_gated_net(
    closed: list[list[bool]], multiple: int
) -> None:
    net = small_net()
    gates = insert_gates(net, images(), channel_multiple=multiple)
    for block, flags in enumerate(closed):
        size = len(gates.paths[block].channels.scores)
        close(gates, block, *[channel for channel in range(size) if flags[channel]])
    settle(gates)
    counts = [path.open_channels() for path in gates.paths]
    if counts == [4, 6, 8]:
        with pytest.raises(ValueError, match="no gate has closed"):
            remove_closed(net, gates, images())
        return
    expected, fraction = net(images()), gates.macs_fraction().item()
    remove_closed(net, gates, images())
    torch.testing.assert_close(net(images()), expected, rtol=1e-5, atol=1e-5)
    assert macs_per_image(net, images()) == pytest.approx(fraction * gates.total_macs)
    left = [getattr(block, "conv1", None) for block in (net.block1, net.block2, net.block3)]
    assert [conv.out_channels if conv else 0 for conv in left] == counts


def test_a_closed_path_leaves_shortcut_and_activation_and_no_gate() -> None:
    net = small_net()
    gates = insert_gates(net, images())
    with torch.no_grad():
        gates.paths[1].whole.scores.fill_(-0.1)
    close(gates, 2, 0, 7)
    shortcut = net.block2.shortcut
    remove_closed(net, gates, images())
    assert net.block2[0] is shortcut
    assert isinstance(net.block2[1], nn.ReLU)
    assert (net.block3.conv1.out_channels, net.block3.bn1.num_features, net.block3.conv2.in_channels) == (
        6,
        6,
        6,
    )
    assert not any("scores" in name for name, _ in net.named_parameters())
    again = pickle.loads(pickle.dumps(net))
    assert torch.equal(again(images()), net(images()))
    assert isinstance(net.block3, ResidualBlock)


def test_rounding_opens_the_best_closed_channels() -> None:
    gates = insert_gates(small_net(), images(), channel_multiple=4)
    with torch.no_grad():
        gates.paths[2].channels.scores.copy_(torch.tensor([1.0, -0.1, -3, -3, 1, -0.2, -3, -3]))
    assert gates.paths[2].open_channels() == 4
    settle(gates)
    assert (gates.paths[2].channels.scores > 0).nonzero().flatten().tolist() == [0, 1, 4, 5]


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(ValueError, match=r"no block to put gates on: .* expected modules with conv1, bn1"):
        insert_gates(nn.Sequential(nn.Conv2d(1, 2, 3)), images())
    net = small_net()
    gates = insert_gates(net, images())
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match="no gate has closed"):
        remove_closed(net, gates, images())
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
