"""References and the file they are kept in: keys, duplicates, and new entries in their place."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase

from pydantic import ValidationError

from greentactics.citing.identifiers import Identifier
from greentactics.models.bibliography import Bibliography, Name, Reference
from greentactics.records.documents import Document, read_document
from greentactics.records.ids import slug
from greentactics.records.loading import BIBLIOGRAPHY
from greentactics.text.files import RECORD_BYTES, catalogue_locked, decode, write_atomically
from greentactics.text.problems import CatalogueError, UserError, quoted
from greentactics.text.yaml_source import tree_of_right_yaml
from greentactics.text.yaml_text import Inline, InlineList, yaml_text

_LONGEST_NAME = 40
_ENTRY = re.compile(r"^(?=[a-z][a-z0-9-]*:[ \t]*$)", re.MULTILINE)


@dataclass(frozen=True)
class Duplicate:
    """An entry that is there already."""

    key: str
    """Its key."""
    same: str
    """What is the same: `DOI`, `arXiv identifier` or `title`."""


@dataclass(frozen=True)
class Addition:
    """What became of one reference."""

    key: str
    """The key to cite it by."""
    reference: Reference
    """The reference that was given."""
    duplicate: Duplicate | None
    """The entry that was there already, in which case nothing is added."""


def citation_key(reference: Reference, taken: Container[str]) -> str:
    """Return the key of a reference: first author, year, and a letter where that is taken.

    Raises:
        UserError: All letters are taken.
    """
    name = re.sub(r"^[0-9-]+", "", _name_slug(reference.author[0])) or "work"
    stem = f"{name}-{reference.year}"
    for letter in ["", *ascii_lowercase]:
        if (key := f"{stem}{letter}") not in taken:
            return key
    raise UserError(f"{stem}: all keys from {stem} to {stem}z are taken; add the entry by hand")


def _name_slug(name: Name) -> str:
    whole = slug(name.family or (name.literal or "").split(",")[0])
    if len(whole) <= _LONGEST_NAME:
        return whole
    return whole[:_LONGEST_NAME].rpartition("-")[0] or whole[:_LONGEST_NAME]


def comparable_title(title: str) -> str:
    """Return a title without case, accents, spaces and punctuation."""
    return slug(title).replace("-", "") or "".join(title.casefold().split())


def identifiers_of(reference: Reference) -> tuple[Identifier, ...]:
    """Return the identifiers of a reference."""
    found: list[Identifier] = []
    if reference.doi:
        found.append(Identifier("DOI", reference.doi))
    if reference.arxiv:
        found.append(Identifier("arXiv", reference.arxiv))
    return tuple(found)


def find_identifier(identifier: Identifier, references: Mapping[str, Reference]) -> str | None:
    """Return the key of the entry that has an identifier."""
    for key, reference in references.items():
        if any(own.comparable == identifier.comparable for own in identifiers_of(reference)):
            return key
    return None


def find_title(title: str, references: Mapping[str, Reference]) -> str | None:
    """Return the key of the first entry that has a title, however it is spelt."""
    wanted = comparable_title(title)
    return next((key for key, known in references.items() if comparable_title(known.title) == wanted), None)


def find_duplicate(reference: Reference, references: Mapping[str, Reference]) -> Duplicate | None:
    """Return the entry of the same work, by identifier, else by title and first author.

    Two entries with different DOIs are different publications, even under one title.
    """
    for identifier in identifiers_of(reference):
        if key := find_identifier(identifier, references):
            return Duplicate(key, "DOI" if identifier.kind == "DOI" else "arXiv identifier")
    wanted, author = comparable_title(reference.title), _name_slug(reference.author[0])
    for key, known in references.items():
        if comparable_title(known.title) != wanted or _name_slug(known.author[0]) != author:
            continue
        if not (reference.doi and known.doi):
            return Duplicate(key, "title")
    return None


def entry_text(key: str, reference: Reference) -> str:
    """Return one entry as it is written in the bibliography."""
    return yaml_text({key: reference_tree(reference)})


def reference_tree(reference: Reference) -> dict[str, object]:
    """Return a reference as values, laid out as in the bibliography."""
    tree = json.loads(reference.model_dump_json(by_alias=True, exclude_none=True))
    tree["author"] = [Inline(name) for name in tree["author"]]
    tree["issued"]["date-parts"] = InlineList(tree["issued"]["date-parts"])
    return dict(tree)


def add_references(root: Path, references: list[Reference], *, write: bool = True) -> list[Addition]:
    """Add references to the bibliography, each in its alphabetical place; all of them or none.

    Args:
        root: Folder that holds `tactics/`.
        references: What to add; a work that is there already is not added again.
        write: Whether the file is changed.

    Raises:
        CatalogueError: The bibliography is wrong as it is.
        UserError: An entry cannot be written, or another command holds the lock of the catalogue.
    """
    with catalogue_locked(root) if write else nullcontext():
        document = _read(root)
        text, known = document.source.text, _entries(document)
        additions: list[Addition] = []
        for reference in references:
            duplicate = find_duplicate(reference, known)
            key = duplicate.key if duplicate else citation_key(reference, known)
            additions.append(Addition(key, reference, duplicate))
            if duplicate is None:
                known[key] = reference
                text = _inserted(text, key, entry_text(key, reference))
        if text != document.source.text:
            _require_same(text, known)
            if write:
                write_atomically(root / BIBLIOGRAPHY, text)
    return additions


def read_bibliography(root: Path) -> dict[str, Reference]:
    """Return the entries of the bibliography by key.

    Raises:
        CatalogueError: The file is wrong.
    """
    return _entries(_read(root))


def _read(root: Path) -> Document[Bibliography]:
    return read_document(root / BIBLIOGRAPHY, Bibliography, root=root.resolve())


def _entries(document: Document[Bibliography]) -> dict[str, Reference]:
    if document.model is None:
        raise CatalogueError(document.problems)
    return dict(document.model.root)


def _inserted(text: str, key: str, entry: str) -> str:
    """Put an entry before the first one with a later key; all other lines stay as they are."""
    head, *entries = _ENTRY.split(text)
    place = next(
        (place for place, other in enumerate(entries) if other.partition(":")[0] > key), len(entries)
    )
    if place == len(entries):
        return f"{text.rstrip()}\n\n{entry}" if entries else f"{head}{entry}"
    return "".join([head, *entries[:place], f"{entry}\n", *entries[place:]])


def _require_same(text: str, wanted: Mapping[str, Reference]) -> None:
    """Make sure that what is about to be written is read as it is meant."""
    source = decode(text.encode(), BIBLIOGRAPHY)
    if len(text.encode()) > RECORD_BYTES:
        raise UserError(
            f"{BIBLIOGRAPHY}: expected at most {RECORD_BYTES:,} bytes, got more; nothing was added"
        )
    try:
        tree = tree_of_right_yaml(source)
        same = tree is not None and dict(Bibliography.model_validate_json(json.dumps(tree)).root) == wanted
    except ValidationError:
        same = False
    if not same:
        found = quoted(source.problems[0].found) if source.problems else "text that is read otherwise"
        raise UserError(
            f"{BIBLIOGRAPHY}: expected entries that can be written as YAML, got {found}; add by hand"
        )
