"""A record on its way into the catalogue: what a draft may hold beyond a record."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from greentactics.bibliography import CitationKey, Reference, Text
from greentactics.schema import Record

DRAFTS = "drafts"
"""Folder of drafts, beside `tactics/`; never committed, as its texts are other people's."""


class DraftRecord(Record):
    """A draft: one file in `drafts/`, a record once it is complete and in its author's words."""

    quarantine: Annotated[dict[str, Text], Field(default_factory=dict)]
    """Wording of another catalogue by the name it has there: to be read, rewritten and removed."""
    references: Annotated[dict[CitationKey, Reference], Field(default_factory=dict)]
    """Sources that are not in the bibliography yet; `greentactics cite --file` adds them."""
    to_clarify: tuple[Text, ...] = ()
    """What the import did not understand or had to repair, and what the author has to settle."""
