"""What all formats come to: an entry as CSL fields, and from there a reference or a list of mistakes.

Nothing is dropped in silence: an entry knows which fields and words of the file it does not hold.
"""

from __future__ import annotations

import dataclasses
import html
import itertools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from greentactics.citing.identifiers import ARXIV_FORM, Identifier, find_identifiers, parse_identifier
from greentactics.models.bibliography import Reference
from greentactics.records.diagnosis import diagnose
from greentactics.text.files import PROBLEMS_SHOWN, readable
from greentactics.text.problems import START, CatalogueError, Places, Problem, Rule, UserError, quoted, shown

_NAMES = (
    "(?:mml|jats):[a-z]+|math|m(?:i|n|o|row|text|sup|sub|subsup|frac|sqrt|space|style|multiscripts|prescripts)"
    "|i|b|u|em|strong|italic|bold|sub|sup|sc|scp|tt|span|p|br"
)
_TAG = re.compile(rf"</?(?:{_NAMES})(?:\s+[^<>=]{{1,60}}=[^<>]{{0,300}})?\s?/?>", re.IGNORECASE)
_FORMULA_EDGE = re.compile(
    r"(?<=\w)(?=<(?:mml:)?math\b)|(?:(?<=</math>)|(?<=</mml:math>))(?=\w)", re.IGNORECASE
)
_CHARACTER = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_READINGS = 2
"""Times that the names of characters are replaced: some texts were escaped before they were registered."""


def without_markup(text: str) -> str:
    """Return a text without tags, and with characters in place of their names; other angle brackets stay."""
    for _ in range(_READINGS):
        if "<" not in text and "&" not in text:
            return text
        text = _CHARACTER.sub(lambda name: html.unescape(name[0]), _without_tags(text))
    return _without_tags(text)


def _without_tags(text: str) -> str:
    return _TAG.sub("", _FORMULA_EDGE.sub(" ", text))


MAX_REFERENCES = 2_000
DATE_FORM = "a date such as 2020, 2020-05 or 2020-05-31"
_DATE = re.compile(r"\s*([0-9]{4})(?:[-/]([0-9]{1,2}))?(?:[-/]([0-9]{1,2}))?(?![0-9])")
_TIME_OF_DAY = re.compile(r"[\s/-]*(?:T[0-9:.]+(?:Z|[+-][0-9:]+)?)?\s*")
_ADDRESSES = frozenset({"DOI", "arxiv", "URL"})
_DASHES = re.compile(r"\s*(?:--+|[\u2010-\u2015\u2212])\s*")
_OTHERS_BEHIND = re.compile(r",?\s+et\.? al\.?$", re.IGNORECASE)
_OTHERS = re.compile(r"(?:and )?others|et\.? al\.?", re.IGNORECASE)
_ONLY_ARXIV = re.compile(
    rf"(?:(?:arxiv(?: e-?prints?| preprints?)?|corr)(?:,?\s+(?:arxiv:\s*|abs/)?({ARXIV_FORM}))?"
    rf"|(?:arxiv:\s*|abs/)({ARXIV_FORM}))(?:\s*\[[\w., -]+\])?(?:\s*\([0-9]{{4}}\))?\.?",
    re.IGNORECASE,
)
"""What says that a work is at arXiv and nothing else, with its identifier or without."""
_RESOLVERS = frozenset({"doi.org", "dx.doi.org", "www.doi.org", "arxiv.org", "www.arxiv.org"})
_IN_ADDRESS = str.maketrans({"<": "%3C", ">": "%3E", '"': "%22"})
_NO_WORK = {"set": "a list of other entries and no work of its own; remove it and keep those entries"}
"""Types of entries that can be no reference, and why."""


@dataclass(frozen=True)
class LeftOut:
    """A field or a part of it that a reference does not hold."""

    field: str
    """Its name in the file."""
    value: str
    """What stands there."""

    def __str__(self) -> str:
        return f"{self.field} {quoted(' '.join(self.value.split()))}"


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
    date_text: str = ""
    """What stands where the date should."""
    left_out: Sequence[LeftOut] = ()
    """What of the file it does not hold."""


@dataclass(frozen=True)
class ReadReference:
    """A reference that was read, and what of its entry it holds."""

    reference: Reference
    """The reference."""
    label: str = ""
    """What the file calls its entry."""
    left_out: tuple[LeftOut, ...] = ()
    """What of the file it does not hold."""

    @property
    def loss(self) -> str:
        """What was not carried over, in words; empty where all was."""
        return loss(self.left_out, f"{quoted(self.label)}: " if self.label else "")


def by_word(words: Mapping[str, str]) -> dict[str, str]:
    """Return the CSL type of each word of a format, from the words of each type with blanks between them."""
    return {word: kind for kind, own in words.items() for word in own.split()}


