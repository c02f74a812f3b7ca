"""The largest member of a family of models for the smallest, recomputed from the ML.ENERGY benchmark.

Members are those whose names are alike up to their size. The data say nothing about the quality of answers:
what a larger model costs is shown, and not whether the task needed it. Larger models mostly need more GPUs,
so the comparison on equal numbers of them is beside the one in which each has the fewest it was metered on.

Run:
    greentactics replay use-oversized-models-for-small-tasks
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from recipes.replays.ml_energy import language_runs, parameters
from recipes.replays.pairs import Comparison, Pair, Run, grouped, main

_SIZE = re.compile(r"-(?:\d+b|mini|small|medium)\b", re.IGNORECASE)


def replay(folder: Path) -> list[Comparison]:
    """Return the largest against the smallest member of each family."""
    runs, billions = language_runs(folder), parameters(folder)
    equal = largest_and_smallest(runs, billions)
    own = largest_and_smallest(on_fewest(runs), billions, same_layout=False)
    return [
        _comparison("equal-number-of-gpus", "kind and number of GPUs", equal, billions),
        _comparison(
            "each-on-the-fewest-gpus", "kind of GPU, each model on as few as were metered", own, billions
        ),
    ]


def family(model: str) -> str:
    """Return the name of a model up to its size."""
    return _SIZE.split(model)[0]


def on_fewest(runs: Sequence[Run]) -> list[Run]:
    """Return the run on the fewest accelerators of all that are otherwise alike."""
    groups = grouped(runs, lambda run: (run.task, run.model, run.accelerator, run.batch))
    return [min(group, key=lambda run: run.accelerators) for group in groups]


def largest_and_smallest(
    runs: Sequence[Run], billions: Mapping[str, float], *, same_layout: bool = True
) -> tuple[Pair, ...]:
    """Pair the smallest and the largest member of a family that were metered with the same batch."""

    def key(run: Run) -> tuple[str, str, str, int, str]:
        return run.task, family(run.model), run.accelerator, run.batch, run.layout if same_layout else ""

    groups = [sorted(group, key=lambda run: billions[run.model]) for group in grouped(runs, key)]
    return tuple(Pair(family(one[0].model), one[0], one[-1]) for one in groups if len(one) > 1)


def _comparison(name: str, gpus: str, pairs: tuple[Pair, ...], billions: Mapping[str, float]) -> Comparison:
    times = sorted(billions[pair.tactic.model] / billions[pair.baseline.model] for pair in pairs)
    return Comparison(
        name=name,
        tactic=f"largest model of a family, with {times[0]:.2g} to {times[-1]:.2g} times the parameters",
        baseline="smallest model of the family",
        alike=f"family, task, batch, {gpus}",
        clusters="families",
        energy="GPU energy for a token",
        time="time for a token",
        pairs=pairs,
    )


if __name__ == "__main__":
    main(replay)
