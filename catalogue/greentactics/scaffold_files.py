"""The files a new tactic starts with: record, recipe and test, made from the templates in `scaffold/`."""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from greentactics.errors import UserError
from greentactics.placeholders import PLACEHOLDER_KEY
from greentactics.plain_scalars import plain_value
from greentactics.vocabulary import Artifact, Group, Participant, Quality, Stage

_PLAIN = re.compile(r"[A-Za-z][\w ,'()-]*")


@dataclass(frozen=True)
class Draft:
    """What is known of a tactic before its record is written."""

    title: str
    """Title."""
    created: datetime.date
    """Date of the record."""
    id: str
    """Identifier."""
    group: str | None = None
    """Part of the system it acts on; None where that is still to be chosen."""
    quality: str | None = None
    """Quality it is meant to improve; None where that is still to be chosen."""
    intent: str = ""
    """What it is for; empty where that is still to be written."""
    sources: tuple[str, ...] = ()
    """Keys of its sources; none where they are still to be found."""
    like: str | None = None
    """Identifier of a tactic of its kind."""
    tags: tuple[str, ...] = ()
    """Subjects."""
    stages: tuple[str, ...] = (Stage.TRAINING.value,)
    """When it is decided."""
    participant: tuple[str, ...] = (Participant.DATA_SCIENTIST.value,)
    """Who decides it."""
    artifact: tuple[str, ...] = (Artifact.MODEL.value,)
    """What it changes."""

    @property
    def module(self) -> str:
        """Name of the recipe's module."""
        return self.id.replace("-", "_")


def identifier_of(title: str) -> str:
    """Return a title as an identifier: small letters and digits, words joined by hyphens."""
    plain = unicodedata.normalize("NFKD", title.replace("'", "")).encode("ascii", "ignore").decode()
    return "-".join(re.findall(r"[a-z0-9]+", plain.lower()))


def scaffold_names(identifier: str) -> dict[str, str]:
    """Return template by file, from the root of the repository, for a new tactic."""
    module = identifier.replace("-", "_")
    return {
        f"tactics/{identifier}.yaml": "record.yaml.j2",
        f"recipes/{module}.py": "recipe.py.j2",
        f"tests/recipes/test_{module}.py": "test_recipe.py.j2",
    }


def scaffold(draft: Draft) -> dict[str, str]:
    """Return the text of each file of a new tactic, by its path from the root of the repository."""
    environment = Environment(
        loader=PackageLoader("greentactics", "scaffold"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and Python; the title has been checked, the rest is quoted
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["scalar"] = _scalar
    return {
        file: environment.get_template(template).render(
            draft=draft,
            group=draft.group or Group.MODEL_OPTIMIZATION.value,
            quality=draft.quality or Quality.ENERGY_EFFICIENCY.value,
            sources=draft.sources or (PLACEHOLDER_KEY,),
        )
        for file, template in scaffold_names(draft.id).items()
    }


def write_new(root: Path, files: Mapping[str, str]) -> None:
    """Write files that do not exist yet: all of them, or none.

    Raises:
        UserError: One exists.
        OSError: One cannot be written.
    """
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            message = f"{error.filename}: expected no such file yet; nothing was written"
            raise UserError(message) from None
        raise


def _scalar(text: str) -> str:
    """Return text as one line of YAML that is read back as the same text."""
    return (
        text if _PLAIN.fullmatch(text) and plain_value(text) == text else json.dumps(text, ensure_ascii=False)
    )
