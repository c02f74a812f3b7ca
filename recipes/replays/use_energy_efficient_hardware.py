"""A newer accelerator for an older one, recomputed from the runs of the ML.ENERGY benchmark.

The same model, batch and number of GPUs on both says what the chip does for equal work. An operator would
choose batch and number of GPUs for each: so each at the setting with the least energy within a limit, too.

Run:
    greentactics replay use-energy-efficient-hardware
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recipes.replays.ml_energy import READING_S, image_runs, language_runs
from recipes.replays.pairs import Comparison, Pair, Run, grouped, main

OLDER, NEWER = "NVIDIA A100-SXM4-40GB", "NVIDIA H100 80GB HBM3"


def replay(folder: Path) -> list[Comparison]:
    """Return H100 against A100: at equal settings, at the best of each, and for images."""
    text, images = language_runs(folder), image_runs(folder)
    return [
        Comparison(
            name="text-at-equal-settings",
            tactic="H100 80 GB, language models",
            baseline="A100 40 GB",
            alike="model, task, batch and number of GPUs",
            clusters="models",
            energy="GPU energy for a token",
            time="time for a token",
            pairs=alike(text),
        ),
        Comparison(
            name="text-at-the-best-setting-of-each",
            tactic="H100 80 GB, language models, each at its best batch and number of GPUs",
            baseline="A100 40 GB, likewise",
            alike=f"model and task; each with the least energy at no more than {READING_S:g} s for a token",
            clusters="models",
            energy="GPU energy for a token",
            time="time for a token",
            pairs=at_the_best(text, READING_S),
        ),
        Comparison(
            name="images-at-equal-settings",
            tactic="H100 80 GB, image models",
            baseline="A100 40 GB",
            alike="model, steps and batch",
            clusters="models",
            energy="GPU energy for an image",
            time="time until all images of the batch are there",
            pairs=alike(images),
        ),
    ]


def alike(runs: Sequence[Run]) -> tuple[Pair, ...]:
    """Pair the runs that differ in nothing but the accelerator."""
    return _pairs(grouped(runs, lambda run: (run.task, run.model, run.layout, run.batch)))


def at_the_best(runs: Sequence[Run], limit_s: float) -> tuple[Pair, ...]:
    """Pair for each task and model the runs of least energy that keep a limit on each accelerator."""
    quick = [run for run in runs if run.seconds <= limit_s]
    best = [
        min(one, key=lambda run: run.energy_j)
        for one in grouped(quick, lambda run: (run.task, run.model, run.accelerator))
    ]
    return _pairs(grouped(best, lambda run: (run.task, run.model)))


def _pairs(groups: Sequence[Sequence[Run]]) -> tuple[Pair, ...]:
    by_accelerator = [{run.accelerator: run for run in group} for group in groups]
    return tuple(
        Pair(both[OLDER].model, both[OLDER], both[NEWER])
        for both in by_accelerator
        if OLDER in both and NEWER in both
    )


if __name__ == "__main__":
    main(replay)
