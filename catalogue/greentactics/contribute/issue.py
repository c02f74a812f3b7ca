"""A filled form to a draft: a record that lies outside of the catalogue until someone has looked at it."""

from __future__ import annotations

import datetime
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from greentactics.models.record import Record
from greentactics.models.vocabulary import Status
from greentactics.records.diagnosis import diagnose
from greentactics.records.formatting import schema_line
from greentactics.records.ids import identifier_of, taken_ids
from greentactics.records.loading import Catalogue, catalogue_of, read_files
from greentactics.records.rules import record_findings, relation_findings
from greentactics.text.files import TextFile
from greentactics.text.problems import (
    CatalogueError,
    FieldPath,
    Finding,
    Place,
    Places,
    Problem,
    Rule,
    UserError,
    dotted,
    quoted,
)
from greentactics.text.yaml_text import yaml_text

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


_HISTORY = "Drafted from an issue."
_WIDTH = 110


@dataclass(frozen=True)
class IssueDraft:
    """A draft that follows all rules of a record but those on the bibliography."""

    id: str
    """Its identifier."""
    text: str
    """The file."""
    to_cite: tuple[str, ...]
    """Sources that are missing in the bibliography: key and identifier."""


def draft_of(root: Path, source: TextFile, today: datetime.date) -> IssueDraft:
    """Turn a filled form into a draft.

    Args:
        root: The checkout.
        source: Text of the issue.
        today: Date of the draft.

    Raises:
        CatalogueError: The form is not right; it carries all problems.
        UserError: The checkout has no form or no catalogue.
    """
    fields = read_fields(root)
    catalogue = catalogue_of(read_files(root))
    form = read_filled(source, fields)
    tree = _complete(form, today)
    problems = [*source.problems, *form.problems]
    # Without its headings a text is no form at all; what it lacks as a record would only be noise.
    if form.tree:
        problems += _problems(tree, form, source.file, catalogue)
    if problems:
        raise CatalogueError(_in_form(problems, form))
    known = catalogue.bibliography
    missing = [key for key in form.identifiers if key not in known]
    to_cite = tuple(f"{key} ({form.identifiers[key]})" for key in missing)
    return IssueDraft(str(tree["id"]), _text(tree, to_cite), to_cite)


def _complete(form: FilledForm, today: datetime.date) -> dict[str, Any]:
    """Return the answers with what a form does not ask for, in the order of a record."""
    given = {
        "impact": {"claims": []},
        **form.tree,
        "id": identifier_of(str(form.tree.get("title", ""))),
        "status": Status.DRAFT.value,
        "created": today.isoformat(),
        "modified": today.isoformat(),
        "history": [{"date": today.isoformat(), "change": _HISTORY}],
    }
    return {name: given[name] for name in Record.model_fields if name in given}


def _problems(
    tree: Mapping[str, Any], form: FilledForm, file: str, catalogue: Catalogue
) -> Iterator[Problem]:
    yield from _taken(tree, form, file, catalogue)
    try:
        record = Record.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        yield from diagnose(error, file=file, model=Record, places=lambda _: form.places)
        return
    for finding in record_findings(record):
        yield form.places.problem(file, finding)
    records = {**catalogue.records, record.id: record}
    for tactic, finding in relation_findings(records, frozenset(records)):
        if tactic == record.id:
            yield form.places.problem(file, finding)


def _taken(tree: Mapping[str, Any], form: FilledForm, file: str, catalogue: Catalogue) -> Iterator[Problem]:
    identifier = str(tree["id"])
    if holder := taken_ids(catalogue.root, catalogue.records.values()).get(identifier):
        expected, cure = "a title of its own", "choose another title, or propose a correction"
        found = f"one that gives the identifier {identifier}: {holder}"
        finding = Finding(("title",), Rule.DUPLICATE_ENTRY, expected, found, cure)
        yield form.places.problem(file, finding)


def _in_form(problems: list[Problem], form: FilledForm) -> Iterator[Problem]:
    """Yield problems in terms of the form, which asks for a title and makes the identifier of it."""
    for problem in problems:
        if problem.field != "id":
            yield problem
        elif "title" in form.tree:
            expected = "a title with letters, to make an identifier of"
            finding = Finding(("title",), problem.rule, expected, quoted(str(form.tree["title"])))
            yield form.places.problem(problem.file, finding)


def _text(tree: Mapping[str, Any], to_cite: tuple[str, ...]) -> str:
    to_do = [f"# To do: add with greentactics cite: {entry}" for entry in to_cite]
    last = "# Then move the file to tactics/ and run `greentactics check`."
    return "\n".join([schema_line(Record), *to_do, last, yaml_text(tree, width=_WIDTH)])
