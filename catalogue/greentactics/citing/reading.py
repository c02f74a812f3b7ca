"""References from a file or from standard input, whichever format they are in."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from greentactics.citing.bibtex import read_bibtex
from greentactics.citing.csl_json import read_csl_json
from greentactics.citing.raw_entries import ReadReference, references_of
from greentactics.citing.ris import read_ris
from greentactics.models.bibliography import CitationKey, Reference
from greentactics.records.diagnosis import diagnose
from greentactics.text.files import RECORD_BYTES, TextFile, read_named_file
from greentactics.text.problems import CatalogueError, UserError
from greentactics.text.yaml_source import parse_yaml

_RIS = re.compile(r"\s*(?:[0-9]{1,6}\.\s+)?TY  ?-")


class _Draft(BaseModel):
    """The part of a draft that is read here."""

    model_config = ConfigDict(extra="ignore")

    references: dict[CitationKey, Reference] = {}


def read_references(path: Path) -> list[tuple[str, ReadReference]]:
    """Read a file of BibTeX, RIS or CSL-JSON, or the references of a draft record; - is standard input.

    Returns:
        References, each with the key by which a draft cites it; the key is empty in all other formats.

    Raises:
        CatalogueError: The file cannot be read, or entries are wrong.
        UserError: The file holds none of these.
    """
    source = read_named_file(path, max_bytes=RECORD_BYTES)
    if path.suffix == ".yaml":
        return _references_of_draft(source)
    return [("", reference) for reference in parse_references(source.text, source.file)]


def parse_references(text: str, file: str) -> list[ReadReference]:
    """Read references in the format that the text shows itself to be in.

    Raises:
        CatalogueError: Entries are wrong.
        UserError: The text is in none of the formats.
    """
    start = text.lstrip()[:1]
    if start in ("{", "["):
        return references_of(read_csl_json(text, file), file)
    if _RIS.match(text):
        return references_of(read_ris(text, file), file)
    if re.search(r"^ *@\w+ *[{(]", text, re.MULTILINE):
        return references_of(read_bibtex(text, file), file)
    if not start:
        raise UserError(f"{file}:1:1: expected BibTeX, RIS or CSL-JSON, got nothing")
    raise UserError(
        f"{file}:1:1: expected BibTeX, RIS or CSL-JSON, got text that is none of them; export the entry from "
        "the publisher's page in one of these formats"
    )


def _references_of_draft(source: TextFile) -> list[tuple[str, ReadReference]]:
    parsed = parse_yaml(source)
    if parsed.problems:
        raise CatalogueError(parsed.problems)
    try:
        draft = _Draft.model_validate_json(json.dumps(parsed.tree), by_alias=True, by_name=False)
    except ValidationError as error:
        raise CatalogueError(
            diagnose(error, file=source.file, model=_Draft, places=lambda _: parsed.places)
        ) from None
    if not draft.references:
        raise UserError(
            f"{source.file}: expected entries under `references:`, got none; there is nothing to add"
        )
    return [(key, ReadReference(reference)) for key, reference in draft.references.items()]
