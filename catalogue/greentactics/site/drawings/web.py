"""The relations of all tactics as one drawing: a column of boxes, and an arc for each relation.

Relations with a direction (requires, specialises, countered by) run on the left and point at the other
tactic, those without run on the right. Within a group the boxes are ordered so that arcs become short. Each
box repeats its own arcs, unseen until the reader points at it, so that the style sheet can single them out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from greentactics.evidence.relations import Tie
from greentactics.evidence.tactic import Tactic
from greentactics.models.vocabulary import Group, Kind, RelationType
from greentactics.site.drawings.svg import text_width, wrapped_lines
from greentactics.text.escaping import text_to_html

DIRECTED = (RelationType.REQUIRES, RelationType.SPECIALISES, RelationType.COUNTERED_BY)
"""Types that run on the left; the others mean the same in both directions and run on the right."""
LEGEND = (*DIRECTED, *(relation_type for relation_type in RelationType if relation_type not in DIRECTED))
"""All types, those on the left first."""
DRAWN_AT_MOST = 120
"""Tactics in one drawing; with more, nobody can read it."""

BOX_LEFT, BOX_WIDTH = 180, 350
SIZE, INSET = 13, 10
WIDTH = 760
LINE, PADDING, GAP, HEADING = 16, 10, 5, 30
ROUNDS = 8
_REACH = 0.75  # share of the way to its control points that a cubic curve comes out


@dataclass(frozen=True)
class _Box:
    """One tactic in the drawing, in px."""

    tactic: Tactic
    top: int
    lines: tuple[str, ...]

    @property
    def height(self) -> int:
        return LINE * len(self.lines) + PADDING

    @property
    def middle(self) -> float:
        return self.top + self.height / 2


def drawn_groups(groups: Mapping[Group, Sequence[Tactic]], ties: Iterable[Tie]) -> dict[Group, list[Tactic]]:
    """Return the tactics that have relations, ordered within their group so that arcs become short.

    From alphabetical order, each is moved a few times to the mean place of itself and those it is tied to.
    """
    near: dict[str, list[str]] = {}
    for tie in ties:
        one, other = tie.source.record.id, tie.target.record.id
        near.setdefault(one, []).append(other)
        near.setdefault(other, []).append(one)
    found = {
        group: [tactic for tactic in members if tactic.record.id in near] for group, members in groups.items()
    }
    for _ in range(ROUNDS):
        order = [tactic.record.id for members in found.values() for tactic in members]
        place = {identifier: index for index, identifier in enumerate(order)}
        mean = {
            key: sum(place[other] for other in (key, *others)) / (1 + len(others))
            for key, others in near.items()
        }
        for members in found.values():
            members.sort(key=lambda tactic: (mean[tactic.record.id], tactic.record.id))
    return {group: members for group, members in found.items() if members}


def relation_figure(groups: Mapping[Group, Sequence[Tactic]], ties: Sequence[Tie], root: str) -> Markup:
    """Draw the relations.

    Args:
        groups: Tactics by group, both in the order they are drawn in.
        ties: Relations as the records state them, all between these tactics.
        root: Path from the page to the root of the site, such as `../`.

    Returns:
        One SVG element; its text and colours come from the style sheet.
    """
    boxes, headings, bottom = _place_boxes(groups)
    paths = _arcs(ties, boxes)
    own: dict[str, list[int]] = {identifier: [] for identifier in boxes}
    for index, tie in enumerate(ties):
        own[tie.source.record.id].append(index)
        own[tie.target.record.id].append(index)
    described = f"{len(boxes)} tactics and {len(ties)} relations; the list below says the same in words."
    parts = [
        Markup('<svg class="gt-web" viewBox="0 0 {} {}" role="group" aria-labelledby="web-t web-d">').format(
            WIDTH, bottom
        ),
        Markup('<title id="web-t">Relations between the tactics</title>'),
        Markup('<desc id="web-d">{}</desc>').format(described),
        Markup('<g class="gt-ties" aria-hidden="true">'),
        *(
            Markup('<path id="tie-{}" class="gt-tie gt-{}" d="{}"/>').format(index, _css(tie.type), path)
            for index, (tie, path) in enumerate(zip(ties, paths, strict=True))
        ),
        Markup("</g>"),
        *(
            Markup('<text class="gt-heading" x="{}" y="{}">{}</text>').format(BOX_LEFT, y, group.label)
            for group, y in headings
        ),
        *(_draw_box(box, own[identifier], root) for identifier, box in boxes.items()),
        Markup("</svg>"),
    ]
    return Markup("\n").join(parts)


def legend_line(relation_type: RelationType) -> Markup:
    """Draw a piece of an arc, for the legend."""
    head = "M24 1L32 5L24 9" if relation_type in DIRECTED else ""
    return Markup(
        '<svg class="gt-swatch" viewBox="0 0 34 10" aria-hidden="true">'
        '<path class="gt-tie gt-{}" d="M1 5H32{}"/></svg>'
    ).format(_css(relation_type), head)


def _css(relation_type: RelationType) -> str:
    return relation_type.value.replace("_", "-")


def _place_boxes(
    groups: Mapping[Group, Sequence[Tactic]],
) -> tuple[dict[str, _Box], list[tuple[Group, int]], int]:
    """Return boxes by identifier, headings with the line they stand on, and the height of the drawing."""
    boxes: dict[str, _Box] = {}
    headings = []
    y = 0
    for group, members in groups.items():
        headings.append((group, y + HEADING - 9))
        y += HEADING
        for tactic in members:
            mark = INSET + text_width("dark", SIZE) if tactic.record.kind is Kind.DARK else 0
            lines = tuple(wrapped_lines(tactic.record.title, BOX_WIDTH - 2 * INSET - mark, SIZE))
            boxes[tactic.record.id] = _Box(tactic, y, lines)
            y += boxes[tactic.record.id].height + GAP
    return boxes, headings, y


def _arcs(ties: Sequence[Tie], boxes: Mapping[str, _Box]) -> list[str]:
    """Return the path of each arc; ends at one side of a box are spread so that arcs do not cross there."""
    ends: dict[tuple[str, bool], list[tuple[float, int]]] = {}
    for index, tie in enumerate(ties):
        one, other = tie.source.record.id, tie.target.record.id
        left = tie.type in DIRECTED
        ends.setdefault((one, left), []).append((boxes[other].middle - boxes[one].middle, index))
        ends.setdefault((other, left), []).append((boxes[one].middle - boxes[other].middle, index))
    port: dict[tuple[str, int], float] = {}
    for (identifier, _), found in ends.items():
        # Upwards the nearest comes first, downwards the farthest: so the arcs lie inside one another.
        found.sort(key=lambda end: (end[0] > 0, -end[0], end[1]))
        box = boxes[identifier]
        for place, (_, index) in enumerate(found, start=1):
            port[identifier, index] = box.top + box.height * place / (len(found) + 1)
    longest = max((abs(offset) for found in ends.values() for offset, _ in found), default=1.0)
    return [
        _arc(
            port[tie.source.record.id, index],
            port[tie.target.record.id, index],
            left=tie.type in DIRECTED,
            longest=longest,
        )
        for index, tie in enumerate(ties)
    ]


def _arc(start: float, end: float, *, left: bool, longest: float) -> str:
    room = (BOX_LEFT if left else WIDTH - BOX_LEFT - BOX_WIDTH) - 4
    depth = room * (0.12 + 0.88 * min(1.0, abs(end - start) / longest) ** 0.7) / _REACH
    x = BOX_LEFT - 1 if left else BOX_LEFT + BOX_WIDTH + 1
    control = x - depth if left else x + depth
    path = f"M{x} {start:.0f}C{control:.0f} {start:.0f} {control:.0f} {end:.0f} {x} {end:.0f}"
    return f"{path}M{x - 8} {end - 4:.0f}L{x} {end:.0f}L{x - 8} {end + 4:.0f}" if left else path


def _draw_box(box: _Box, own: Iterable[int], root: str) -> Markup:
    dark = box.tactic.record.kind is Kind.DARK
    spans = Markup("").join(
        Markup('<tspan x="{}" y="{}">{}</tspan>').format(
            BOX_LEFT + INSET, box.top + LINE + 1 + LINE * row, text_to_html(line)
        )
        for row, line in enumerate(box.lines)
    )
    mark = (
        Markup('<text class="gt-mark-dark" x="{}" y="{}">dark</text>').format(
            BOX_LEFT + BOX_WIDTH - 7, box.top + box.height - 9
        )
        if dark
        else ""
    )
    return Markup(
        '<g class="gt-node{}"><a href="{}tactics/{}/index.html">'
        '<rect x="{}" y="{}" width="{}" height="{}" rx="4"/><text>{}</text>{}</a>{}</g>'
    ).format(
        " gt-dark" if dark else "",
        root,
        box.tactic.record.id,
        BOX_LEFT,
        box.top,
        BOX_WIDTH,
        box.height,
        spans,
        mark,
        Markup("").join(Markup('<use href="#tie-{}"/>').format(index) for index in own),
    )
