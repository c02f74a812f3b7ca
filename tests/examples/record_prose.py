"""The prose of a record, field by field, and what is wrong with its English."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from greentactics.models.vocabulary import Term

NO_PROSE = frozenset({
    "id", "target", "key", "source", "catalogue", "field", "aliases",
    "cost_metric", "quality_metric", "also_metrics",
})  # fmt: skip
"""Identifiers, and names that others gave."""
MOST_WORDS = 35

_AMERICAN = re.compile(
    r"""\b(?:
    [a-z]+(?:iz|yz)(?:e|es|ed|er|ers|ing|able|ation|ations)
    | (?:mis|re|un)?(?:label|model|signal|travel|cancel|level|channel|tunnel|total|fuel)(?:ed|ing|er|ers)
    | (?:col|behavi|fav|neighb|lab|flav|hon|vap|hum|rum|harb|endeav|rig)or(?:s|ed|ing|able|al|hoods?|less)?
    | (?:re|multi|data)?centers? | (?:re)?center(?:ed|ing) | fibers? | liters? | (?:kilo|centi|milli)meters?
    | theaters? | catalogs? | dialogs? | analogs? | gray | defense | offense | artifacts? | percent
    | fulfill(?:s|ment)? | enroll | skillful | aluminum | skeptic(?:al|ism)? | maneuvers?
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_BRITISH_TOO = re.compile(
    r"(?:(?:re|over|under|up|down|out)?siz(?:e|es|ed|ing)|seiz\w+|priz\w+|capsiz\w+)\Z",
    re.IGNORECASE,
)
_MARKETING = re.compile(
    r"""\b(?:
    novel | powerful | cutting[ -]edge | seamless(?:ly)? | state[ -]of[ -]the[ -]art | significantly
    | dramatic(?:ally)? | drastic(?:ally)? | leverag(?:e|es|ed|ing) | revolution(?:ary|i[sz]e\w*)
    | ground-?breaking | game[ -]chang(?:er|ing) | unprecedented | innovative | effortless(?:ly)?
    | best[ -]in[ -]class | world[ -]class | next[ -]generation | remarkabl[ey] | tremendous(?:ly)?
    | exciting | amazing(?:ly)? | incredibl[ey] | massive(?:ly)? | holistic(?:ally)? | synerg\w+
    | unlock(?:s|ed|ing)? | supercharg\w+ | blazing(?:ly)? | game-changer | robust\ solutions? | unleash\w*
    )\b""",
    re.VERBOSE | re.IGNORECASE,
)
_NAMED = re.compile(r'"[^"]*"|“[^”]*”|`[^`]*`|https?://\S+')


def prose(value: object, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield the prose of a record with the path of its field, such as `impact.claims.0.note`."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            if name not in NO_PROSE:
                yield from prose(getattr(value, name), f"{path}.{name}".lstrip("."))
    elif isinstance(value, tuple):
        for index, entry in enumerate(value):
            yield from prose(entry, f"{path}.{index}")
    elif isinstance(value, str) and not isinstance(value, Term):
        yield path, value


def american_words(text: str, names: Iterable[str] = ()) -> list[str]:
    """Return the words in American spelling, but not those in quotes, in code, or in the given names."""
    text = _NAMED.sub(" ", text)
    for name in names:
        text = text.replace(name, " ")
    return [word for word in _AMERICAN.findall(text) if not _BRITISH_TOO.match(word)]


def marketing_words(text: str) -> list[str]:
    """Return the words that praise instead of telling."""
    return _MARKETING.findall(_NAMED.sub(" ", text))


def long_sentences(text: str) -> list[str]:
    """Return the sentences with more than 35 words; numbers count as words."""
    sentences = re.split(r"(?<=[.!?])\s+|\n\s*\n", text.strip())
    return [
        " ".join(found.split()) for found in sentences if len(re.findall(r"\w[\w.,'-]*", found)) > MOST_WORDS
    ]
