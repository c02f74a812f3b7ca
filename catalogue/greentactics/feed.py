"""The latest changes as an Atom feed (RFC 4287)."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as Xml

from greentactics.api_addresses import API, CATALOGUE_NAME
from greentactics.api_collection_models import ChangeEntry, ChangesDocument
from greentactics.api_collections import NAMESPACE
from greentactics.escaping import one_line

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
