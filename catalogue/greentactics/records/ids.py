"""Identifiers of tactics: how a title gives one, and which ones are taken for ever."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from greentactics.models.record import DEVICE_NAMES, Record
from greentactics.records.git import names_ever_committed

LONGEST_ID = 80
"""Characters of the longest identifier."""
_LETTERS = str.maketrans(
    {"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "\u0131": "i"}
)


@lru_cache(maxsize=10_000)
def slug(text: str) -> str:
    """Return text as small letters, digits and single hyphens; empty where it has no letter or digit."""
    plain = unicodedata.normalize("NFKD", text.casefold().translate(_LETTERS))
    letters = "".join(sign for sign in plain if not unicodedata.combining(sign))
    letters = re.sub(r"(?<=\w)['\u2019](?=\w)", "", letters)
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-")


def identifier_of(title: str) -> str:
    """Return the identifier that a title gives: a letter first, whole words; empty without a letter."""
    words = re.sub(r"^[0-9-]+", "", slug(title))
    if len(words) > LONGEST_ID:
        words = words[: LONGEST_ID + 1].rpartition("-")[0] or words[:LONGEST_ID]
    return f"{words}-tactic" if words in DEVICE_NAMES else words


def taken_ids(root: Path, records: Iterable[Record]) -> dict[str, str]:
    """Return the identifiers that no new tactic can have, each with who has or had it, in words.

    A file of that name takes an identifier, a tactic that had it before it was renamed, and a record that was
    committed and is gone, as far as git's history reaches here.

    Args:
        root: The checkout.
        records: The records that could be read.
    """
    taken: dict[str, str] = {}
    for identifier, holder in _holders(root, records):
        taken.setdefault(identifier, holder)
    return taken


def former_ids(records: Iterable[Record]) -> dict[str, str]:
    """Return the identifiers that tactics had before they were renamed, each with the present one."""
    return {former: record.id for record in records for former in record.former_ids}


def _holders(root: Path, records: Iterable[Record]) -> Iterator[tuple[str, str]]:
    for folder, pattern, prefix in (
        ("tactics", "*.yaml", ""),
        ("recipes", "*", ""),
        ("tests/recipes", "test_*.py", "test_"),
    ):
        for path in sorted((root / folder).glob(pattern)):
            identifier = path.stem.removeprefix(prefix).replace("_", "-")
            yield identifier, f"{folder}/{path.name} has it"
    for former, identifier in former_ids(records).items():
        yield former, f"{identifier} had it before"
    for name in names_ever_committed(root, "tactics"):
        yield Path(name).stem, f"{name} had it, was committed and is gone"
