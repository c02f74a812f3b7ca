"""Drafts: what every importer hands over, and the text that is written of it.

An importer turns one entry of another catalogue into an `ImportedDraft`; nothing here knows where it is from.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from greentactics.citing.entries import reference_tree
from greentactics.citing.raw_entries import LeftOut
from greentactics.models.bibliography import Reference
from greentactics.models.record import DRAFTS, Record
from greentactics.records.formatting import SCHEMA_COMMENT
from greentactics.records.ids import identifier_of
from greentactics.text.files import readable
from greentactics.text.problems import UserError, printable, quoted
from greentactics.text.yaml_text import InlineList, yaml_text

_SCHEMA = f"{SCHEMA_COMMENT}../catalogue/schema/draft.schema.json"
_INLINE = frozenset({"tags", "participant", "artifact", "stages"})


@dataclass(frozen=True)
class ImportedDraft:
    """One entry of another catalogue in our terms."""

    fields: Mapping[str, object]
    """Fields of a record whose values follow from the entry, its `id` among them; parts may be incomplete."""
    quarantine: Mapping[str, str]
    """The entry's own wording, by the names it has there."""
    rewritten_from: Mapping[str, str]
    """Fields of a record that are still to be written, and the wording that each of them draws on."""
    references: Mapping[str, Reference]
    """Sources that are not in the bibliography, by the keys they would have."""
    to_clarify: tuple[str, ...]
    """What was not understood, was repaired, or has to be decided."""
    left_out: tuple[LeftOut, ...] = ()
    """Words of the entry that no field of the record holds; its wording in quarantine is none of them."""

    @property
    def id(self) -> str:
        """Identifier the record would have."""
        return str(self.fields["id"])


class ReadDraft(Protocol):
    """What each importer offers."""

    def __call__(self, path: Path, root: Path | None, known: Mapping[str, Reference]) -> ImportedDraft:
        """Read one entry from its file.

        Args:
            path: The file.
            root: Folder which the file must not leave through a link; None where any place is good.
            known: The bibliography.

        Raises:
            UserError: It is no entry, or has no title to make an identifier of.
            CatalogueError: It cannot be read as text.
        """


def draft_id(title: str, file: str) -> str:
    """Return the identifier that the title of an entry gives.

    Raises:
        UserError: It gives none; the message names the file.
    """
    identifier = identifier_of(title)
    if not identifier:
        raise UserError(
            f"{file}:1: title: expected one with at least one letter, to make an id of, got {quoted(title)}"
        )
    return identifier


def draft_text(draft: ImportedDraft, origin: str) -> str:
    """Return a draft as YAML with comments that say what is to be done.

    Args:
        draft: The draft.
        origin: Name of the file it was made from.
    """
    record = {name: draft.fields[name] for name in Record.model_fields if name in draft.fields}
    values = {name: InlineList(value) if name in _INLINE and isinstance(value, list) else value
              for name, value in record.items()}  # fmt: skip
    parts = ["\n".join(_head(draft, origin)), yaml_text(values)]
    if draft.to_clarify:
        parts.append(yaml_text({"to_clarify": [readable(point) for point in draft.to_clarify]}))
    if draft.references:
        references = {key: reference_tree(reference) for key, reference in draft.references.items()}
        parts.append(yaml_text({"references": references}))
    if draft.quarantine:
        wrapped = {name: _wrapped(text) for name, text in draft.quarantine.items()}
        parts.append(yaml_text({"quarantine": wrapped}))
    return "\n".join(parts)


def _head(draft: ImportedDraft, origin: str) -> list[str]:
    required = [name for name, field in Record.model_fields.items() if field.is_required()]
    lines = [_SCHEMA, f"# Made from {readable(printable(origin))}. To be written, in your own words:"]
    for name in dict.fromkeys([*required, *draft.rewritten_from]):
        if name not in draft.fields:
            source = draft.rewritten_from.get(name)
            lines.append(f"#   {name}" + (f" (from {source})" if source else ""))
    name = f"{DRAFTS}/{draft.id}.yaml"
    return [
        *lines,
        "# What is missing is named by",
        f"#   greentactics check {name}",
        "# and sources that the bibliography lacks are added to it by",
        f"#   greentactics cite --file {name}",
        "# Then remove to_clarify, references and quarantine, and move the file to tactics/.",
        "",
    ]


def _wrapped(text: str) -> str:
    """Return text as a block of short lines; paragraphs stay apart."""
    paragraphs = [readable(paragraph) for paragraph in text.split("\n")]
    lines = [
        line
        for paragraph in paragraphs
        if paragraph
        for line in textwrap.wrap(paragraph, 100, break_long_words=False, break_on_hyphens=False)
    ]
    return "\n".join([*lines, ""]) if len(lines) > 1 else "".join(lines)
