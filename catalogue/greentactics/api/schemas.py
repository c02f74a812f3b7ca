"""The JSON Schemas of the files people and programs write and of the API, for editors and for other tools."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from greentactics.api.models import (
    ChangesDocument,
    IndexDocument,
    TacticDocument,
    TacticsDocument,
    VocabulariesDocument,
    VocabularyDocument,
)
from greentactics.models.bibliography import Bibliography
from greentactics.models.record import DraftRecord, Record
from greentactics.models.replays import Replay
from greentactics.models.results import Results
from greentactics.text.files import write_atomically

FOLDER = Path("catalogue") / "schema"
MODELS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("record", Record),
    ("bibliography", Bibliography),
    ("results", Results),
    ("replay", Replay),
    ("draft", DraftRecord),
    ("api-index", IndexDocument),
    ("api-tactic", TacticDocument),
    ("api-tactics", TacticsDocument),
    ("api-vocabularies", VocabulariesDocument),
    ("api-vocabulary", VocabularyDocument),
    ("api-changes", ChangesDocument),
)


def schema_files() -> dict[Path, str]:
    """Return the text of each schema file by its path from the root of the repository."""
    return {FOLDER / f"{name}.schema.json": _schema_text(model) for name, model in MODELS}


def write_schema_files(root: Path) -> list[Path]:
    """Write the schema files; return those that changed."""
    changed = []
    for name, text in schema_files().items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomically(path, text)
            changed.append(name)
    return changed


def _schema_text(model: type[BaseModel]) -> str:
    schema = {"$schema": GenerateJsonSchema.schema_dialect, **model.model_json_schema(by_alias=True)}
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
