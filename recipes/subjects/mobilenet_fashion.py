"""A small net of inverted bottlenecks on Fashion-MNIST: what is shipped to phones, in small.

Howard et al., "Searching for MobileNetV3", ICCV 2019 (arXiv 1905.02244): depthwise convolutions, batch
normalisation, hard-swish, shortcuts between narrow layers.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.subjects import images

QUALITY, BETTER, TOLERANCE = "accuracy", "higher", 0.01
EPOCHS = {"smoke": (0.1, 0.05), "default": (4.0, 2.0), "full": (12.0, 6.0)}
BATCH, RATE = 128, 0.2
IMAGES = images.LabelledImages("fashion-mnist")
evaluate, example_inputs = IMAGES.evaluate, IMAGES.example_inputs
labelled_training_examples = IMAGES.labelled_training_examples
labelled_test_examples, data_used = IMAGES.labelled_test_examples, IMAGES.data_used


class Bottleneck(nn.Module):
    """Widens, filters each channel on its own, narrows: (batch, in, height, width) to (batch, out, ...)."""

    def __init__(self, in_channels: int, wide: int, out_channels: int, stride: int) -> None:
        """Build the block; it has a shortcut where the shapes agree."""
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, wide, 1, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, wide, 3, stride, padding=1, groups=wide, bias=False),
            nn.BatchNorm2d(wide),
            nn.Hardswish(),
            nn.Conv2d(wide, out_channels, 1, bias=False),
            nn.BatchNorm2d(out_channels),
        )
        self.has_shortcut = in_channels == out_channels and stride == 1

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the narrowed maps, added to the inputs where the shapes agree."""
        outputs: Tensor = self.layers(inputs)
        return inputs + outputs if self.has_shortcut else outputs


def build_model() -> nn.Module:
    """Build the net, (batch, 1, 28, 28) to (batch, 10) logits."""
    net = nn.Sequential(
        OrderedDict(
            stem=nn.Sequential(
                nn.Conv2d(1, 16, 3, 2, padding=1, bias=False), nn.BatchNorm2d(16), nn.Hardswish()
            ),  # (batch, 16, 14, 14)
            block1=Bottleneck(16, 48, 24, 2),  # (batch, 24, 7, 7)
            block2=Bottleneck(24, 72, 24, 1),
            block3=Bottleneck(24, 96, 40, 2),  # (batch, 40, 4, 4)
            block4=Bottleneck(40, 120, 40, 1),
            head=nn.Sequential(nn.Conv2d(40, 128, 1, bias=False), nn.BatchNorm2d(128), nn.Hardswish()),
            pool=nn.AdaptiveAvgPool2d(1),
            flatten=nn.Flatten(),  # (batch, 128)
            linear=nn.Linear(128, 10),
        )
    )
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train(model: nn.Module, epochs: float, *, examples: Tensor | None = None) -> None:
    """Train in place on all training images, or on those of the given numbers, (chosen,)."""
    inputs, labels = images.split(IMAGES.name, "train", like=model)
    pool = torch.arange(len(inputs)) if examples is None else examples
    steps = max(1, round(epochs * len(pool) / BATCH))
    optimizer = torch.optim.SGD(model.parameters(), RATE, momentum=0.9, nesterov=True, weight_decay=5e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, steps + 1, pct_start=0.2, cycle_momentum=False
    )
    order = images.epochs_of(pool, steps * BATCH)
    model.train()
    for step in range(steps):
        chosen = order[step * BATCH : (step + 1) * BATCH]
        optimizer.zero_grad()
        F.cross_entropy(model(inputs[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval()
