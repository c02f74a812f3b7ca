"""Saving against change of quality over all tactics, as inline SVG: one small panel for each kind of cost.

All panels have the same axes. Each mark leads to its tactic; what it says stands in its title and in the
table below the drawings.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from greentactics.comparison import Estimate
from greentactics.escaping import text_to_html
from greentactics.figures_forest import ticks
from greentactics.overview import Point, SavingsPanel
from greentactics.vocabulary import Kind

WIDTH, HEIGHT = 360, 248
LEFT, RIGHT, TOP, BOTTOM = 38, 350, 26, 206
LETTER = 6.9
"""Mean width of a letter of a label, a little generous."""
MOST_LETTERS = int((RIGHT - LEFT - 4) / LETTER)
LABEL_OFFSETS = (-9, 19, 34, -24, 49)
"""Where a label may stand above or below its mark, the best place first."""


@dataclass(frozen=True)
class Frame:
    """The ends of both axes."""

    low: float
    """Saving at the left end, times."""
    high: float
    """Saving at the right end."""
    bottom: float
    """Change of quality at the lower end, points."""
    top: float
    """Change of quality at the upper end."""

    def across(self, saving: float) -> float:
        """Return the horizontal position of a saving, on a logarithmic axis."""
        return LEFT + (RIGHT - LEFT) * math.log(saving / self.low) / math.log(self.high / self.low)

    def up(self, change: float) -> float:
        """Return the vertical position of a change of quality."""
        return TOP + (BOTTOM - TOP) * (self.top - change) / (self.top - self.bottom)


def frame(panels: Iterable[SavingsPanel]) -> Frame:
    """Return axes that hold all marks with their intervals, and no effect at all, with some room."""
    points = [point for panel in panels for point in panel.points]
    savings = [1.0, *_ends(point.saving for point in points)]
    changes = [0.0, -1.0, *_ends(point.change for point in points)]
    room = 0.08 * (max(changes) - min(changes))
    return Frame(min(savings) / 1.2, max(savings) * 1.2, min(changes) - room, max(changes) + room)


def savings_figure(panel: SavingsPanel, axes: Frame, identifier: str, root: str) -> Markup | None:
    """Draw one panel.

    Args:
        panel: What to draw.
        axes: The axes, shared by all panels.
        identifier: Prefix of the ids in the SVG, unique on its page.
        root: Path from the page to the root of the site, such as `../`.

    Returns:
        The drawing; None where no point has both figures.
    """
    points = [point for point in panel.points if point.drawn]
    if not points:
        return None
    described = "; ".join(f"{_named(point)}: {point_words(point)}" for point in points)
    parts = [
        Markup(
            '<svg class="gt-savings" viewBox="0 0 {} {}" role="group" aria-labelledby="{}-t {}-d">'
        ).format(WIDTH, HEIGHT, identifier, identifier),
        Markup('<title id="{}-t">{}</title>').format(identifier, text_to_html(panel.title)),
        Markup('<desc id="{}-d">{}.</desc>').format(identifier, text_to_html(described)),
        _grid(axes),
        *(_bars(point, axes) for point in points),
        *(_mark(point, axes, root) for point in points),
        *_labels([point for point in points if not point.published], axes),
    ]
    return Markup("\n").join([*parts, Markup("</svg>")])


def point_words(point: Point) -> str:
    """Return both figures of a point in words."""
    return f"{point.saving_words} at {point.change_words}"


def _named(point: Point) -> str:
    record = point.tactic.record
    habit = " (a habit to avoid)" if record.kind is Kind.DARK else ""
    return f"{record.title}{habit}{', published' if point.published else ''}"


def _ends(estimates: Iterable[Estimate | None]) -> list[float]:
    return [
        end
        for estimate in estimates
        if estimate is not None
        for end in (estimate.value, estimate.low, estimate.high)
        if end is not None
    ]


def _place(point: Point, axes: Frame) -> tuple[float, float]:
    if point.saving is None or point.change is None:  # pragma: no cover - only points with both are drawn
        raise ValueError("a point without a place")
    return axes.across(point.saving.value), axes.up(point.change.value)


def _bars(point: Point, axes: Frame) -> Markup:
    """Draw the intervals of both figures, where there are any."""
    x, y = (_n(value) for value in _place(point, axes))
    path = ""
    if point.saving and point.saving.low is not None and point.saving.high is not None:
        path += f"M{_n(axes.across(point.saving.low))} {y}H{_n(axes.across(point.saving.high))}"
    if point.change and point.change.low is not None and point.change.high is not None:
        path += f"M{x} {_n(axes.up(point.change.low))}V{_n(axes.up(point.change.high))}"
    return Markup('<path class="gt-bar gt-tactic" d="{}"/>').format(path) if path else Markup()


def _mark(point: Point, axes: Frame, root: str) -> Markup:
    """Draw a dot, hollow without an interval; a diamond for a published figure; with a link around it."""
    x, y = (_n(value) for value in _place(point, axes))
    role = "gt-claim" if point.published else "gt-tactic" if point.solid else "gt-local"
    if point.tactic.record.kind is Kind.DARK:
        role += " gt-habit"
    path = "m0 -7l7 7l-7 7l-7 -7z" if point.published else "m-5.5 0a5.5 5.5 0 1 0 11 0a5.5 5.5 0 1 0 -11 0"
    told = text_to_html(f"{_named(point)}: {point_words(point)}")
    return Markup(
        '<a class="{}" href="{}tactics/{}/index.html" aria-label="{}"><title>{}</title>'
        '<circle class="gt-hit" cx="{}" cy="{}" r="12"/><path class="gt-mark" d="M{} {}{}"/></a>'
    ).format(role, root, point.tactic.record.id, told, told, x, y, x, y, path)


def _labels(points: Sequence[Point], axes: Frame) -> list[Markup]:
    """Write titles above or below their marks; one that finds no room stands in the table only."""
    taken = [(x - 6, x + 6, y + 4) for x, y in (_place(point, axes) for point in points)]
    found = []
    for point in points:
        x, y = _place(point, axes)
        label = textwrap.shorten(point.tactic.record.title, MOST_LETTERS, placeholder="\u2026")
        width = LETTER * len(label)
        start = max(LEFT + 4, min(x - 4, RIGHT - width))
        for line in (y + offset for offset in LABEL_OFFSETS):
            free = all(
                start + width <= left or start >= right or abs(line - other) >= 13
                for left, right, other in taken
            )
            if free and TOP - 2 <= line <= BOTTOM - 4:
                taken.append((start, start + width, line))
                found.append(
                    Markup('<text class="gt-label" x="{}" y="{}">{}</text>').format(
                        _n(start), _n(line), text_to_html(label)
                    )
                )
                break
    return found


def _grid(axes: Frame) -> Markup:
    none, level = _n(axes.across(1.0)), _n(axes.up(0.0))
    parts = [
        Markup('<path class="gt-axis" d="M{} {}V{}H{}" fill-opacity="0"/>').format(LEFT, TOP, BOTTOM, RIGHT),
        Markup('<path class="gt-neutral" d="M{} {}V{}M{} {}H{}"/>').format(
            none, TOP, BOTTOM, LEFT, level, RIGHT
        ),
        Markup('<text class="gt-tick gt-start" x="2" y="12">points of quality</text>'),
        Markup('<text class="gt-tick gt-end" x="{}" y="{}">times less, logarithmic</text>').format(
            RIGHT, BOTTOM + 36
        ),
    ]
    parts += [
        Markup('<text class="gt-tick" x="{}" y="{}">{:,g}\u00d7</text>').format(
            _n(axes.across(tick)), BOTTOM + 17, tick
        )
        for tick in ticks((axes.low, axes.high), logarithmic=True)
    ]
    parts += [
        Markup('<text class="gt-tick gt-end" x="{}" y="{}">{}</text>').format(
            LEFT - 5, _n(axes.up(tick) + 4), f"{tick:+g}".replace("-", "\u2212") if tick else "0"
        )
        for tick in ticks((axes.bottom, axes.top), logarithmic=False)
    ]
    return Markup("").join(parts)


def _n(value: float) -> str:
    """Write a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
