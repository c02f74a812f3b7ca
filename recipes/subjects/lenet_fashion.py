"""A LeNet, 16-48-500, on Fashion-MNIST: 409,174 parameters, 94 % of them in its first linear layer."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.subjects import images

QUALITY, BETTER, TOLERANCE = "accuracy", "higher", 0.01
EPOCHS = {"smoke": (0.1, 0.05), "default": (6.0, 3.0), "full": (12.0, 12.0)}
BATCH, RATE = 128, 0.05
IMAGES = images.LabelledImages("fashion-mnist")
evaluate, example_inputs = IMAGES.evaluate, IMAGES.example_inputs
labelled_training_examples = IMAGES.labelled_training_examples
labelled_test_examples, data_used = IMAGES.labelled_test_examples, IMAGES.data_used


def build_model() -> nn.Module:
    """Build the net, (batch, 1, 28, 28) to (batch, 10) logits; 1.8 million MACs.

    The LeNet of the pruning literature has 20 and 50 filters; multiples of 16 suit a processor's vector
    units.
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
