"""The tactic against its rivals, seed by seed: what a practitioner who already prunes wants to know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from greentactics.comparison import NotComparable, compare
from greentactics.impact_rows import shown_metrics
from greentactics.results import BASELINE, TACTIC
from greentactics.run_views import RunView
from greentactics.schema import Record
from greentactics.wording import estimate_phrase, includes_no_effect, metric_title, plain_label, typographic


@dataclass(frozen=True)
class RivalRow:
    """One metric of the tactic against one rival in one run."""

    rival: str
    metric: str
    compared: str
    n: int
    run: RunView


def rival_rows(record: Record, runs: Sequence[RunView]) -> tuple[RivalRow, ...]:
    """Return the rows for metrics that baseline, tactic and rival all have; stale runs are left out.

    A row whose interval holds no difference says so in words.
    """
    rows = []
    for run in (run for run in runs if not run.stale):
        for rival in (arm for arm in run.results.arms if arm not in (BASELINE, TACTIC)):
            for name in shown_metrics(record, [run]):
                if not run.results.values(BASELINE, name):
                    continue
                try:
                    estimate = compare(run.results, TACTIC, name, rival)
                except NotComparable:
                    continue
                words = estimate_phrase(estimate)
                if includes_no_effect(estimate):
                    words += "; no difference shown"
                title = metric_title(record, name, run.results.metrics[name])
                rows.append(RivalRow(plain_label(rival), title, typographic(words), estimate.n, run))
    return tuple(rows)
