"""What a net is judged by: accuracy, weights and multiply-accumulates (MACs)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from recipes.common.contract import Metric


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor, *, batch_size: int = 500) -> float:
    """Return the fraction of images whose label the net predicts; the net is in evaluation mode."""
    starts = range(0, len(images), batch_size)
    predicted = torch.cat([model(images[first : first + batch_size]).argmax(1) for first in starts])
    return float((predicted == labels).double().mean())


@torch.no_grad()
def macs_per_image(model: nn.Module, images: Tensor) -> float:
    """Count the multiply-accumulates of the convolutions and matrix products for one image.

    Zeros count like any other number. Padding counts too.

    Args:
        model: Net in evaluation mode; not changed.
        images: At least one image, (images, ...); the first is used.
    """
    counter = FlopCounterMode(display=False)
    with counter:
        copy.deepcopy(model)(images[:1])
    return counter.get_total_flops() / 2


def net_metrics(model: nn.Module, images: Tensor) -> dict[str, Metric]:
    """Return weights and MACs as metrics.

    Args:
        model: Net in evaluation mode.
        images: At least one image.
    """
    weights = sum(parameter.numel() for parameter in model.parameters())
    macs = macs_per_image(model, images)
    return {
        "macs": Metric(macs, "count", "lower", "counted", "Multiply-accumulates of one inference."),
        "parameters": Metric(float(weights), "count", "lower", "counted", "Trainable numbers of the net."),
    }


def accuracy_metric(value: float, *, of: str = "") -> Metric:
    """Return a test accuracy as a metric; `of` says of which net where it is not the final one."""
    description = f"Fraction of the test images classified correctly{of and ' by ' + of}."
    return Metric(value, "fraction", "higher", "measured", description)


def training_cost_metric(cpu_s: float, what: str) -> Metric:
    """Return the processor time of a training as a metric; `what` names all that it pays for."""
    return Metric(cpu_s, "s", "lower", "measured", f"Processor time of {what}.")
