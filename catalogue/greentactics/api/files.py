"""All machine-readable files: each form of a tactic is made from its one document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from xml.etree import ElementTree as Xml

import yaml
from jinja2 import Environment
from pydantic import BaseModel

from greentactics.api.addresses import (
    API,
    CATALOGUE_NAME,
    document_path,
    raw_path,
    replay_path,
    schema_path,
    vocabulary_path,
)
from greentactics.api.documents import (
    NAMESPACE,
    changes_document,
    index_document,
    tactic_document,
    vocabularies_document,
    vocabulary_documents,
)
from greentactics.api.models import ChangeEntry, ChangesDocument, TacticDocument, TacticsDocument
from greentactics.api.plain_text import overview_text, tactic_text, text_environment
from greentactics.api.schemas import schema_files
from greentactics.api.tables import table_files
from greentactics.citing.bibtex import LICENCE, bibtex
from greentactics.evidence.tactic import Tactic
from greentactics.evidence.terms import TermPage
from greentactics.models.bibliography import Reference
from greentactics.records.loading import Catalogue
from greentactics.text.escaping import one_line
from greentactics.text.kept import Kept

LONGEST = 100
"""Entries in the feed; all changes stand in `changes.json`."""
ROOT = "../../"
"""The root of the site as seen from the feed."""
NEVER = "1970-01-01"


def atom(changes: ChangesDocument, site_url: str | None) -> str:
    """Return the feed; without an address of the site its links are relative to the feed."""
    root = site_url or ROOT
    feed = Xml.Element("feed", {"xmlns": "http://www.w3.org/2005/Atom", "xml:lang": "en"})
    _add(feed, "id", NAMESPACE.urn)
    _add(feed, "title", f"{CATALOGUE_NAME}: changes")
    _add(feed, "updated", _moment(changes.updated or NEVER))
    _add(_add(feed, "author"), "name", f"The {CATALOGUE_NAME} contributors")
    Xml.SubElement(feed, "link", {"rel": "self", "href": f"{root}{API}/changes.atom"})
    Xml.SubElement(feed, "link", {"rel": "alternate", "type": "text/html", "href": f"{root}index.html"})
    for change in changes.changes[:LONGEST]:
        feed.append(_entry(change, root))
    Xml.indent(feed)
    return Xml.tostring(feed, encoding="unicode", xml_declaration=False).join(
        ('<?xml version="1.0" encoding="utf-8"?>\n', "\n")
    )


def _entry(change: ChangeEntry, root: str) -> Xml.Element:
    entry = Xml.Element("entry")
    _add(entry, "id", change.id)
    _add(entry, "title", change.title)
    _add(entry, "updated", _moment(change.date))
    Xml.SubElement(entry, "link", {"rel": "alternate", "type": "text/html", "href": root + change.page})
    Xml.SubElement(entry, "category", {"term": change.kind.value})
    corrections = (
        f"Corrected against {correction.catalogue}, {correction.field}: {correction.ours}"
        for correction in change.corrections
    )
    _add(entry, "content", _sentences([change.change, *corrections])).set("type", "text")
    return entry


def _sentences(texts: Iterable[str]) -> str:
    return " ".join(f"{text.rstrip('.')}." for text in texts)


def _moment(date: object) -> str:
    """Return a day as the moment it begins: histories know days only."""
    return f"{date}T00:00:00Z"


def _add(parent: Xml.Element, name: str, text: str | None = None) -> Xml.Element:
    child = Xml.SubElement(parent, name)
    child.text = None if text is None else one_line(text)
    return child


_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # the one in C takes a seventh of the time


@dataclass(frozen=True)
class Documents:
    """What all machine-readable forms are made from."""

    tactics: Mapping[str, TacticDocument]
    """A document for each tactic, by identifier."""
    changes: ChangesDocument
    """The histories of all records."""


def api_documents(
    tactics: Mapping[str, Tactic], catalogue: Catalogue, kept: Kept, digests: Mapping[str, str]
) -> Documents:
    """Compute the documents; all machine-readable forms take their figures from here.

    Args:
        tactics: All tactics, by identifier.
        catalogue: Where the references come from.
        kept: Documents that need not be computed again.
        digests: Of all that each document is made from.
    """
    documents = {
        identifier: kept.made(
            partial(tactic_document, tactic, catalogue.bibliography),
            "document",
            digests[identifier],
            dump=document_text,
            load=TacticDocument.model_validate_json,
        )
        for identifier, tactic in tactics.items()
    }
    return Documents(documents, changes_document(documents.values()))


def api_files(
    documents: Documents,
    catalogue: Catalogue,
    terms: Sequence[TermPage],
    site_url: str | None,
) -> Iterator[tuple[str, str]]:
    """Yield path and text of the files below `api/` that are not one tactic's, and of `llms.txt`.

    Args:
        documents: What `api_documents` returned.
        catalogue: Where the references come from.
        terms: The pages of all terms.
        site_url: Address of the root of the site with its final slash; None where it is not known.
    """
    ordered, changes = tuple(documents.tactics.values()), documents.changes
    vocabularies = vocabulary_documents(terms)
    collection = TacticsDocument(licence=LICENCE, count=len(ordered), tactics=ordered)
    index = index_document(ordered, changes, len(catalogue.bibliography), site_url)
    yield f"{API}/index.json", document_text(index)
    yield f"{API}/tactics.json", document_text(collection)
    yield f"{API}/vocabularies.json", document_text(vocabularies_document(vocabularies))
    yield f"{API}/changes.json", document_text(changes)
    yield f"{API}/changes.atom", atom(changes, site_url)
    yield f"{API}/sources.bib", bibtex(catalogue.bibliography)
    yield "llms.txt", overview_text(text_environment(), ordered, site_url or "")
    yield from ((vocabulary_path(entry.name), document_text(entry)) for entry in vocabularies)
    yield from table_files(ordered).items()


def api_schemas() -> dict[str, str]:
    """Return the schemas by path."""
    return {schema_path(path.name.split(".")[0]): text for path, text in schema_files().items()}


def tactic_files(
    environment: Environment,
    tactic: Tactic,
    document: TacticDocument,
    bibliography: Mapping[str, Reference],
    site_url: str | None,
) -> dict[str, str]:
    """Return the forms of one tactic by path; `environment` is that of `plain_text`."""
    record = document.record.model_dump(mode="json", exclude_none=True)
    keys = [source.key for source in document.sources]
    return {
        document_path(document.id): document_text(document),
        document_path(document.id, "yaml"): yaml.dump(
            record, Dumper=_DUMPER, allow_unicode=True, sort_keys=False, width=100
        ),
        document_path(document.id, "txt"): tactic_text(
            environment, tactic, document, site_url or "../../../"
        ),
        document_path(document.id, "bib"): bibtex(bibliography, keys),
    }


def raw_files(tactic: Tactic) -> dict[str, str]:
    """Return the raw repeats of a tactic, those of this machine beside the committed ones, and its replays.

    There are no smoke runs among them.
    """
    replays = (entry.replay for entry in tactic.replays)
    pairs = {replay_path(replay): document_text(replay) for replay in replays}
    return pairs | {raw_path(run): document_text(run.results) for run in tactic.runs}


def document_text(document: BaseModel) -> str:
    """Return a document as JSON with a final newline, the same bytes for the same document."""
    return document.model_dump_json(indent=1) + "\n"
