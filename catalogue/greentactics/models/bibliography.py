"""The shared bibliography: CSL-JSON fields, written as YAML, cited by key.

Field names and types follow the Citation Style Language's JSON input format (citeproc-js, "CSL-JSON").
"""

from __future__ import annotations

import calendar
import re
from typing import Annotated, Literal
from urllib.parse import quote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    RootModel,
    StringConstraints,
    model_validator,
)
from pydantic_core import PydanticCustomError

from greentactics.text.problems import Rule

DOI_PATTERN = re.compile(r"10\.[0-9]{4,9}(?:\.[0-9]{1,9})*/[^\s\"]+\Z")
ARXIV_PATTERN = re.compile(r"(?:[0-9]{4}\.[0-9]{4,5}|[a-z-]+(?:\.[A-Z]{2})?/[0-9]{7})(?:v[0-9]+)?\Z")
_SAFE_IN_PATHS = "/:;()@!$&'*+,="

STRICT = ConfigDict(
    extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True, populate_by_name=True
)


class StrictModel(BaseModel):
    """A part of a file: exactly these keys, and values of exactly these types."""

    model_config = ConfigDict(**STRICT, defer_build=True)  # built when first used, parts within the whole


def _check_doi(text: str) -> str:
    if not DOI_PATTERN.match(text):
        raise PydanticCustomError(Rule.BAD_DOI, "a DOI without its address, such as 10.1109/CVPR.2017.643")
    return text


def _check_arxiv(text: str) -> str:
    if not ARXIV_PATTERN.match(text):
        raise PydanticCustomError(Rule.BAD_ARXIV, "an arXiv identifier, such as 1611.05128 or 1611.05128v4")
    return text


def _check_address(text: str) -> str:
    try:
        named = urlsplit(text).hostname
    except ValueError:
        named = None
    if not named:
        raise PydanticCustomError(Rule.BAD_ADDRESS, "an address of the web, such as https://example.org/page")
    return text


Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Doi = Annotated[str, AfterValidator(_check_doi)]
ArxivId = Annotated[str, AfterValidator(_check_arxiv)]
WebAddress = Annotated[
    str, StringConstraints(pattern=r"^https?://[^\s\"<>]+$"), AfterValidator(_check_address)
]
CitationKey = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]*-(1[89]|20)[0-9]{2}[a-z]?$")]


class Name(StrictModel):
    """A person or an organisation."""

    family: Text | None = None
    """Family name."""
    given: Text | None = None
    """Given names."""
    literal: Text | None = None
    """Whole name of an organisation; excludes the other two."""

    @model_validator(mode="after")
    def _person_or_organisation(self) -> Name:
        if (self.literal is None) == (self.family is None) or (self.given and not self.family):
            raise PydanticCustomError(
                Rule.AUTHOR_NAME,
                "either a family name, with or without given names, or a literal name",
                {"found": " and ".join(sorted(self.model_fields_set)) or "neither"},
            )
        return self

    def __str__(self) -> str:
        return self.literal or " ".join(part for part in (self.given, self.family) if part)


class Issued(StrictModel):
    """Date of publication, in CSL's form."""

    date_parts: Annotated[
        tuple[tuple[int, ...], ...],
        Field(alias="date-parts", min_length=1, max_length=1),
    ]
    """One list of year, month, day; month and day may be missing."""

    @model_validator(mode="after")
    def _date(self) -> Issued:
        limits = ((1800, 2100), (1, 12), (1, 31))
        parts = self.date_parts[0]
        inside = all(low <= part <= high for part, (low, high) in zip(parts, limits, strict=False))
        if inside and len(parts) == len(limits):
            inside = parts[2] <= calendar.monthrange(parts[0], parts[1])[1]
        if not 1 <= len(parts) <= len(limits) or not inside:
            raise PydanticCustomError(
                Rule.ISSUED_DATE,
                "a year from 1800, or year and month, or year, month and day",
                {"found": str(list(parts))},
            )
        return self

    @property
    def year(self) -> int:
        """The year."""
        return self.date_parts[0][0]


class Reference(StrictModel):
    """One published work."""

    type: Literal[
        "article", "article-journal", "paper-conference", "book", "chapter", "report", "thesis", "webpage",
        "software", "dataset", "standard",
    ]  # fmt: skip
    """CSL type; a preprint is an `article`."""
    title: Text
    """Title of the work."""
    author: Annotated[tuple[Name, ...], Field(min_length=1)]
    """Authors in the order of the work."""
    issued: Issued
    """Date of publication."""
    container_title: Annotated[Text | None, Field(alias="container-title")] = None
    """Journal or proceedings."""
    volume: Text | None = None
    """Volume of the journal."""
    issue: Text | None = None
    """Issue of the journal."""
    page: Text | None = None
    """Pages, such as `5687-5695`."""
    publisher: Text | None = None
    """Publisher or institution."""
    doi: Annotated[Doi | None, Field(alias="DOI")] = None
    """Digital object identifier, without its address."""
    arxiv: ArxivId | None = None
    """Identifier at arXiv."""
    url: Annotated[WebAddress | None, Field(alias="URL")] = None
    """Address, where there is neither DOI nor arXiv identifier, or where a free copy lies."""
    note: Text | None = None
    """What a reader should know, such as a changed title."""

    @property
    def year(self) -> int:
        """Year of publication."""
        return self.issued.year

    @property
    def link(self) -> str | None:
        """The best address: DOI, arXiv, then the given address."""
        if self.doi:
            # In an address, < and > of a DOI, and what would begin a query, are written as numbers.
            return f"https://doi.org/{quote(self.doi, safe=_SAFE_IN_PATHS)}"
        return f"https://arxiv.org/abs/{self.arxiv}" if self.arxiv else self.url


class Bibliography(RootModel[dict[CitationKey, Reference]]):
    """All references of the catalogue by key: first author, a hyphen, the year, and a letter if needed."""

    model_config = ConfigDict(frozen=True, strict=True)
