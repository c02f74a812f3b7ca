"""Runs that others metered, paired so that the two of a pair are alike in all but the tactic."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Run:
    """One run, as it was published."""

    file: str
    """Its file, from the folder of the data set."""
    task: str
    model: str
    accelerator: str
    accelerators: int
    """How many of them."""
    layout: str
    """How the model is spread over them."""
    batch: int
    """Most requests, or images, at a time."""
    energy_j: float
    """Of all accelerators, for one token or image."""
    seconds: float
    """Mean time between tokens of one request, or until the images of a batch are there."""


@dataclass(frozen=True)
class Pair:
    """Two runs."""

    cluster: str
    """What pairs share that are not independent of each other: a model, or a family of models."""
    baseline: Run
    tactic: Run


@dataclass(frozen=True)
class Comparison:
    """Pairs of one kind, and in words what they are."""

    name: str
    tactic: str
    baseline: str
    alike: str
    """What the two runs of a pair have in common."""
    clusters: str
    """What pairs are counted by, as those of one are not independent."""
    energy: str
    time: str
    pairs: tuple[Pair, ...]
    note: str = ""
    """What else a reader has to know, such as which runs gave no pair."""


def grouped(runs: Iterable[Run], key: Callable[[Run], Hashable]) -> list[list[Run]]:
    """Return the runs that are alike in a key, the groups in the order of the first run of each."""
    groups: dict[Hashable, list[Run]] = {}
    for run in runs:
        groups.setdefault(key(run), []).append(run)
    return list(groups.values())


def main(replay: Callable[[Path], list[Comparison]]) -> None:
    """Print as JSON what a replay makes of the folder that the command line names."""
    wanted = ("file", "energy_j", "seconds")
    comparisons = [dataclasses.asdict(comparison) for comparison in replay(Path(sys.argv[1]))]
    for pair in (pair for comparison in comparisons for pair in comparison["pairs"]):
        for side in ("baseline", "tactic"):
            pair[side] = {name: pair[side][name] for name in wanted}
    sys.stdout.write(json.dumps(comparisons))
