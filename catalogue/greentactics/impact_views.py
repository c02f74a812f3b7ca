"""The figures of a tactic: all of them for the page of measurements, the chief ones for its own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from greentactics.figures import Figure
from greentactics.figures_curve import curve_figures
from greentactics.figures_forest import Panel, forest, forest_key, shared_scale
from greentactics.impact_rows import AGAIN, DASH, MetricGroup, metric_groups, panels
from greentactics.results import TACTIC
from greentactics.rival_rows import RivalRow
from greentactics.run_views import RunView
from greentactics.schema import Record


@dataclass(frozen=True)
class RivalsTable:
    """The rivals in the metrics of the verdict."""

    columns: tuple[str, ...]
    """Column heads after the name of the rival."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, the name of the rival first and the number of seeds last."""


@dataclass(frozen=True)
class ImpactView:
    """Drawings and tables of one page."""

    panels: tuple[Panel, ...]
    """Forest plots, one a metric."""
    groups: tuple[MetricGroup, ...]
    """Each metric against the baseline."""
    curves: tuple[tuple[RunView, tuple[Figure, ...]], ...]
    """Operating points of each run that has them."""

    @property
    def figures(self) -> list[Figure]:
        """The panels drawn."""
        return forest_figures(self.panels)

    @property
    def key(self) -> str:
        """What the marks of the panels stand for."""
        return forest_key(self.panels)


def full_impact(record: Record, runs: Sequence[RunView]) -> ImpactView:
    """Return every metric, arm and run."""
    return ImpactView(panels(record, runs), metric_groups(record, runs), curve_views(record, runs))


def headline_impact(record: Record, full: ImpactView, verdict_run: RunView | None) -> ImpactView:
    """Return the tactic in every metric: cost and quality in all runs and drawn, the rest in one run.

    Args:
        record: The tactic.
        full: All that was measured.
        verdict_run: The run the verdict rests on; None where none is fresh, which keeps all runs.
    """
    titles = [group.title for group in _verdict_groups(record, full)]
    groups = []
    for group in full.groups:
        runs = None if group.title in titles else verdict_run
        rows = [row for row in group.rows if row.arm in (TACTIC, AGAIN) and runs in (None, row.run)]
        groups.append(replace(group, rows=tuple(rows)))
    return ImpactView(
        panels=tuple(panel for panel in full.panels if panel.title in titles),
        groups=tuple(group for group in groups if group.rows),
        curves=tuple((run, figures[:1]) for run, figures in full.curves if run is verdict_run),
    )


def rivals_table(
    record: Record, full: ImpactView, rivals: Sequence[RivalRow], verdict_run: RunView | None
) -> RivalsTable | None:
    """Return cost and quality of each rival in the run the verdict rests on; None where there is none.

    Args:
        record: The tactic.
        full: All that was measured.
        rivals: The tactic against each rival.
        verdict_run: The run the verdict rests on; None where none is fresh.
    """
    groups = _verdict_groups(record, full)
    arms = dict.fromkeys(row.rival for row in rivals if row.run is verdict_run)
    against_baseline = {
        (row.arm, group.title): row for group in groups for row in group.rows if row.run is verdict_run
    }
    against_rival = {(row.rival, row.metric): row for row in rivals if row.run is verdict_run}
    titles = [group.title for group in groups]
    columns = [f"{title}: against the baseline" for title in titles]
    columns += [f"{title}: the tactic against it" for title in titles]
    rows = []
    for arm in arms:
        found = [table.get((arm, title)) for table in (against_baseline, against_rival) for title in titles]
        seeds = dict.fromkeys(str(row.n) for row in found if row)
        rows.append((arm, *(row.compared if row else DASH for row in found), ", ".join(seeds)))
    return RivalsTable((*columns, "n"), tuple(rows)) if rows else None


def _verdict_groups(record: Record, full: ImpactView) -> list[MetricGroup]:
    """Return the metrics that the verdict names: cost and quality."""
    recipe = record.recipe
    names = (recipe.cost_metric, recipe.quality_metric) if recipe else ()
    return [group for group in full.groups if group.name in names]


def forest_figures(drawn: Sequence[Panel]) -> list[Figure]:
    """Draw the panels; those that share a unit share their axis."""
    scales = {
        logarithmic: shared_scale(panels)
        for logarithmic in (True, False)
        if (panels := [panel for panel in drawn if panel.logarithmic == logarithmic])
    }
    return [Figure(panel.title, forest(panel, scales[panel.logarithmic])) for panel in drawn]


def curve_views(record: Record, runs: Sequence[RunView]) -> tuple[tuple[RunView, tuple[Figure, ...]], ...]:
    """Return the drawings of operating points, of each run that has them; stale runs are left out."""
    drawn = [
        (run, tuple(curve_figures(record, run.results, f"c{run.label}"))) for run in runs if not run.stale
    ]
    return tuple((run, figures) for run, figures in drawn if figures)
