"""BibTeX, in and out."""

from __future__ import annotations

import itertools
import logging
import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from bibtexparser.entrypoint import parse_string
from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names
from bibtexparser.model import DuplicateBlockKeyBlock, DuplicateFieldKeyBlock, Entry, ParsingFailedBlock

from greentactics.citing.identifiers import ARXIV_FORM
from greentactics.citing.latex import PlainText, plain, verbatim
from greentactics.citing.raw_entries import (
    MAX_REFERENCES,
    Fields,
    LeftOut,
    RawEntry,
    by_word,
    numbered_pages,
    split_date,
    titled,
)
from greentactics.models.bibliography import Reference
from greentactics.text.files import PROBLEMS_SHOWN
from greentactics.text.problems import CatalogueError, Problem, Rule, shown

_TYPES = by_word(
    {
        "article": "preprint unpublished",
        "article-journal": "article suppperiodical",
        "book": "book booklet collection mvbook mvcollection mvproceedings mvreference proceedings reference",
        "chapter": "bookinbook inbook incollection inreference suppbook suppcollection",
        "dataset": "dataset",
        "paper-conference": "conference inproceedings",
        "report": "manual report techreport",
        "software": "software softwaremodule softwareversion",
        "standard": "standard",
        "thesis": "mastersthesis phdthesis thesis",
        "webpage": "electronic online www",
    }
)
_TEXTS = {
    "volume": ("volume",),
    "issue": ("number", "issue"),
    "page": ("pages",),
    "publisher": ("publisher", "institution", "school", "organization"),
    "note": ("note", "addendum"),
}
_ARTICLE_NUMBERS = ("articleno", "eid", "article-number", "article_number", "elocation-id", "elocationid")
_MISC_TYPES = ("article", "webpage", "software", "dataset", "standard")
"""Words in the field `type` of an entry `misc` that say what it is."""
_INHERITED = frozenset(
    {"author", "booktitle", "date", "day", "editor", "institution", "journal", "journaltitle", "month",
     "number", "organization", "publisher", "school", "volume", "year"}
)  # fmt: skip
"""Fields that hold for a part as they do for the whole that `crossref` names, titles apart."""
_OF_BODIES = frozenset({"dataset", "report", "software", "standard", "webpage"})
"""Types of works that a body may have made without naming persons."""
_ARCHIVES = {
    "googlebooks": "https://books.google.com/books?id=",
    "hdl": "https://hdl.handle.net/",
    "jstor": "https://www.jstor.org/stable/",
    "pubmed": "https://pubmed.ncbi.nlm.nih.gov/",
}
"""Archives that BibLaTeX knows, and what an identifier follows in an address there."""
_TITLES = ("title", "subtitle", "titleaddon")
_ARXIV = re.compile(rf"(?:arxiv:\s*)?{ARXIV_FORM}", re.IGNORECASE)
_Pairs = Sequence[tuple[str, str]]
"""Names and values of fields."""
_NAME_PART = re.compile(r"\s*(family|given|prefix|suffix)\s*=\s*(.*?)\s*", re.DOTALL)


