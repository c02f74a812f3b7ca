"""RIS, the format of reference managers, in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from greentactics.bibliography import Name, Reference
from greentactics.citing.raw_entries import RawEntry, date_parts
from greentactics.errors import CatalogueError, Problem
from greentactics.places import quoted
from greentactics.rules import Rule

_TYPES = {
    "article": "UNPB",
    "article-journal": "JOUR",
    "paper-conference": "CPAPER",
    "book": "BOOK",
    "chapter": "CHAP",
    "report": "RPRT",
    "thesis": "THES",
    "webpage": "ELEC",
    "software": "COMP",
    "dataset": "DATA",
    "standard": "STAND",
}
_FURTHER_TYPES = {"CONF": "paper-conference", "EJOUR": "article-journal", "JFULL": "article-journal",
                  "MGZN": "article-journal", "EBOOK": "book", "ECHAP": "chapter", "WEB": "webpage",
                  "BLOG": "webpage", "PREPRINT": "article", "INPR": "article", "GEN": "article"}  # fmt: skip
_READ_TYPES = {tag: kind for kind, tag in _TYPES.items()} | _FURTHER_TYPES
_TAG = re.compile(r"([A-Z][A-Z0-9])  ?- ?(.*)")
_TEXT_TAGS = {
    "title": ("TI", "T1"),
    "container-title": ("T2", "JO", "JF", "BT", "JA"),
    "volume": ("VL",),
    "issue": ("IS",),
    "publisher": ("PB",),
    "DOI": ("DO",),
    "URL": ("UR", "L2"),
    "note": ("N1",),
}
_SPAN = re.compile(r"([^-\s]+)-([^-\s]+)")


def read_ris(text: str, file: str) -> list[RawEntry]:
    """Read entries from RIS.

    Raises:
        CatalogueError: An entry does not end, or a line stands outside of one.
    """
    entries: list[RawEntry] = []
    fields: dict[str, list[list[str]]] | None = None
    start, last = 1, ""
    for number, line in enumerate(text.split("\n"), start=1):
        match = _TAG.fullmatch(line.strip())
        if not line.strip() or (match is None and fields is not None):
            if fields and last and line.strip():
                fields[last][-1].append(line.strip())
            continue
        if match is None:
            raise _outside(file, number, line)
        tag, value = match[1], match[2].strip()
        if tag == "TY":
            if fields is not None:
                raise _unended(file, start)
            fields, start, last = {"TY": [[value]]}, number, "TY"
        elif fields is None:
            raise _outside(file, number, line)
        elif tag == "ER":
            whole = {name: [" ".join(lines) for lines in values] for name, values in fields.items()}
            entries.append(_entry(whole, start))
            fields = None
        else:
            fields.setdefault(tag, []).append([value])
            last = tag
    if fields is not None:
        raise _unended(file, start)
    return entries


def _outside(file: str, line: int, text: str) -> CatalogueError:
    cure = "begin each entry with a line such as `TY  - JOUR`"
    return CatalogueError(
        [Problem(file, line, 1, "", Rule.WRONG_TYPE, "the first line of an entry", quoted(text), cure)]
    )


def _unended(file: str, line: int) -> CatalogueError:
    expected, cure = "a line `ER  - ` at the end of the entry", "add it"
    return CatalogueError([Problem(file, line, 1, "", Rule.WRONG_TYPE, expected, "none", cure)])


def _entry(fields: Mapping[str, list[str]], line: int) -> RawEntry:
    def first(*tags: str) -> str:
        return next((fields[tag][0] for tag in tags if tag in fields), "")

    texts = {name: first(*tags) for name, tags in _TEXT_TAGS.items()}
    texts["page"] = "-".join(part for part in (first("SP"), first("EP")) if part)
    if first("AN").lower().startswith("arxiv:"):
        texts["arxiv"] = first("AN")
    kind = first("TY")
    names = [_name(author) for tag in ("AU", "A1") for author in fields.get(tag, [])]
    date = date_parts(first("DA")) or date_parts(first("PY", "Y1"))
    label = first("ID") or texts["title"]
    return RawEntry(label, line, _READ_TYPES.get(kind, kind), names, date, texts)


def _name(author: str) -> dict[str, str]:
    """Read a name; a comma at its end, or several words without one, are an organisation."""
    family, comma, given = (part.strip() for part in author.partition(","))
    if author.endswith(",") or (not comma and " " in family):
        return {"literal": author.removesuffix(",")}
    return {"family": family, "given": given}


def ris(references: Mapping[str, Reference]) -> str:
    """Return references as RIS."""
    return "\n".join(_text(key, reference) for key, reference in references.items())


def _text(key: str, reference: Reference) -> str:
    parts = reference.issued.date_parts[0]
    span = _SPAN.fullmatch(reference.page or "")
    start, end = (span[1], span[2]) if span else (reference.page, None)
    address = reference.url or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else None)
    fields: list[tuple[str, str | None]] = [
        ("TY", _TYPES[reference.type]),
        ("ID", key),
        *(("AU", _author(name)) for name in reference.author),
        ("TI", reference.title),
        ("T2", reference.container_title),
        ("PY", f"{reference.year:04}"),
        ("DA", "/".join([f"{parts[0]:04}", *(f"{part:02}" for part in parts[1:])]) if parts[1:] else None),
        ("VL", reference.volume),
        ("IS", reference.issue),
        ("SP", start),
        ("EP", end),
        ("PB", reference.publisher),
        ("DO", reference.doi),
        ("AN", f"arXiv:{reference.arxiv}" if reference.arxiv else None),
        ("UR", address),
        ("N1", reference.note),
        ("ER", ""),
    ]
    return "".join(f"{tag}  - {' '.join(value.split())}\n" for tag, value in fields if value is not None)


def _author(name: Name) -> str:
    if name.literal:
        return f"{name.literal},"
    return f"{name.family}, {name.given}" if name.given else str(name.family)
