"""RIS, the format of reference managers, in and out."""

from __future__ import annotations

import re
from collections.abc import Mapping

from greentactics.citing.raw_entries import (
    Fields,
    LeftOut,
    RawEntry,
    by_word,
    identifier_in,
    numbered_pages,
    split_date,
)
from greentactics.models.bibliography import Name, Reference
from greentactics.text.problems import CatalogueError, Rule, quoted

_TAGS_OF_TYPES = {
    "article": "UNPB GEN INPR MANSCPT PREPRINT",
    "article-journal": "JOUR ABST EJOUR JFULL MGZN NEWS",
    "paper-conference": "CPAPER CONF",
    "book": "BOOK EBOOK EDBOOK PAMP",
    "chapter": "CHAP DICT ECHAP ENCYC",
    "report": "RPRT GOVDOC",
    "thesis": "THES",
    "webpage": "ELEC BLOG ICOMM WEB",
    "software": "COMP",
    "dataset": "DATA AGGR DBASE",
    "standard": "STAND",
}
"""Words of RIS for each type; the first is the one that is written."""
_READ_TYPES = by_word(_TAGS_OF_TYPES)
_TAG = re.compile(r"([A-Z][A-Z0-9])  ?- ?(.*)")
_TEXT_TAGS = {
    "title": ("TI", "T1", "CT"),
    "container-title": ("T2", "JF", "JO", "BT", "C3", "JA", "J1", "J2"),
    "volume": ("VL",),
    "issue": ("IS", "CP"),
    "publisher": ("PB",),
    "DOI": ("DO",),
    "URL": ("UR", "L2"),
    "note": ("N1",),
}
_NUMBERED = frozenset({"article-journal", "paper-conference"})
"""Types of works whose field C7 holds the number of the article."""
_PARTICLES = frozenset(
    ("da", "de", "del", "della", "den", "der", "di", "dos", "du", "el", "la", "le", "te", "ten", "ter", "van",
     "vom", "von", "zu", "zum", "zur")
)  # fmt: skip
_INITIALS = re.compile(r"(?:[^\W\d_]\.-?){1,4}")
_LEGAL_FORMS = frozenset(
    ("A.G.", "A.S.", "B.V.", "K.K.", "L.P.", "N.V.", "S.A.", "S.E.", "S.L.", "U.K.", "U.S.", "U.S.A.")
)
"""Ends of names of organisations that look like initials."""
_NUMBER = re.compile(r"\s*[0-9]{1,6}\.\s*")
"""What some programs write before each entry."""
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
        if match is None and _NUMBER.fullmatch(line):
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
    expected, cure = "the first line of an entry", "begin each entry with a line such as `TY  - JOUR`"
    return CatalogueError.of_file(file, Rule.WRONG_TYPE, expected, quoted(text), cure, line=line)


def _unended(file: str, line: int) -> CatalogueError:
    expected = "a line `ER  - ` at the end of the entry"
    return CatalogueError.of_file(file, Rule.WRONG_TYPE, expected, "none", "add it", line=line)


def _entry(given: Mapping[str, list[str]], line: int) -> RawEntry:
    fields = Fields((tag, value) for tag, values in given.items() for value in values)
    left_out: list[LeftOut] = []
    word = fields.get("TY")
    kind = _READ_TYPES.get(word, word)
    texts = {name: fields.get(*tags) for name, tags in _TEXT_TAGS.items()}
    if kind == "book" and not texts["title"]:
        texts["title"] = fields.get("BT")
    texts["page"] = "-".join(part for part in (fields.get("SP"), fields.get("EP")) if part)
    if kind in _NUMBERED:
        texts["page"] = numbered_pages(fields.get("C7"), texts["page"])
    if fields.peek("AN").lower().startswith("arxiv:"):
        texts["arxiv"] = fields.get("AN")
    # Some programs write the DOI where RIS has the type of the work, or an address of a picture.
    elsewhere = next((tag for tag in ("M3", "L3") if identifier_in(fields.peek(tag))), "")
    if elsewhere and not texts["DOI"]:
        texts["DOI"] = fields.get(elsewhere)
    authors = [*fields.all("AU", "A1")]
    if kind == "book" and not authors and (editors := fields.all("A2", "ED")):
        authors = editors
        left_out.append(LeftOut("role", "editor"))
    date, date_text = _date(fields, left_out)
    label = fields.get("ID") or texts["title"]
    names = [_name(author) for author in authors]
    return RawEntry(label, line, kind, names, date, texts, date_text, [*left_out, *fields.left_out])


def _date(fields: Fields, left_out: list[LeftOut]) -> tuple[list[int], str]:
    """Return year, month and day, and what stands in their place."""
    given = [(tag, value) for tag in ("DA", "PY", "Y1") if (value := fields.get(tag))]
    read = [(tag, *split_date(value)) for tag, value in given]
    tag, parts, rest = next(((tag, parts, rest) for tag, parts, rest in read if parts), ("", [], ""))
    if not parts:
        return [], given[0][1] if given else ""
    if rest:
        left_out.append(LeftOut(tag, rest))
    left_out += [
        LeftOut(other, value)
        for (other, value), (_, own, more) in zip(given, read, strict=True)
        if other != tag and (own != parts[: len(own)] or more not in ("", rest))
    ]
    return parts, ""


def _name(author: str) -> dict[str, str]:
    """Read a name; a comma at its end, or several words without comma and initials, are an organisation."""
    family, comma, given = (part.strip() for part in author.partition(","))
    if author.endswith(",") or (not comma and " " in family):
        before, _, last = family.rpartition(" ")
        if not comma and _INITIALS.fullmatch(last) and last not in _LEGAL_FORMS:
            return {"family": before, "given": last}
        return {"literal": author.removesuffix(",")}
    # Some programs write what stands before a family name behind the given names: Doe, Jane van der.
    words = given.split()
    start = len(words)
    while start > 1 and words[start - 1] in _PARTICLES:
        start -= 1
    return {"family": " ".join([*words[start:], family]), "given": " ".join(words[:start])}


def ris(references: Mapping[str, Reference]) -> str:
    """Return references as RIS."""
    return "\n".join(_text(key, reference) for key, reference in references.items())


def _text(key: str, reference: Reference) -> str:
    parts = reference.issued.date_parts[0]
    span = _SPAN.fullmatch(reference.page or "")
    start, end = (span[1], span[2]) if span else (reference.page, None)
    address = reference.url or (f"https://arxiv.org/abs/{reference.arxiv}" if reference.arxiv else None)
    fields: list[tuple[str, str | None]] = [
        ("TY", _TAGS_OF_TYPES[reference.type].split()[0]),
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
