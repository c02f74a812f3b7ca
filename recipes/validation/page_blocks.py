"""Tables and bars that a program computes, and their places in a page that people write.

A place is the text between `<!-- table: NAME -->` and `<!-- /table -->`, both on lines of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

from recipes.common.run.contract import UserError

MARKED = re.compile(
    r"(?<=^<!-- table: )([\w-]+) -->\n(?:.*?\n)??<!-- /table(?= -->$)", re.MULTILINE | re.DOTALL
)

WIDTH, LEFT, RIGHT = 360, 44, 44
BAR, ROW, TOP = 12, 52, 30


@dataclass(frozen=True)
class Table:
    """A table of text, ready to be shown; cells of the first column head their rows."""

    title: str
    """What is shown, with its unit."""
    columns: tuple[str, ...]
    """Heads of the columns."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, as many a row as there are columns."""

    def to_html(self) -> str:
        """Write the table so that it scrolls by itself on a narrow screen."""
        head = "".join(f'<th scope="col">{_unbroken(column)}</th>' for column in self.columns)
        lines = [
            f'<p class="gt-key">{escape(self.title)}</p>',
            f'<div class="gt-scroll" role="region" aria-label="{escape(self.title)}" tabindex="0">',
            '<table class="gt-table gt-numbers">',
            f"<thead><tr>{head}</tr></thead>",
            "<tbody>",
        ]
        for first, *rest in self.rows:
            cells = "".join(f"<td>{_unbroken(cell)}</td>" for cell in rest)
            lines.append(f'<tr><th scope="row">{_unbroken(first)}</th>{cells}</tr>')
        return "\n".join([*lines, "</tbody>", "</table>", "</div>"])

    def to_text(self) -> str:
        """Write the table for a terminal."""
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if index else cell.ljust(width)
                for index, (cell, width) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
            for row in (self.columns, *self.rows)
        ]
        return "\n".join([self.title, "", *lines, ""])


def _unbroken(text: str) -> str:
    """Escape text for HTML and keep a number on one line with its sign or its N."""
    return re.sub(r"(?<=\d) (?=%)|(?<=\d) (?=\()|(?<=N) (?==)|(?<==) (?=\d)", "\u00a0", escape(text))


def fill(page: str, blocks: Mapping[str, str], name: str) -> str:
    """Put each block into its place.

    Args:
        page: Text of the page.
        blocks: Block by the name of its place.
        name: Name of the page's file, for errors.

    Raises:
        UserError: The places of the page and the blocks are not the same, each once.
    """
    places = [match.group(1) for match in MARKED.finditer(page)]
    if sorted(places) != sorted(blocks):
        raise UserError(
            f"{name}: expected one place each for {', '.join(sorted(blocks))}, got "
            f"{', '.join(sorted(places)) or 'none'}; put <!-- table: NAME --> and <!-- /table --> on lines "
            "of their own around each"
        )
    return MARKED.sub(lambda match: f"{match[1]} -->\n{blocks[match[1]]}\n<!-- /table", page)


def stacked_bars(
    title: str, kinds: Sequence[str], rows: Mapping[str, Mapping[str, Sequence[float]]], identifier: str
) -> str:
    """Draw stacked bars as an SVG that takes its colours from the page.

    Args:
        title: What is drawn.
        kinds: Names of the parts of a bar, four at most.
        rows: By row and bar, the sizes of the parts in the order of `kinds`.
        identifier: Prefix of the identifiers in the drawing, unique on its page.
    """
    largest = max(sum(parts) for bars in rows.values() for parts in bars.values())
    described = "; ".join(
        f"{row}, {bar}: {sum(parts):.1f}" for row, bars in rows.items() for bar, parts in bars.items()
    )
    lines = [
        '<figure class="gt-figure">',
        f"<figcaption>{escape(title)}</figcaption>",
        f'<svg class="gt-layers" viewBox="0 0 {WIDTH} {TOP + ROW * len(rows)}" role="img"',
        f'aria-labelledby="{identifier}-t {identifier}-d">',
        f'<title id="{identifier}-t">{escape(title)}</title>',
        f'<desc id="{identifier}-d">{escape(described)}.</desc>',
        _legend(kinds),
    ]
    for index, (row, bars) in enumerate(rows.items()):
        top = TOP + ROW * index
        lines.append(f'<text x="0" y="{top + 14}">{escape(row)}</text>')
        for line, (bar, parts) in enumerate(bars.items()):
            lines.append(_bar(bar, parts, top + 19 + line * (BAR + 3), largest))
    return "\n".join([*lines, "</svg>", "</figure>"])


def _legend(kinds: Sequence[str]) -> str:
    x, parts = 0, []
    for index, kind in enumerate(kinds):
        parts.append(
            f'<rect class="gt-share-{index}" x="{x}" y="6" width="11" height="11"/>'
            f'<text class="gt-small" x="{x + 15}" y="16">{escape(kind)}</text>'
        )
        x += 24 + 7 * len(kind)
    return "".join(parts)


def _bar(name: str, parts: Sequence[float], y: int, largest: float) -> str:
    scale = (WIDTH - LEFT - RIGHT) / largest
    edges = [float(LEFT)]
    for part in parts:
        edges.append(edges[-1] + part * scale)
    rectangles = "".join(
        f'<rect class="gt-share-{index}" x="{start:.1f}" y="{y}" width="{end - start:.1f}" height="{BAR}"/>'
        for index, (start, end) in enumerate(pairwise(edges))
    )
    return (
        f'<text class="gt-small" x="0" y="{y + 10}">{escape(name)}</text>{rectangles}'
        f'<text class="gt-small" x="{edges[-1] + 6:.1f}" y="{y + 10}">{sum(parts):.1f}</text>'
    )
