"""A difference between two states of the catalogue as text, for a terminal or a pull request."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from greentactics.catalogue_diff import KINDS, Aspect, CatalogueDiff, RecordChange
from greentactics.errors import UserError
from greentactics.escaping import fence_for, one_line

FORMATS = ("text", "markdown", "recipes")
"""Forms a difference can be written in."""
_WIDTH = 100
_LONGEST_COMMENT = 60_000
"""Characters; a comment on GitHub may have 65,536."""


def render_diff(diff: CatalogueDiff, base: str, format: str) -> str:  # noqa: A002 - the word users type
    """Return a difference as text without a line end.

    Args:
        diff: The difference.
        base: The earlier state, as it is called in the text.
        format: `text`: for a terminal; `markdown`: for a comment on a pull request; `recipes`: the tactics
            whose recipe computes something else, one a line.

    Raises:
        UserError: The format is unknown.
    """
    if format == "recipes":
        return "\n".join(diff.recipes)
    if format == "text":
        return "\n\n".join([_summary(diff, base), *map(_block, diff.records), *_remarks(diff)])
    if format == "markdown":
        return _markdown(diff, base)
    raise UserError(f"{format}: no such format; expected one of {', '.join(FORMATS)}")


def _summary(diff: CatalogueDiff, base: str) -> str:
    if not diff.records and not diff.recipes and not diff.recipes_removed:
        return f"No record, result or recipe differs from {base}."
    counts = [(sum(change.kind == kind for change in diff.records), kind) for kind in KINDS]
    listed = ", ".join(f"{count} {kind}" for count, kind in counts if count) or "none"
    return f"Records that differ from {base}: {listed}."


def _remarks(diff: CatalogueDiff) -> Iterator[str]:
    for words, names in (
        ("Recipes that are new or compute something else", diff.recipes),
        ("Recipes that are gone", diff.recipes_removed),
        ("Not compared, as the earlier file breaks the rules of today", diff.unreadable),
    ):
        if names:
            yield f"{words}: {', '.join(map(one_line, names))}"


def _block(change: RecordChange) -> str:
    lines = [f"{change.kind}: {change.id}"]
    for aspect in change.aspects:
        lines += [f"  {aspect.name}", *(f"    {line}" for line in _lines(aspect))]
    if change.fields:
        lines.append(f"  other fields: {', '.join(change.fields)}")
    return "\n".join(lines)


def _lines(aspect: Aspect) -> Iterator[str]:
    for sign, texts in (("-", aspect.before), ("+", aspect.after)):
        for text in texts:
            # A line that is broken keeps its sign, so that it keeps its colour.
            parts = textwrap.wrap(one_line(text), _WIDTH, break_on_hyphens=False) or [""]
            yield f"{sign} {parts[0]}"
            yield from (f"{sign}   {part}" for part in parts[1:])


def _markdown(diff: CatalogueDiff, base: str) -> str:
    """Return Markdown in which all text of records stands in listings, where nothing is interpreted."""
    parts, length = [f"### {_summary(diff, base)}"], 0
    for number, change in enumerate(diff.records):
        block = _listing(change)
        length += len(block)
        if length > _LONGEST_COMMENT:
            left = len(diff.records) - number
            parts.append(f"{left} more, left out here for their length; `greentactics diff` shows all.")
            break
        parts.append(block)
    remarks = "\n".join(_remarks(diff))
    if remarks:
        parts.append(_fenced(remarks, "text"))
    return "\n\n".join(parts)


def _listing(change: RecordChange) -> str:
    lines = [f"{change.kind}: {change.id}"]
    for aspect in change.aspects:
        lines += [f"# {aspect.name}", *_lines(aspect)]
    if change.fields:
        lines.append(f"# other fields: {', '.join(change.fields)}")
    return _fenced("\n".join(lines), "diff")


def _fenced(text: str, language: str) -> str:
    fence = fence_for(text)
    return f"{fence}{language}\n{text}\n{fence}"
