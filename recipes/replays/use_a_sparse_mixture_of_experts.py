"""Sparse mixtures of experts for dense models, recomputed from the runs of the ML.ENERGY benchmark.

A mixture is set against dense models with about as many parameters as all of its experts have, and, as the
rival, against those with about as many as it uses for a token. The data say nothing about the quality of
answers, and the models differ in more than their experts. A mixture needs memory for all experts, and mostly
more GPUs than the rival: so each model on the fewest GPUs it was metered on, too.

Run:
    greentactics replay use-a-sparse-mixture-of-experts
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from recipes.replays.ml_energy import language_runs, parameters
from recipes.replays.pairs import Comparison, Pair, Run, grouped, main
from recipes.replays.use_oversized_models_for_small_tasks import on_fewest

ACTIVE = {"mistralai/Mixtral-8x7B-Instruct-v0.1": 13, "mistralai/Mixtral-8x22B-Instruct-v0.1": 39}
"""Billions of parameters that a token uses, as the maker states them; the data give all parameters alone."""

ABOUT = 1.5
"""Numbers of parameters count as about equal up to this factor."""

_FEWEST = "kind of GPU, each model on as few as were metered"


def replay(folder: Path) -> list[Comparison]:
    """Return mixtures against dense models of about equal total, and of about equal active parameters."""
    runs, total = language_runs(folder), parameters(folder)
    fewest = on_fewest(runs)
    equal = pairs(runs, total, total)
    own = pairs(fewest, total, total, same_layout=False)
    active = pairs(fewest, ACTIVE, total, same_layout=False)
    return [
        _comparison("like-total-on-equal-gpus", "the mixture has", "kind and number of GPUs", equal),
        _comparison("like-total-on-the-fewest-gpus", "the mixture has", _FEWEST, own),
        _comparison("like-active-on-the-fewest-gpus", "the mixture uses for a token", _FEWEST, active),
    ]


def pairs(
    runs: Sequence[Run],
    of_mixture: Mapping[str, float],
    of_dense: Mapping[str, float],
    *,
    same_layout: bool = True,
) -> tuple[Pair, ...]:
    """Pair each run of a mixture with those of dense models of about its size; sizes are in billions."""

    def key(run: Run) -> tuple[str, str, int, str]:
        return run.task, run.accelerator, run.batch, run.layout if same_layout else ""

    return tuple(
        Pair(mixture.model, dense, mixture)
        for group in grouped(runs, key)
        for mixture in group
        if mixture.model in ACTIVE
        for dense in group
        if dense.model not in ACTIVE
        and 1 / ABOUT <= of_dense[dense.model] / of_mixture[mixture.model] <= ABOUT
    )


def _comparison(name: str, size: str, gpus: str, found: tuple[Pair, ...]) -> Comparison:
    dense = sorted({pair.baseline.model.split("/")[1] for pair in found})
    return Comparison(
        name=name,
        tactic="sparse mixture of experts",
        baseline=f"dense model with about as many parameters as {size}",
        alike=f"task, batch, {gpus}",
        clusters="mixtures",
        energy="GPU energy for a token",
        time="time for a token",
        pairs=found,
        note=f"dense models: {', '.join(dense)}",
    )


if __name__ == "__main__":
    main(replay)
