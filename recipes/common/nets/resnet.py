"""ResNet-8, the residual network that the recipes compress: three blocks behind a small stem.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016, in the small form that
embedded benchmarks use. Every activation function is a module of its own, so that a hook can read it.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: (batch, in, height, width) to (batch, out, ...).

    Attributes:
        conv1: in to inner channels, with the stride; `bn1` and `relu1` follow.
        conv2: inner to out channels; `bn2` follows.
        shortcut: Identity where the shapes agree, else a 1x1 convolution with batch normalisation.
        relu2: After the sum of both.
    """

    def __init__(self, in_channels: int, inner_channels: int, out_channels: int, stride: int) -> None:
        """Build the block with PyTorch's default initial weights."""
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, inner_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner_channels)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.shortcut = (
            nn.Identity()
            if in_channels == out_channels and stride == 1
            else nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
            )
        )
        self.relu2 = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the rectified sum of the two paths."""
        hidden = self.relu1(self.bn1(self.conv1(inputs)))
        outputs: Tensor = self.relu2(self.bn2(self.conv2(hidden)) + self.shortcut(inputs))
        return outputs


def resnet8(
    widths: tuple[int, int, int] = (16, 32, 64),
    *,
    inner_widths: tuple[int, int, int] | None = None,
    stem_width: int | None = None,
    in_channels: int = 1,
    stem_stride: int = 2,
    classes: int = 10,
) -> nn.Sequential:
    """Build a ResNet-8: (batch, in_channels, height, width) to (batch, classes) logits.

    At 28x28: 77,754 weights and 2.55 million MACs; 308,074 and 10.15 million with widths (32, 64, 128).

    Args:
        widths: Channels that leave each block; the last two halve the resolution.
        inner_widths: Channels between the two convolutions of each block; `widths` when None.
        stem_width: Channels of the stem; that of the first block when None.
        in_channels: 1 for grey images, 3 for colour.
        stem_stride: Stride of the stem, a 3x3 convolution.
        classes: Number of logits.
    """
    inner = inner_widths or widths
    stem = stem_width or widths[0]
    return nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(in_channels, stem, 3, stem_stride, padding=1, bias=False),
            bn=nn.BatchNorm2d(stem),
            relu=nn.ReLU(),
            block1=ResidualBlock(stem, inner[0], widths[0], 1),
            block2=ResidualBlock(widths[0], inner[1], widths[1], 2),
            block3=ResidualBlock(widths[1], inner[2], widths[2], 2),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),
            linear=nn.Linear(widths[2], classes),
        )
    )
