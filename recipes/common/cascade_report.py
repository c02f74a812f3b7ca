"""What a net or a cascade of two costs when it answers one image at a time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.contract import Metric
from recipes.common.protocol import interleave


def time_in_turns(
    net: nn.Module, large: nn.Module, images: Sequence[Tensor], *, order_seed: int, cap_s: float
) -> dict[str, Metric]:
    """Time a net in turns with the large one, in eager PyTorch; one call answers all images, one by one.

    A net that treats images differently has no one time: so each reading goes through all of them.

    Args:
        net: What is timed, in evaluation mode.
        large: What it is compared with, in evaluation mode; where it is `net` itself, the ratio is a control.
        images: Batches of one image.
        order_seed: Seed of the order within each round.
        cap_s: Time after which no further round starts.
    """

    @torch.inference_mode()
    def answer(model: nn.Module) -> None:
        for image in images:
            model(image)

    cells = {"baseline": partial(answer, large), "arm": partial(answer, net)}
    cpu_ms = interleave(cells, order_seed=order_seed, cap_s=cap_s).cpu_ms
    ratio = statistics.median(
        one / other for one, other in zip(cpu_ms["arm"], cpu_ms["baseline"], strict=True)
    )
    time_ms = statistics.median(cpu_ms["arm"]) / len(images)
    what = "Processor time of one answer, images one at a time, eager PyTorch, float32, one thread"
    turns = f"{what}; over that of the large net, read in turns with it."
    return {
        "inference_cpu_ms": Metric(time_ms, "ms", "lower", "measured", f"{what}."),
        "inference_cpu_ratio": Metric(ratio, "ratio", "lower", "measured", turns),
    }


def counted_metrics(macs: float, small_share: float, net: nn.Module) -> dict[str, Metric]:
    """Return what can be counted as metrics.

    Args:
        macs: Multiply-accumulates of one answer, mean over the test images.
        small_share: Share of the test images that a small net answers without the large one.
        net: What has to be kept, all nets of a cascade together.
    """
    weights = sum(parameter.numel() for parameter in net.parameters())
    mean = (
        "Multiply-accumulates of one answer, mean over the test images; of both nets where both were asked."
    )
    share = "Share of the test images that the small net of a cascade answers without the large one."
    return {
        "macs": Metric(macs, "count", "lower", "counted", mean),
        "parameters": Metric(
            float(weights), "count", "lower", "counted", "Trainable numbers of all nets kept."
        ),
        "small_share": Metric(small_share, "fraction", "neither", "counted", share),
    }