class Fields:
    """The fields of one entry in the order of the file, some of them repeated, and which of them are used."""

    def __init__(self, fields: Iterable[tuple[str, str]]) -> None:
        self._fields = [(name, value) for name, value in fields if value.strip()]
        self._used: set[int] = set()

    def get(self, *names: str) -> str:
        """Return the first filled field of some names, which is used by that; empty without one."""
        for name in names:
            for index, (own, value) in enumerate(self._fields):
                if own == name:
                    self._used.add(index)
                    return value
        return ""

    def peek(self, *names: str) -> str:
        """Return the first filled field of some names without using it."""
        return next((value for name in names for own, value in self._fields if own == name), "")

    def all(self, *names: str) -> list[str]:
        """Return all values of some names, which are used by that."""
        found = [index for name in names for index, (own, _) in enumerate(self._fields) if own == name]
        self._used.update(found)
        return [self._fields[index][1] for index in found]

    @property
    def left_out(self) -> list[LeftOut]:
        """Fields that were not used and say something that no used one says."""
        said = {_comparable(self._fields[index][1]) for index in self._used}
        return [
            LeftOut(name, value)
            for index, (name, value) in enumerate(self._fields)
            if index not in self._used and _comparable(value) not in said
        ]


def loss(left_out: Iterable[LeftOut], entry: str = "") -> str:
    """Return what was not carried over of an entry in one sentence; empty where all was."""
    parts = ", ".join(dict.fromkeys(map(str, left_out)))
    return f"{entry}not carried over: {parts}" if parts else ""


def references_of(entries: Sequence[RawEntry], file: str) -> list[ReadReference]:
    """Turn entries into references.

    Raises:
        CatalogueError: Entries are wrong; it carries the problems of all of them.
    """
    if not entries:
        raise CatalogueError.of_file(file, Rule.EMPTY_FILE, "at least one entry", "none")
    if len(entries) > MAX_REFERENCES:
        expected, found = f"at most {MAX_REFERENCES:,} entries", f"{len(entries):,}"
        raise CatalogueError.of_file(file, Rule.TOO_MANY_VALUES, expected, found, "split the file")
    references: list[ReadReference] = []
    problems: list[Problem] = []
    for entry in entries:
        if reason := _NO_WORK.get(entry.type):
            label = shown(entry.label, 40) or "entry"
            problems.append(
                Problem(file, entry.line, 1, f"{label}.type", Rule.VOCABULARY, "a published work",
                        f'"{entry.type}", {reason}')
            )  # fmt: skip
            continue
        tree, left_out = _tree(entry)
        try:
            reference = Reference.model_validate_json(json.dumps(tree), by_alias=True, by_name=False)
        except ValidationError as error:
            problems += _problems(error, entry, file)
        else:
            references.append(ReadReference(reference, readable(entry.label), (*entry.left_out, *left_out)))
    if problems:
        raise CatalogueError(problems[:PROBLEMS_SHOWN])
    return references


def _problems(error: ValidationError, entry: RawEntry, file: str) -> list[Problem]:
    """Return what is wrong with an entry, at its place in the file."""
    label = shown(entry.label, 40) or "entry"
    problems = []
    for problem in diagnose(error, file=file, model=Reference, places=lambda _: Places({(): START}, {})):
        if problem.field == "issued" and entry.date_text and not entry.date:
            cure = "write the date so, or leave the entry out until it has one"
            problem = dataclasses.replace(
                problem, expected=DATE_FORM, found=quoted(entry.date_text), cure=cure
            )
        field = f"{label}.{problem.field}".rstrip(".")
        problems.append(dataclasses.replace(problem, line=entry.line, field=field))
    return problems


def split_date(text: str) -> tuple[list[int], str]:
    """Return the possible year, month and day that a text begins with, and what follows but a time of day."""
    match = _DATE.match(text)
    if not match:
        return [], text.strip()
    parts = [int(part) for part in match.groups() if part]
    limits = ((0, 9999), (1, 12), (1, 31))
    inside = (low <= part <= high for part, (low, high) in zip(parts, limits, strict=False))
    right = [part for part, _ in itertools.takewhile(lambda pair: pair[1], zip(parts, inside, strict=False))]
    rest = text[match.end(len(right)) if right else 0 :]
    return right, "" if _TIME_OF_DAY.fullmatch(rest) else rest.strip()


def numbered_pages(number: str, pages: str) -> str:
    """Return pages with the number of the article before them, as in 17:1-35, or the one that is given."""
    number, pages = number.strip(), pages.strip()
    if not number or not pages or re.match(rf"{re.escape(number)}(?![\w.])", pages):
        return pages or number
    return f"{number}:{pages}"


