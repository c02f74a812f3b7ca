"""DOIs and arXiv identifiers, as they are typed, copied and misspelt."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote

from greentactics.models.bibliography import ARXIV_PATTERN, DOI_PATTERN
from greentactics.text.files import readable
from greentactics.text.problems import UserError, quoted

_PREFIX = r"10\.[0-9]{4,9}(?:\.[0-9]{1,9})*/"
_SICI = r"<[^\s\"<>]{1,100}>(?=[0-9]\.[0-9]\.)"
"""Part of DOIs of the nineties, as in (199803)19:4<377::AID-JCC1>3.0.CO;2-P (ANSI/NISO Z39.56)."""
_DOI = re.compile(rf"{_PREFIX}(?:[^\s\"<>;|\\^`{{}}]|{_SICI}|(?<=[0-9]\.[0-9]\.[A-Za-z]{{2}});(?=[0-9]))+")
_WHOLE_DOI = re.compile(
    rf"(?:doi:?\s*)?((?:https?://)?(?:(?:dx\.|www\.)?doi\.org/)+)?({_PREFIX.replace('/', '(?:/|%2F)')}\S+)",
    re.IGNORECASE,
)
ARXIV_FORM = r"(?:[0-9]{2}(?:0[1-9]|1[0-2])\.[0-9]{4,5}|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7})(?:v[0-9]+)?"
"""Regular expression of an identifier at arXiv, since 2007 and before."""
_ARXIV = re.compile(rf"(?<![0-9.]){ARXIV_FORM}(?![0-9])")
_ARXIV_DOI = re.compile(r"10\.48550/arxiv\.(.+)", re.IGNORECASE)
_LABELLED_ARXIV = re.compile(r"arxiv(?:\.org/(?:abs|pdf|html)/|:\s*)([^\s()\[\]]+)", re.IGNORECASE)
_TIDY = re.compile(r"(?:doi:?\s*)?(?:https?://(?:dx\.)?doi\.org/)?10\.\S+", re.IGNORECASE)
_SIGN = rf"(?:(?!\]\()[^\s<>\"]|{_SICI})"
"""What is no blank and does not end the text of a link in Markdown."""
_CANDIDATE = re.compile(
    rf"https?://{_SIGN}+|\bdoi:?\s+[^\s<>\"]*[0-9]{_SIGN}*|\bdoi:{_SIGN}+|\barxiv:\s*{_SIGN}+"
    rf"|\b(?:dx\.)?doi\.org/{_SIGN}+|(?<![\w/.]){_PREFIX}{_SIGN}+",
    re.IGNORECASE,
)
_CLOSING = {")": "(", "]": "[", ">": "<"}
LONGEST = 300
"""Characters of the longest identifier that is read."""


@dataclass(frozen=True)
class Identifier:
    """The registered name of a work."""

    kind: Literal["DOI", "arXiv"]
    """Who registers it. A DOI that arXiv gave stands here as an arXiv identifier."""
    value: str
    """The identifier without address or label."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.value}"

    @property
    def doi(self) -> str:
        """The DOI under which the work is registered; arXiv registers one for each of its identifiers."""
        return self.value if self.kind == "DOI" else f"10.48550/arXiv.{without_version(self.value)}"

    @property
    def comparable(self) -> str:
        """The same text for each spelling and version."""
        return self.doi.lower()


@dataclass(frozen=True)
class Found:
    """What a text holds of identifiers."""

    identifiers: tuple[Identifier, ...]
    """Each once, in the order of the text."""
    repaired: tuple[str, ...]
    """What had to be repaired, in words."""
    broken: tuple[str, ...]
    """What should be an identifier and is none, as it stands in the text."""


def without_version(arxiv: str) -> str:
    """Return an arXiv identifier without the number of its version."""
    return re.sub(r"v[0-9]+\Z", "", arxiv)


def parse_identifier(text: str) -> Identifier:
    """Return the identifier that a text is: bare, labelled, or as an address.

    Raises:
        UserError: It is none.
    """
    stripped = text.strip()
    identifier = _whole_doi(stripped) or _identifier(stripped) if len(stripped) <= LONGEST else None
    if identifier is None and ARXIV_PATTERN.match(stripped) and _ARXIV.fullmatch(stripped):
        identifier = Identifier("arXiv", stripped)
    if identifier is None or (" " in stripped and not re.match(r"(?:doi|arxiv)\b", stripped, re.IGNORECASE)):
        raise UserError(
            f"{quoted(stripped)}: expected a DOI such as 10.1109/CVPR.2017.643 or an arXiv identifier such "
            "as arXiv:1611.05128, got neither; copy it from the first page of the paper or from its address"
        )
    return identifier


def find_identifiers(text: str) -> Found:
    """Find all identifiers in running text and repair what can be repaired.

    Punctuation that belongs to the sentence is left out, an address that names the resolver twice is read
    once, and whatever carries the label of an identifier without being one is returned as broken.
    """
    identifiers: dict[str, Identifier] = {}
    repaired: list[str] = []
    broken: list[str] = []
    for match in _CANDIDATE.finditer(text):
        # What is cut stays too long, and the time to read it stays bounded.
        token = _without_punctuation(match[0][: 2 * LONGEST])
        identifier = _identifier(token) if len(token) <= LONGEST else None
        if identifier is None:
            if re.search(r"doi\.org|^doi\b|arxiv", token, re.IGNORECASE):
                broken.append(token[:LONGEST])
            continue
        identifiers.setdefault(identifier.comparable, identifier)
        if _DOI.search(unquote(token)) and not _TIDY.fullmatch(token) and "doi.org" in token.lower():
            repaired.append(f"{token} read as {identifier}")
    return Found(tuple(identifiers.values()), tuple(dict.fromkeys(repaired)), tuple(dict.fromkeys(broken)))


def _whole_doi(text: str) -> Identifier | None:
    """Return the DOI that a text is and nothing else; it may hold signs that would end one in a sentence."""
    match = _WHOLE_DOI.fullmatch(text)
    if match is None:
        return None
    value = _without_punctuation(unquote(re.split(r"[?#]", match[2])[0] if match[1] else match[2]))
    if "</" in value or readable(value) != value or not DOI_PATTERN.match(value):
        return None
    return None if _ARXIV_DOI.fullmatch(value) else Identifier("DOI", value)


def _identifier(token: str) -> Identifier | None:
    """Return the identifier in one word, be it bare, labelled or in an address."""
    # Decoded, a text may hold signs that nobody sees, or that turn the direction of writing.
    if match := _DOI.search(readable(unquote(token))):
        value = match[0]
        if "://" in token:
            value = re.split(r"[?#]", value)[0]
        value = _without_punctuation(value)
        if arxiv := _ARXIV_DOI.fullmatch(value):
            return Identifier("arXiv", arxiv[1]) if _ARXIV.fullmatch(arxiv[1]) else None
        # A DOI does not end with its prefix; what follows may have been cut off with the punctuation.
        return Identifier("DOI", value) if _DOI.fullmatch(value) else None
    if match := _LABELLED_ARXIV.search(token):
        value = re.sub(r"\.pdf\Z", "", _without_punctuation(re.split(r"[?#]", match[1])[0]))
        if _ARXIV.fullmatch(value):
            return Identifier("arXiv", value)
    return None


def _without_punctuation(token: str) -> str:
    """Cut off what ends a sentence or closes a bracket that was opened outside."""
    while token:
        last = token[-1]
        unbalanced = last in _CLOSING and token.count(last) > token.count(_CLOSING[last])
        if not unbalanced and last not in ".,;:!?'*_\u201d\u2019":
            break
        token = token[:-1]
    return token
