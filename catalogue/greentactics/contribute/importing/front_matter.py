"""The front matter of Markdown files, read line by line, as some of it is not valid YAML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greentactics.text.problems import UserError

FENCE = "---"
_KEY = re.compile(r"([A-Za-z][\w-]*):(?:\s(.*))?")


@dataclass(frozen=True)
class Field:
    """One field of an entry."""

    line: int
    """Line of the file, counted from 1."""
    value: str
    """Its text on one line, without quotes."""


def read_front_matter(text: str, file: str, known: re.Pattern[str]) -> tuple[dict[str, Field], int]:
    """Return the fields between the first two lines of `---`, and the number of the second one.

    A line without key belongs to the value before it, which in some files begins below its key.

    Args:
        text: Text of the file.
        file: Its name for errors.
        known: Matches the keys that always begin a field; any other word before a colon begins one only
            where no quotation mark is open.

    Raises:
        UserError: There is no front matter.
    """
    lines = text.split("\n")
    ends = [number for number, line in enumerate(lines) if line.rstrip() == FENCE]
    if len(ends) < 2 or ends[0] != 0:
        raise UserError(f"{file}:1: expected front matter between two lines of ---, got none")
    found: dict[str, tuple[int, list[str]]] = {}
    parts: list[str] = []
    is_quoted = False
    for number, line in enumerate(lines[1 : ends[1]], start=2):
        match = _KEY.match(line)
        if match and (known.fullmatch(match[1]) or not is_quoted):
            parts, is_quoted = [match[2] or ""], False
            # Of a key that stands twice the first value is kept and the second one stays visible.
            name = match[1] if match[1] not in found else f"{match[1]} (line {number})"
            found[name] = (number, parts)
        else:
            parts.append(line)
        is_quoted ^= line.count('"') % 2 == 1
    return {key: Field(line, _unquoted(parts)) for key, (line, parts) in found.items()}, ends[1]


def filled(fields: Mapping[str, Field], empty: Iterable[str]) -> dict[str, Field]:
    """Return the fields that say something."""
    nothing = frozenset(empty)
    return {key: field for key, field in fields.items() if field.value not in nothing}


def _unquoted(parts: Iterable[str]) -> str:
    return " ".join(" ".join(parts).strip().strip('"').split())
