"""Rows that say how sure a comparison is: both intervals, what could have been seen, and equivalence."""

from __future__ import annotations

from dataclasses import dataclass

from greentactics.comparison import (
    POINTS,
    Estimate,
    NotComparable,
    bootstrap,
    compare,
    detectable,
    equivalence_in_points,
)
from greentactics.run_views import RunView
from greentactics.schema import Record
from greentactics.wording import (
    estimate_phrase,
    metric_title,
    plain_label,
    points_digits,
    ratio_digits,
    typographic,
)

DASH = "\u2013"


@dataclass(frozen=True)
class CertaintyRow:
    """One metric of one arm against the baseline."""

    metric: str
    arm: str
    students: str
    bootstrapped: str
    n: int
    detectable: str
    equivalent: str


def certainty_rows(record: Record, run: RunView | None) -> tuple[CertaintyRow, ...]:
    """Return the rows for headline cost and quality of each arm of a run; none without at least two pairs."""
    if record.recipe is None or run is None:
        return ()
    metrics = (record.recipe.cost_metric, record.recipe.quality_metric)
    arms = run.results.arms[1:]
    rows = (_row(record, run, arm, metric) for metric in dict.fromkeys(metrics) for arm in arms)
    return tuple(row for row in rows if row is not None)


def _row(record: Record, run: RunView, arm: str, metric: str) -> CertaintyRow | None:
    results = run.results
    try:
        estimate = compare(results, arm, metric)
        smallest = detectable(results, arm, metric)
        again = bootstrap(results, arm, metric)
    except NotComparable:
        return None
    return CertaintyRow(
        metric=metric_title(record, metric, results.metrics[metric]),
        arm=plain_label(arm),
        students=typographic(estimate_phrase(estimate)),
        bootstrapped=_interval(again),
        n=estimate.n,
        detectable=_smallest(smallest, estimate),
        equivalent=_equivalent(record, run, arm, metric),
    )


def _interval(estimate: Estimate) -> str:
    """Return the interval alone, as `estimate_phrase` writes it."""
    return typographic(estimate_phrase(estimate).partition("[")[2].removesuffix("]"))


def _smallest(value: float, estimate: Estimate) -> str:
    if estimate.unit == POINTS:
        return f"{value:.{points_digits(estimate)}f} points"
    return typographic(f"{value:.{ratio_digits(value)}f}x")


def _equivalent(record: Record, run: RunView, arm: str, metric: str) -> str:
    margin = record.recipe.quality_tolerance_points if record.recipe else 0.0
    if run.results.metrics[metric].unit != "fraction" or margin == 0:  # nothing lies within no margin
        return DASH
    try:
        found = equivalence_in_points(run.results, arm, metric, margin)
    except NotComparable as refusal:
        return f"{DASH} ({refusal})"
    return f"{'shown' if found.equivalent else 'not shown'}, p {p_value(found.p)}"


def p_value(value: float) -> str:
    """Write a probability with two digits, or as a bound where it is tiny."""
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"
