"""The steps of a tactic as a flow diagram in inline SVG, with arrows back for repetitions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from markupsafe import Markup

from greentactics.models.record import Step
from greentactics.site.drawings.svg import wrapped

WIDTH = 420
LEFT = 8
LANE = 26
LINE = 18
GAP = 24
NOTE = 8
NOTE_LINE = 16
SIZE = 13


def flow(steps: Sequence[Step], identifier: str, title: str) -> Markup:
    """Draw the steps from top to bottom.

    Args:
        steps: The mechanism; `repeat_from` counts from 1.
        identifier: Prefix of the ids in the SVG, unique on its page.
        title: What the diagram shows.
    """
    loops = [(index, step) for index, step in enumerate(steps) if step.repeat_from is not None]
    width = WIDTH - 2 * LEFT - LANE * len(loops) - (8 if loops else 0)
    lines = [wrapped(f"{index + 1}. {step.text}", width - 20, SIZE) for index, step in enumerate(steps)]
    notes = [_note(step, width) for step in steps]
    tops, heights, bottom = _layout(notes, lines)
    parts = [
        Markup('<svg class="gt-flow" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
            WIDTH, bottom, identifier, identifier
        ),
        Markup('<title id="{}-t">{}</title>').format(identifier, title),
        Markup('<desc id="{}-d">{}</desc>').format(identifier, describe(steps)),
        Markup(
            '<defs><marker id="{}-a" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
            'markerUnits="userSpaceOnUse" orient="auto">'
            '<path class="gt-head" d="M0 0L8 4L0 8z"/></marker></defs>'
        ).format(identifier),
    ]
    for top, height, words in zip(tops, heights, lines, strict=True):
        parts.append(_box(top, height, width, words))
    for (top, height), (following, _) in pairwise(zip(tops, heights, strict=True)):
        parts.append(_arrow(f"M{LEFT + 24} {top + height}V{following - 1}", identifier))
    for lane, (index, step) in enumerate(loops):
        target = (step.repeat_from or 1) - 1
        x = LEFT + width + LANE * (lane + 1)
        start, end = tops[index] + heights[index] // 2 + 5, tops[target] + heights[target] // 2 - 5 + 5 * lane
        edge = LEFT + width
        parts.append(_arrow(f"M{edge} {start}H{x}V{end}H{edge + 1}", identifier))
        for row, note in enumerate(notes[index]):
            parts.append(
                Markup('<text class="gt-until" x="{}" y="{}">{}</text>').format(
                    LEFT + 36, tops[index] + heights[index] + 17 + NOTE_LINE * row, note
                )
            )
    return Markup("\n").join([*parts, Markup("</svg>")])


def describe(steps: Sequence[Step]) -> str:
    """Return the steps as sentences, for readers who do not see the diagram."""
    sentences = []
    for number, step in enumerate(steps, start=1):
        sentences.append(f"Step {number}: {step.text}.")
        if step.repeat_from is not None:
            until = f" until {step.until}" if step.until else ""
            sentences.append(f"Repeat from step {step.repeat_from}{until}.")
    return " ".join(sentences)


def _layout(
    notes: Sequence[Sequence[str]], lines: Sequence[Sequence[str]]
) -> tuple[list[int], list[int], int]:
    """Return tops and heights of the boxes, and the height of the drawing."""
    tops: list[int] = []
    heights: list[int] = []
    top = 2
    for note, words in zip(notes, lines, strict=True):
        tops.append(top)
        heights.append(LINE * len(words) + 14)
        top += heights[-1] + GAP + (NOTE + NOTE_LINE * (len(note) - 1) if note else 0)
    return tops, heights, top - (0 if notes and notes[-1] else GAP - 2)


def _note(step: Step, width: float) -> list[str]:
    """Return the lines that say how long to repeat; none for a step without repetition.

    They stay within the width of the boxes: beside these run the arrows back.
    """
    if step.repeat_from is None:
        return []
    until = f" until {step.until}" if step.until else ""
    return wrapped(f"repeat from {step.repeat_from}{until}", width - 36, SIZE)


def _box(top: int, height: int, width: int, lines: Sequence[str]) -> Markup:
    spans = Markup("").join(
        Markup('<tspan x="{}" y="{}">{}</tspan>').format(LEFT + 12, top + 20 + LINE * row, line)
        for row, line in enumerate(lines)
    )
    return Markup(
        '<rect class="gt-step" x="{}" y="{}" width="{}" height="{}" rx="4"/><text>{}</text>'
    ).format(LEFT, top, width, height, spans)


def _arrow(path: str, identifier: str) -> Markup:
    return Markup('<path class="gt-arrow" d="{}" marker-end="url(#{}-a)"/>').format(path, identifier)
