"""Saving against quality lost, as inline SVG: every operating point of every arm, one drawing a metric."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from greentactics.curves import Curve, curves
from greentactics.figures import Figure
from greentactics.figures_forest import ticks
from greentactics.results import Results
from greentactics.schema import Record
from greentactics.wording import metric_title, plain_label

WIDTH, HEIGHT = 360, 250
LEFT, RIGHT, BOTTOM = 46, 12, 44
LINE = 17
SHAPES = ("m-3 -3h6v6h-6z", "m0 -4l4 7h-8z", "m-3 -3l6 6m0 -6l-6 6", "m-4 0h8m-4 -4v8", "m-4 0h8", "m0 -4v8")
"""Marks of the rivals, in the order of the arms; the tactic has a dot."""
DOT = "m-3 0a3 3 0 1 0 6 0a3 3 0 1 0 -6 0"
_VERTICES = ("start", "mid", "end")
FURTHEST_LOSS = 6.0
"""Points of quality beyond which no point is drawn; a curve that far out decides nothing."""


def curve_figures(record: Record, results: Results, identifier: str) -> list[Figure]:
    """Return a drawing for each metric that the arms have curves of; none for a recipe without curves.

    Args:
        record: The tactic.
        results: Its results on one device.
        identifier: Prefix of the ids in the drawings, unique on their page.
    """
    figures = []
    tolerance = record.recipe.quality_tolerance_points if record.recipe else 0.0
    for index, (metric, drawn) in enumerate(curves(record, results).items()):
        title = metric_title(record, metric, results.metrics[metric])
        figures.append(Figure(title, draw(drawn, f"{identifier}-{index + 1}", title, tolerance)))
    return figures


def draw(drawn: Sequence[Curve], identifier: str, title: str, tolerance: float) -> Markup:
    """Draw the points of all arms.

    Args:
        drawn: Curves of the arms, the tactic's first.
        identifier: Prefix of the ids in the SVG, unique on its page.
        title: What is saved.
        tolerance: Points of quality that the record lets be lost; a dashed line.
    """
    shown = {curve.arm: [point for point in curve.points if point[0] <= FURTHEST_LOSS] for curve in drawn}
    losses = [loss for points in shown.values() for loss, _ in points] + [0.0, tolerance]
    savings = [saving for points in shown.values() for _, saving in points] + [1.0, 2.0]
    across = _Axis(min(losses) - 0.1, max(losses) + 0.1, LEFT, WIDTH - RIGHT, logarithmic=False)
    top = LINE * math.ceil(len(shown) / 2) + 14
    up = _Axis(min(savings) / 1.1, max(savings) * 1.1, HEIGHT + top - BOTTOM, top, logarithmic=True)
    parts = [
        Markup('<svg class="gt-curve" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
            WIDTH, HEIGHT + top, identifier, identifier
        ),
        Markup('<title id="{}-t">{}</title>').format(identifier, title),
        Markup('<desc id="{}-d">{}</desc>').format(identifier, _described(shown)),
        _grid(across, up, tolerance),
    ]
    for index, (arm, points) in enumerate(shown.items()):
        x, y = 10 + 175 * (index % 2), 12 + LINE * (index // 2)
        at = [(x, y), *((round(across(loss)), round(up(saving))) for loss, saving in points)]
        parts.append(_marked(at, index, f"{identifier}-m{index}"))
        parts.append(Markup('<text x="{}" y="{}">{}</text>').format(x + 10, y + 4, plain_label(arm)))
    return Markup("\n").join([*parts, Markup("</svg>")])


def _marked(at: Sequence[tuple[int, int]], index: int, identifier: str) -> Markup:
    """Draw the mark of an arm at each position; as a marker of one path it is written once."""
    shape = DOT if index == 0 else SHAPES[(index - 1) % len(SHAPES)]
    ends = Markup(" ").join(Markup('marker-{}="url(#{})"').format(end, identifier) for end in _VERTICES)
    return Markup(
        '<marker id="{}" class="{}" markerUnits="userSpaceOnUse" overflow="visible">'
        '<path class="gt-mark" d="M0 0{}"/></marker><path class="gt-points" d="M{}" {}/>'
    ).format(
        identifier,
        "gt-rival" if index else "gt-tactic",
        shape,
        " ".join(f"{x} {y}" for x, y in at),
        ends,
    )


def _described(shown: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    parts = [
        f"{plain_label(arm)}: {min(saving for _, saving in points):.2g} to "
        f"{max(saving for _, saving in points):.2g} times lower at a loss of "
        f"{min(loss for loss, _ in points):.1f} to {max(loss for loss, _ in points):.1f} points"
        for arm, points in shown.items()
        if points
    ]
    return f"{'; '.join(parts)}."


def _grid(across: _Axis, up: _Axis, tolerance: float) -> Markup:
    parts = [
        Markup('<path class="gt-axis" d="M{} {}V{}H{}" fill-opacity="0"/>').format(
            LEFT, _n(up.end), _n(up.start), WIDTH - RIGHT
        ),
        Markup('<line class="gt-neutral" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>').format(
            _n(across(tolerance)), _n(up.start), _n(up.end)
        ),
    ]
    parts += [
        _tick(_n(across(tick)), _n(up.start + 16), f"{tick:g}".replace("-", "\u2212"))
        for tick in ticks((across.low, across.high), logarithmic=False)
    ]
    parts += [
        _tick(str(LEFT - 18), _n(up(tick) + 4), f"{tick:g}\u00d7")
        for tick in ticks((up.low, up.high), logarithmic=True)
    ]
    middle = (LEFT + WIDTH - RIGHT) // 2
    parts.append(_tick(str(middle), _n(up.start + 35), "points lost on validation; up: times lower"))
    return Markup("").join(parts)


def _tick(x: str, y: str, text: str) -> Markup:
    return Markup('<text class="gt-tick" x="{}" y="{}">{}</text>').format(x, y, text)


@dataclass(frozen=True)
class _Axis:
    """Maps values from `low` to `high` to positions from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool

    def __call__(self, value: float) -> float:
        low, high, value = (
            math.log(number) if self.logarithmic else number for number in (self.low, self.high, value)
        )
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def _n(value: float) -> str:
    """Write a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
