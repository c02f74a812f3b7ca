"""The committed JSON Schemas say what the models say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from greentactics.api.schemas import MODELS, schema_files, write_schema_files
from greentactics.models.bibliography import Bibliography
from greentactics.models.record import Record
from greentactics.models.results import Results
from tests.examples.example_files import REPOSITORY

FILES = schema_files()


@pytest.mark.parametrize("name", FILES, ids=lambda path: path.name)
def test_the_committed_schema_equals_the_model(name: Path) -> None:
    assert (REPOSITORY / name).read_text(encoding="utf-8") == FILES[name]


def test_there_is_one_schema_for_each_kind_of_file() -> None:
    assert [model for _, model in MODELS[:3]] == [Record, Bibliography, Results]
    stored = {path.relative_to(REPOSITORY) for path in (REPOSITORY / "catalogue" / "schema").glob("*.json")}
    assert set(FILES) == stored


def test_schemas_are_written_only_when_they_change(tmp_path: Path) -> None:
    assert len(write_schema_files(tmp_path)) == len(MODELS)
    assert write_schema_files(tmp_path) == []


def _properties(schema: object, path: str = "") -> list[tuple[str, dict[str, object]]]:
    if not isinstance(schema, dict):
        return []
    found = [(f"{path}.{key}", inner) for key, inner in schema.get("properties", {}).items()]
    return found + [entry for name, value in schema.items() for entry in _properties(value, f"{path}.{name}")]


@pytest.mark.parametrize("name", FILES, ids=lambda path: path.name)
def test_editors_find_a_description_of_every_field_and_understand_the_patterns(name: Path) -> None:
    schema = json.loads(FILES[name])
    properties = _properties(schema)
    assert len(properties) > 5
    # Where a field and its type have the same description, only the type keeps it.
    types = {f"#/$defs/{name}": inner.get("description") for name, inner in schema["$defs"].items()}
    missing = [
        path for path, inner in properties if not (inner.get("description") or types.get(inner.get("$ref")))
    ]
    assert missing == []
    assert r"\\A" not in FILES[name]
    assert r"\\z" not in FILES[name]
