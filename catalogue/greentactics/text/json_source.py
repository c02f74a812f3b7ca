"""JSON text to plain values: strict, bounded, and with the places of what is wrong."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from greentactics.text.files import PROBLEMS_SHOWN, TextFile, character_finding, line_and_column
from greentactics.text.problems import (
    START,
    CatalogueError,
    FieldPath,
    Finding,
    Place,
    Places,
    Problem,
    Rule,
    dotted,
    quoted,
)

MAX_VALUES = 1_000_000

_CONSTANT = re.compile(r"(?<=[:\[,\s])(?:-?Infinity|NaN)")
_SPACE = re.compile(r"[ \t\n\r]*")


class _Repeated(dict[str, Any]):
    """An object in which a key stands twice."""

    key = ""


def parse_json(source: TextFile) -> object:
    """Read JSON text.

    Raises:
        CatalogueError: It is not JSON, repeats a key, or holds too many values or characters that have no
            place in a record.
    """
    text, file = source.text, source.file
    if source.problems:
        raise CatalogueError(source.problems)
    if text.count(",") + text.count("[") + text.count("{") > MAX_VALUES:
        raise CatalogueError(
            [Problem(file, 1, 1, "", Rule.TOO_MANY_VALUES, f"at most {MAX_VALUES:,} values", "more")]
        )
    repeated: list[_Repeated] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) == len(pairs):
            return values
        marked = _Repeated(values)
        seen: set[str] = set()
        marked.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        repeated.append(marked)
        return marked

    try:
        tree: object = json.loads(text, object_pairs_hook=mapping, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        problem = Problem(
            file, error.lineno, error.colno, "", Rule.JSON_SYNTAX, "JSON", error.msg.lower(), "measure again"
        )
        raise CatalogueError([problem]) from None
    except RecursionError:
        problem = Problem(file, 1, 1, "", Rule.NESTING_TOO_DEEP, "fewer levels of nesting", "more")
        raise CatalogueError([problem]) from None
    except ValueError as error:
        constant = _CONSTANT.search(text)
        line, column = line_and_column(text, constant.start()) if constant else (1, 1)
        problem = Problem(file, line, column, "", Rule.JSON_SYNTAX, "JSON", str(error), "measure again")
        raise CatalogueError([problem]) from None
    if repeated:
        raise CatalogueError([_repeated_problem(source, tree, repeated[0])])
    if "\\" in text:
        findings = list(itertools.islice(_character_findings(tree, ()), PROBLEMS_SHOWN))
        if findings:
            places = places_in_json(text, [finding.path for finding in findings])
            raise CatalogueError([places.problem(file, finding) for finding in findings])
    return tree


def _character_findings(tree: object, path: FieldPath) -> Iterator[Finding]:
    """Yield the texts with characters that only escapes can have brought in."""
    if isinstance(tree, str):
        if finding := character_finding(path, tree):
            yield finding
    elif isinstance(tree, dict):
        for key, value in tree.items():
            if finding := character_finding((*path, key), key, at_key=True):
                yield finding
            yield from _character_findings(value, (*path, key))
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _character_findings(value, (*path, index))


def places_in_json(text: str, paths: Iterable[FieldPath]) -> Places:
    """Return the places of some values of a JSON text that is known to be valid."""
    values: dict[FieldPath, Place] = {}
    keys: dict[FieldPath, Place] = {}
    for path in paths:
        for end in range(len(path) + 1):
            if path[:end] in values:
                continue
            offsets = _locate(text, path[:end])
            if offsets is None:
                break
            keys[path[:end]] = Place(*line_and_column(text, offsets[0]))
            values[path[:end]] = Place(*line_and_column(text, offsets[1]))
    return Places(values, keys)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name}, which is no number in JSON")


def _repeated_problem(source: TextFile, tree: object, marked: _Repeated) -> Problem:
    path = (*_path_of(tree, marked), marked.key)
    place = places_in_json(source.text, [path]).keys.get(path, START)
    return Problem(source.file, place.line, place.column, dotted(path), Rule.JSON_DUPLICATE_KEY,
                   "each key once", f"{quoted(marked.key)} again", "measure again")  # fmt: skip


def _path_of(tree: object, wanted: object) -> FieldPath:
    waiting: list[tuple[FieldPath, object]] = [((), tree)]
    while waiting:
        path, value = waiting.pop()
        if value is wanted:
            return path
        parts: Iterable[tuple[str | int, object]] = (
            value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        )
        waiting.extend(((*path, part), child) for part, child in parts if isinstance(child, dict | list))
    return ()


def _locate(text: str, path: FieldPath) -> tuple[int, int] | None:
    """Return where the key and the value of a path begin, None where the path leads nowhere."""
    skip = json.JSONDecoder().raw_decode
    key = value = _blank(text, 0)
    for part in path:
        if value >= len(text) or text[value] != ("{" if isinstance(part, str) else "["):
            return None
        position, index = _blank(text, value + 1), 0
        while text[position] not in "}]":
            key, name = position, index
            if isinstance(part, str):
                name, position = skip(text, position)
                position = _blank(text, _blank(text, position) + 1)
            value = position
            if name == part:
                break
            position = _blank(text, skip(text, position)[1])
            position = _blank(text, position + 1) if text[position] == "," else position
            index += 1
        else:
            return None
    return key, value


def _blank(text: str, position: int) -> int:
    """Return the position after white space."""
    match = _SPACE.match(text, position)
    return match.end() if match else position
