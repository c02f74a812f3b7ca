"""YAML text to plain values, refusing everything that YAML would change silently.

The parser's events are read one by one: nothing is constructed, so tags run nothing and aliases are never
expanded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import yaml

from greentactics.text.files import PROBLEMS_SHOWN, TextFile, character_finding
from greentactics.text.problems import START, FieldPath, Finding, Place, Places, Problem, Rule, quoted, shown

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "="})
_LONGEST_WORD = max(map(len, _WORDS))
_NUMBER_STARTS = frozenset("-+.0123456789")
"""What a scalar starts with that may be a number or a time."""
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,17})\.[0-9]{1,18}")
_CONVERTED = re.compile(
    r"""[-+]?(?: [0-9][0-9_]*                                                   # 0123, 1_000, +1
             | (?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][-+]?[0-9]+)?  # .5, 1., 1.0e3
             | [0-9][0-9_]*[eE][-+]?[0-9]+                                   # 1e3
             | 0[xX][0-9a-fA-F_]+ | 0[oO][0-7_]+ | 0[bB][01_]+
             | [0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?                   # 12:30:00
             | \.(?i:inf) ) | \.(?i:nan)
       | [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ ]+)[0-9]{1,2}:.*            # 2026-01-31 12:00:00""",
    re.VERBOSE,
)


def plain_value(text: str) -> str | int | float | bool | Finding:
    """Return what a scalar without quotes means, or why it is refused, wherever it stands."""
    if not text:
        return Finding((), Rule.EMPTY_VALUE, "a value", "nothing", "write one, or remove the key")
    if len(text) <= _LONGEST_WORD and text.lower() in _WORDS:
        return _word(text)
    if text[0] not in _NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _CONVERTED.fullmatch(text):
        found = f"{shown(text)}, which YAML programs read as different numbers, times or text"
        cure = f'write "{shown(text)}" if it is text, or a number in plain decimals such as 1000 or 0.5'
        return Finding((), Rule.SILENT_CONVERSION, "text in quotes or a plain number", found, cure)
    return text


def _word(text: str) -> bool | Finding:
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return Finding((), Rule.EMPTY_VALUE, "a value", "null", "write one, or remove the key")
    found = f"{text}, which YAML programs take for a truth value, nothing or a sign"
    return Finding((), Rule.SILENT_CONVERSION, "text in quotes", found, f'write "{text}"')


MAX_DEPTH = 20
MAX_VALUES = 60_000
MAX_ENTRIES = 5_000

# The parser written in C is about ten times as fast; PyYAML can be installed without it.
_PARSER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def tree_of_right_yaml(source: TextFile) -> dict[str, object] | None:
    """Return the values of a text that follows all rules of YAML in a catalogue; None for any other text."""
    parsed = parse_yaml(source)
    return parsed.tree if isinstance(parsed.tree, dict) and not parsed.problems else None


def compose(text: str) -> yaml.MappingNode:
    """Return the nodes of a text that `tree_of_right_yaml` reads, with the places where they start, end."""
    node = yaml.compose(text, Loader=_PARSER)
    assert isinstance(node, yaml.MappingNode)  # noqa: S101 - anything else has been refused
    return node


class YamlSource:
    """The values of a YAML file, their places, and what was refused."""

    def __init__(
        self, source: TextFile, reader: _Reader, tree: object, problems: list[Problem], parsed: bool
    ) -> None:
        self.tree = tree
        """Mappings, lists, text, numbers and truth values; None where a value was refused."""
        self.problems = (*source.problems, *problems)
        """What was refused."""
        self.refused = frozenset(reader.refused)
        """Paths of refused values."""
        self.parsed = parsed
        """Whether the whole file could be read."""
        self._reader = reader

    @property
    def places(self) -> Places:
        """Where the values stand; made when asked for, as most files are right."""
        values, keys = self._reader.values, self._reader.keys
        return Places(
            {path: _place(event) for path, event in values.items()},
            {path: _place(event) for path, event in keys.items()},
        )


class _StopReadingError(Exception):
    """The rest of the file is not worth reading."""


