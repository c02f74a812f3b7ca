"""ResNet-50 with random weights: He, Zhang, Ren, Sun, CVPR 2016; stride in the 3 x 3 convolutions."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def resnet50() -> nn.Sequential:
    """Return the network for images (examples, 3, 224, 224) and 1000 classes, in evaluation mode."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [*_normalised(3, 64, 7, 2), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, depth in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for index in range(depth):
            layers.append(_Bottleneck(channels, width, 2 if index == 0 and width > 64 else 1))
            channels = 4 * width
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2048, 1000))
    return network.eval()


class _Bottleneck(nn.Module):
    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            *_normalised(channels, width, 1),
            nn.ReLU(),
            *_normalised(width, width, 3, stride),
            nn.ReLU(),
            *_normalised(width, 4 * width, 1),
        )
        changed = stride > 1 or channels != 4 * width
        self.shortcut = (
            nn.Sequential(*_normalised(channels, 4 * width, 1, stride)) if changed else nn.Identity()
        )

    def forward(self, maps: Tensor) -> Tensor:
        return torch.relu(self.residual(maps) + self.shortcut(maps))


def _normalised(channels: int, filters: int, size: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)
    return convolution, nn.BatchNorm2d(filters)
