"""What a net or a cascade of two costs when it answers one image at a time."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.contract import Metric
from recipes.common.protocol import interleave, ratios


def measured_metrics(
    net: nn.Module,
    large: nn.Module,
    images: Sequence[Tensor],
    extra_training_cpu_s: float,
    *,
    order_seed: int,
    cap_s: float,
) -> dict[str, Metric]:
    """Time a net in turns with the large one, in eager PyTorch; one call answers all images, one by one.

    A net that treats images differently has no one time: so each reading goes through all of them.

    Args:
        net: What is timed, in evaluation mode.
        large: What it is compared with, in evaluation mode; where it is `net` itself, the ratio is a control.
        images: Batches of one image.
        extra_training_cpu_s: What was trained beside the large net, in processor time; 0 where nothing was.
        order_seed: Seed of the order within each round.
        cap_s: Time after which no further round starts.
    """

    @torch.inference_mode()
    def answer(model: nn.Module) -> None:
        for image in images:
            model(image)

    cells = {"baseline": partial(answer, large), "arm": partial(answer, net)}
    cpu_ms = interleave(cells, order_seed=order_seed, cap_s=cap_s).cpu_ms
    ratio = 1 / ratios(cpu_ms)["arm"].value
    time_ms = statistics.median(cpu_ms["arm"]) / len(images)
    large_ms = statistics.median((*cpu_ms["baseline"], *cpu_ms["baseline_again"])) / len(images)
    what = "Processor time of one answer, images one at a time, eager PyTorch, float32, one thread"
    turns = f"{what}; over that of the large net, read in turns with it."
    extra = (
        "Processor time of training beside the large net in use, which is there already, with its answers as "
        "a teacher."
    )
    metrics = {
        "inference_cpu_ratio": Metric(ratio, "ratio", "lower", "measured", turns),
        "inference_cpu_ms": Metric(time_ms, "ms", "lower", "measured", f"{what}."),
        "large_inference_cpu_ms": Metric(
            large_ms, "ms", "lower", "measured", f"{what}; of the large net alone."
        ),
        "extra_training_cpu_s": Metric(extra_training_cpu_s, "s", "lower", "measured", extra),
    }
    if extra_training_cpu_s and ratio < 1:
        answers = extra_training_cpu_s * 1000 / (large_ms * (1 - ratio))
        paid = "Answers after which the processor time saved is that of the extra training."
        metrics["answers_until_paid_back"] = Metric(answers, "count", "lower", "measured", paid)
    return metrics


def counted_metrics(macs: float, large_macs: float, small_share: float, net: nn.Module) -> dict[str, Metric]:
    """Return what can be counted as metrics.

    Args:
        macs: Multiply-accumulates of one answer, mean over the test images.
        large_macs: Those of the large net alone.
        small_share: Share of the test images that a small net answers without the large one.
        net: What has to be kept, all nets of a cascade together.
    """
    weights = sum(parameter.numel() for parameter in net.parameters())
    mean = (
        "Multiply-accumulates of one answer, mean over the test images; of both nets where both were asked."
    )
    alone = "Multiply-accumulates of one answer of the large net alone."
    share = "Share of the test images that the small net of a cascade answers without the large one."
    return {
        "macs": Metric(macs, "count", "lower", "counted", mean),
        "large_macs": Metric(large_macs, "count", "lower", "counted", alone),
        "parameters": Metric(
            float(weights), "count", "lower", "counted", "Trainable numbers of all nets kept."
        ),
        "small_share": Metric(small_share, "fraction", "neither", "counted", share),
    }
