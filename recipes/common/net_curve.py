"""Rows of the detail `curve`: what nets of several sizes cost, and how accurate they are on validation."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from recipes.common.contract import Json
from recipes.common.data import Images
from recipes.common.net_report import accuracy, net_metrics


def curve_rows(nets: Sequence[nn.Module], images: Images) -> list[dict[str, Json]]:
    """Return one flat row a net: validation accuracy, MACs and weights, and how many of these are not zero.

    Args:
        nets: Nets in evaluation mode, the one that the run reports first.
        images: The first training image is used to count MACs with.
    """
    return [
        {
            "validation_accuracy": accuracy(net, images.validation_images, images.validation_labels),
            **{name: metric.value for name, metric in net_metrics(net, images.train_images).items()},
            "nonzero_parameters": float(sum(int(weight.count_nonzero()) for weight in net.parameters())),
        }
        for net in nets
    ]
