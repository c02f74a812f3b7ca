"""A small LeNet on scikit-learn's digits, enlarged to 16x16: trained in a second, for first looks."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.subjects import images

QUALITY, BETTER, TOLERANCE = "accuracy", "higher", 0.03  # 225 images to choose by tell no finer
EPOCHS = {"smoke": (12.0, 6.0), "default": (40.0, 20.0), "full": (80.0, 40.0)}
BATCH, RATE = 64, 0.05
IMAGES = images.LabelledImages("digits")
evaluate, example_inputs = IMAGES.evaluate, IMAGES.example_inputs
labelled_training_examples = IMAGES.labelled_training_examples
labelled_test_examples, data_used = IMAGES.labelled_test_examples, IMAGES.data_used


def build_model() -> nn.Module:
    """Build the net, (batch, 1, 16, 16) to (batch, 10) logits; 13,540 parameters."""
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
