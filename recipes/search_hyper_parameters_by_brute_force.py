"""A habit to avoid: a grid over all settings, each point of which is trained to the end.

Record: tactics/search-hyper-parameters-by-brute-force.yaml. Settings, their ranges and the net are those of
`recipes/search_by_successive_halving.py`. The baseline tries eight candidates drawn by chance (Bergstra,
Bengio, "Random Search for Hyper-Parameter Optimization", JMLR 2012), the habit a grid of four values for the
learning rate and two for momentum, weight decay and dropout. Further arms draw half or twice as many; lay the
grid over the first two settings alone and leave the others in the middle; or drop poor candidates early. All
choose on the same validation images, and pay for looking at them. A grid is the same for each seed, as nobody
draws it.

    python -m recipes.search_hyper_parameters_by_brute_force --arm tactic --seed 0 --preset default

On one processor core the habit takes about a minute with DEFAULT, which needs Fashion-MNIST, and a second
with SMOKE. Seeds below 1000 report the accuracy on images that are neither validation nor test.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import TypeVar

import torch

from recipes import search_by_successive_halving as halving
from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome

TACTIC = "search-hyper-parameters-by-brute-force"
ARMS = ("baseline", "tactic", "half_as_many", "twice_as_many", "two_settings", "halving")
METRICS: MetricTable = {
    **halving.METRICS,
    "candidates": ("count", "lower", "counted", "Candidates that training was begun for."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 1_200
    """Training images, at most."""
    validation: int = 1_000
    """Validation images, at most half of those there are."""
    trials: int = 8
    """Candidates that the baseline draws."""
    grid: tuple[int, ...] = (4, 2, 2, 2, 1)
    """Values of learning rate, momentum, weight decay, dropout and batch on the grid of the habit."""
    halved: int = 27
    """Candidates of which the poor ones are dropped early."""
    first: int = 1
    """Epochs after which they are compared first."""
    last: int = 9
    """Epochs of a whole training."""


SMOKE = Config(data="digits", images=200, validation=100, trials=4, grid=(3, 2, 1, 1, 1), halved=9, last=3)
DEFAULT = Config()
FULL = Config(images=20_000, trials=32, grid=(6, 2, 3, 3, 4), halved=81, last=27)

# --- The habit --------------------------------------------------------------------------------------------

T = TypeVar("T")


# --8<-- [start:tactic]
def grid_of(values: Sequence[int]) -> list[tuple[float, ...]]:
    """Return the points of a grid over the unit cube: the middles of so many equal parts of each side."""
    return list(product(*([(part + 0.5) / count for part in range(count)] for count in values)))


def try_all(candidates: Sequence[T], score: Callable[[T, int], float], *, last: int) -> T:
    """Train each candidate to the end, however poor it is; return the best.

    Args:
        candidates: Settings, or trainings that can go on.
        score: Trains one until it has had so many epochs, and returns its quality; more is better.
        last: Epochs of a whole training.
    """
    return max(candidates, key=lambda candidate: score(candidate, last))


# --8<-- [end:tactic]


class Laid(random.Random):
    """Takes the place of chance where settings are drawn, so that a grid spans the very ranges of a draw."""

    def __init__(self, point: tuple[float, ...]) -> None:
        super().__init__(0)
        self.places = iter(point)

    def uniform(self, a: float, b: float) -> float:
        """Return what lies at the next place, from 0 to 1, of a range."""
        return a + (b - a) * next(self.places)

    def choice(self, seq: Sequence[T]) -> T:  # type: ignore[override]
        """Return what lies at the next place of a sequence."""
        return seq[int(next(self.places) * len(seq))]


def draws_of(arm: str, config: Config, seed: int) -> list[random.Random]:
    """Return what each candidate of an arm draws its settings from, in turn."""
    if arm in ("tactic", "two_settings"):
        values = config.grid if arm == "tactic" else (*config.grid[:2], *(1 for _ in config.grid[2:]))
        points = grid_of(values)
        return [Laid(point) for point in points]
    trials = config.trials
    counts = {"half_as_many": trials // 2, "twice_as_many": 2 * trials, "halving": config.halved}
    return [random.Random(seed)] * counts.get(arm, trials)  # noqa: S311 - not for secrets


# --- Run --------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Search, and judge the net that was chosen."""
    data = load_images((config.data,), config.data_dir)
    side = data.train_images.shape[-1]
    warm_up = halving.begun(random.Random(0), side)  # noqa: S311 - not for secrets; memory is set up
    halving.train_on(warm_up, data.train_images[:64], data.train_labels[:64], 1)
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data.train_images))[: config.images]
    images, labels = data.train_images[chosen], data.train_labels[chosen]  # (images, 1, side, side)
    count = min(config.validation, len(data.validation_images) // 2)
    validation = data.validation_images[:count], data.validation_labels[:count]
    held_out = data.validation_images[count:], data.validation_labels[count:]
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    candidates = [halving.begun(draw, side) for draw in draws_of(arm, config, seed)]

    def score(training: halving.Training, epochs: int) -> float:
        halving.train_on(training, images, labels, epochs)
        return halving.accuracy(training, *validation)

    with meter.window("search") as window:
        if arm == "halving":
            best = halving.successive_halving(candidates, score, first=config.first, last=config.last)
        else:
            best = try_all(candidates, score, last=config.last)
    metrics = {
        "search_cpu_s": window.cpu_s,
        "trained_epochs": sum(training.epochs for training in candidates),
        "choice_accuracy": halving.accuracy(best, *validation),
        "test_accuracy": halving.accuracy(best, *held_out),
        "candidates": len(candidates),
    }
    used = replace(data.used, train_count=len(images), validation_count=count, test_count=len(held_out[1]))
    return Outcome(metrics, used, {"chosen": best.settings})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
