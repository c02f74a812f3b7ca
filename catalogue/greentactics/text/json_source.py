"""JSON text to plain values: strict, bounded, and with the places of what is wrong."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NoReturn

from greentactics.text.files import PROBLEMS_SHOWN, TextFile, character_finding, line_and_column
from greentactics.text.problems import (
    CatalogueError,
    FieldPath,
    Finding,
    Place,
    Places,
    Rule,
    quoted,
)

MAX_VALUES = 1_000_000

_CONSTANT = re.compile(r"(?<=[:\[,\s])(?:-?Infinity|NaN)")
_SPACE = re.compile(r"[ \t\n\r]*")


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
        raise CatalogueError.of_file(file, Rule.TOO_MANY_VALUES, f"at most {MAX_VALUES:,} values", "more")
    repeated: list[tuple[object, str]] = []

    def mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        values = dict(pairs)
        if len(values) < len(pairs):
            counts = Counter(key for key, _ in pairs)
            repeated.append((values, next(key for key, count in counts.items() if count > 1)))
        return values

    try:
        tree: object = json.loads(text, object_pairs_hook=mapping, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise _no_json(file, error.msg.lower(), error.lineno, error.colno) from None
    except RecursionError:
        raise CatalogueError.of_file(file, Rule.NESTING_TOO_DEEP, "fewer levels of nesting", "more") from None
    except ValueError as error:
        constant = _CONSTANT.search(text)
        line, column = line_and_column(text, constant.start()) if constant else (1, 1)
        raise _no_json(file, str(error), line, column) from None
    if repeated:
        marked, key = repeated[-1]  # the outermost, as another may have been replaced with what holds it
        above = next(path for path, value in values_of(tree) if value is marked)
        found = f"{quoted(key)} again"
        finding = Finding(
            (*above, key), Rule.JSON_DUPLICATE_KEY, "each key once", found, "measure again", at_key=True
        )
        raise CatalogueError([places_in_json(text, [finding.path]).problem(file, finding)])
    if "\\" in text:
        findings = list(itertools.islice(_character_findings(tree), PROBLEMS_SHOWN))
        if findings:
            places = places_in_json(text, [finding.path for finding in findings])
            raise CatalogueError([places.problem(file, finding) for finding in findings])
    return tree


def values_of(tree: object) -> Iterator[tuple[FieldPath, object]]:
    """Yield each value of a tree with its path, mappings and lists included, without recursion."""
    waiting: list[tuple[FieldPath, object]] = [((), tree)]
    while waiting:
        path, value = waiting.pop()
        yield path, value
        if isinstance(value, dict):
            waiting.extend(((*path, key), child) for key, child in value.items())
        elif isinstance(value, list):
            waiting.extend(((*path, index), child) for index, child in enumerate(value))


def json_text(value: object) -> str:
    """Return JSON with a final newline, the same bytes for the same value."""
    return json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _character_findings(tree: object) -> Iterator[Finding]:
    """Yield the keys and texts with characters that only escapes can have brought in."""
    for path, value in values_of(tree):
        key = path[-1] if path else 0
        if isinstance(key, str) and (finding := character_finding(path, key, at_key=True)):
            yield finding
        if isinstance(value, str) and (finding := character_finding(path, value)):
            yield finding


def _no_json(file: str, found: str, line: int, column: int) -> CatalogueError:
    return CatalogueError.of_file(
        file, Rule.JSON_SYNTAX, "JSON", found, "measure again", line=line, column=column
    )


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