def read_bibtex(text: str, file: str) -> list[RawEntry]:
    """Read entries from BibTeX or BibLaTeX; LaTeX becomes plain text.

    Raises:
        CatalogueError: Something in it is not BibTeX, or it is not worth reading to the end.
    """
    if text.count("@") > 10 * MAX_REFERENCES:
        found, cure = "more", "split the file"
        expected = f"at most {MAX_REFERENCES:,} entries"
        raise CatalogueError.of_file(file, Rule.TOO_MANY_VALUES, expected, found, cure)
    # What cannot be read is reported below, with its place; the parser would also write it to the log.
    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)
    try:
        library = parse_string(text, parse_stack=[])
        # A key that stands twice is no harm, as keys are made anew; nor is a field, as the second is named.
        again = (DuplicateBlockKeyBlock, DuplicateFieldKeyBlock)
        failed = [block for block in library.failed_blocks if not isinstance(block, again)]
        if failed:
            raise CatalogueError([_failed(block, file) for block in failed[:PROBLEMS_SHOWN]])
        blocks = [getattr(block, "ignore_error_block", None) or block for block in library.blocks]
        entries = [block for block in blocks if isinstance(block, Entry)]
        strings = {key.lower(): string.value for key, string in library.strings_dict.items()}
        fields = [[(field.key.lower(), _value(str(field.value), strings)) for field in entry.fields]
                  for entry in entries]  # fmt: skip
        by_key: dict[str, tuple[str, _Pairs]] = {}
        done: dict[str, _Pairs] = {}
        for entry, own in zip(entries, fields, strict=True):
            by_key.setdefault(entry.key, (entry.entry_type.lower(), own))
        return [
            _entry(entry, _with_inherited(entry.entry_type.lower(), own, by_key, done))
            for entry, own in zip(entries, fields, strict=True)
            if entry.entry_type.lower() != "xdata"
        ]
    except (RecursionError, ValueError, IndexError) as error:
        found = "braces nested too deep" if isinstance(error, RecursionError) else shown(str(error), 120)
        raise CatalogueError.of_file(file, Rule.WRONG_TYPE, "BibTeX", found) from None


def _value(raw: str, strings: Mapping[str, str], depth: int = 0) -> str:
    """Return the value of a field: its parts, such as `"Journal of " # name`, without braces and joined."""
    values = []
    for part in _split(raw):
        if len(part) > 1 and (part[0] + part[-1]) in ('""', "{}"):
            values.append(part[1:-1])
        elif part.lower() in strings and depth < len(strings):
            values.append(_value(strings[part.lower()], strings, depth + 1))
        else:
            values.append(part)
    return "".join(values)


def _split(raw: str) -> list[str]:
    """Split a value at the signs # that stand outside of braces and quotation marks."""
    if "#" not in raw:
        return [raw.strip()]
    parts, depth, is_quoted = [""], 0, False
    for sign in re.findall(r"\\.|.", raw, re.DOTALL):  # what stands behind a backslash is text
        if sign == "#" and depth == 0 and not is_quoted:
            parts.append("")
            continue
        depth += (sign == "{") - (sign == "}")
        is_quoted ^= sign == '"' and depth == 0
        parts[-1] += sign
    return [part.strip() for part in parts]


def _failed(block: ParsingFailedBlock, file: str) -> Problem:
    reason = getattr(block.error, "abort_reason", None) or str(block.error)
    cure = "check its braces, quotes and commas"
    return Problem(
        file, (block.start_line or 0) + 1, 1, "", Rule.WRONG_TYPE, "a BibTeX entry", shown(reason, 120), cure
    )


def _with_inherited(
    word: str, fields: _Pairs, by_key: Mapping[str, tuple[str, _Pairs]], done: dict[str, _Pairs]
) -> list[tuple[str, str]]:
    """Add the fields that the entries named by `crossref` and `xdata` have, as BibLaTeX does.

    Args:
        word: Type of the entry.
        fields: Its own fields.
        by_key: Type and own fields of all entries.
        done: Fields of entries that were looked at before, with what they inherit; filled here.
    """
    whole = list(fields)
    for name, value in fields:
        keys = [key.strip() for key in value.split(",")] if name == "xdata" else [value.strip()]
        if name not in ("crossref", "xdata") or not all(key in by_key for key in keys):
            continue  # a key that leads nowhere stays, and is named as left out
        whole.remove((name, value))
        for key in keys:
            kind, own = by_key[key]
            if key not in done:
                done[key] = ()  # so that a circle ends
                done[key] = _with_inherited(kind, own, by_key, done)
            # In older BibTeX the whole names itself `booktitle` for its parts, beside its own title.
            for field, text in sorted(done[key], key=lambda pair: pair[0] != "booktitle"):
                target = field if name == "xdata" else _inherited_as(field, word, kind)
                if target and all(target != there for there, _ in whole):
                    whole.append((target, text))
    return whole


