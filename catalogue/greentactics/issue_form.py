"""A filled form of GitHub's issues to the values of a record, each with the line it was written in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from greentactics.errors import Problem, UserError
from greentactics.places import FieldPath, Place, Places, dotted, quoted
from greentactics.text_file import TextFile

NEW_TACTIC = Path(".github/ISSUE_TEMPLATE/new-tactic.yml")
"""The form whose answers make a record; its labels are the headings of a filled one."""
FORM_HEADING = "form-heading"
"""Name of the rule on the headings of a filled form."""
FORM_ROW = "form-row"
"""Name of the rule on answers that are rows of several parts."""
_NO_ANSWER = "_No response_"
_ROWS: Mapping[str, tuple[str, ...]] = {
    "effects": ("quality", "direction", "reason"),
    "trade_offs": ("quality", "effect", "source"),
    "relations": ("type", "target", "reason"),
    "sources": ("key", "identifier", "supports"),
}
"""Parts of a row, by field."""
_OPTIONAL = frozenset({"trade_offs"})
"""Fields whose rows may lack the last part."""
_LINES = frozenset({"applies_when", "avoid_when"})
_NUMBER = re.compile(r"[0-9]{1,15}(?:\.[0-9]{1,15})?")
_RANGE = re.compile(rf"({_NUMBER.pattern}) to ({_NUMBER.pattern})")


@dataclass(frozen=True)
class FormField:
    """One question of a form."""

    path: FieldPath
    """The field of a record that it asks for."""
    label: str
    """Heading above the answer."""
    multiple: bool
    """Whether several options may be chosen."""


@dataclass(frozen=True)
class FilledForm:
    """What a filled form says."""

    tree: Mapping[str, Any]
    """Fields of a record, as far as there were answers."""
    identifiers: Mapping[str, str]
    """DOI, arXiv identifier or address by key of the source."""
    places: Places
    """Lines of the answers."""
    problems: tuple[Problem, ...]
    """What is wrong with the form itself."""


def read_fields(root: Path) -> tuple[FormField, ...]:
    """Read the questions of the form for a new tactic.

    Raises:
        UserError: The checkout has no such form.
    """
    try:
        body = yaml.safe_load((root / NEW_TACTIC).read_text(encoding="utf-8"))["body"]
        return tuple(
            FormField(_path(entry["id"]), entry["attributes"]["label"], "multiple" in entry["attributes"])
            for entry in body
            if entry["type"] != "markdown"
        )
    except OSError as error:
        raise UserError(f"{NEW_TACTIC}: cannot be read ({error.strerror}); bring it back with git") from None
    except (UnicodeDecodeError, yaml.YAMLError, KeyError, TypeError):
        raise UserError(f"{NEW_TACTIC}: expected the form for a new tactic; bring it back with git") from None


def read_filled(source: TextFile, fields: Sequence[FormField]) -> FilledForm:
    """Read the Markdown that GitHub makes of a filled form; every mistake is collected."""
    lines = source.text.split("\n")
    starts, problems = _headings(source.file, lines, fields)
    tree: dict[str, Any] = {}
    places: dict[FieldPath, Place] = {(): Place(1, 1)}
    identifiers: dict[str, str] = {}
    ends = sorted([*starts.values(), len(lines)])
    for field in fields:
        if field.label not in starts:
            continue
        start = starts[field.label]
        answer = _Answer(source.file, field, start, tuple(lines[start + 1 : ends[ends.index(start) + 1]]))
        for path in (field.path[:end] for end in range(1, len(field.path) + 1)):
            places.setdefault(path, Place(answer.first, 1))
        value = _value(answer, places, problems, identifiers)
        if value not in ("", []):
            _put(tree, field.path, value)
    return FilledForm(tree, identifiers, Places(places, {}), tuple(problems))


@dataclass(frozen=True)
class _Answer:
    file: str
    field: FormField
    heading: int
    """Index of the line with the heading."""
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        text = "\n".join(line.rstrip() for line in self.lines).strip()
        return "" if text == _NO_ANSWER else text

    @property
    def first(self) -> int:
        """Line at which the answer begins, counted from 1; that of the heading where there is none."""
        blank = next((index for index, line in enumerate(self.lines) if line.strip()), -1)
        return self.heading + 2 + blank

    def rows(self) -> Iterator[tuple[int, str]]:
        """Yield the lines that hold something, with their numbers, without the sign of a list."""
        if self.text:
            for number, line in enumerate(self.lines, start=self.heading + 2):
                text = re.sub(r"^\s*(?:[-*+]|\d+[.)])\s+", "", line).strip()
                if text:
                    yield number, text


def _headings(
    file: str, lines: Sequence[str], fields: Sequence[FormField]
) -> tuple[dict[str, int], list[Problem]]:
    """Return the lines of the headings by label, and what is wrong with them."""
    labels = {f"### {field.label}": field.label for field in fields}
    starts: dict[str, int] = {}
    problems = []
    cure = "copy the text of the issue as GitHub gives it"
    for index, line in enumerate(lines):
        label = labels.get(line.rstrip())
        if label is not None and starts.setdefault(label, index) != index:
            found, twice = f"{quoted(line.strip())} again", "write it otherwise in the answer"
            problems.append(Problem(file, index + 1, 1, "", FORM_HEADING, "each heading once", found, twice))
    missing = [field.label for field in fields if field.label not in starts]
    if len(missing) == len(fields):
        expected = f'the headings of {NEW_TACTIC}, such as "### {fields[0].label}"'
        return starts, [Problem(file, 1, 1, "", FORM_HEADING, expected, "none", cure)]
    problems += [
        Problem(file, len(lines), 1, "", FORM_HEADING, f'the heading "### {label}"', "none", cure)
        for label in missing
    ]
    return starts, problems


def _value(
    answer: _Answer, places: dict[FieldPath, Place], problems: list[Problem], identifiers: dict[str, str]
) -> object:
    path, name = answer.field.path, str(answer.field.path[-1])
    if answer.field.multiple:
        return [part.strip() for part in answer.text.split(",") if part.strip()]
    if name in _ROWS:
        return _rows(answer, places, problems, identifiers)
    if name in _LINES or name == "steps":
        found = list(answer.rows())
        places.update({(*path, index): Place(number, 1) for index, (number, _) in enumerate(found)})
        return [{"text": text} if name == "steps" else text for _, text in found]
    if name == "value" and _NUMBER.fullmatch(answer.text):
        return _number(answer.text)
    return answer.text


def _rows(
    answer: _Answer, places: dict[FieldPath, Place], problems: list[Problem], identifiers: dict[str, str]
) -> list[dict[str, str]]:
    name = str(answer.field.path[-1])
    parts, found = _ROWS[name], list[dict[str, str]]()
    for number, text in answer.rows():
        values = [value.strip() for value in text.split("|", maxsplit=len(parts) - 1)]
        least = len(parts) - (name in _OPTIONAL)
        if len(values) < least or not all(values[:least]):
            expected = f'"{" | ".join(parts)}"'
            cure = f"write the {least} parts with | between them"
            field = dotted(answer.field.path)
            problems.append(Problem(answer.file, number, 1, field, FORM_ROW, expected, quoted(text), cure))
            continue
        row = {part: value for part, value in zip(parts, values, strict=False) if value}
        if name == "sources":
            identifiers[row["key"]] = row.pop("identifier")
        places[(name, len(found))] = Place(number, 1)
        found.append(row)
    return found


def _put(tree: dict[str, Any], path: FieldPath, value: object) -> None:
    """Store a value in a tree; a list on the way has one entry, the first."""
    place: Any = tree
    for part, following in itertools.pairwise(path):
        if isinstance(part, int):
            place = place[0] if place else _first(place)
        else:
            place = place.setdefault(part, [] if isinstance(following, int) else {})
    ends = _RANGE.fullmatch(str(value)) if path[-1] == "value" else None
    if ends:
        place["range"] = {"low": _number(ends[1]), "high": _number(ends[2])}
    else:
        place[path[-1]] = value


def _number(digits: str) -> float:
    return float(digits) if "." in digits else int(digits)


def _first(entries: list[dict[str, Any]]) -> dict[str, Any]:
    entries.append({})
    return entries[0]


def _path(identifier: str) -> FieldPath:
    """Return the path that an identifier of a form spells: `impact__claims__0__unit`."""
    return tuple(int(part) if part.isdigit() else part for part in identifier.split("__"))
