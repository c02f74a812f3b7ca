"""Early stopping: a training ends once its validation loss has not fallen for some epochs.

Record: tactics/use-early-stopping.yaml. After Prechelt, "Early Stopping - But When?", in "Neural Networks:
Tricks of the Trade", 1998. A net is trained on data of several sizes, for which other lengths are best. The
baseline trains for the same generous number of epochs on each. The tactic holds a part of the images back,
looks at its loss after each epoch, and keeps the best weights. Rivals hold nothing back and do not look:
fewer epochs, found beforehand, at a constant rate or under a rate that rises and falls once (Smith, Topin,
"Super-Convergence", 2018, arXiv 1708.07120).

    python -m recipes.use_early_stopping --arm tactic --seed 0 --preset default

On one processor core the baseline takes half a minute with DEFAULT, which needs Fashion-MNIST, and a second
with SMOKE. Seeds below 1000 report the quality on images that are not test images; with them patience
and lengths were found, which is charged to no arm, and of two rates for each arm the better one.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome

TACTIC = "use-early-stopping"
ARMS = ("baseline", "tactic", "fewer_epochs", "one_cycle")
METRICS: MetricTable = {
    "training_cpu_s": ("s", "lower", "measured", "Processor time of all trainings, with looks and copies."),
    "drawn_images": ("count", "lower", "counted", "Images that went through the net forwards and backwards."),
    "looked_at_images": ("count", "lower", "counted", "Images that went through it for validation."),
    "drawn_fraction": ("fraction", "lower", "counted", "Of the images that the baseline draws."),
    "test_accuracy": (
        "fraction",
        "higher",
        "measured",
        "Held-out images sorted rightly, on average over the sizes.",
    ),
    "test_nats": ("nats", "lower", "measured", "Loss of a held-out image, on average over the sizes."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: tuple[int, ...] = (500, 1_500, 3_000)
    """Labelled images of each training."""
    epochs: int = 40
    """Epochs of the baseline, and at most those of the tactic."""
    held_back: float = 0.2
    """Share of the labelled images that the tactic validates with."""
    patience: int = 5
    """Looks in a row without a gain after which the tactic ends."""
    margin: float = 0.001
    """Nats by which the validation loss has to fall for a gain."""
    fewer: int = 12
    """Epochs of the rivals."""
    batch: int = 64
    """Images of a step."""
    rate: float = 3e-3
    """Learning rate where it is constant."""
    peak: float = 1e-2
    """Highest learning rate of the one that rises and falls."""


SMOKE = Config(data="digits", images=(100, 300), epochs=10, patience=2, fewer=5)
DEFAULT = Config()
FULL = Config(images=(500, 5_000, 50_000))

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def stop_early(
    net: nn.Module,
    train_epoch: Callable[[], None],
    validation_loss: Callable[[], float],
    *,
    most: int,
    patience: int,
    margin: float,
) -> list[float]:
    """Train until the loss has not fallen for some epochs; leave the best weights in the net.

    Args:
        net: Is trained in place.
        train_epoch: Trains it for one epoch.
        validation_loss: Judges it on examples that it is not trained on.
        most: Epochs after which training ends in any case.
        patience: Epochs in a row without a gain after which it ends.
        margin: The loss has to fall by more than this below the last gain for another.

    Returns:
        The loss after each epoch.
    """
    losses, lowest, gained, waited = list[float](), math.inf, math.inf, 0
    best = copy.deepcopy(net.state_dict())
    while len(losses) < most and waited < patience:
        train_epoch()
        losses.append(loss := validation_loss())
        if loss < lowest:  # a loss that is not a number is no gain, and ends the training soon
            lowest, best = loss, copy.deepcopy(net.state_dict())
        waited += 1
        if loss < gained - margin:
            gained, waited = loss, 0
    net.load_state_dict(best)
    return losses


# --8<-- [end:tactic]

# --- What is trained -------------------------------------------------------------------------------------


Labelled = tuple[Tensor, Tensor]
"""Images (images, 1, side, side), and their classes (images,)."""


def small_net(side: int) -> nn.Module:
    """Build a net for images (batch, 1, side, side)."""
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # (batch, 8, side / 2, side / 2)
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),  # (batch, side^2)
        nn.Linear(side * side, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


@torch.inference_mode()
def judged(net: nn.Module, examples: Labelled) -> tuple[float, float]:
    """Return the share of images that a net sorts rightly, and its mean loss in nats."""
    images, labels = examples
    logits = torch.cat([net(some) for some in torch.split(images, 500)])  # (images, 10)
    accuracy = (logits.argmax(1) == labels).double().mean()
    return float(accuracy), float(F.cross_entropy(logits, labels))


def train(
    arm: str, config: Config, net: nn.Module, examples: Labelled, validation: Labelled
) -> tuple[int, list[float]]:
    """Train on examples; return the epochs it took, and the validation losses that were looked at."""
    images, labels = examples
    optimiser, schedule = torch.optim.Adam(net.parameters(), config.rate), None
    if arm == "one_cycle":
        steps = config.fewer * -(-len(images) // config.batch)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, config.peak, steps)

    def train_epoch() -> None:
        for chosen in torch.split(torch.randperm(len(images)), config.batch):  # (batch,)
            optimiser.zero_grad()
            F.cross_entropy(net(images[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            if schedule is not None:
                schedule.step()

    if arm == "tactic":
        losses = stop_early(
            net,
            train_epoch,
            lambda: judged(net, validation)[1],
            most=config.epochs,
            patience=config.patience,
            margin=config.margin,
        )
        return len(losses), losses
    epochs = config.epochs if arm == "baseline" else config.fewer
    for _ in range(epochs):
        train_epoch()
    return epochs, []


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train a net on data of each size, and judge all of them."""
    data = load_images((config.data,), config.data_dir)
    held_out = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    torch.manual_seed(seed)
    side = data.train_images.shape[-1]
    drawn = [torch.randperm(len(data.train_images))[:count] for count in config.images]
    nets = [small_net(side) for _ in drawn]
    first = data.train_images[: config.batch], data.train_labels[: config.batch]
    train("fewer_epochs", config, small_net(side), first, first)  # memory and threads are set up
    rows, drawn_images, looked_at_images = list[dict[str, Json]](), 0, 0
    with meter.window("training") as training:
        for net, chosen in zip(nets, drawn, strict=True):
            held_back = round(config.held_back * len(chosen)) if arm == "tactic" else 0
            validation, examples = (
                (data.train_images[part], data.train_labels[part])
                for part in (chosen[:held_back], chosen[held_back:])
            )
            torch.manual_seed(seed)  # orders do not hang on how long the net before was trained
            epochs, losses = train(arm, config, net, examples, validation)
            drawn_images += epochs * (len(chosen) - held_back)
            looked_at_images += len(losses) * held_back
            rows.append({"images": len(chosen), "epochs": epochs, "validation_nats": losses})
    qualities = [judged(net, held_out) for net in nets]
    for row, (accuracy, nats) in zip(rows, qualities, strict=True):
        row |= {"test_accuracy": accuracy, "test_nats": nats}
    metrics = {
        "training_cpu_s": training.cpu_s,
        "drawn_images": drawn_images,
        "looked_at_images": looked_at_images,
        "drawn_fraction": drawn_images / (config.epochs * sum(config.images)),
        "test_accuracy": mean(accuracy for accuracy, _ in qualities),
        "test_nats": mean(nats for _, nats in qualities),
    }
    used = replace(
        data.used,
        train_count=max(config.images),
        validation_count=len(data.validation_labels),
        test_count=len(held_out[1]),
    )
    return Outcome(metrics, used, {"by_size": rows})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
