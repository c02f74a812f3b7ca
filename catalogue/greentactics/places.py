"""Where the values of a file stand, so that a problem can name its line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from greentactics.errors import Problem

FieldPath = tuple[str | int, ...]
"""Keys and list positions from the root of a file to a value."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where something stands and what stands there."""

    line: int
    """Line, counted from 1."""
    column: int
    """Column, counted from 1."""
    raw: str | None = None
    """The scalar as it is written; None for lists and mappings."""


START = Place(1, 1)


@dataclass(frozen=True)
class Finding:
    """A broken rule inside one file, before its place has been looked up."""

    path: FieldPath
    """The field that is wrong."""
    rule: str
    """The rule."""
    expected: str
    """What the rule expects."""
    found: str
    """What stands there instead."""
    cure: str = ""
    """What to do about it."""
    at_key: bool = False
    """Whether the key is meant and not its value."""


@dataclass(frozen=True)
class Places:
    """The places of the keys and values of one file."""

    values: Mapping[FieldPath, Place]
    """Places of values."""
    keys: Mapping[FieldPath, Place]
    """Places of the keys that lead to them."""

    def value(self, path: FieldPath) -> Place:
        """Return the place of a value, or of the closest thing around it."""
        for end in range(len(path), -1, -1):
            if path[:end] in self.values:
                return self.values[path[:end]]
        return START

    def key(self, path: FieldPath) -> Place:
        """Return the place of a key, or of the closest value around it."""
        return self.keys.get(path) or self.value(path)

    def problem(self, file: str, finding: Finding) -> Problem:
        """Return a finding with its place."""
        place = self.key(finding.path) if finding.at_key else self.value(finding.path)
        return Problem(file, place.line, place.column, dotted(finding.path), finding.rule, finding.expected,
                       finding.found, finding.cure)  # fmt: skip


def dotted(path: FieldPath) -> str:
    """Return a path as it is shown: `impact.claims.0.unit`."""
    return ".".join(shown(part, 40) if isinstance(part, str) else str(part) for part in path)


def shown(text: str, length: int = 60) -> str:
    """Return text on one line, without unprintable characters, cut to a length."""
    return printable(text if len(text) <= length else text[: length - 3] + "...")


def printable(text: str) -> str:
    """Return text with escapes for line ends, marks of direction and other signs that no terminal shows."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def quoted(text: str) -> str:
    """Return text as a problem shows it."""
    return f'"{shown(text)}"'


def why_broken(error: Exception) -> str:
    """Return why a connection failed, in words."""
    reason = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
    if isinstance(reason, OSError):
        reason = reason.strerror or reason
    return f"no connection or a broken one ({shown(str(reason))})"
