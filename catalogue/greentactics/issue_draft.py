"""A filled form to a draft: a record that lies outside of the catalogue until someone has looked at it."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from greentactics.diagnosis import diagnose
from greentactics.errors import CatalogueError, Problem, UserError
from greentactics.issue_form import FilledForm, read_fields, read_filled
from greentactics.loading import Catalogue, catalogue_of, read_files
from greentactics.places import Finding, quoted
from greentactics.plain_scalars import plain_value
from greentactics.record_rules import record_findings
from greentactics.relation_rules import relation_findings
from greentactics.rules import Rule
from greentactics.schema import Record
from greentactics.text_file import TextFile
from greentactics.vocabulary import Status

DRAFTS = Path("drafts")
"""Folder of drafts below the root; nothing in it is published or checked with the rest."""
_SCHEMA = "# yaml-language-server: $schema=../catalogue/schema/record.schema.json"
_HISTORY = "Drafted from an issue."
_LONGEST_ID = 80
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


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


def write_draft(root: Path, draft: IssueDraft) -> Path:
    """Write a draft to its file, which must not be there, and return its path below the root.

    Raises:
        UserError: A draft of this name is there, or a link stands in the way.
    """
    path = DRAFTS / f"{draft.id}.yaml"
    if (root / DRAFTS).is_symlink():
        raise UserError(f"{DRAFTS}: expected a folder, got a link; remove it")
    (root / DRAFTS).mkdir(exist_ok=True)
    try:
        with (root / path).open("x", encoding="utf-8", newline="\n") as file:
            file.write(draft.text)
    except FileExistsError:
        raise UserError(f"{path}: a draft of this name is there; finish it, or move it away") from None
    return path


def _complete(form: FilledForm, today: datetime.date) -> dict[str, Any]:
    """Return the answers with what a form does not ask for, in the order of a record."""
    given = {
        "impact": {"claims": []},
        **form.tree,
        "id": _slug(str(form.tree.get("title", ""))),
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
    name = f"tactics/{tree['id']}.yaml"
    if (catalogue.root / name).exists():
        expected, cure = "a title of its own", "choose another title, or propose a correction"
        finding = Finding(("title",), Rule.DUPLICATE_ENTRY, expected, f"that of {name}", cure)
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


def _slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    words = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    return re.sub(r"^[0-9-]+", "", words)[:_LONGEST_ID].rstrip("-")


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        super().increase_indent(flow, indentless=False)


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if "\n" in text:
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|")
    if _DATE.fullmatch(text):
        return dumper.represent_scalar("tag:yaml.org,2002:timestamp", text)
    style = None if plain_value(text) == text else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _represent_number(dumper: _Dumper, number: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", f"{Decimal(repr(number)):f}")


_Dumper.add_representer(str, _represent_text)
_Dumper.add_representer(float, _represent_number)


def _text(tree: Mapping[str, Any], to_cite: tuple[str, ...]) -> str:
    to_do = [f"# To do: add with greentactics cite: {entry}" for entry in to_cite]
    last = "# Then move the file to tactics/ and run `greentactics check`."
    body = yaml.dump(dict(tree), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)
    return "\n".join([_SCHEMA, *to_do, last, body])
