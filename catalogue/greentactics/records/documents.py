"""One file to its model, with the problems it has by itself."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from greentactics.models.record import Record
from greentactics.records.diagnosis import diagnose
from greentactics.text.files import (
    PROBLEMS_SHOWN,
    RECORD_BYTES,
    RESULTS_BYTES,
    TextFile,
    display_name,
    read_text_file,
)
from greentactics.text.json_source import parse_json, places_in_json
from greentactics.text.problems import CatalogueError, Finding, Places, Problem, Rule, printable
from greentactics.text.yaml_source import parse_yaml

Content = TypeVar("Content")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Document(Generic[Content]):
    """One file: its text, and its model where the file is right."""

    source: TextFile
    """The file's name and text."""
    model: Content | None
    """What the file says; None where the file has problems."""
    problems: tuple[Problem, ...]
    """What is wrong with the file by itself."""
    keys: frozenset[str] = frozenset()
    """Keys at the top of the file, right or not."""

    @property
    def file(self) -> str:
        """Name of the file for problems."""
        return self.source.file

    def located(self, findings: Iterable[Finding]) -> list[Problem]:
        """Return findings with their places; the text is read again, as few files ever need it."""
        findings = list(findings)
        if not findings:
            return []
        if self.file.endswith(".json"):
            places = places_in_json(self.source.text, [finding.path for finding in findings])
        elif self.file.endswith(".yaml"):
            places = parse_yaml(self.source).places
        else:
            places = Places({}, {})
        return [places.problem(self.file, finding) for finding in findings]


def read_document(path: Path, model: type[Model], *, root: Path | None) -> Document[Model]:
    """Read one YAML or JSON file; every mistake is collected, none is raised."""
    try:
        limit = RESULTS_BYTES if path.suffix == ".json" else RECORD_BYTES
        source = read_text_file(path, root=root, max_bytes=limit)
    except CatalogueError as error:
        return Document(TextFile(display_name(path, root), "", ()), None, error.problems)
    document = _from_json(source, model) if path.suffix == ".json" else _from_yaml(source, model)
    if isinstance(document.model, Record) and document.model.id != path.stem:
        expected, found = f'"{printable(path.stem)}", the name of the file', f'"{document.model.id}"'
        cure = "rename the file or change the id"
        finding = Finding(("id",), Rule.ID_FILE_NAME, expected, found, cure)
        return Document(source, None, tuple(document.located([finding])), document.keys)
    return document


def _from_yaml(source: TextFile, model: type[Model]) -> Document[Model]:
    parsed = parse_yaml(source)
    keys = frozenset(parsed.tree) if isinstance(parsed.tree, dict) else frozenset()
    problems = list(parsed.problems)
    value: Model | None = None
    if parsed.parsed:
        try:
            value = _model_of(parsed.tree, model)
        except ValidationError as error:
            problems += diagnose(
                error, file=source.file, model=model, places=lambda _: parsed.places, refused=parsed.refused
            )
    return _document(source, value, problems, keys)


def _model_of(tree: object, model: type[Model]) -> Model:
    # JSON is the way in which a strict model takes lists for tuples, and text for terms and dates.
    return model.model_validate_json(json.dumps(tree), by_alias=True, by_name=False)


def _from_json(source: TextFile, model: type[Model]) -> Document[Model]:
    try:
        tree = parse_json(source)
        value = model.model_validate_json(source.text, by_alias=True, by_name=False)
    except CatalogueError as error:
        return _document(source, None, error.problems)
    except ValidationError as error:
        return _document(
            source,
            None,
            diagnose(
                error, file=source.file, model=model, places=lambda paths: places_in_json(source.text, paths)
            ),
        )
    return Document(source, value, (), frozenset(tree) if isinstance(tree, dict) else frozenset())


def _document(
    source: TextFile, value: Model | None, problems: Iterable[Problem], keys: frozenset[str] = frozenset()
) -> Document[Model]:
    ordered = sorted(set(problems))
    if len(ordered) > PROBLEMS_SHOWN:
        expected, cure = f"at most {PROBLEMS_SHOWN} problems in one file", "repair these first"
        ordered = ordered[:PROBLEMS_SHOWN]
        last = Problem(source.file, 1, 1, "", Rule.TOO_MANY_PROBLEMS, expected, "more", cure)
        ordered = [last, *ordered]
    return Document(source, None if ordered else value, tuple(ordered), keys)