def _inherited_as(field: str, word: str, parent: str) -> str:
    """Return the name that a field of the whole has in its part; empty where it is not handed down."""
    if field in _TITLES:
        if _TYPES.get(word) == "article-journal":
            return f"journal{field}"
        if parent.startswith("mv"):
            return f"main{field}"
        return f"book{field}" if _TYPES.get(word) in ("chapter", "paper-conference") else ""
    if field == "author" and word not in ("inbook", "bookinbook", "suppbook", "book"):
        return ""
    return field if field in _INHERITED else ""


def _entry(entry: Entry, given: _Pairs) -> RawEntry:
    fields = Fields(given)
    left_out: list[LeftOut] = []

    def text(*names: str) -> str:
        return read(*names).text

    def read(*names: str) -> PlainText:
        own = plain(fields.get(*names))
        left_out.extend(LeftOut(names[0], macro) for macro in own.lost)
        return own

    texts = {name: text(*names) for name, names in _TEXTS.items()}
    texts["title"] = titled(text("title"), text("subtitle"), text("titleaddon"))
    texts["DOI"], texts["URL"] = verbatim(fields.get("doi")), verbatim(fields.get("url"))
    texts["container-title"] = _container(fields, read, texts, left_out)
    texts["page"] = numbered_pages(text(*_ARTICLE_NUMBERS), texts["page"])
    _read_eprint(fields, texts)
    word = entry.entry_type.lower()
    kind = _TYPES.get(word, word)
    if word == "misc":
        has_identifier = bool(texts["DOI"] or texts.get("arxiv"))
        kind = misc_type(has_identifier=has_identifier, has_address=bool(texts["URL"]))
        if plain(dict(given).get("type", "")).text.lower() in _MISC_TYPES:
            kind = text("type").lower()
    date, found = _date(fields, left_out)
    authors = [_name(name, left_out) for name in _names(fields, texts, kind, left_out)]
    line = (entry.start_line or 0) + 1
    return RawEntry(entry.key, line, kind, authors, date, texts, found, [*left_out, *fields.left_out])


def _container(
    fields: Fields, read: Callable[..., PlainText], texts: dict[str, str], left_out: list[LeftOut]
) -> str:
    """Return what the work stands in; an address in its place goes to the addresses."""
    journal, book = ("journal", "journaltitle"), ("booktitle", "maintitle")
    if fields.peek(*journal):
        return titled(read(*journal).text, read("journalsubtitle").text)
    if fields.peek(*book):
        name = next(name for name in book if fields.peek(name))
        parts = (name.replace("title", part) for part in ("subtitle", "titleaddon"))
        return titled(read(name).text, *(read(part).text for part in parts))
    published = read("howpublished")
    words = published.text
    for address in published.addresses:
        words = words.replace(address, " ")
        if texts["URL"] in ("", address):
            texts["URL"] = address
        else:
            left_out.append(LeftOut("howpublished", address))
    if not published.addresses:
        return words
    # Signs and brackets that stood around an address stand around nothing now.
    if words := words.strip(" \t\n.,:;()[]<>"):
        left_out.append(LeftOut("howpublished", words))
    return ""


def _read_eprint(fields: Fields, texts: dict[str, str]) -> None:
    """Note an identifier at arXiv, which is named in several ways."""
    names = ("archiveprefix", "eprinttype")
    archive = fields.peek(*names).lower()
    eprint = verbatim(fields.peek("eprint"))
    if archive == "arxiv" or (not archive and _ARXIV.fullmatch(eprint)):
        fields.get(*names)
        texts["arxiv"] = verbatim(fields.get("eprint"))
    elif fields.peek("arxivid"):
        texts["arxiv"] = verbatim(fields.get("arxivid"))
    elif eprint and archive in _ARCHIVES and not texts["URL"]:
        fields.get(*names)
        texts["URL"] = _ARCHIVES[archive] + verbatim(fields.get("eprint"))


