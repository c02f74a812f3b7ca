"""Hints that `greentactics new` leaves for the author, and the check that none is left in the end."""

from __future__ import annotations

from collections.abc import Iterator

from greentactics.errors import Problem
from greentactics.places import Finding, shown
from greentactics.rules import Rule
from greentactics.text_file import TextFile
from greentactics.yaml_source import parse_yaml

MARKER = "TODO:"
"""What every hint starts with."""
PLACEHOLDER_KEY = "todo-2000"
"""Citation key that stands until a source has been chosen."""


def placeholder_problems(source: TextFile) -> Iterator[Problem]:
    """Yield the hints that are left in a record or a recipe."""
    if MARKER not in source.text and PLACEHOLDER_KEY not in source.text:
        return
    is_record = source.file.endswith(".yaml")
    if is_record:
        yield from _values(source)
    for number, line in enumerate(source.text.split("\n"), start=1):
        comment = line.lstrip()
        if MARKER in comment and (comment.startswith(f"# {MARKER}") or not is_record):
            expected, cure = "no hint of the template", "follow it, then remove it"
            column = len(line) - len(comment) + 1
            found = f"`{shown(comment)}`"
            yield Problem(source.file, number, column, "", Rule.PLACEHOLDER, expected, found, cure)


def _values(source: TextFile) -> Iterator[Problem]:
    places = parse_yaml(source).places
    for path, place in places.values.items():
        text = place.raw or ""
        if text == PLACEHOLDER_KEY:
            expected, cure = "a key of tactics/references.yaml", "add the source there first"
        elif MARKER in text:
            expected, cure = "words of your own", "write them in place of the hint"
        else:
            continue
        found = f'"{shown(text)}"'
        yield places.problem(source.file, Finding(path, Rule.PLACEHOLDER, expected, found, cure))
