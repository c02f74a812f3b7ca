"""BibTeX of the sources, and JSON as text."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from greentactics.bibliography import Reference

LICENCE = "CC-BY-4.0"
_BIBTEX_TYPES = {
    "article": "misc",
    "article-journal": "article",
    "paper-conference": "inproceedings",
    "book": "book",
    "chapter": "incollection",
    "report": "techreport",
    "thesis": "phdthesis",
}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
"""BibTeX's own names of the months, which each style puts into its words."""
_SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{sign: f"\\{sign}" for sign in "&%$#_{}"},
}
_VERBATIM = str.maketrans({"{": "%7B", "}": "%7D", "\\": "%5C"})


def bibtex_entry(key: str, reference: Reference) -> str:
    """Return one BibTeX entry in UTF-8; titles are braced, so that their capitals survive."""
    container = {"article-journal": "journal", "paper-conference": "booktitle", "chapter": "booktitle"}
    publisher = {"report": "institution", "thesis": "school"}.get(reference.type, "publisher")
    month, day = reference.issued.date_parts[0][1:2], reference.issued.date_parts[0][2:3]
    fields = {
        "author": " and ".join(_name(reference, index) for index in range(len(reference.author))),
        "title": f"{{{_escaped(reference.title)}}}",
        container.get(reference.type, "howpublished"): _escaped(reference.container_title),
        "year": str(reference.year),
        "month": MONTHS[month[0] - 1] if month else "",
        "day": str(day[0]) if day else "",
        "volume": _escaped(reference.volume),
        "number": _escaped(reference.issue),
        "pages": _escaped(reference.page).replace("-", "--"),
        publisher: _escaped(reference.publisher),
        "type": reference.type if _needs_type(reference) else "",
        "doi": (reference.doi or "").translate(_VERBATIM),
        "eprint": reference.arxiv or "",
        "archiveprefix": "arXiv" if reference.arxiv else "",
        "url": (reference.url or "").translate(_VERBATIM),
        "note": _escaped(reference.note),
    }
    lines = "".join(
        f"  {name} = {value if name == 'month' else f'{{{value}}}'},\n"
        for name, value in fields.items()
        if value
    )
    return f"@{_BIBTEX_TYPES.get(reference.type, 'misc')}{{{key},\n{lines}}}\n"


def bibtex(references: Mapping[str, Reference], keys: Iterable[str] | None = None) -> str:
    """Return BibTeX of the named references, or of all of them, in the order given."""
    chosen = references if keys is None else [key for key in dict.fromkeys(keys) if key in references]
    return "\n".join(bibtex_entry(key, references[key]) for key in chosen)


def misc_type(*, has_identifier: bool, has_address: bool) -> str:
    """Return the sort of work that an entry `misc` without `type` is taken for."""
    return "webpage" if has_address and not has_identifier else "article"


def _needs_type(reference: Reference) -> bool:
    has_identifier = bool(reference.doi or reference.arxiv)
    guess = misc_type(has_identifier=has_identifier, has_address=reference.url is not None)
    return _BIBTEX_TYPES.get(reference.type, "misc") == "misc" and reference.type != guess


def _name(reference: Reference, index: int) -> str:
    name = reference.author[index]
    if name.literal:
        return f"{{{_escaped(name.literal)}}}"
    return ", ".join(_escaped(part) for part in (name.family, name.given) if part)


def _escaped(text: str | None) -> str:
    flat = " ".join((text or "").split())
    return "".join(_SPECIAL.get(sign, sign) for sign in flat)


def json_text(value: object) -> str:
    """Return JSON with a final newline, the same bytes for the same value."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"
