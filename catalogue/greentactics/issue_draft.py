"""A filled form to a draft: a record that lies outside of the catalogue until someone has looked at it."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from greentactics.diagnosis import diagnose
from greentactics.errors import CatalogueError, Problem
from greentactics.formatting import schema_line
from greentactics.issue_form import FilledForm, read_fields, read_filled
from greentactics.loading import Catalogue, catalogue_of, read_files
from greentactics.places import Finding, quoted
from greentactics.record_rules import record_findings
from greentactics.relation_rules import relation_findings
from greentactics.rules import Rule
from greentactics.schema import Record
from greentactics.tactic_ids import identifier_of, taken_ids
from greentactics.text_file import TextFile
from greentactics.vocabulary import Status
from greentactics.yaml_text import yaml_text

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
