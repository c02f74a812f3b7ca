"""CSL-JSON, the format of citation processors, in and out. Crossref and DataCite answer in it too."""

from __future__ import annotations

import json
from collections.abc import Mapping

from greentactics.citing.raw_entries import LeftOut, RawEntry, by_word, numbered_pages, split_date, titled
from greentactics.models.bibliography import Reference
from greentactics.text.json_source import json_text
from greentactics.text.problems import CatalogueError, Rule

_TYPES = by_word(
    {
        "article": "document manuscript posted-content preprint",
        "article-journal": "article-magazine article-newspaper journal-article",
        "book": "edited-book monograph proceedings reference-book",
        "chapter": "book-chapter book-part book-section entry-dictionary entry-encyclopedia reference-entry",
        "paper-conference": "proceedings-article",
        "thesis": "dissertation",
        "webpage": "post post-weblog",
    }
)
"""Types of CSL and Crossref that the bibliography does not have, and what stands for them here."""
_TEXTS = ("title", "container-title", "volume", "issue", "page", "publisher", "DOI", "URL", "note")
_DATES = ("issued", "published", "published-print", "published-online")
_ABOUT_THE_RECORD = frozenset({
    "accepted", "alternative-id", "approved", "article-number", "assertion", "citation-key",
    "citation-label", "container-title-short", "content-created", "content-domain", "content-updated",
    "created", "deposited", "id", "indexed", "is-referenced-by-count", "issn-type", "isbn-type",
    "journal-issue", "journalAbbreviation", "link", "member", "posted", "prefix", "reference",
    "reference-count", "references-count", "relation", "resource", "score", "short-container-title",
    "short-title", "source", "title-short", "type", "update-policy", *_DATES,
})  # fmt: skip
"""Fields in which registries and programs write about their own record, or say in short what others say."""


def read_csl_json(text: str, file: str) -> list[RawEntry]:
    """Read one entry or a list of entries.

    Raises:
        CatalogueError: The text is not JSON, or holds something else than entries.
    """
    try:
        tree: object = json.loads(text)
    except json.JSONDecodeError as error:
        raise CatalogueError.of_file(
            file, Rule.JSON_SYNTAX, "JSON", error.msg.lower(), line=error.lineno, column=error.colno
        ) from None
    except (RecursionError, ValueError):
        expected, found = "entries of CSL-JSON", "something larger"
        raise CatalogueError.of_file(file, Rule.NESTING_TOO_DEEP, expected, found) from None
    if isinstance(tree, dict) and isinstance(tree.get("items"), list):
        tree = tree["items"]
    items = tree if isinstance(tree, list) else [tree]
    if not all(isinstance(item, dict) for item in items):
        expected, cure = "a mapping or a list of them", "export the entry as CSL-JSON"
        raise CatalogueError.of_file(file, Rule.WRONG_TYPE, expected, "else", cure)
    return [_entry(item, number) for number, item in enumerate(items, start=1)]


def _entry(item: Mapping[str, object], number: int) -> RawEntry:
    texts = {name: _text(item.get(name)) for name in _TEXTS}
    left_out = [LeftOut(name, _shown(more)) for name in _TEXTS if (more := _further(item.get(name)))]
    carried = {name for name in _TEXTS if texts[name]}
    kind = _TYPES.get(given := _text(item.get("type")), given)
    if subtitle := _text(item.get("subtitle")):
        texts["title"] = titled(texts["title"], subtitle)
        carried.add("subtitle")
    if article := _text(item.get("article-number")):
        texts["page"] = numbered_pages(article, texts["page"])
    if number_field := _text(item.get("number")):
        # Of an article its own number, of a report that in a series; Zotero writes the one at arXiv here.
        own = ("arxiv" if number_field.lower().startswith("arxiv:")
               else "page" if kind == "article-journal" else "issue")  # fmt: skip
        if not texts.get(own):
            texts[own] = number_field
            carried.add("number")
    if _text(item.get("archive")).lower() == "arxiv":
        texts["arxiv"] = _text(item.get("archive_location")) or _text(item.get("archive-location"))
        carried |= {"archive", "archive_location", "archive-location"}
    names, makers = _names(item, kind, left_out)
    date, date_text = _date(item, left_out)
    left_out += [
        LeftOut(name, _shown(value))
        for name, value in item.items()
        if name not in carried | _ABOUT_THE_RECORD and name != makers and value not in ("", None, [], {})
    ]
    label = _text(item.get("id")) or _text(item.get("DOI")) or f"entry {number}"
    return RawEntry(label, 1, kind, names, date, texts, date_text, left_out)


def _names(
    item: Mapping[str, object], kind: str, left_out: list[LeftOut]
) -> tuple[list[dict[str, str]], str]:
    """Return the authors, or the editors of a book without any, and the field they stand in."""
    for field in ("author", "editor") if kind == "book" else ("author",):
        given = item.get(field)
        if not isinstance(given, list) or not given:
            continue
        left_out += [LeftOut(field, _shown(name)) for name in given if not isinstance(name, dict)]
        if field == "editor":
            left_out.append(LeftOut("role", "editor"))
        return [_name(name) for name in given if isinstance(name, dict)], field
    return [], ""


def _name(name: Mapping[str, object]) -> dict[str, str]:
    literal = _text(name.get("literal")) or _text(name.get("name"))
    particles = [_text(name.get(part)) for part in ("dropping-particle", "non-dropping-particle")]
    family = " ".join(part for part in (*particles, _text(name.get("family"))) if part)
    given = " ".join(part for part in (_text(name.get("given")), _text(name.get("suffix"))) if part)
    if family:
        return {"family": family, "given": given}
    return {"literal": literal or given}


def _date(item: Mapping[str, object], left_out: list[LeftOut]) -> tuple[list[int], str]:
    """Return year, month and day, and what stands in their place."""
    instead = ""
    for field in _DATES:
        date = item.get(field)
        if isinstance(date, str):
            date = {"raw": date}
        if not isinstance(date, dict):
            continue
        parts = date.get("date-parts")
        if isinstance(parts, list) and parts and isinstance(parts[0], list):
            text = "-".join(str(part) for part in parts[0][:3] if isinstance(part, int | str))
            found, rest = split_date(text)
            if found:
                left_out += [LeftOut(field, rest)] if rest else []
                left_out += [LeftOut(field, _shown(parts[1:]))] if parts[1:] else []
                left_out += [
                    LeftOut(f"{field}.{name}", _shown(date[name]))
                    for name in ("season", "circa")
                    if date.get(name)
                ]
                return found, ""
            instead = instead or text
        given = _text(date.get("raw")) or _text(date.get("literal"))
        found, rest = split_date(given)
        if found:
            left_out += [LeftOut(field, rest)] if rest else []
            return found, ""
        instead = instead or given
    return [], instead


def _text(value: object) -> str:
    """Return the text of a value, the first one of a list."""
    if isinstance(value, list):
        value = value[0] if value else ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) else ""


def _further(value: object) -> object:
    """Return what of a value is not taken for its text."""
    if isinstance(value, list):
        return value[1:] if _text(value) else value
    return value if value is not None and not isinstance(value, str) and not _text(value) else None


def _shown(value: object) -> str:
    if isinstance(value, list) and all(isinstance(part, str) for part in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
