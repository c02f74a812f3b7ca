"""The figures of a tactic twice: all of them for the page of measurements, the headline for its own page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from greentactics.comparison import TACTIC
from greentactics.figures import Figure
from greentactics.figures_curve import curve_figures
from greentactics.figures_forest import Panel, extent, forest
from greentactics.impact_rows import AGAIN, MetricGroup, metric_groups, panels
from greentactics.rival_rows import RivalRow, rival_rows
from greentactics.run_views import RunView
from greentactics.schema import Record


@dataclass(frozen=True)
class ImpactView:
    """Drawings and tables of one page."""

    panels: tuple[Panel, ...]
    """Forest plots, one a metric."""
    groups: tuple[MetricGroup, ...]
    """Each metric against the baseline."""
    rivals: tuple[RivalRow, ...]
    """The tactic against its rivals."""
    curves: tuple[tuple[RunView, tuple[Figure, ...]], ...]
    """Operating points of each run that has them."""

    @property
    def figures(self) -> list[Figure]:
        """The panels drawn."""
        return forest_figures(self.panels)


def full_impact(record: Record, runs: Sequence[RunView]) -> ImpactView:
    """Return every metric, arm and run."""
    return ImpactView(
        panels(record, runs), metric_groups(record, runs), rival_rows(record, runs), curve_views(record, runs)
    )


def headline_impact(record: Record, full: ImpactView, verdict_run: RunView | None) -> ImpactView:
    """Return the tactic in every metric, and its rivals in cost and quality of the run the verdict rests on.

    Args:
        record: The tactic.
        full: All that was measured.
        verdict_run: The run the verdict rests on; None where none is fresh, which leaves rivals out.
    """
    recipe = record.recipe
    names = (recipe.cost_metric, recipe.quality_metric) if recipe else ()
    titles = [group.title for group in full.groups if group.name in names]
    groups = [_headline_rows(group, group.name in names, verdict_run) for group in full.groups]
    return ImpactView(
        panels=tuple(panel for panel in full.panels if panel.title in titles),
        groups=tuple(group for group in groups if group.rows),
        rivals=tuple(row for row in full.rivals if row.metric in titles and row.run is verdict_run),
        curves=tuple((run, figures[:1]) for run, figures in full.curves if run is verdict_run),
    )


def _headline_rows(group: MetricGroup, all_arms: bool, verdict_run: RunView | None) -> MetricGroup:
    """Leave the rivals out, except those of the verdict's run where `all_arms` asks for them."""
    rows = tuple(
        row for row in group.rows if row.arm in (TACTIC, AGAIN) or (all_arms and row.run is verdict_run)
    )
    return replace(group, rows=rows)


def forest_figures(drawn: Sequence[Panel]) -> list[Figure]:
    """Draw the panels; those that share a unit share the ends of their axis."""
    found = []
    for index, panel in enumerate(drawn):
        limits = extent([other for other in drawn if other.logarithmic == panel.logarithmic])
        found.append(Figure(panel.title, forest(panel, f"forest-{index + 1}", limits)))
    return found


def curve_views(record: Record, runs: Sequence[RunView]) -> tuple[tuple[RunView, tuple[Figure, ...]], ...]:
    """Return the drawings of operating points, of each run that has them; stale runs are left out."""
    drawn = [
        (run, tuple(curve_figures(record, run.results, f"curve-{run.label}")))
        for run in runs
        if not run.stale
    ]
    return tuple((run, figures) for run, figures in drawn if figures)
