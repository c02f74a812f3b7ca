"""Batches of requests, recomputed from the runs of the ML.ENERGY benchmark.

The smallest batch that was metered of a model is set against the largest one in which a token takes no longer
than a limit. Where the limit leaves no room above the smallest batch, the two are the same run: the tactic
gains nothing there, and leaving the pair out would flatter it. Image models were metered with single
images, too; there the largest batch is set against one image.

Run:
    greentactics replay batch-requests
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from recipes.replays.ml_energy import READING_S, image_runs, language_runs
from recipes.replays.pairs import Comparison, Pair, Run, grouped, main

LIMITS_S = (READING_S / 2, READING_S, math.inf)


def replay(folder: Path) -> list[Comparison]:
    """Return larger against smaller batches of the same model on the same accelerators."""
    text, images = by_batch(language_runs(folder)), by_batch(image_runs(folder))
    return [*(within(text, limit_s) for limit_s in LIMITS_S), single_images(images)]


def by_batch(runs: Sequence[Run]) -> list[list[Run]]:
    """Return series of runs that are alike but for the batch, the smallest batch first."""
    series = grouped(runs, lambda run: (run.task, run.model, run.accelerator, run.layout))
    return [sorted(one, key=lambda run: run.batch) for one in series if len(one) > 1]


def within(series: Sequence[Sequence[Run]], limit_s: float) -> Comparison:
    """Compare the smallest batch of each series with the largest one that keeps a limit."""
    # A larger batch is sometimes quicker than a smaller one that is too slow; the limit is all that counts.
    fitting = [(one[0], [run for run in one if run.seconds <= limit_s]) for one in series]
    pairs = tuple(Pair(smallest.model, smallest, fits[-1]) for smallest, fits in fitting if fits)
    slow, full = len(series) - len(pairs), sum(pair.baseline is pair.tactic for pair in pairs)
    notes = (
        (slow, f"{slow} series in which no batch keeps the limit are left out"),
        (full, f"{full} in which only the smallest does count as no change"),
    )
    sizes = sorted(pair.baseline.batch for pair in pairs)
    is_limited = limit_s < math.inf
    return Comparison(
        name=f"largest-batch-within-{1000 * limit_s:.0f}-ms" if is_limited else "largest-batch",
        tactic=f"largest batch with at most {limit_s:g} s for a token" if is_limited else "largest batch",
        baseline=f"smallest batch that was metered, {sizes[0]} to {sizes[-1]} requests",
        alike="model, task, kind and number of GPUs",
        clusters="models",
        energy="GPU energy for a token",
        time="time for a token",
        pairs=pairs,
        note="; ".join(text for count, text in notes if count),
    )


def single_images(series: Sequence[Sequence[Run]]) -> Comparison:
    """Compare one image at a time with the largest batch of images."""
    return Comparison(
        name="largest-batch-of-images",
        tactic="largest batch of images",
        baseline="one image at a time",
        alike="model, steps and kind of GPU",
        clusters="models",
        energy="GPU energy for an image",
        time="time until all images of the batch are there",
        pairs=tuple(Pair(one[0].model, one[0], one[-1]) for one in series if one[0].batch == 1),
    )


if __name__ == "__main__":
    main(replay)