def _date(fields: Fields, left_out: list[LeftOut]) -> tuple[list[int], str]:
    """Return year, month and day, and what stands in their place."""
    year_text, date_text = plain(fields.get("year")).text.strip(), verbatim(fields.get("date"))
    year, rest = split_date(year_text)
    date, rest_of_date = split_date(date_text)
    parts, name = year, "year"
    if date:  # which BibLaTeX prefers
        parts, name, rest = date, "date", rest_of_date
        if year_text and year != date[: len(year)]:
            left_out.append(LeftOut("year", year_text))
    elif year and date_text:
        left_out.append(LeftOut("date", date_text))
    if not parts:
        return [], year_text or date_text
    if rest:
        left_out.append(LeftOut(name, rest))
    if len(parts) > 1:
        return parts, ""
    month = plain(fields.get("month")).text.strip()
    word = month.lower().rstrip(".")
    if word[:3] in MONTHS:
        number = str(MONTHS.index(word[:3]) + 1)
        if not word.isalpha():
            left_out.append(LeftOut("month", month))
    else:
        number = word
    day = plain(fields.get("day")).text.strip() if month else ""
    given = [text for text in (number, day) if text]
    whole = split_date("-".join([f"{parts[0]:04}", *itertools.takewhile(str.isdecimal, given)]))[0]
    for own, text in list(zip(("month", "day"), (month, day), strict=True))[len(whole) - 1 :]:
        if text:
            left_out.append(LeftOut(own, text))
    return whole, ""


def _names(fields: Fields, texts: dict[str, str], kind: str, left_out: list[LeftOut]) -> list[str]:
    """Return who made the work: its authors, else the editors of a book, else the body behind a report."""
    if author := fields.get("author"):
        return list(split_multiple_persons_names(author))
    if kind == "book" and (editor := fields.get("editor")):
        left_out.append(LeftOut("role", "editor"))
        return list(split_multiple_persons_names(editor))
    body = fields.peek("institution", "organization")
    if kind in _OF_BODIES and body:
        fields.get("institution", "organization")
        if texts["publisher"] == plain(body).text:
            texts["publisher"] = ""
        return [f"{{{body}}}"]
    return []


def _name(name: str, left_out: list[LeftOut]) -> dict[str, str]:
    def text(words: Sequence[str]) -> str:
        own = plain(" ".join(words))
        left_out.extend(LeftOut("author", macro) for macro in own.lost)
        return own.text

    named = [_NAME_PART.fullmatch(part) for part in name.split(",")]
    if all(named):
        parts = {match[1]: match[2] for match in named if match}
        return {"family": text([*filter(None, (parts.get("prefix"), parts.get("family")))]),
                "given": text([*filter(None, (parts.get("given"), parts.get("suffix")))])}  # fmt: skip
    own = parse_single_name_into_parts(name, strict=False)
    whole = name.strip()
    if whole.startswith("{") and whole.endswith("}") and not own.first:
        return {"literal": text([whole])}
    return {"family": text([*own.von, *own.last]), "given": text([*own.first, *own.jr])}


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
_SPECIAL = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{sign: f"\\{sign}" for sign in "&%$#_{}"},
    }
)
_ADDRESS_ESCAPES = str.maketrans({"{": "%7B", "}": "%7D", "\\": "%5C"})


def bibtex_entry(key: str, reference: Reference) -> str:
    """Return one BibTeX entry in UTF-8; titles are braced, so that their capitals survive."""
    container = {"article-journal": "journal", "paper-conference": "booktitle", "chapter": "booktitle"}
    publisher = {"report": "institution", "thesis": "school"}.get(reference.type, "publisher")
    month, day = reference.issued.date_parts[0][1:2], reference.issued.date_parts[0][2:3]
    fields = {
        "author": " and ".join(_author_text(reference, index) for index in range(len(reference.author))),
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
        "doi": (reference.doi or "").translate(_ADDRESS_ESCAPES),
        "eprint": reference.arxiv or "",
        "archiveprefix": "arXiv" if reference.arxiv else "",
        "url": (reference.url or "").translate(_ADDRESS_ESCAPES),
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


def _author_text(reference: Reference, index: int) -> str:
    name = reference.author[index]
    if name.literal:
        return f"{{{_escaped(name.literal)}}}"
    return ", ".join(_escaped(part) for part in (name.family, name.given) if part)


def _escaped(text: str | None) -> str:
    return " ".join((text or "").split()).translate(_SPECIAL)
