"""Forest plots as inline SVG: claimed and reproduced figures on one axis, one small panel for each metric.

Marks differ in shape as well as colour; colours come from CSS variables, so one SVG serves both palettes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

WIDTH = 360
MARGIN = 10
ROW = 42
AXIS = 46
LONGEST_LABEL = 32
_RIVAL_SHAPES = ("square", "triangle", "cross")


@dataclass(frozen=True)
class Mark:
    """One row of a panel."""

    label: str
    """What the row shows."""
    role: str
    """`claim`, `tactic`, `local`, or `rival-0`, `rival-1`, ... in the order of the arms."""
    value: float
    """Position, in the panel's unit."""
    low: float | None
    """Lower end of the interval, where there is one."""
    high: float | None
    """Upper end of the interval."""
    text: str
    """The figure in words, right of the label."""


@dataclass(frozen=True)
class Panel:
    """One metric with its rows."""

    title: str
    """What is compared."""
    axis: str
    """Unit and direction of the axis, such as `times lower (logarithmic)`."""
    logarithmic: bool
    """Whether the axis shows ratios; no effect is then 1, else 0."""
    marks: tuple[Mark, ...]
    """Rows, top to bottom."""


def extent(panels: Sequence[Panel]) -> tuple[float, float]:
    """Return the range that holds all marks, their intervals and no effect, with some room."""
    ends = [
        end
        for panel in panels
        for mark in panel.marks
        for end in (mark.value, mark.low, mark.high)
        if end is not None
    ]
    if panels[0].logarithmic:
        return min([*ends, 1.0]) / 1.25, max([*ends, 1.0]) * 1.25
    low, high = min([*ends, 0.0]), max([*ends, 0.0])
    room = 0.12 * ((high - low) or 1.0)
    return low - room, high + room


def forest(panel: Panel, identifier: str, limits: tuple[float, float]) -> Markup:
    """Draw one panel.

    Args:
        panel: What to draw.
        identifier: Prefix of the ids in the SVG, unique on its page.
        limits: Ends of the axis; panels that share a unit share them.
    """
    height = ROW * len(panel.marks) + AXIS
    bottom = ROW * len(panel.marks) + 6
    position = _Scale(limits, panel.logarithmic)
    neutral = position(1.0 if panel.logarithmic else 0.0)
    parts = [
        Markup('<svg class="gt-forest" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
            WIDTH, height, identifier, identifier
        ),
        Markup('<title id="{}-t">{}</title>').format(identifier, panel.title),
        Markup('<desc id="{}-d">{}</desc>').format(identifier, _description(panel)),
        Markup('<line class="gt-neutral" x1="{0}" x2="{0}" y1="0" y2="{1}"/>').format(_n(neutral), bottom),
    ]
    parts += [_row(mark, index * ROW, position) for index, mark in enumerate(panel.marks)]
    parts.append(_axis(panel, bottom, limits, position))
    return Markup("\n").join([*parts, Markup("</svg>")])


def _description(panel: Panel) -> str:
    rows = "; ".join(f"{mark.label}: {mark.text}" for mark in panel.marks)
    return f"{panel.axis}. {rows}."


def _row(mark: Mark, top: int, position: _Scale) -> Markup:
    label = mark.label if len(mark.label) <= LONGEST_LABEL else f"{mark.label[: LONGEST_LABEL - 1]}\u2026"
    y = top + 29
    bar = Markup()
    if mark.low is not None and mark.high is not None:
        bar = Markup('<path class="gt-bar" d="M{} {}H{}"/>').format(
            _n(position(mark.low)), y, _n(position(mark.high))
        )
    return Markup(
        '<g class="gt-{}"><text x="{}" y="{}">{}</text><text class="gt-value" x="{}" y="{}">{}</text>{}{}</g>'
    ).format(
        escape(mark.role.split("-")[0]),
        MARGIN, top + 16, label, WIDTH - MARGIN, top + 16, mark.text, bar,
        _shape(mark.role, position(mark.value), y),
    )  # fmt: skip


def _shape(role: str, x: float, y: float) -> Markup:
    """Draw the mark: diamond for a claim, dot for the tactic, ring for this machine, others for rivals."""
    kind = role
    if role.startswith("rival"):
        kind = _RIVAL_SHAPES[int(role.partition("-")[2]) % len(_RIVAL_SHAPES)]
    paths = {
        "claim": f"M{_n(x)} {y - 7}l7 7l-7 7l-7 -7z",
        "square": f"M{_n(x - 5)} {y - 5}h10v10h-10z",
        "triangle": f"M{_n(x)} {y - 7}l7 12h-14z",
        "cross": f"M{_n(x - 5)} {y - 5}l10 10m0 -10l-10 10",
    }
    if kind in paths:
        return Markup('<path d="{}"/>').format(paths[kind])
    return Markup('<circle cx="{}" cy="{}" r="5.5"/>').format(_n(x), y)


def _axis(panel: Panel, bottom: int, limits: tuple[float, float], position: _Scale) -> Markup:
    left, right = position(limits[0]), position(limits[1])
    parts = [Markup('<path class="gt-axis" d="M{} {}H{}"/>').format(_n(left), bottom, _n(right))]
    for tick in ticks(limits, panel.logarithmic):
        text = f"{tick:,g}\u00d7" if panel.logarithmic else f"{tick:g}".replace("-", "\u2212")
        parts.append(
            Markup('<text class="gt-tick" x="{}" y="{}">{}</text>').format(
                _n(position(tick)), bottom + 16, text
            )
        )
    parts.append(
        Markup('<text class="gt-tick" x="{}" y="{}">{}</text>').format(WIDTH // 2, bottom + 35, panel.axis)
    )
    return Markup("").join(parts)


def ticks(limits: tuple[float, float], logarithmic: bool) -> list[float]:
    """Return round values inside the limits: 1, 2, 5 times powers of ten, or an even step for differences."""
    low, high = limits
    if logarithmic:
        decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        leads = (1, 2, 5) if math.log10(high / low) < 2.2 else (1,)
        found = [lead * 10.0**decade for decade in decades for lead in leads]
        return [tick for tick in found if low <= tick <= high]
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(lead * power for lead in (1, 2, 5, 10) if lead * power >= rough)
    first, last = math.ceil(low / step), math.floor(high / step)
    return [round(index * step, 10) for index in range(first, last + 1)]


class _Scale:
    """Maps a value to a horizontal position."""

    def __init__(self, limits: tuple[float, float], logarithmic: bool) -> None:
        self.logarithmic = logarithmic
        self.low, self.high = (self._turn(limit) for limit in limits)

    def _turn(self, value: float) -> float:
        return math.log(value) if self.logarithmic else value

    def __call__(self, value: float) -> float:
        share = (self._turn(value) - self.low) / (self.high - self.low)
        return MARGIN + share * (WIDTH - 2 * MARGIN)


def _n(value: float) -> str:
    """Write a coordinate with one decimal at most."""
    return f"{value:.1f}".removesuffix(".0")
