"""Saving and change of quality of all tactics as plots in the rows of a table, all on the same two axes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from greentactics.evidence.comparison import Estimate
from greentactics.site.drawings.svg import Role, Scale, axis, plot, scale_over
from greentactics.site.overview import SavingPoint, SavingsPanel


@dataclass(frozen=True)
class Frame:
    """Both axes."""

    saving: Scale
    """Times that the cost is lower."""
    change: Scale
    """Points of quality."""

    def saving_plot(self, point: SavingPoint) -> Markup:
        """Draw what a point saves; nothing where that is unknown."""
        return _plot(point, point.saving, self.saving)

    def change_plot(self, point: SavingPoint) -> Markup:
        """Draw how quality changes; nothing where that is unknown, or no difference in points."""
        return _plot(point, point.change, self.change)

    @property
    def saving_axis(self) -> Markup:
        """The axis below the savings."""
        return axis(self.saving)

    @property
    def change_axis(self) -> Markup:
        """The axis below the changes of quality."""
        return axis(self.change)


def frame(panels: Iterable[SavingsPanel]) -> Frame:
    """Return axes that hold all marks with their intervals, and no effect at all, with some room."""
    points = [point for panel in panels for point in panel.points]
    return Frame(
        scale_over([1.0, *_ends(point.saving for point in points)], logarithmic=True),
        scale_over([0.0, *_ends(point.change for point in points)], logarithmic=False),
    )


def _plot(point: SavingPoint, estimate: Estimate | None, scale: Scale) -> Markup:
    """Draw a diamond for a published figure, else a dot, which is hollow if it does not count as evidence."""
    if estimate is None:
        return Markup()
    role = Role.CLAIM if point.published else Role.TACTIC if point.solid else Role.LOCAL
    return plot(role, estimate.value, estimate.low, estimate.high, scale)


def _ends(estimates: Iterable[Estimate | None]) -> list[float]:
    return [
        end
        for estimate in estimates
        if estimate is not None
        for end in (estimate.value, estimate.low, estimate.high)
        if end is not None
    ]
