"""Citations in running text to references: their parts, their identifiers, and what is doubtful in them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from greentactics.citing.bibtex import MONTHS
from greentactics.citing.entries import citation_key, comparable_title, find_identifier, find_title
from greentactics.citing.identifiers import Identifier, find_identifiers
from greentactics.models.bibliography import Reference
from greentactics.text.files import readable
from greentactics.text.problems import quoted

LONGEST_CITATION = 5_000
"""Characters of the longest text that is taken for citations."""
_SHORTEST_MAIN_TITLE = 15
_BETWEEN = re.compile(r";\s+(?=[A-Z\u00c0-\u00de\u201c\"*])")
_LINK = re.compile(
    r"\[[^\[\]]{0,80}\]\((\S{1,600})\)|https?://\S+|\(?\barxiv:\S+|\(?\bDOI:\s*\S+", re.IGNORECASE
)
_NOT_A_DOI = re.compile(r"\[DOI\]\((\S{1,600})\)", re.IGNORECASE)
_ACM = re.compile(r"(?P<authors>.+?)\. (?P<year>(?:19|20)[0-9]{2})[a-z]?\. (?P<rest>.+)")
_APA = re.compile(
    r"(?P<authors>.+?) \((?P<year>(?:19|20)[0-9]{2})\b(?:, (?P<month>[A-Z][a-z]+)\b)?[^()]*\)[.,]? "
    r"(?P<rest>.+)"
)
_BY = re.compile(
    r"(?P<kind>[^*\u201c\"]*)[*\u201c\"]+(?P<title>[^*\u201c\u201d\"]+)[*\u201d\"]+,? by (?P<authors>.+)"
)
_SENTENCE_END = re.compile(r"(?<!\bvs)(?<!\bal)(?<!\bet)\.(?:\s+|\Z)")
_APA_NAME = re.compile(r"([^,&]+), ((?:[^\W\d_]\.[ -]?)+)")
_ET_AL = re.compile(r"[ ,]+et al\b\.?\s*\Z")
_JOURNAL = re.compile(
    r"(?P<container>.+?)[ ,]+(?P<volume>[0-9]+)(?:, (?P<issue>[0-9]+))? \([^()]*\)"
    r"(?:, (?P<page>[0-9]+(?:[-\u2013][0-9]+)?))?"
)
_ADDRESS = re.compile(r"https?://[^\s()\[\]<>\"]+")
_NAME = re.compile(r"[^\W\d_][^\d.:?!\u201c\"*()]{3,50}")
"""What may be a name among several with semicolons between them."""
_YEAR = re.compile(r"\((?:19|20)[0-9]{2}\b|\. (?:19|20)[0-9]{2}\.")
_WORD = re.compile(r"\w+")
_JOINING = frozenset({"and", "by", "doi", "in", "no", "of", "p", "pp", "the", "vol"})
"""Words of a citation that only join its parts."""
_QUOTES = "'\"\u2018\u2019\u201c\u201d"
_PAGES = re.compile(r"(?:\bpp?\. ?)?\b([0-9]+)\s?[-\u2013]\s?([0-9]+)\b")


@dataclass(frozen=True)
class Sources:
    """The sources of one entry."""

    keys: tuple[str, ...]
    """Keys to cite, in the order of the text; of the bibliography or of `references`."""
    references: Mapping[str, Reference]
    """Those that the bibliography does not have."""
    to_clarify: tuple[str, ...]
    """What was repaired, is broken or could not be read."""
    left_out: tuple[str, ...] = ()
    """Words of citations that their references do not hold."""


def read_sources(text: str, identifiers: str, known: Mapping[str, Reference]) -> Sources:
    """Split a text into citations and find or make the reference of each.

    Args:
        text: One citation, or several with semicolons between them.
        identifiers: Identifiers that stand apart from the text; empty without any.
        known: The bibliography.
    """
    notes: list[str] = []
    keys: list[str] = []
    references: dict[str, Reference] = {}
    if len(text) > LONGEST_CITATION:
        return Sources((), {}, (f"source: more than {LONGEST_CITATION:,} characters, not read",))
    citations = _split(text)
    apart = find_identifiers(identifiers)
    for found in (find_identifiers(text), apart):
        notes += [f"identifier repaired: {repair}" for repair in found.repaired]
        notes += [f"broken identifier: {broken}" for broken in found.broken]
    notes += [
        f"broken identifier: {match[1]} is called a DOI and is none"
        for match in _NOT_A_DOI.finditer(text)
        if not find_identifiers(match[1]).identifiers
    ]
    per_citation = [list(find_identifiers(citation).identifiers) for citation in citations]
    unassigned = _assign(per_citation, apart.identifiers)
    if identifiers.strip() and not apart.identifiers and not apart.broken:
        notes.append(f"broken identifier: {identifiers.strip()[:LONGEST_CITATION]}")
    left_out: list[str] = []
    for citation, own in zip(citations, per_citation, strict=True):
        whole = f"{citation} {identifiers}" if len(citations) == 1 else citation
        addresses = [address.rstrip(".,;") for address in _ADDRESS.findall(whole)]
        free = [address for address in addresses if not find_identifiers(address).identifiers]
        key, reference, remarks = _resolved(citation, own, free[:1], {**known, **references})
        notes += remarks
        if reference:
            references[key] = reference
            if lost := " ".join([*_not_held(citation, reference), *free[1:]]):
                left_out.append(lost)
                notes.append(f"{key}: not carried over: {quoted(lost)}")
        if key and key not in keys:
            keys.append(key)
    for identifier in unassigned:
        if find_identifier(identifier, {key: known[key] for key in keys if key in known}) is None:
            count = len(citations)
            notes.append(f"{identifier}: which of the {count} sources it belongs to is not said")
    return Sources(tuple(keys), references, tuple(dict.fromkeys(notes)), tuple(left_out))


def _split(text: str) -> list[str]:
    """Return the citations of a text; names before one with a year belong to it, as in A; B (2020) Title."""
    citations: list[str] = []
    names: list[str] = []
    for part in (part.strip() for part in _BETWEEN.split(text) if part.strip()):
        if _NAME.fullmatch(part):
            names.append(part)
        elif names and _YEAR.search(part):
            citations.append(", ".join([*names, part]))
            names = []
        else:
            citations += [*names, part]
            names = []
    return [*citations, *names]


def _not_held(citation: str, reference: Reference) -> list[str]:
    """Return the words of a citation that its reference does not hold, in their order."""
    held = {word.casefold() for word in _WORD.findall(reference.model_dump_json())} | _JOINING
    month = MONTHS[reference.issued.date_parts[0][1] - 1] if reference.issued.date_parts[0][1:] else ""
    words = _WORD.findall(readable(_LINK.sub(" ", citation)))
    return [word for word in words if (own := word.casefold()) not in held and own[:3] != month]


def _assign(per_citation: list[list[Identifier]], apart: tuple[Identifier, ...]) -> list[Identifier]:
    """Give identifiers that stand apart to the citation they belong to; return those that stay unassigned."""
    present = {identifier.comparable for own in per_citation for identifier in own}
    unassigned = []
    for identifier in apart:
        without = [own for own in per_citation if not own]
        if identifier.comparable in present:
            continue
        if len(without) == 1 or len(per_citation) == 1:
            (without or per_citation)[0].append(identifier)
        else:
            unassigned.append(identifier)
    return unassigned


def _resolved(
    citation: str, identifiers: list[Identifier], addresses: list[str], known: Mapping[str, Reference]
) -> tuple[str, Reference | None, list[str]]:
    """Return the key of a citation, its reference where that is new, and what is doubtful."""
    parts, notes = _parts(citation), []
    title = str(parts.get("title", ""))
    by_title = find_title(title, known) if title else None
    by_identifier = next((key for own in identifiers if (key := find_identifier(own, known))), None)
    if by_identifier and title and not _same_title(known[by_identifier].title, title):
        named = ", ".join(map(str, identifiers))
        its = quoted(known[by_identifier].title)
        notes.append(f"{named} belongs to {by_identifier}, {its}; the text names {quoted(title)}")
    if by_title or by_identifier:
        return by_title or by_identifier or "", None, notes
    for identifier in identifiers:
        parts["DOI" if identifier.kind == "DOI" else "arxiv"] = identifier.value
    if addresses:
        parts["URL"] = addresses[0]
    try:
        reference = Reference.model_validate_json(json.dumps(parts), by_alias=True, by_name=False)
    except ValidationError as error:
        lacking = ", ".join(sorted({str(detail["loc"][0]) for detail in error.errors()}))
        look_up = f"; `greentactics cite {identifiers[0]}` may know" if identifiers else ""
        return "", None, [*notes, f"source without {lacking}: {quoted(readable(citation))}{look_up}"]
    key = citation_key(reference, known)
    return key, reference, [*notes, f"{key}: read from running text; compare it with the paper"]


def _same_title(one: str, other: str) -> bool:
    """Return whether two titles are the same, or one is the other without its subtitle."""
    short, long = sorted((comparable_title(one), comparable_title(other)), key=len)
    return long == short or (len(short) >= _SHORTEST_MAIN_TITLE and long.startswith(short))


def _parts(citation: str) -> dict[str, object]:
    """Return what a citation says, in the bibliography's fields."""
    body = _without_loose_ends(readable(_LINK.sub(" ", citation)))
    if match := _BY.fullmatch(body):
        kind = "thesis" if "thesis" in match["kind"].lower() else "report"
        return _without_nothing(
            {"type": kind, "title": match["title"].strip(" ,."), "author": _authors(match["authors"])}
        )
    matches = [match for match in (_ACM.fullmatch(body), _APA.fullmatch(body)) if match]
    if not matches:
        return {}
    match = min(matches, key=lambda candidate: len(candidate["authors"]))
    month = match.groupdict().get("month") or ""
    again = _ACM.fullmatch(match["rest"])
    # Some citations give authors and year twice, in two styles.
    if again and match["year"] == again["year"]:
        match = again
    title, rest = _first_sentence(_unquoted(match["rest"]))
    date = [int(match["year"])]
    if month.lower()[:3] in MONTHS:
        date.append(MONTHS.index(month.lower()[:3]) + 1)
    rest = re.sub(r"^\([0-9]{4}\)\.\s*", "", rest)
    return _without_nothing(
        {"title": _unquoted(title), "author": _authors(match["authors"]),
         "issued": {"date-parts": [date]}, **_container(rest)}
    )  # fmt: skip


