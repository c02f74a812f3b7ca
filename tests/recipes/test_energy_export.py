"""The 25 columns of the MIT tool, against lines written by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from recipes.common.energy.model import EYERISS, estimate, to_mit_format


def test_convolution_like_alexnet_conv2():
    convolution = nn.Conv2d(96, 256, 5, padding=2, groups=2, bias=False)
    nn.init.ones_(convolution.weight)
    convolution.weight.data[:100, 0, 0, 0] = 0
    images = torch.ones(1, 96, 27, 27)
    images[0, 0] = 0
    network = estimate(convolution, images, batch_size=4)
    # Input 27 x 27 x 96 of 4 images, in each one channel of 729 zeros, 2,916 in all; 256 filters of 5 x 5 x
    # 48 with 100 zeros; output 27 x 27 x 256 without zeros; stride 1, padding 2 on each side.
    assert to_mit_format(network) == "1,27,27,96,4,2916,16,5,5,48,256,100,16,27,27,256,4,0,16,1,1,2,2,2,2\n"


def test_linear_layer_behind_a_strided_convolution():
    model = nn.Sequential(nn.Conv2d(1, 2, (3, 1), stride=(2, 1)), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))
    for parameter in model.parameters():
        nn.init.ones_(parameter)
    model[0].weight.data[1] = -1
    model[3].weight.data[:, :4] = 0
    network = estimate(
        model,
        torch.ones(1, 1, 5, 3),
        batch_size=1,
        hardware=replace(EYERISS, weight_bits=8, activation_bits=4),
    )
    # The second filter gives -3 + 1, which ReLU sets to zero: 6 of 12.
    assert to_mit_format(network).splitlines() == [
        "1,5,3,1,1,0,4,3,1,1,2,0,8,2,3,2,1,6,4,2,1,0,0,0,0",
        "2,1,1,12,1,6,4,1,1,12,5,20,8,1,1,5,1,0,4,1,1,0,0,0,0",
    ]


def test_dilation_has_no_column():
    network = estimate(nn.Sequential(nn.Conv2d(1, 1, 3, dilation=2)), torch.ones(1, 1, 5, 5), batch_size=1)
    with pytest.raises(
        ValueError, match=r"^to_mit_format: expected layers without dilation, got 0; the format"
    ):
        to_mit_format(network)
