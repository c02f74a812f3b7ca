"""The shape of the JSON documents over all tactics; their JSON Schemas are made from these models."""

from __future__ import annotations

import datetime

from pydantic import BaseModel

from greentactics.api_models import Count, TacticDocument
from greentactics.bibliography import STRICT, Text
from greentactics.evidence import Level
from greentactics.schema import Correction, TacticId
from greentactics.vocabulary import Direction, Kind


class Link(BaseModel):
    """An address of the API."""

    model_config = STRICT

    address: Text
    """Address, relative to the root of the site; a name in braces stands for one of many."""
    title: Text
    """What lies there."""
    media_type: Text
    """Its media type."""
    schema_address: Text | None
    """Address of its JSON Schema."""


class TacticEntry(BaseModel):
    """A tactic in the index."""

    model_config = STRICT

    id: TacticId
    """Permanent identifier."""
    title: Text
    """Its title."""
    kind: Kind
    """Advice or warning."""
    evidence: Level
    """Level of evidence."""
    contested: bool
    """Whether a run that counts contests the published figure."""
    verdict: Text
    """Claim and reproduction in one sentence."""
    page: Text
    """Address of its page."""
    document: Text
    """Address of its document."""


class Counts(BaseModel):
    """How much there is."""

    model_config = STRICT

    tactics: Count
    """Tactics."""
    with_recipe: Count
    """Tactics whose recipe is there."""
    with_results: Count
    """Tactics with committed runs."""
    claims: Count
    """Published claims."""
    sources: Count
    """References in the bibliography."""
    changes: Count
    """Changes of substance."""


class IndexDocument(BaseModel):
    """Where everything lies; the entry to the API."""

    model_config = STRICT

    name: Text
    """Name of the catalogue."""
    version: Text
    """Version of the package that made the documents."""
    licence: Text
    """Licence of the records and of all documents made from them."""
    site: str | None
    """Address of the root of the site; null where it is not known."""
    updated: datetime.date | None
    """Date of the latest change to a record."""
    counts: Counts
    """How much there is."""
    links: tuple[Link, ...]
    """All addresses."""
    tactics: tuple[TacticEntry, ...]
    """The tactics, by identifier."""


class TacticsDocument(BaseModel):
    """All tactics."""

    model_config = STRICT

    licence: Text
    """Licence of the records."""
    count: Count
    """How many there are."""
    tactics: tuple[TacticDocument, ...]
    """The tactics, by identifier."""


class ChangeEntry(BaseModel):
    """One change of substance to a record."""

    model_config = STRICT

    id: Text
    """Permanent identifier of the entry, a URN."""
    tactic: TacticId
    """The tactic."""
    title: Text
    """Its title."""
    kind: Kind
    """Advice or warning."""
    page: Text
    """Address of its page."""
    date: datetime.date
    """When."""
    change: Text
    """What, and why."""
    corrections: tuple[Correction, ...]
    """What was put right against other catalogues."""


class ChangesDocument(BaseModel):
    """Changes of substance to all records, from their histories."""

    model_config = STRICT

    count: Count
    """How many there are."""
    updated: datetime.date | None
    """Date of the latest one."""
    changes: tuple[ChangeEntry, ...]
    """The changes, the latest first."""


class Carrier(BaseModel):
    """A tactic that carries a term."""

    model_config = STRICT

    id: TacticId
    """The tactic."""
    effect: Direction | None
    """What it does to the quality; null for terms that are no qualities."""


class TermDocument(BaseModel):
    """A term of a vocabulary."""

    model_config = STRICT

    term: Text
    """The word as records have it."""
    label: Text
    """The word as pages show it."""
    definition: Text
    """What it means."""
    page: Text
    """Address of its page."""
    count: Count
    """Tactics that carry it."""
    tactics: tuple[Carrier, ...]
    """These tactics, by identifier."""


class VocabularyDocument(BaseModel):
    """A vocabulary with the tactics that carry its terms."""

    model_config = STRICT

    name: Text
    """Name in addresses."""
    title: Text
    """What it is called on pages."""
    question: Text
    """The question it answers."""
    terms: tuple[TermDocument, ...]
    """Its terms, in the order of the vocabulary."""


class VocabularyEntry(BaseModel):
    """A vocabulary in the list of them."""

    model_config = STRICT

    name: Text
    """Name in addresses."""
    title: Text
    """What it is called on pages."""
    question: Text
    """The question it answers."""
    address: Text
    """Address of its document."""
    counts: dict[str, Count]
    """Tactics that carry a term, by term."""


class VocabulariesDocument(BaseModel):
    """All vocabularies that tactics are looked up by."""

    model_config = STRICT

    vocabularies: tuple[VocabularyEntry, ...]
    """The vocabularies."""
