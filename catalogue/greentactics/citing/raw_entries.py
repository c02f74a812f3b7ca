"""What all formats come to: an entry as CSL fields, and from there a reference or a list of mistakes."""

from __future__ import annotations

import dataclasses
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from greentactics.bibliography import Reference
from greentactics.citing.identifiers import Identifier, find_identifiers, parse_identifier
from greentactics.citing.markup import without_markup
from greentactics.diagnosis import diagnose
from greentactics.errors import CatalogueError, Problem, UserError
from greentactics.places import START, Places, shown
from greentactics.rules import Rule
from greentactics.text_file import PROBLEMS_SHOWN, readable

MAX_REFERENCES = 2_000
_DATE = re.compile(r"\s*([0-9]{4})(?:[-/]([0-9]{1,2}))?(?:[-/]([0-9]{1,2}))?(?![0-9])")
_ADDRESSES = frozenset({"DOI", "arxiv", "URL"})
_DASHES = re.compile(r"\s*(?:--+|[\u2010-\u2015\u2212])\s*")


@dataclass(frozen=True)
class RawEntry:
    """One entry of a file, not yet known to be right."""

    label: str
    """What the file calls it."""
    line: int
    """Where it begins, counted from 1."""
    type: str
    """CSL type, or the file's own word where there is none."""
    authors: Sequence[dict[str, str]]
    """Names with `family`, `given` or `literal`."""
    date: Sequence[int]
    """Year, month, day; empty where none is given."""
    texts: dict[str, str]
    """CSL text fields by name; `arxiv` holds the identifier at arXiv."""


def references_of(entries: Sequence[RawEntry], file: str) -> list[Reference]:
    """Turn entries into references.

    Raises:
        CatalogueError: Entries are wrong; it carries the problems of all of them.
    """
    if not entries:
        problem = Problem(file, 1, 1, "", Rule.EMPTY_FILE, "at least one entry", "none")
        raise CatalogueError([problem])
    if len(entries) > MAX_REFERENCES:
        found, cure = f"{len(entries):,}", "split the file"
        expected = f"at most {MAX_REFERENCES:,} entries"
        raise CatalogueError([Problem(file, 1, 1, "", Rule.TOO_MANY_VALUES, expected, found, cure)])
    references, problems = [], []
    for entry in entries:
        try:
            references.append(
                Reference.model_validate_json(json.dumps(_tree(entry)), by_alias=True, by_name=False)
            )
        except ValidationError as error:
            found_problems = diagnose(
                error, file=file, model=Reference, places=lambda _: Places({(): START}, {})
            )
            label = shown(entry.label, 40) or "entry"
            problems += [
                dataclasses.replace(problem, line=entry.line, field=f"{label}.{problem.field}".rstrip("."))
                for problem in found_problems
            ]
    if problems:
        raise CatalogueError(problems[:PROBLEMS_SHOWN])
    return references


def date_parts(text: str) -> list[int]:
    """Return year, month and day that a text begins with, as far as it has them and they are possible."""
    match = _DATE.match(text)
    parts = [int(part) for part in match.groups() if part] if match else []
    limits = ((0, 9999), (1, 12), (1, 31))
    inside = (low <= part <= high for part, (low, high) in zip(parts, limits, strict=False))
    return [part for part, _ in itertools.takewhile(lambda pair: pair[1], zip(parts, inside, strict=False))]


def _tree(entry: RawEntry) -> dict[str, object]:
    """Return an entry in the bibliography's own form; what is unknown is left out."""
    texts = {name: text for name, value in entry.texts.items() if (text := readable(value))}
    authors = [
        {part: text for part, value in name.items() if (text := readable(without_markup(value)))}
        for name in entry.authors
    ]
    tree: dict[str, object] = {"type": readable(entry.type), "author": [name for name in authors if name]}
    tree |= {name: readable(without_markup(text)) for name, text in texts.items() if name not in _ADDRESSES}
    if entry.date:
        tree["issued"] = {"date-parts": [list(entry.date)]}
    if "page" in texts:
        tree["page"] = _DASHES.sub("-", texts["page"])
    tree |= _identifiers(texts)
    if not tree["author"]:
        del tree["author"]
    return tree


def _identifiers(texts: dict[str, str]) -> dict[str, str]:
    """Return DOI, arXiv identifier and address, each in its own field and none of them twice."""
    found: dict[str, str] = {}
    for name in ("DOI", "arxiv"):
        if text := texts.get(name, ""):
            identifier = _parsed(text)
            found.setdefault("arxiv" if identifier and identifier.kind == "arXiv" else name,
                             identifier.value if identifier else text)  # fmt: skip
    url = texts.get("URL", "")
    at_url = find_identifiers(url).identifiers if "doi.org/" in url or "arxiv.org/" in url else ()
    for identifier in at_url:
        found.setdefault("arxiv" if identifier.kind == "arXiv" else "DOI", identifier.value)
    return found | ({"URL": url} if url and not at_url else {})


def _parsed(text: str) -> Identifier | None:
    try:
        return parse_identifier(text)
    except UserError:
        return None
