"""What all drawings have in common: how wide words are, scales with their ticks, marks beside words.

Words and lines never share a place. Where words belong to marks they stand in the cells of a table, beside
plots whose positions are percentages of their width: so nothing crosses a figure, and type keeps its size.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from markupsafe import Markup

NARROWEST = 130.0
"""Width in px of a plot between words on the narrowest screen."""
TICK_SIZE = 12.0
"""Size in px of the words of a tick."""
_BETWEEN_TICKS = 6.0
_BEYOND = 8.0  # px that the words of a tick may stand out of the plot; the cells beside it leave as much
_WIDTHS = (
    ("ijlI.,:;'|! \u00a0", 0.36), ("frt()[]-/\"", 0.46), ("+=<>\u00d7\u2212\u2192", 0.85), ("mwMWOQ%@&", 1.0),
)  # fmt: skip
"""Widths of letters in shares of the size, those of a wide font (DejaVu Sans, Verdana) rounded up."""


class Role(StrEnum):
    """What a mark stands for, which decides its shape and colour."""

    CLAIM = "claim"
    """A published figure; a diamond."""
    TACTIC = "tactic"
    """The tactic, reproduced; a dot."""
    LOCAL = "local"
    """The tactic on this machine, or a figure that does not count; a ring."""
    RIVAL = "rival"
    """A rival; a square."""


_SHAPES = {Role.CLAIM: "m0-7 7 7-7 7-7-7z", Role.RIVAL: "m-5-5h10v10h-10z"}


@dataclass(frozen=True)
class Figure:
    """One drawing with its caption."""

    title: str
    """What is drawn."""
    drawing: Markup
    """The drawing, as HTML with inline SVG."""


@dataclass(frozen=True)
class Scale:
    """The ends of an axis."""

    low: float
    """Value at the start."""
    high: float
    """Value at the end, above `low`."""
    logarithmic: bool
    """Whether it shows ratios."""

    @property
    def neutral(self) -> float:
        """The value of no effect: 1 of a ratio, else 0."""
        return 1.0 if self.logarithmic else 0.0

    def share(self, value: float) -> float:
        """Return where a value stands, as a share of the way from start to end."""
        if self.logarithmic:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def scale_over(values: Iterable[float], *, logarithmic: bool) -> Scale:
    """Return a scale that holds the values with some room, so that whole marks fit at both ends."""
    low, high = min(known := [*values]), max(known)
    if logarithmic:
        room = max(1.25, (high / low) ** 0.1)
        return Scale(low / room, high * room, logarithmic=True)
    margin = 0.12 * (high - low) or 0.12
    return Scale(low - margin, high + margin, logarithmic=False)


def text_width(text: str, size: float) -> float:
    """Return a width in px that the text does not exceed in any usual font of a size in px."""
    return size * sum(_letter_width(letter) for letter in text)


@functools.cache
def _letter_width(letter: str) -> float:
    for letters, width in _WIDTHS:
        if letter in letters:
            return width
    if not letter.isascii():
        return 1.0
    return 0.8 if letter.isupper() else 0.65


def wrapped_lines(text: str, width: float, size: float) -> list[str]:
    """Break text into lines of at most a width in px, at spaces; inside a word only where it is longer."""
    lines: list[str] = []
    for word in text.split():
        if lines and text_width(f"{lines[-1]} {word}", size) <= width:
            lines[-1] += f" {word}"
            continue
        lines.append("")
        for letter in word:
            if lines[-1] and text_width(lines[-1] + letter, size) > width:
                lines.append("")
            lines[-1] += letter
    return lines


def ticks(
    scale: Scale, length: float, extent: Callable[[str], float] | None = None
) -> list[tuple[float, str]]:
    """Return round values inside a scale with their words: as many as fit beside one another.

    Args:
        scale: The axis.
        length: Its length in px.
        extent: Room in px that words take along the axis; None for their width.
    """
    room = extent or (lambda words: text_width(words, TICK_SIZE))
    found: list[tuple[float, str]] = []
    for values in _round_values(scale):
        ends = -_BEYOND
        fits, found = True, []
        for value in values:
            words = tick_words(value, logarithmic=scale.logarithmic)
            middle, half = scale.share(value) * length, room(words) / 2
            if middle - half < -_BEYOND or middle + half > length + _BEYOND:
                continue
            fits = fits and (not found or middle - half >= ends + _BETWEEN_TICKS)
            ends = middle + half
            found.append((value, words))
        if fits and found:
            break
    return found


def tick_words(value: float, *, logarithmic: bool) -> str:
    """Return a tick's words: times, or a difference with its sign."""
    words = f"{value:,.9g}\u00d7" if logarithmic else f"{value:+.9g}" if value else "0"
    return words.replace("-", "\u2212")


def _round_values(scale: Scale) -> Iterator[list[float]]:
    """Yield round values inside a scale, ever fewer of them."""
    if scale.logarithmic and scale.high / scale.low > 4:
        first, last = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
        for leads in ((1, 2, 5), (1, 3), (1,)):
            values = [lead * 10.0**decade for decade in range(first, last + 1) for lead in leads]
            yield [value for value in values if scale.low <= value <= scale.high]
        for step in range(2, last - first + 1):
            decades = range(-(-first // step) * step, last + 1, step)
            yield [10.0**decade for decade in decades if scale.low <= 10.0**decade <= scale.high]
        return
    for count in (5, 4, 3, 2, 1):
        rough = (scale.high - scale.low) / count
        power = 10.0 ** math.floor(math.log10(rough))
        step_size = next(lead * power for lead in (1, 2, 5, 10) if lead * power >= rough * 0.999)
        low, high = math.ceil(scale.low / step_size), math.floor(scale.high / step_size)
        yield [float(f"{index * step_size:.9g}") for index in range(low, high + 1)]


def plot(role: Role, value: float, low: float | None, high: float | None, scale: Scale) -> Markup:
    """Draw one mark with its interval and the line of no effect, for a cell of a table.

    Args:
        role: What the mark stands for.
        value: What the mark shows.
        low: Lower end of its interval, if it has one.
        high: Upper end of its interval, if it has one.
        scale: The axis.
    """
    bar = Markup()
    if low is not None and high is not None:
        bar = Markup('<line x1="{}" x2="{}"/>').format(*(_percent(scale.share(end)) for end in (low, high)))
    shape = _SHAPES.get(role)
    mark = Markup('<svg x="{}"><path d="{}"/></svg>') if shape else Markup('<circle cx="{}" r="5.5"/>')
    return Markup(
        '<svg class="gt-plot gt-{}"><line x1="{}" x2="{}" y2="100%"/><svg y="50%">{}{}</svg></svg>'
    ).format(
        role,
        *2 * [_percent(scale.share(scale.neutral))],
        bar,
        mark.format(_percent(scale.share(value)), shape),
    )


def axis(scale: Scale) -> Markup:
    """Draw the axis below the plots of a column."""
    words = Markup("").join(
        Markup('<text class="gt-tick" x="{}" y="17">{}</text>').format(_percent(scale.share(value)), text)
        for value, text in ticks(scale, NARROWEST)
    )
    return Markup('<svg class="gt-ticks" aria-hidden="true"><line x2="100%"/>{}</svg>').format(words)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}".removesuffix(".0") + "%"
