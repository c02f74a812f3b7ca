"""Successive halving: train many candidate settings a little, and go on with the better third only.

Record: tactics/search-by-successive-halving.yaml. After Jamieson, Talwalkar, "Non-stochastic Best Arm
Identification and Hyperparameter Optimization", AISTATS 2016 (arXiv 1502.07943); one bracket of Hyperband
(Li et al., JMLR 2018, arXiv 1603.06560), with one worker. The baseline trains each candidate to the end. The
rivals spend what the tactic does: a random search over fewer candidates, each trained to the end, and a
short trial of all, whose winner alone goes on. All arms of a seed draw the same candidates from the same
ranges, choose on the same validation images, and pay for looking at them.

    python -m recipes.search_by_successive_halving --arm tactic --seed 0 --preset default

On one processor core the baseline takes about a minute with DEFAULT, which needs Fashion-MNIST, and a second
with SMOKE. Seeds below 1000 report the accuracy on images that are neither validation nor test.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome

TACTIC = "search-by-successive-halving"
ARMS = ("baseline", "tactic", "fewer_candidates", "one_short_trial")
METRICS: MetricTable = {
    "search_cpu_s": ("s", "lower", "measured", "Processor time of the search, with all looks at validation."),
    "trained_epochs": ("count", "lower", "counted", "Epochs of all candidates together."),
    "choice_accuracy": (
        "fraction",
        "higher",
        "measured",
        "Validation images that the chosen net sorts rightly.",
    ),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images that the chosen net sorts rightly."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 2_000
    """Training images, at most."""
    validation: int = 1_000
    """Validation images, at most half of those there are."""
    candidates: int = 27
    """Settings to choose among."""
    first: int = 1
    """Epochs after which the tactic looks first."""
    last: int = 9
    """Epochs of a whole training."""


SMOKE = Config(data="digits", images=300, validation=200, candidates=9, last=3)
DEFAULT = Config()
FULL = Config(images=20_000, candidates=81, last=27)

T = TypeVar("T")
Score = Callable[[T, int], float]
"""Trains a candidate on until it has had so many epochs, and returns its quality; more is better."""

# --- The tactic, its baseline and rivals ------------------------------------------------------------------


# --8<-- [start:tactic]
def successive_halving(
    candidates: Sequence[T], score: Score[T], *, first: int, last: int, keep: int = 3
) -> T:
    """Train all for the first epochs, then the best one in `keep` of them as many times longer, and so on.

    Args:
        candidates: Settings, or trainings that can go on.
        score: Trains one on until it has had so many epochs, and returns its quality; more is better.
        first: Epochs after which all are compared.
        last: Epochs of a whole training.
        keep: One in so many goes on.

    Raises:
        ValueError: The first comparison would be the last, so that nothing is saved.
    """
    if not (0 < first < last and keep > 1 and len(candidates) > 1):
        raise ValueError(
            f"expected 2 candidates or more, 0 < first < last, keep > 1, got {len(candidates)} candidates, "
            f"first {first}, last {last}, keep {keep}: nothing would be saved"
        )
    rung, epochs = list(candidates), first
    while epochs < last:
        ranked = sorted(rung, key=lambda candidate: -score(candidate, epochs))
        rung, epochs = ranked[: max(1, len(rung) // keep)], min(last, keep * epochs)
    return max(rung, key=lambda candidate: score(candidate, last))


# --8<-- [end:tactic]


def search(arm: str, config: Config, candidates: Sequence[T], score: Score[T]) -> T:
    """Return the candidate that an arm chooses, trained to the end."""
    if arm == "tactic":
        return successive_halving(candidates, score, first=config.first, last=config.last)
    if arm == "one_short_trial":
        trial = max(1, (epochs_of_tactic(config) - config.last) // len(candidates))
        best = max(candidates, key=lambda candidate: score(candidate, trial))
        score(best, config.last)
        return best
    count = epochs_of_tactic(config) // config.last if arm == "fewer_candidates" else len(candidates)
    return max(candidates[:count], key=lambda candidate: score(candidate, config.last))


def epochs_of_tactic(config: Config) -> int:
    """Return the epochs that the tactic trains, by running it on numbers that stand for trainings."""
    had = dict.fromkeys(range(config.candidates), 0)

    def score(candidate: int, epochs: int) -> float:
        had[candidate] = epochs
        return 0.0

    successive_halving([*had], score, first=config.first, last=config.last)
    return sum(had.values())


# --- What is searched: settings of the training of a small net -------------------------------------------


@dataclass
class Training:
    """One candidate on its way."""

    settings: dict[str, float]
    net: nn.Module
    optimizer: torch.optim.Optimizer
    epochs: int = 0


def begun(draw: random.Random, side: int) -> Training:
    """Draw settings from ranges that practice spans, and begin a training on images (1, side, side)."""
    settings = {
        "learning_rate": 10 ** draw.uniform(-3.5, 0),
        "momentum": draw.choice([0.0, 0.9]),
        "weight_decay": 10 ** draw.uniform(-6, -2),
        "dropout": draw.uniform(0, 0.6),
        "batch": draw.choice([32, 64, 128, 256]),
    }
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),  # (batch, 8, side / 2, side / 2)
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),  # (batch, side^2)
        nn.Linear(side * side, 64), nn.ReLU(), nn.Dropout(settings["dropout"]), nn.Linear(64, 10),
    )  # fmt: skip
    rate, momentum, decay = (settings[name] for name in ("learning_rate", "momentum", "weight_decay"))
    return Training(settings, net, torch.optim.SGD(net.parameters(), rate, momentum, weight_decay=decay))


def train_on(training: Training, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Go on until there were so many epochs; no schedule of the rate ends with a short trial."""
    batch = int(training.settings["batch"])
    training.net.train()
    for _ in range(epochs - training.epochs):
        for chosen in torch.split(torch.randperm(len(images)), batch):  # (batch,)
            training.optimizer.zero_grad()
            F.cross_entropy(training.net(images[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]
            training.optimizer.step()
    training.epochs = max(training.epochs, epochs)


@torch.inference_mode()
def accuracy(training: Training, images: Tensor, labels: Tensor) -> float:
    """Return the share of images that a net sorts rightly."""
    training.net.eval()
    logits = torch.cat([training.net(some) for some in torch.split(images, 500)])  # (images, 10)
    return float((logits.argmax(1) == labels).double().mean())


# --- Run --------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Search, and judge the net that was chosen."""
    data, draw = load_images((config.data,), config.data_dir), random.Random(seed)  # noqa: S311 - no secrets
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data.train_images))[: config.images]
    images, labels = (
        data.train_images[chosen],
        data.train_labels[chosen],
    )  # (images, 1, side, side), (images,)
    count = min(config.validation, len(data.validation_images) // 2)
    validation = data.validation_images[:count], data.validation_labels[:count]
    held_out = data.validation_images[count:], data.validation_labels[count:]
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    candidates = [begun(draw, images.shape[-1]) for _ in range(config.candidates)]

    def score(training: Training, epochs: int) -> float:
        train_on(training, images, labels, epochs)
        return accuracy(training, *validation)

    with meter.window("search") as window:
        best = search(arm, config, candidates, score)
    metrics = {
        "search_cpu_s": window.cpu_s,
        "trained_epochs": sum(training.epochs for training in candidates),
        "choice_accuracy": accuracy(best, *validation),
        "test_accuracy": accuracy(best, *held_out),
    }
    used = replace(data.used, train_count=len(images), validation_count=count, test_count=len(held_out[1]))
    details: dict[str, Json] = {
        "chosen": best.settings,
        "epochs_by_candidate": [training.epochs for training in candidates],
    }
    return Outcome(metrics, used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
