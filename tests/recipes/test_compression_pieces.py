"""ResNet-8, accuracy, counting, precision: the pieces that the compression recipes share."""

import pytest
import torch
from torch import nn

from recipes.common.nets.resnet import ResidualBlock, resnet8
from recipes.common.trial.costs import cost_of, static_costs
from recipes.subjects.images import training_autocast


def test_resnet8_has_the_weights_and_macs_of_its_docstring() -> None:
    net, images = resnet8().eval(), torch.zeros(2, 1, 28, 28)
    assert static_costs(net, images).values["parameters"] == 77_754
    # stem 14*14*9*16, block 1 twice 14*14*9*16*16, then strides and 1x1 shortcuts, linear 640
    stem, first = 196 * 9 * 16, 2 * 196 * 9 * 256
    second = 49 * (9 * 16 * 32 + 9 * 32 * 32 + 16 * 32)
    third = 16 * (9 * 32 * 64 + 9 * 64 * 64 + 32 * 64)
    assert cost_of(net, images, "macs") == stem + first + second + third + 640


def test_resnet8_takes_other_widths_and_colour() -> None:
    net = resnet8((8, 8, 16), inner_widths=(3, 4, 5), stem_width=6, in_channels=3, stem_stride=1, classes=7)
    assert net.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 7)
    block = net.block1
    assert isinstance(block, ResidualBlock)
    assert (block.conv1.in_channels, block.conv1.out_channels, block.conv2.out_channels) == (6, 3, 8)


def test_a_block_without_a_change_of_shape_keeps_its_input_when_its_path_is_closed() -> None:
    block = ResidualBlock(4, 2, 4, stride=1).eval()
    nn.init.zeros_(block.bn2.weight)
    inputs = torch.rand(2, 4, 6, 6)
    torch.testing.assert_close(block(inputs), inputs)


def test_counting_leaves_the_net_as_it_is() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    assert cost_of(net, torch.zeros(5, 1, 4, 4), "macs") == 4 * 9 * 2
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


@pytest.mark.parametrize("supported", [True, False])
def test_training_is_in_bfloat16_only_where_the_processor_has_it(
    monkeypatch: pytest.MonkeyPatch, supported: bool
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: supported)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    with training_autocast():
        found = nn.Linear(2, 2)(torch.zeros(1, 2)).dtype
    assert found is (torch.bfloat16 if supported else torch.float32)
