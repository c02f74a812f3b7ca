"""Order and layout of records and bibliography, for `greentactics check --fix`.

Whole lines are moved, so that a comment stays with the key it stands above and a value keeps its spelling. A
library that reads and writes YAML with comments ties a comment to the key before it, and carries it away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import yaml
from pydantic import BaseModel

from greentactics.models.bibliography import Bibliography
from greentactics.models.record import Record
from greentactics.records.diagnosis import schema_tree
from greentactics.text.files import (
    RECORD_BYTES,
    TextFile,
    catalogue_locked,
    decode,
    display_name,
    read_text_file,
    write_atomically,
)
from greentactics.text.problems import CatalogueError, FieldPath
from greentactics.text.yaml_source import compose, tree_of_right_yaml

SCHEMA_COMMENT = "# yaml-language-server: $schema="
"""How the line starts that tells an editor the schema of a file."""


def schema_line(model: type[BaseModel]) -> str:
    """Return the first line of a record or of the bibliography, by which editors find its schema."""
    return f"{SCHEMA_COMMENT}../catalogue/schema/{model.__name__.lower()}.schema.json"


def format_files(root: Path, files: Sequence[Path]) -> list[str]:
    """Format records and the bibliography in place.

    Files that cannot be read as YAML are left as they are; the check says why.

    Args:
        root: Resolved folder that holds `tactics/`.
        files: YAML files in `tactics/`.

    Returns:
        Names of the files that changed.

    Raises:
        UserError: Another command holds the lock of the catalogue.
    """
    changed = []
    with catalogue_locked(root):
        for path in files:
            try:
                source = read_text_file(path, root=root, max_bytes=RECORD_BYTES)
            except CatalogueError:
                continue
            text = formatted(source, Bibliography if path.name == "references.yaml" else Record)
            if text is not None and text.encode() != path.read_bytes():
                write_atomically(path, text)
                changed.append(display_name(path, root))
    return changed


def formatted(source: TextFile, model: type[BaseModel]) -> str | None:
    """Return the text of a record or bibliography in order, with the same values and all comments.

    The line for editors comes first. Keys stand in the order of the model, references in alphabetical order.
    No line ends in spaces and no blank line follows another; in the bibliography one separates the entries.
    Words, quotes, line breaks inside a value, and mappings in braces stay as they are.

    Returns:
        None where the text is no YAML as the catalogue has it, or would not mean the same afterwards.
    """
    tree = tree_of_right_yaml(source)
    if tree is None:
        return None
    root = compose(source.text)
    lines = _lines_of(source.text, root)
    first = root.start_mark.line
    above = first
    while above and lines[above - 1].text.strip() and not lines[above - 1].text.startswith(SCHEMA_COMMENT):
        above -= 1  # comments right above the first key move with it
    header = [line for line in lines[:above] if not line.text.startswith(SCHEMA_COMMENT)]
    body = _Sorter(lines, model).mapping(root, (), above, len(lines))
    text = _joined([_Line(schema_line(model)), *header, *body])
    unchanged = tree_of_right_yaml(decode(text.encode(), source.file)) == tree
    return text if unchanged else None


@dataclass(frozen=True)
class _Line:
    """One line of a file."""

    text: str
    inside: bool = False
    """Whether a value of several lines goes on here, so that blanks and signs belong to it."""

    def leads(self, column: int) -> bool:
        """Tell whether it belongs to what follows at a column: a blank line, or a comment not further in."""
        start = self.text.lstrip(" ")
        return not self.inside and (not start or (start[0] == "#" and len(self.text) - len(start) <= column))


def _lines_of(text: str, root: yaml.Node) -> list[_Line]:
    texts = text.removesuffix("\n").split("\n")
    inside: set[int] = set()
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if isinstance(node, yaml.MappingNode):
            waiting += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.ScalarNode):
            inside.update(range(node.start_mark.line + 1, _end_of(node, texts)))
    return [_Line(line, number in inside) for number, line in enumerate(texts)]


def _end_of(node: yaml.ScalarNode, texts: Sequence[str]) -> int:
    """Return the number of the line after a value; blank lines below a block count only if they are kept."""
    end: int = node.end_mark.line
    if node.style not in ("|", ">"):
        return end + 1
    while not node.value.endswith("\n\n") and not texts[end - 1].strip():
        end -= 1
    return end


def _joined(lines: Sequence[_Line]) -> str:
    kept = list(lines[:1])
    for line in lines[1:]:
        if line.inside or line.text.strip() or (kept[-1].text.strip() and len(kept) > 1):
            kept.append(line if line.inside else _Line(line.text.rstrip()))
    while not (kept[-1].inside or kept[-1].text):
        kept.pop()
    return "\n".join(line.text for line in kept) + "\n"


class _Sorter:
    """Sorts the lines of one file; lines are counted from 0, and an end is the line after."""

    def __init__(self, lines: list[_Line], model: type[BaseModel]) -> None:
        self._lines = lines
        self._schema = schema_tree(model)

    def mapping(self, node: yaml.Node, path: FieldPath, first: int, end: int) -> list[_Line]:
        """Return the lines of a mapping in the order of its keys."""
        column = node.start_mark.column
        starts = self._starts([key.start_mark.line for key, _ in node.value], column, first)
        footer = self._lead(end, column, starts[-1] + 1)
        parts = {}
        for (key, value), start, stop in zip(node.value, starts, [*starts[1:], footer], strict=True):
            inner, begin = (*path, key.value), key.start_mark.line + 1
            if value.start_mark.line >= begin:
                parts[key.value] = [*self._lines[start:begin], *self._value(value, inner, begin, stop)]
            else:
                parts[key.value] = self._lines[start:stop]
        known = self._schema.keys(path)
        apart = not path and not known  # references, sorted by key, with a blank line between them
        names = [name for name in (sorted(parts) if apart else known) if name in parts]
        sorted_parts = [parts[name] for name in (*names, *(name for name in parts if name not in names))]
        if apart:
            sorted_parts = [[*_stripped(part), _Line("")] for part in sorted_parts]
        ordered = [line for part in sorted_parts for line in part]
        return [*self._lines[first : starts[0]], *ordered, *self._lines[footer:end]]

    def _value(self, node: yaml.Node, path: FieldPath, first: int, end: int) -> list[_Line]:
        if isinstance(node, yaml.MappingNode) and not node.flow_style:
            return self.mapping(node, path, first, end)
        if isinstance(node, yaml.SequenceNode) and not node.flow_style:
            return self._list(node, path, first, end)
        return self._lines[first:end]

    def _list(self, node: yaml.SequenceNode, path: FieldPath, first: int, end: int) -> list[_Line]:
        column = node.start_mark.column
        dashes = [self._dash(item.start_mark.line, column) for item in node.value]
        starts = self._starts(dashes, column, first)
        laid = self._lines[first : starts[0]]
        for index, (item, start, stop) in enumerate(zip(node.value, starts, [*starts[1:], end], strict=True)):
            dash, inner = dashes[index], (*path, index)
            begin = dash + 1
            if item.start_mark.line == dash and isinstance(item, yaml.MappingNode) and not item.flow_style:
                begin = dash
                self._put(dash, column, " ")
            laid += self._lines[start:begin]
            part = self._value(item, inner, begin, stop)
            if begin == dash:
                at = next(number for number, line in enumerate(part) if not line.leads(len(line.text)))
                text = part[at].text
                part[at] = replace(part[at], text=f"{text[:column]}-{text[column + 1 :]}")
            laid += part
        return laid

    def _put(self, number: int, column: int, sign: str) -> None:
        text = self._lines[number].text
        self._lines[number] = _Line(f"{text[:column]}{sign}{text[column + 1 :]}")

    def _dash(self, number: int, column: int) -> int:
        """Return the line of the dash before an item that starts on a line."""
        while self._lines[number].text[column : column + 1] != "-":
            number -= 1
        return number

    def _starts(self, numbers: Sequence[int], column: int, first: int) -> list[int]:
        """Return where entries start, with the lines above them that belong to them."""
        floors = [first, *(number + 1 for number in numbers)]
        return [self._lead(number, column, floor) for number, floor in zip(numbers, floors, strict=False)]

    def _lead(self, number: int, column: int, floor: int) -> int:
        while number > floor and self._lines[number - 1].leads(column):
            number -= 1
        return number


def _stripped(lines: Sequence[_Line]) -> list[_Line]:
    filled = [number for number, line in enumerate(lines) if line.inside or line.text.strip()]
    return list(lines[filled[0] : filled[-1] + 1])