def _without_loose_ends(text: str) -> str:
    """Return a citation without the punctuation that a link in brackets leaves at its end."""
    text = re.sub(r"[\s.,;]*(?:\(\s*\)[\s.,;]*)*\Z", "", text).lstrip(" .,;")
    for bracket, other in ((")", "("), ("(", ")")):
        while text.endswith(bracket) and text.count(bracket) > text.count(other):
            text = text[:-1].rstrip(" .,;")
    return text


def _unquoted(text: str) -> str:
    """Return a text without the quotation marks around it."""
    whole = text.strip()
    inner = whole.rstrip(".,")
    return inner[1:-1] if len(inner) > 1 and inner[0] in _QUOTES and inner[-1] in _QUOTES else whole


def _first_sentence(text: str) -> tuple[str, str]:
    match = _SENTENCE_END.search(text)
    return (text[: match.start()], text[match.end() :]) if match else (text.rstrip("."), "")


def _container(text: str) -> dict[str, object]:
    """Return where a work was published, as far as the text says it."""
    rest = text.strip()
    if rest.startswith("In "):
        container, after = _first_sentence(re.sub(r"\s*\(pp\. .*", "", rest[3:]))
        pages = _PAGES.search(after) or _PAGES.search(rest.rpartition("(pp.")[2] if "(pp." in rest else "")
        publisher = re.split(r"[,0-9]", after)[0].strip(" .")
        page = f"{pages[1]}-{pages[2]}" if pages else ""
        return {
            "type": "paper-conference",
            "container-title": container,
            "page": page,
            "publisher": publisher,
        }
    if match := _JOURNAL.match(rest):
        fields = {name: (match[name] or "").replace("\u2013", "-") for name in ("volume", "issue", "page")}
        return {"type": "article-journal", "container-title": match["container"], **fields}
    return {"type": "report" if rest else "article", "publisher": _first_sentence(rest)[0].split(",")[0]}


def _authors(text: str) -> list[dict[str, str]]:
    """Return names from a list in the order given name, family name, or family name, initials."""
    text = _ET_AL.sub("", text)
    pairs = _APA_NAME.findall(text)
    # Initials before family names, as in A. Poe, B. Roe, look like pairs too, but for the last one.
    if pairs and not re.sub(r"\band\b|[ ,.&]", "", _APA_NAME.sub("", text)):
        return [{"family": family.strip(" &"), "given": given.strip()} for family, given in pairs]
    names = re.split(r",? and |,? & |, ", text.strip(" ."))
    return [_name(name.strip()) for name in names if name.strip()]


def _name(name: str) -> dict[str, str]:
    words = name.split()
    start = len(words) - 1
    while start > 1 and words[start - 1].islower():
        start -= 1
    given = " ".join(words[:start])
    return {"family": " ".join(words[start:]), "given": given} if given else {"family": name}


def _without_nothing(parts: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in parts.items() if value}
