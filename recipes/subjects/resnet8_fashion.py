"""A ResNet-8 with a stem of stride 2 on Fashion-MNIST: 77,754 weights, 2.55 million MACs.

He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition", CVPR 2016. The ResNet-8 of embedded
benchmarks has a stem of stride 1 on colour images, and 12.5 million MACs.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.resnet import resnet8
from recipes.subjects import images

QUALITY, BETTER, TOLERANCE = "accuracy", "higher", 0.01
EPOCHS = {"smoke": (0.1, 0.05), "default": (4.0, 2.0), "full": (12.0, 6.0)}
BATCH, RATE = 128, 0.2
IMAGES = images.LabelledImages("fashion-mnist")
evaluate, example_inputs = IMAGES.evaluate, IMAGES.example_inputs
labelled_training_examples = IMAGES.labelled_training_examples
labelled_test_examples, data_used = IMAGES.labelled_test_examples, IMAGES.data_used


def build_model() -> nn.Module:
    """Build the net, (batch, 1, 28, 28) to (batch, 10) logits, in the memory format that trains fastest."""
    return resnet8((16, 32, 64)).to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def train(model: nn.Module, epochs: float, *, examples: Tensor | None = None) -> None:
    """Train in place on all training images, or on those of the given numbers, (chosen,).

    The forward pass is in bfloat16 where the processor computes in it.
    """
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
        with images.training_autocast():
            logits = model(inputs[chosen]).float()  # (BATCH, 10)
        optimizer.zero_grad()
        F.cross_entropy(logits, labels[chosen]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    model.eval()
