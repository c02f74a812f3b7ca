"""CSL-JSON, the format of citation processors, in and out. Crossref and DataCite answer in it too."""

from __future__ import annotations

import json
from collections.abc import Mapping

from greentactics.bibliography import Reference
from greentactics.citing.raw_entries import RawEntry, date_parts
from greentactics.errors import CatalogueError, Problem
from greentactics.export import json_text
from greentactics.rules import Rule

_TYPES = {
    "book-chapter": "chapter",
    "dissertation": "thesis",
    "edited-book": "book",
    "entry-encyclopedia": "chapter",
    "article-magazine": "article-journal",
    "article-newspaper": "article-journal",
    "journal-article": "article-journal",
    "manuscript": "article",
    "monograph": "book",
    "post-weblog": "webpage",
    "posted-content": "article",
    "preprint": "article",
    "proceedings-article": "paper-conference",
    "reference-book": "book",
}
"""Types of CSL and Crossref that the bibliography does not have, and what stands for them here."""
_TEXTS = ("title", "container-title", "volume", "issue", "page", "publisher", "DOI", "URL", "note")


def read_csl_json(text: str, file: str) -> list[RawEntry]:
    """Read one entry or a list of entries.

    Raises:
        CatalogueError: The text is not JSON, or holds something else than entries.
    """
    try:
        tree: object = json.loads(text)
    except json.JSONDecodeError as error:
        problem = Problem(file, error.lineno, error.colno, "", Rule.JSON_SYNTAX, "JSON", error.msg.lower())
        raise CatalogueError([problem]) from None
    except (RecursionError, ValueError):
        problem = Problem(file, 1, 1, "", Rule.NESTING_TOO_DEEP, "entries of CSL-JSON", "something larger")
        raise CatalogueError([problem]) from None
    if isinstance(tree, dict) and isinstance(tree.get("items"), list):
        tree = tree["items"]
    items = tree if isinstance(tree, list) else [tree]
    for item in items:
        if not isinstance(item, dict):
            cure = "export the entry as CSL-JSON"
            problem = Problem(file, 1, 1, "", Rule.WRONG_TYPE, "a mapping or a list of them", "else", cure)
            raise CatalogueError([problem])
    return [_entry(item, number) for number, item in enumerate(items, start=1)]


def _entry(item: Mapping[str, object], number: int) -> RawEntry:
    texts = {name: _text(item.get(name)) for name in _TEXTS}
    if _text(item.get("archive")).lower() == "arxiv":
        texts["arxiv"] = _text(item.get("archive_location")) or _text(item.get("archive-location"))
    kind = _text(item.get("type"))
    authors = item.get("author")
    names = [_name(name) for name in authors if isinstance(name, dict)] if isinstance(authors, list) else []
    label = _text(item.get("id")) or _text(item.get("DOI")) or f"entry {number}"
    return RawEntry(label, 1, _TYPES.get(kind, kind), names, _date(item), texts)


def _name(name: Mapping[str, object]) -> dict[str, str]:
    literal = _text(name.get("literal")) or _text(name.get("name"))
    particles = [_text(name.get(part)) for part in ("dropping-particle", "non-dropping-particle")]
    family = " ".join(part for part in (*particles, _text(name.get("family"))) if part)
    given = " ".join(part for part in (_text(name.get("given")), _text(name.get("suffix"))) if part)
    if family:
        return {"family": family, "given": given}
    return {"literal": literal or given}


def _date(item: Mapping[str, object]) -> list[int]:
    for field in ("issued", "published", "published-print", "published-online"):
        date = item.get(field)
        if isinstance(date, dict):
            parts = date.get("date-parts")
            if isinstance(parts, list) and parts and isinstance(parts[0], list):
                found = date_parts(
                    "-".join(str(part) for part in parts[0][:3] if isinstance(part, int | str))
                )
                if found:
                    return found
            if found := date_parts(_text(date.get("raw")) or _text(date.get("literal"))):
                return found
    return []


def _text(value: object) -> str:
    """Return the text of a value, the first one of a list."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def csl_json(references: Mapping[str, Reference]) -> str:
    """Return references as a list of CSL-JSON, each with its key as `id`."""
    return json_text([_item(key, reference) for key, reference in references.items()])


def _item(key: str, reference: Reference) -> dict[str, object]:
    item: dict[str, object] = {"id": key}
    item |= json.loads(reference.model_dump_json(by_alias=True, exclude_none=True, exclude={"arxiv"}))
    if reference.arxiv:
        # The only fields of CSL for it; the address is what most styles print.
        item |= {"archive": "arXiv", "archive_location": reference.arxiv}
        item.setdefault("URL", f"https://arxiv.org/abs/{reference.arxiv}")
    return item
