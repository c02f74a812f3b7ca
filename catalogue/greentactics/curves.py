"""Operating points that an arm tried: how much it saves at what loss of quality, seed by seed.

A recipe shows its curve by a detail `curve` in every arm: a list of flat rows, each with the validation
quality and the costs of one net under the names of the run's metrics. The baseline's first row is what the
others of its seed are compared with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greentactics.results import BASELINE, Repeat, Results
from greentactics.schema import Record
from greentactics.timings import CONTROL

DETAIL = "curve"
QUALITY = "validation_accuracy"


@dataclass(frozen=True)
class Curve:
    """The points of one arm, all seeds together."""

    arm: str
    """Name of the arm."""
    points: tuple[tuple[float, float], ...]
    """Points of quality lost, and times that the cost is lower; both against the baseline of the seed."""


def curves(record: Record, results: Results) -> dict[str, tuple[Curve, ...]]:
    """Return the curves of the arms by metric, for the metrics of the record that every row holds.

    Metrics that are better higher are left out, and so are arms without a curve. Empty where the baseline has
    none.
    """
    rows = {(repeat.arm, repeat.seed): _rows(repeat) for repeat in results.repeats}
    reference = {seed: found[0] for (arm, seed), found in rows.items() if arm == BASELINE and found}
    arms = [arm for arm in results.arms if arm not in (BASELINE, CONTROL)]
    found: dict[str, tuple[Curve, ...]] = {}
    for metric in _lower_is_better(record, results):
        drawn = [
            Curve(arm, points)
            for arm in arms
            if (
                points := tuple(
                    (100 * (base[QUALITY] - row[QUALITY]), base[metric] / row[metric])
                    for seed, base in sorted(reference.items())
                    for row in rows.get((arm, seed), ())
                    if base.get(metric, 0) > 0 and row.get(metric, 0) > 0
                )
            )
        ]
        if drawn:
            found[metric] = tuple(drawn)
    return found


def _lower_is_better(record: Record, results: Results) -> list[str]:
    if record.recipe is None:
        return []
    names = (record.recipe.cost_metric, *record.recipe.also_metrics)
    return [name for name in names if name in results.metrics and results.metrics[name].better == "lower"]


def _rows(repeat: Repeat) -> list[Mapping[str, float]]:
    """Return the rows of a repeat's curve that hold a quality; numbers only."""
    value = repeat.details.get(DETAIL)
    if not isinstance(value, list | tuple):
        return []
    rows = [
        {
            name: float(cell)
            for name, cell in row.items()
            if isinstance(cell, int | float) and not isinstance(cell, bool)
        }
        for row in value
        if isinstance(row, Mapping)
    ]
    return [row for row in rows if QUALITY in row]
