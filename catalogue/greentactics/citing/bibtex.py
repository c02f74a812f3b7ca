"""BibTeX to entries; the other direction is `export.bibtex`."""

from __future__ import annotations

import itertools
import logging
import re
from functools import cache

from bibtexparser.entrypoint import parse_string
from bibtexparser.library import Library
from bibtexparser.middlewares import RemoveEnclosingMiddleware, ResolveStringReferencesMiddleware
from bibtexparser.middlewares.names import parse_single_name_into_parts, split_multiple_persons_names
from bibtexparser.model import DuplicateBlockKeyBlock, Entry, ParsingFailedBlock
from pylatexenc.latex2text import LatexNodes2Text

from greentactics.citing.raw_entries import MAX_REFERENCES, RawEntry, date_parts
from greentactics.errors import CatalogueError, Problem
from greentactics.export import MONTHS, misc_type
from greentactics.places import shown
from greentactics.rules import Rule
from greentactics.text_file import PROBLEMS_SHOWN

_TYPES = {
    "article": "article-journal",
    "book": "book",
    "booklet": "book",
    "collection": "book",
    "conference": "paper-conference",
    "dataset": "dataset",
    "electronic": "webpage",
    "inbook": "chapter",
    "incollection": "chapter",
    "inproceedings": "paper-conference",
    "manual": "report",
    "mastersthesis": "thesis",
    "online": "webpage",
    "phdthesis": "thesis",
    "preprint": "article",
    "proceedings": "book",
    "report": "report",
    "software": "software",
    "standard": "standard",
    "techreport": "report",
    "thesis": "thesis",
    "unpublished": "article",
}
_TEXTS = {
    "title": ("title",),
    "container-title": ("journal", "journaltitle", "booktitle", "howpublished"),
    "volume": ("volume",),
    "issue": ("number", "issue"),
    "page": ("pages",),
    "publisher": ("publisher", "institution", "school", "organization"),
    "note": ("note",),
}
_VERBATIM = {"DOI": "doi", "URL": "url"}
_MISC_TYPES = ("article", "webpage", "software", "dataset", "standard")
"""Words in the field `type` of an entry `misc` that say what it is."""
_ESCAPED = re.compile(r"\\(?=[_&%#$])")
_PART = re.compile(r'"[^"{}]*"|\{[^{}]*\}|\w+')
_PARTS = re.compile(rf"(?:{_PART.pattern})(?:\s*#\s*(?:{_PART.pattern}))+")
_PERCENT = re.compile(r"(?<!\\)%")


def read_bibtex(text: str, file: str) -> list[RawEntry]:
    """Read entries from BibTeX or BibLaTeX; LaTeX becomes plain text.

    Raises:
        CatalogueError: Something in it is not BibTeX, or it is not worth reading to the end.
    """
    if text.count("@") > 10 * MAX_REFERENCES:
        found, cure = "more", "split the file"
        raise CatalogueError(
            [
                Problem(
                    file, 1, 1, "", Rule.TOO_MANY_VALUES, f"at most {MAX_REFERENCES:,} entries", found, cure
                )
            ]
        )
    # What cannot be read is reported below, with its place; the parser would also write it to the log.
    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL)
    try:
        library = parse_string(text, parse_stack=[])
        _join_strings(library)
        library = RemoveEnclosingMiddleware().transform(
            ResolveStringReferencesMiddleware().transform(library)
        )
        failed = [block for block in library.failed_blocks if not isinstance(block, DuplicateBlockKeyBlock)]
        if failed:
            raise CatalogueError([_failed(block, file) for block in failed[:PROBLEMS_SHOWN]])
        # A key that stands twice is no harm: keys are made anew.
        again = [block.ignore_error_block for block in library.failed_blocks]
        return [_entry(entry) for entry in (*library.entries, *again) if isinstance(entry, Entry)]
    except (RecursionError, ValueError) as error:
        found = "braces nested too deep" if isinstance(error, RecursionError) else shown(str(error), 120)
        raise CatalogueError([Problem(file, 1, 1, "", Rule.WRONG_TYPE, "BibTeX", found)]) from None


def _join_strings(library: Library) -> None:
    """Join values of several parts, such as `"Journal of " # name`, which the parser leaves alone."""
    strings = {key: string.value for key, string in library.strings_dict.items()}
    for entry in library.entries:
        for field in entry.fields:
            if "#" in field.value and _PARTS.fullmatch(field.value):
                parts = _PART.findall(field.value)
                field.value = "{" + "".join(strings.get(part, part).strip('{}"') for part in parts) + "}"


def _failed(block: ParsingFailedBlock, file: str) -> Problem:
    reason = getattr(block.error, "abort_reason", None) or str(block.error)
    cure = "check its braces, quotes and commas"
    return Problem(
        file, (block.start_line or 0) + 1, 1, "", Rule.WRONG_TYPE, "a BibTeX entry", shown(reason, 120), cure
    )


def _entry(entry: Entry) -> RawEntry:
    fields = {field.key.lower(): str(field.value) for field in entry.fields}

    def first(names: tuple[str, ...]) -> str:
        return next((fields[name] for name in names if fields.get(name)), "")

    texts = {name: _plain(first(names)) for name, names in _TEXTS.items()}
    texts |= {name: _ESCAPED.sub("", fields.get(own, "")) for name, own in _VERBATIM.items()}
    archive = fields.get("archiveprefix", fields.get("eprinttype", "")).lower()
    if archive == "arxiv":
        texts["arxiv"] = fields.get("eprint", "")
    word = entry.entry_type.lower()
    kind = _TYPES.get(word, word)
    if word == "misc":
        has_identifier = bool(texts["DOI"] or texts.get("arxiv"))
        kind = misc_type(has_identifier=has_identifier, has_address=bool(texts["URL"]))
        kind = named if (named := _plain(fields.get("type", "")).lower()) in _MISC_TYPES else kind
    authors = [_name(name) for name in split_multiple_persons_names(fields.get("author", ""))]
    line = (entry.start_line or 0) + 1
    return RawEntry(entry.key, line, kind, authors, _date(fields), texts)


def _date(fields: dict[str, str]) -> list[int]:
    year = date_parts(_plain(fields.get("year", "")))[:1]
    if not year:
        return date_parts(_plain(fields.get("date", "")))
    month = _plain(fields.get("month", "")).strip().lower()
    if month[:3] in MONTHS:
        month = str(MONTHS.index(month[:3]) + 1)
    day = _plain(fields.get("day", "")).strip()
    return date_parts("-".join([f"{year[0]:04}", *itertools.takewhile(str.isdecimal, (month, day))]))


def _name(name: str) -> dict[str, str]:
    parts = parse_single_name_into_parts(name, strict=False)
    whole = name.strip()
    if whole.startswith("{") and whole.endswith("}") and not parts.first:
        return {"literal": _plain(whole)}
    family = " ".join([*parts.von, *parts.last])
    return {"family": _plain(family), "given": _plain(" ".join([*parts.first, *parts.jr]))}


@cache
def _decoder() -> LatexNodes2Text:
    return LatexNodes2Text(math_mode="text", keep_comments=False, strict_latex_spaces=False)


def _plain(latex: str) -> str:
    """Return LaTeX as plain text."""
    if not any(sign in latex for sign in "\\{}$~%-`'"):
        return latex
    # In BibTeX a percent sign is one; only LaTeX would take what follows for a comment.
    text: str = _decoder().latex_to_text(_PERCENT.sub(r"\%", latex))
    return text.replace("\u02c6", "^")