def parse_yaml(source: TextFile) -> YamlSource:
    """Read YAML text; every mistake becomes a problem, whatever the text is."""
    parser = _PARSER(source.text)
    reader = _Reader(parser.get_event)
    tree, parsed, problems = None, False, []
    try:
        tree = reader.document()
        parsed = True
    except _StopReadingError:
        pass
    except yaml.YAMLError as error:
        # A forbidden character has been named already; what the parser makes of it is only noise.
        if not source.problems:
            problems.append(_syntax_problem(error, source.file))
    finally:
        parser.dispose()
    for event, finding in reader.findings:
        places = Places({finding.path: _place(event)}, {})
        problems.append(places.problem(source.file, finding))
    return YamlSource(source, reader, tree, problems, parsed)


def _place(event: yaml.Event) -> Place:
    mark = event.start_mark
    raw = event.value if isinstance(event, yaml.ScalarEvent) else None
    return Place(mark.line + 1, mark.column + 1, raw) if mark else START


def _syntax_problem(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    found = shown(getattr(error, "problem", None) or "text that is not YAML", 120)
    cure = "put text that holds `: `, ` #` or starts with a sign in quotes, and check the indentation"
    return Problem(file, line, column, "", Rule.YAML_SYNTAX, "YAML", found, cure)


class _Reader:
    """Turns the events of one file into values; its lists and mappings collect what is seen on the way."""

    def __init__(self, next_event: Callable[[], Any]) -> None:
        self.next = next_event
        self.values: dict[FieldPath, yaml.Event] = {}
        self.keys: dict[FieldPath, yaml.Event] = {}
        self.findings: list[tuple[yaml.Event, Finding]] = []
        self.refused: set[FieldPath] = set()
        self.count = 0

    def document(self) -> object:
        """Return the value of the only document."""
        tree: object = None
        documents = 0
        while (event := self.next()) is not None:
            if type(event) is not yaml.DocumentStartEvent:
                continue
            documents += 1
            if documents > 1:
                cure = "remove the line `---` or split the file"
                self._note(event, Finding((), Rule.SEVERAL_DOCUMENTS, "one document", "a second one", cure))
                raise _StopReadingError
            if event.version or event.tags:
                found = "a line that starts with %"
                self._note(event, Finding((), Rule.YAML_DIRECTIVE, "no directives", found, "remove it"))
            tree = self._value(self.next(), (), 1)
        if documents == 0 or _is_nothing(self.values[()]):
            start = yaml.Event()
            self.findings = [(start, Finding((), Rule.EMPTY_FILE, "a mapping of keys", "an empty file"))]
            raise _StopReadingError
        return tree

    def _value(self, event: Any, path: FieldPath, depth: int) -> object:  # noqa: ANN401 - events differ
        self.count += 1
        if self.count > MAX_VALUES:
            self._too_many(event, (), f"at most {MAX_VALUES:,} values")
        self.values[path] = event
        kind = type(event)
        if kind is yaml.AliasEvent:
            found = f"the alias *{shown(event.anchor)}"
            self._refuse(event, Finding(path, Rule.ALIAS, "the value itself", found, "write the value out"))
            return None
        if event.anchor or event.tag:
            self._anchor_or_tag(event, path)
        if kind is yaml.ScalarEvent:
            if event.style == '"' and (finding := character_finding(path, event.value)):
                self._refuse(event, finding)
                return None
            return event.value if event.style else self._plain(event, path)
        if depth > MAX_DEPTH:
            self._note(event, Finding(path, Rule.NESTING_TOO_DEEP, f"at most {MAX_DEPTH} levels", "more"))
            raise _StopReadingError
        return self._list(path, depth) if kind is yaml.SequenceStartEvent else self._mapping(path, depth)

    def _list(self, path: FieldPath, depth: int) -> list[object]:
        items: list[object] = []
        while type(event := self.next()) is not yaml.SequenceEndEvent:
            items.append(self._value(event, (*path, len(items)), depth + 1))
            if len(items) > MAX_ENTRIES:
                self._too_many(event, path, f"at most {MAX_ENTRIES:,} entries in one list")
        return items

    def _mapping(self, path: FieldPath, depth: int) -> dict[str, object]:
        mapping: dict[str, object] = {}
        while type(event := self.next()) is not yaml.MappingEndEvent:
            key = self._key(event, path, depth)
            if key is None:
                self._skip(self.next(), depth)
                continue
            inner = (*path, key)
            if key in mapping:
                found = f"{quoted(key)} again (first on line {_place(self.keys[inner]).line})"
                self._note(event, Finding(inner, Rule.DUPLICATE_KEY, "each key once", found, "remove one"))
                self._skip(self.next(), depth)
                continue
            if len(mapping) >= MAX_ENTRIES:
                self._too_many(event, path, f"at most {MAX_ENTRIES:,} keys in one mapping")
            self.keys[inner] = event
            mapping[key] = self._value(self.next(), inner, depth + 1)
        return mapping

    def _key(self, event: Any, path: FieldPath, depth: int) -> str | None:  # noqa: ANN401 - events differ
        if type(event) is not yaml.ScalarEvent:
            self._note(event, Finding(path, Rule.KEY_NOT_TEXT, "a word as key", "a list, mapping or alias"))
            self._skip(event, depth)
            return None
        if event.anchor or event.tag:
            self._anchor_or_tag(event, path)
        key: str = event.value
        if event.style == '"' and (finding := character_finding(path, key)):
            self._note(event, finding)
            return None
        if event.style or (key.isidentifier() and len(key) > 5):
            return key
        if key == "<<":
            cure = "write the keys out"
            self._note(event, Finding(path, Rule.MERGE_KEY, "the keys themselves", "the merge key <<", cure))
            return None
        if not isinstance(plain_value(key), str):
            cure = f'write "{shown(key)}"' if key else "write one before the colon"
            self._note(
                event, Finding(path, Rule.KEY_NOT_TEXT, "a word as key", shown(key) or "nothing", cure)
            )
            return None
        return key

    def _skip(self, event: Any, depth: int) -> None:  # noqa: ANN401 - events differ
        """Read past a value that has no place in the tree; only its size and depth still count."""
        open_nodes = 0
        while True:
            self.count += 1
            if self.count > MAX_VALUES or depth + open_nodes > MAX_DEPTH:
                self._too_many(event, (), f"at most {MAX_VALUES:,} values")
            open_nodes += isinstance(event, yaml.CollectionStartEvent)
            open_nodes -= isinstance(event, yaml.CollectionEndEvent)
            if open_nodes == 0:
                return
            event = self.next()

    def _plain(self, event: yaml.ScalarEvent, path: FieldPath) -> object:
        value = plain_value(event.value)
        if isinstance(value, Finding):
            self._refuse(event, replace(value, path=path))
            return None
        return value

    def _anchor_or_tag(self, event: Any, path: FieldPath) -> None:  # noqa: ANN401 - events differ
        if event.anchor:
            found = f"the anchor &{shown(event.anchor)}"
            self._note(
                event, Finding(path, Rule.ANCHOR, "a value without anchor", found, "remove the anchor")
            )
        if event.tag:
            found = f"the tag {shown(event.tag.replace('tag:yaml.org,2002:', '!!', 1))}"
            self._note(event, Finding(path, Rule.YAML_TAG, "a value without tag", found, "remove the tag"))

    def _too_many(self, event: yaml.Event, path: FieldPath, expected: str) -> None:
        self._note(event, Finding(path, Rule.TOO_MANY_VALUES, expected, "more", "shorten or split it"))
        raise _StopReadingError

    def _refuse(self, event: yaml.Event, finding: Finding) -> None:
        self.refused.add(finding.path)
        self._note(event, finding)

    def _note(self, event: yaml.Event, finding: Finding) -> None:
        self.findings.append((event, finding))
        if len(self.findings) > PROBLEMS_SHOWN:
            raise _StopReadingError


def _is_nothing(event: yaml.Event) -> bool:
    return isinstance(event, yaml.ScalarEvent) and not event.style and event.value == ""
