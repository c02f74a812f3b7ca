"""Projection: learn from a few directions of the input in place of all its values, with a narrower net.

Record: tactics/use-data-projection.yaml. The baseline is a dense net of one hidden layer on the values of
images. The tactic fits principal components on the training images, on a sample of them, and trains a net on
what it is told along these; fitting and projecting are charged to it. After Rouhani et al., "DeLight", ISLPED
2016, without its search for the net. The rivals: a random projection to as many directions (Bingham, Mannila,
KDD 2001); means over neighbouring pixels, about as many; as many pixels, those that vary most; and all pixels
with a net made so narrow that an answer takes as many multiplications as the tactic's. All nets are trained
for as long, at the best of three rates for each arm.

    python -m recipes.use_data_projection --arm tactic --seed 0 --preset default

On one processor core the baseline takes ten seconds with DEFAULT, which needs Fashion-MNIST, and one with
SMOKE. Seeds below 1000, with which rates and widths were found, report the accuracy on validation images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome

TACTIC = "use-data-projection"
ARMS = ("baseline", "tactic", "random_projection", "mean_pixels", "varied_pixels", "narrow_net")
METRICS: MetricTable = {
    "training_cpu_s": ("s", "lower", "measured", "Processor time of fitting, projecting and training."),
    "projection_cpu_s": ("s", "lower", "measured", "Processor time of fitting and projecting alone."),
    "answer_cpu_ms": ("ms", "lower", "measured", "Processor time of an answer, of 500 at a time."),
    "answer_macs": ("count", "lower", "counted", "Multiply-accumulates of an answer."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images that are sorted rightly."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 20_000
    """Training images, at most."""
    epochs: int = 10
    """Epochs of each net."""
    batch: int = 64
    """Images of a step."""
    hidden: int = 256
    """Width of the hidden layer of the baseline."""
    directions: int = 64
    """Numbers that are left of an image."""
    narrow: int = 256
    """Width of the hidden layer on these."""
    fitted_on: int = 5_000
    """Images that directions are fitted on, at most."""
    rate: float = 3e-3
    """Learning rate of Adam at the start; it falls to zero along half a cosine."""
    pixel_rate: float = 1e-2
    """The same where fewer pixels are left, or means over them."""


SMOKE = Config(data="digits", images=400, epochs=3, hidden=64, directions=16, narrow=32)
DEFAULT = Config()
FULL = Config(images=55_000, epochs=30, hidden=1_024, narrow=256)

# --- The tactic and its rivals: each tells an image by fewer numbers ---------------------------------------

Project = Callable[[Tensor], Tensor]
"""From images as rows, (images, pixels), to fewer numbers each, (images, directions)."""


# --8<-- [start:tactic]
def principal_components(rows: Tensor, directions: int) -> nn.Linear:
    """Fit a layer that tells each row along the directions in which rows vary most, in units of that spread.

    Args:
        rows: Training inputs, or a sample of them, (rows, values); more than directions.
        directions: Numbers that are left of a row.

    Returns:
        A layer without gradients, (..., values) to (..., directions), to be put before the net.
    """
    mean = rows.mean(0)
    centred = rows - mean
    variances, vectors = torch.linalg.eigh(centred.T @ centred / len(rows))  # ascending; (values, values)
    scale = variances[-directions:].clamp_min(1e-12).rsqrt()
    layer = nn.Linear(rows.shape[1], directions).requires_grad_(False)
    layer.weight.copy_((vectors[:, -directions:] * scale).T)
    layer.bias.copy_(-layer.weight @ mean)
    return layer


# --8<-- [end:tactic]


def projection_of(arm: str, config: Config, images: Tensor) -> tuple[Project, int]:
    """Return how an arm tells images, (images, 1, side, side), in rows, and the multiplications it takes."""
    rows, side = images.flatten(1), images.shape[-1]
    values = rows.shape[1]
    if arm == "tactic":
        layer = principal_components(rows[: config.fitted_on], config.directions)
        return layer, config.directions * values
    if arm == "random_projection":
        drawn = torch.randn(values, config.directions) / config.directions**0.5
        return lambda rows: rows @ drawn, config.directions * values
    if arm == "mean_pixels":
        wide = round(config.directions**0.5)
        return lambda rows: F.adaptive_avg_pool2d(rows.view(-1, 1, side, side), wide).flatten(1), 0
    if arm == "varied_pixels":
        kept = rows.var(0).topk(config.directions).indices
        return lambda rows: rows[:, kept], 0
    return lambda rows: rows, 0


# --- Run -------------------------------------------------------------------------------------------------


def train_epochs(
    net: nn.Module, inputs: Tensor, labels: Tensor, *, epochs: int, batch: int, rate: float
) -> None:
    """Train a net in place on inputs, (images, ...), with a rate that falls to zero along half a cosine."""
    optimiser = torch.optim.Adam(net.parameters(), rate)
    steps = epochs * -(-len(inputs) // batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(len(inputs)), batch):  # (batch,)
            optimiser.zero_grad()
            F.cross_entropy(net(inputs[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()


def dense_net(
    inputs: Tensor, labels: Tensor, *, hidden: int, epochs: int, batch: int, rate: float
) -> nn.Module:
    """Train a net of one hidden layer on rows, (images, values)."""
    net = nn.Sequential(nn.Linear(inputs.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, 10))
    train_epochs(net, inputs, labels, epochs=epochs, batch=batch, rate=rate)
    return net


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Fit a projection, train a net on what it tells, and let both answer."""
    data = load_images((config.data,), config.data_dir)
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data.train_images))[: config.images]
    images, labels = data.train_images[chosen], data.train_labels[chosen]  # (images, 1, side, side)
    held_out = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    values = images[0].numel()
    with meter.window("projection") as projecting, torch.no_grad():
        project, macs = projection_of(arm, config, images)
        inputs = project(images.flatten(1)).contiguous()  # (images, directions)
    hidden = config.hidden if arm == "baseline" else config.narrow
    if arm == "narrow_net":  # as many multiplications as the tactic's answer
        cost = config.directions * values + config.narrow * (config.directions + 10)
        hidden = max(1, round(cost / (values + 10)))
    with meter.window("training") as training:
        rate = config.pixel_rate if arm.endswith("_pixels") else config.rate
        net = dense_net(inputs, labels, hidden=hidden, epochs=config.epochs, batch=config.batch, rate=rate)
    right = 0
    with meter.window("answers") as answering, torch.inference_mode():
        for some, wanted in zip(*(torch.split(each, 500) for each in held_out), strict=True):
            right += int((net(project(some.flatten(1))).argmax(1) == wanted).sum())
    count = len(held_out[1])
    metrics = {
        "training_cpu_s": projecting.cpu_s + training.cpu_s,
        "projection_cpu_s": projecting.cpu_s,
        "answer_cpu_ms": 1000 * answering.cpu_s / count,
        "answer_macs": float(macs + hidden * (inputs.shape[1] + 10)),
        "test_accuracy": right / count,
    }
    used = replace(data.used, train_count=len(images), test_count=count)
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
