"""What our records hold of the Archive of Awesome and Dark Tactics, entry by entry and field by field.

The archive keeps one Markdown file an entry, its fields in the front matter. An entry is held by the record
that names it under `aliases`; a filled field is held where the record says the same in our terms, or where
its history corrects the field. Nothing is guessed: words are looked up in the tables below, and a word that
is not there is reported.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greentactics.citing.entries import identifiers_of
from greentactics.citing.identifiers import Identifier, find_identifiers
from greentactics.contribute.importing.archive_posts import Post
from greentactics.contribute.importing.archive_words import ARCHIVE, FIELDS, meanings_of, words_of
from greentactics.models.bibliography import Reference
from greentactics.models.record import Alias, Record
from greentactics.models.vocabulary import Term
from greentactics.records.loading import Catalogue

ARCHIVE_SOURCES = frozenset({"aadt-2023", "jarvenpaa-2024"})
"""Keys of the archive itself and of the paper on it: no sources in their own right."""

_CORRECTED_AS: Mapping[str, tuple[str, ...]] = {
    "title": ("title",),
    "categories": ("category",),
    "t-participant": ("participant",),
    "t-artifact": ("artifact", "artefact"),
    "t-feature": ("feature",),
    "t-targetQA": ("target",),
    "t-relatedQA": ("related", "effect"),
    "t-measuredimpact": ("impact",),
    "t-source": ("source",),
    "t-source-doi": ("doi", "source"),
    "t-diagram": ("diagram",),
    "t-type": ("type",),
    "tags": ("tag", "group"),
}
"""Fields, and the words by which a correction in a record's history names them."""


@dataclass(frozen=True)
class Entry:
    """What we hold of one entry."""

    post: Post
    """The entry."""
    held_by: tuple[str, ...]
    """Identifiers of the records that name it; empty where none does."""
    missing: tuple[str, ...]
    """Filled fields that none of them holds."""
    not_understood: tuple[str, ...]
    """Words that are in none of our tables, each with its place."""


def cover(posts: Iterable[Post], catalogue: Catalogue) -> tuple[Entry, ...]:
    """Look up each entry and each of its filled fields in our records."""
    by_address: dict[str, list[tuple[Record, Alias]]] = {}
    by_title: dict[str, list[tuple[Record, Alias]]] = {}
    for record in catalogue.records.values():
        for alias in record.aliases:
            if alias.catalogue == ARCHIVE:
                by_address.setdefault(_address_name(alias), []).append((record, alias))
                by_title.setdefault(alias.title, []).append((record, alias))
    return tuple(
        _entry(post, by_address.get(post.name) or by_title.get(post.title, []), catalogue.bibliography)
        for post in posts
    )


def _entry(post: Post, holders: list[tuple[Record, Alias]], bibliography: Mapping[str, Reference]) -> Entry:
    unheld = [_missing(post, record, alias, bibliography) for record, alias in holders]
    fields = unheld[0] if unheld else list(post.fields)
    return Entry(
        post,
        tuple(record.id for record, _ in holders),
        tuple(field for field in fields if all(field in others for others in unheld)),
        tuple(_not_understood(post)),
    )


def _missing(post: Post, record: Record, alias: Alias, bibliography: Mapping[str, Reference]) -> list[str]:
    """Return the fields that a record does not hold; DOIs one by one, with `address` for the entry's own."""
    texts = {"title": alias.title, "t-diagram": alias.diagram}
    filled = {
        "t-description": record.problem and record.solution,
        "t-context": record.context,
        "t-feature": record.feature,
        "t-intent": record.intent,
        "t-measuredimpact": record.impact.claims,
        "t-source": [use for use in record.sources if use.key not in ARCHIVE_SOURCES],
    }
    missing = [] if _address_name(alias) == post.name else ["address"]
    for name, field in post.fields.items():
        if name in texts:
            held = texts[name] == field.value
        elif name in FIELDS:
            own, table = FIELDS[name]
            ours = _terms(record, own)
            words = words_of(name, field.value)
            wanted = [terms for word in words if (terms := meanings_of(table, word))]
            held = all(ours.intersection(terms) for terms in wanted)
        else:
            held = bool(filled.get(name, True))
        if not held and not _is_corrected(record, name):
            missing.append(name)
    if not _is_corrected(record, "t-source-doi"):
        known = _identifiers(record, bibliography)
        missing += [f"DOI {each.doi}" for each in _identifiers_of(post) if each.comparable not in known]
    return missing


def _not_understood(post: Post) -> Iterable[str]:
    for name, field in post.fields.items():
        if name in FIELDS:
            for word in words_of(name, field.value):
                if meanings_of(FIELDS[name][1], word) is None:
                    yield f'{post.file}:{field.line}: {name}: "{word}"'


def _is_corrected(record: Record, name: str) -> bool:
    return any(
        correction.catalogue == ARCHIVE and re.search(rf"\b{word}", correction.field, re.IGNORECASE)
        for change in record.history
        for correction in change.corrections
        for word in _CORRECTED_AS.get(name, ())
    )


def _address_name(alias: Alias) -> str:
    return alias.url.rstrip("/").rpartition("/")[2]


def _terms(record: Record, name: str) -> set[Term | None]:
    """Return the terms of ours in a field of a record; the archive's tags hold our group too."""
    if name == "effects":
        return {effect.quality for effect in record.effects}
    if name == "tags":
        return {record.group, *record.tags}
    value = getattr(record, name)
    return set(value) if isinstance(value, tuple) else {value}


def _identifiers_of(post: Post) -> tuple[Identifier, ...]:
    texts = [post.fields[name].value for name in ("t-source", "t-source-doi") if name in post.fields]
    return find_identifiers(" ".join(texts)).identifiers


def _identifiers(record: Record, bibliography: Mapping[str, Reference]) -> set[str]:
    """Return the identifiers of a record's sources in the spelling in which they are compared."""
    references = [bibliography[use.key] for use in record.sources if use.key in bibliography]
    return {own.comparable for reference in references for own in identifiers_of(reference)}
