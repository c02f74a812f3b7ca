"""The mistakes a user can make, in the form they are shown.

A problem names the place, the field, what was expected, what was found and the cure. Checks collect problems
and report all of them; a `CatalogueError` carries the collection to the command line, which exits with 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake at one place."""

    file: str
    """Path as the user gave it, or relative to the catalogue's root."""
    line: int
    """Line, counted from 1; 1 where the whole file is meant."""
    column: int
    """Column, counted from 1."""
    field: str
    """Dotted path of the field, such as `impact.claims.0.unit`; empty where the file as a whole is meant."""
    rule: str
    """Kebab-case name of the rule, the same for every record that breaks it."""
    expected: str
    """What the rule expects."""
    found: str
    """What stands there instead."""
    cure: str = ""
    """What to do about it, where it is not obvious."""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: "
        field = f"{self.field}: " if self.field else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{place}{field}expected {self.expected}, got {self.found}{cure}"


class CatalogueError(Exception):
    """One or more mistakes a user can repair."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class UserError(Exception):
    """A mistake that is not tied to a place in a file; the message says what to do."""
