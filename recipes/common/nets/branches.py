"""A net of branches: one block each of the nets that the literature on substitutions rewrites.

RepVGG (Ding et al., CVPR 2021) adds what branches give; Inception (Szegedy et al., CVPR 2016) and SqueezeNet
(Iandola et al., 2016) put it side by side; ResNet has a shortcut.
"""

from __future__ import annotations

import functools
import itertools

import torch
from torch import Tensor, nn

from recipes.common.nets.resnet import ResidualBlock


class Branches(nn.Module):
    """Several nets on one input, whose maps, (batch, channels, height, width), are added or joined."""

    def __init__(self, *branches: nn.Module, added: bool) -> None:
        """Hold the branches; joined are channels."""
        super().__init__()
        self.branches, self.added = nn.ModuleList(branches), added

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the sum of the maps, or all channels."""
        maps = [branch(inputs) for branch in self.branches]
        return functools.reduce(torch.add, maps) if self.added else torch.cat(maps, 1)


def convolution(inputs: int, outputs: int, side: int, stride: int = 1) -> list[nn.Module]:
    """Return a convolution that keeps height and width, its normalisation and its activation function."""
    layer = nn.Conv2d(inputs, outputs, side, stride, padding=side // 2, bias=False)
    return [layer, nn.BatchNorm2d(outputs), nn.ReLU()]


def repvgg(width: int) -> nn.Module:
    """Return a block that adds a 3x3 convolution, a 1x1 convolution and its own normalised input."""
    sides = (nn.Sequential(*convolution(width, width, side)[:2]) for side in (3, 1))
    return nn.Sequential(Branches(*sides, nn.BatchNorm2d(width), added=True), nn.ReLU())


def inception(inputs: int, narrow: int, wide: int) -> nn.Module:
    """Return a block that joins four branches of as many channels, each with a 1x1 convolution."""
    branches = []
    for sides in ((1,), (1, 3), (1, 3, 3)):
        widths = itertools.pairwise([inputs, *(narrow for _ in sides[1:]), wide])
        layers = [convolution(*pair, side) for pair, side in zip(widths, sides, strict=True)]
        branches.append(nn.Sequential(*itertools.chain(*layers)))
    pool = nn.AvgPool2d(3, 1, padding=1, count_include_pad=False)
    return Branches(*branches, nn.Sequential(pool, *convolution(inputs, wide, 1)), added=False)


def fire(inputs: int, narrow: int, wide: int) -> nn.Module:
    """Return a block that narrows its input, and joins a 1x1 and a 3x3 convolution of it."""
    sides = (nn.Sequential(*convolution(narrow, wide, side)) for side in (1, 3))
    return nn.Sequential(*convolution(inputs, narrow, 1), Branches(*sides, added=False))


def branched_net(width: int) -> nn.Module:
    """Build the net: (batch, 1, height, width) to (batch, 10) logits.

    Args:
        width: Channels of the stem, a multiple of 4.
    """
    return nn.Sequential(
        *convolution(1, width, 3, 2),
        repvgg(width),
        inception(width, width // 2, width // 2),  # twice the width
        ResidualBlock(2 * width, 2 * width, 4 * width, 2),
        fire(4 * width, width, 2 * width),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(4 * width, 10),
    )