def titled(title: str, subtitle: str, addition: str = "") -> str:
    """Return a title with its subtitle and what stands behind them."""
    whole = title.strip()
    for part, sign in ((subtitle.strip(), ":"), (addition.strip(), ".")):
        if part and part.casefold() not in whole.casefold():
            mark = "" if not whole or whole[-1] in ".,:;!?" else sign
            whole = f"{whole}{mark} {part}".strip()
    return whole


def _tree(entry: RawEntry) -> tuple[dict[str, object], list[LeftOut]]:
    """Return an entry in the bibliography's own form, where what is unknown is left out, and what is lost."""
    texts = {name: text for name, value in entry.texts.items() if (text := readable(value))}
    left_out: list[LeftOut] = []
    kind = _as_preprint(readable(entry.type), texts)
    authors = []
    for name in entry.authors:
        author = {part: text for part, value in name.items() if (text := readable(without_markup(value)))}
        whole = author.get("literal") or " ".join(filter(None, (author.get("given"), author.get("family"))))
        if _OTHERS.fullmatch(whole):
            left_out.append(LeftOut("author", "and others"))
            continue
        if "given" in author and (others := _OTHERS_BEHIND.search(author["given"])):
            left_out.append(LeftOut("author", "and others"))
            author["given"] = author["given"][: others.start()]
        if author:
            authors.append(author)
    tree: dict[str, object] = {"type": kind, "author": authors}
    tree |= {name: readable(without_markup(text)) for name, text in texts.items() if name not in _ADDRESSES}
    if entry.date:
        tree["issued"] = {"date-parts": [list(entry.date)]}
    if "page" in texts:
        tree["page"] = _DASHES.sub("-", texts["page"])
    tree |= _identifiers(texts, left_out)
    if not authors:
        del tree["author"]
    return tree, left_out


def _as_preprint(kind: str, texts: dict[str, str]) -> str:
    """Move an identifier at arXiv to its own field from those that say only that the work is there.

    Google Scholar names arXiv and the identifier as the journal, DBLP the journal CoRR with a volume, and the
    Astrophysics Data System a journal with pages.

    Returns:
        The type, which is that of a preprint where arXiv was the journal.
    """
    names = ["note", "container-title"]
    if _ONLY_ARXIV.fullmatch(texts.get("container-title", "")):
        names += ["volume", "issue", "page"]
    found = {name: match[1] or match[2] or ""
             for name in names if (match := _ONLY_ARXIV.fullmatch(texts.get(name, "")))}  # fmt: skip
    given = [
        own
        for name in ("arxiv", "DOI")
        if (own := identifier_in(texts.get(name, ""))) and own.kind == "arXiv"
    ]
    stated = [Identifier("arXiv", identifier) for identifier in found.values() if identifier]
    if not given and not stated:
        return kind
    known = (given or stated)[0]
    if not given:
        texts["arxiv"] = known.value
    for name, identifier in found.items():
        is_journal = name == "container-title" and kind == "article-journal"
        same = identifier and Identifier("arXiv", identifier).comparable == known.comparable
        if same or (is_journal and not identifier):
            del texts[name]
    was_journal = "container-title" in found and "container-title" not in texts
    return "article" if was_journal and kind == "article-journal" else kind


def _identifiers(texts: dict[str, str], left_out: list[LeftOut]) -> dict[str, str]:
    """Return DOI, arXiv identifier and address, each in its own field and none of them twice."""
    found: dict[str, str] = {}
    for name in ("DOI", "arxiv"):
        if text := html.unescape(texts.get(name, "")):
            identifier = identifier_in(text)
            own = "arxiv" if identifier and identifier.kind == "arXiv" else name
            value = identifier.value if identifier else text
            if found.setdefault(own, value) != value:
                known = Identifier("arXiv", found[own])
                if identifier is None or identifier.comparable != known.comparable:
                    left_out.append(LeftOut(name, text))
    url = html.unescape(texts.get("URL", ""))
    named = find_identifiers(url).identifiers if _host(url) in _RESOLVERS else ()
    for identifier in named:
        own = "arxiv" if identifier.kind == "arXiv" else "DOI"
        if own not in found:
            found[own] = identifier.value
        elif Identifier(identifier.kind, found[own]).comparable != identifier.comparable:
            return found | {"URL": url}  # another work than the DOI's, for the reader to see
    return found | ({"URL": url.translate(_IN_ADDRESS)} if url and not named else {})


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def identifier_in(text: str) -> Identifier | None:
    """Return the identifier that a text is; None where it is none."""
    try:
        return parse_identifier(text)
    except UserError:
        return None


def _comparable(value: str) -> str:
    return "".join(value.replace("\\", "").split()).strip("{}").casefold()
