"""Records that may say already what a new one is about."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greentactics.schema import Record

TITLE_THRESHOLD = 0.5
"""Share of common words from which titles count as similar, found by hand.

"Remove duplicates from training data" has 0.5 with the record on redundant data, and "Distil a big network
into a smaller one" 0.5 with that on distillation. "Quantise weights to 8 bits after training" has 0.33 with
quantisation-aware training, which is another tactic.
"""
INTENT_THRESHOLD = 0.3
"""The same of intents; those of the first 42 records have at most 0.27 in common."""
RARE_AT_MOST = 3
"""Records that cite a source, up to which a common source says something."""

_STEM_LENGTH = 4
_COMMON = (
    "and are can cost costs does energy for from has have into less model models more network networks not "
    "one same than that the their them this too use used uses using what when where which while with"
)


@dataclass(frozen=True)
class Similar:
    """A record that resembles a new one."""

    record: Record
    """The record."""
    reasons: tuple[str, ...]
    """In what they are alike."""


def similar_records(
    records: Sequence[Record], *, title: str, intent: str = "", sources: Iterable[str] = ()
) -> list[Similar]:
    """Return the records that are like a new one in title, intent or a source few others cite.

    Args:
        records: All records.
        title: Title of the new one.
        intent: Its intent; empty where it is not known yet.
        sources: Keys of its sources.
    """
    found = []
    for record in records:
        names = [record.title, record.id, *(alias.title for alias in record.aliases)]
        reasons = []
        if max(_overlap(title, name) for name in names) >= TITLE_THRESHOLD:
            reasons.append("similar title")
        if _overlap(intent, record.intent) >= INTENT_THRESHOLD:
            reasons.append("similar intent")
        cited = {use.key for use in record.sources}
        reasons += [f"cites {key} too" for key in sources if key in cited and _is_rare(key, records)]
        if reasons:
            found.append(Similar(record, tuple(reasons)))
    return found


def _is_rare(key: str, records: Iterable[Record]) -> bool:
    return sum(any(use.key == key for use in record.sources) for record in records) <= RARE_AT_MOST


def _overlap(one: str, other: str) -> float:
    """Return the words two texts have in common as a share of all their words."""
    first, second = _stems(one), _stems(other)
    return len(first & second) / len(first | second) if first and second else 0.0


def _stems(text: str) -> set[str]:
    common = set(_COMMON.split())
    words = re.findall(r"\w{3,}", text.lower().replace("_", " "))
    return {word[:_STEM_LENGTH] for word in words if word not in common}
