"""The JSON documents over all tactics: index, vocabularies and changes."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from greentactics import __version__
from greentactics.api_addresses import (
    ADDRESSES,
    CATALOGUE_NAME,
    document_path,
    schema_path,
    vocabulary_path,
)
from greentactics.api_collection_models import (
    Carrier,
    ChangeEntry,
    ChangesDocument,
    Counts,
    IndexDocument,
    Link,
    TacticEntry,
    TermDocument,
    VocabulariesDocument,
    VocabularyDocument,
    VocabularyEntry,
)
from greentactics.api_models import TacticDocument
from greentactics.export import LICENCE
from greentactics.term_pages import VOCABULARIES, WAYS, TermPage, question

NAMESPACE = uuid.UUID("53ae0dfc-420e-47c6-9d96-0bc5a1baa8ce")
"""Namespace of the identifiers of changes; with another one every reader's feed would start anew."""


def index_document(
    documents: Sequence[TacticDocument], changes: ChangesDocument, source_count: int, site_url: str | None
) -> IndexDocument:
    """Return the entry to the API."""
    return IndexDocument(
        name=CATALOGUE_NAME,
        version=__version__,
        licence=LICENCE,
        site=site_url,
        updated=changes.updated,
        counts=Counts(
            tactics=len(documents),
            with_recipe=sum(document.record.recipe is not None for document in documents),
            with_results=sum(bool(document.results) for document in documents),
            claims=sum(len(document.record.impact.claims) for document in documents),
            sources=source_count,
            changes=changes.count,
        ),
        links=tuple(
            Link(
                address=address.path,
                title=address.title,
                media_type=address.media_type,
                schema_address=address.schema and schema_path(address.schema),
            )
            for address in ADDRESSES
        ),
        tactics=tuple(_entry(document) for document in documents),
    )


def _entry(document: TacticDocument) -> TacticEntry:
    return TacticEntry(
        id=document.id,
        title=document.record.title,
        kind=document.record.kind,
        evidence=document.evidence.level,
        contested=document.evidence.contested,
        verdict=document.verdict,
        page=document.page,
        document=document_path(document.id),
    )


def changes_document(documents: Iterable[TacticDocument]) -> ChangesDocument:
    """Return the histories of all records in one list, the latest change first."""
    entries = [
        ChangeEntry(
            id=uuid.uuid5(NAMESPACE, f"{document.id}/{position}").urn,
            tactic=document.id,
            title=document.record.title,
            kind=document.record.kind,
            page=document.page,
            date=change.date,
            change=change.change,
            corrections=change.corrections,
        )
        for document in documents
        for position, change in reversed(list(enumerate(document.record.history)))
    ]
    entries.sort(key=lambda entry: entry.date, reverse=True)  # stable: by tactic within a day
    updated = entries[0].date if entries else None
    return ChangesDocument(count=len(entries), updated=updated, changes=tuple(entries))


def vocabulary_documents(pages: Sequence[TermPage]) -> list[VocabularyDocument]:
    """Return a document for each vocabulary, from the pages of its terms."""
    return [
        VocabularyDocument(
            name=vocabulary.name,
            title=vocabulary.title,
            question=question(vocabulary.terms),
            terms=tuple(_term(page) for page in pages if page.vocabulary is vocabulary),
        )
        for vocabulary in VOCABULARIES
    ]


def _term(page: TermPage) -> TermDocument:
    effects = {words: direction for direction, words in WAYS.items()}
    carriers = (
        Carrier(id=tactic.record.id, effect=effects.get(way))
        for way, tactics in page.sections.items()
        for tactic in tactics
    )
    return TermDocument(
        term=page.term.value,
        label=page.term.label,
        definition=page.term.definition,
        page=f"{page.folder}/index.html",
        count=page.count,
        tactics=tuple(sorted(carriers, key=lambda carrier: carrier.id)),
    )


def vocabularies_document(vocabularies: Iterable[VocabularyDocument]) -> VocabulariesDocument:
    """Return the list of the vocabularies with the counts of their terms."""
    entries = (
        VocabularyEntry(
            name=vocabulary.name,
            title=vocabulary.title,
            question=vocabulary.question,
            address=vocabulary_path(vocabulary.name),
            counts={term.term: term.count for term in vocabulary.terms},
        )
        for vocabulary in vocabularies
    )
    return VocabulariesDocument(vocabularies=tuple(entries))
