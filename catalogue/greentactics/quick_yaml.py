"""A fast reading of YAML for the usual case, a file without any mistake.

Most records are right; only a wrong one is worth the time to keep the place of each value.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import yaml

from greentactics.plain_scalars import LONGEST_WORD, NUMBER_STARTS, Refusal, plain_value

MAX_ENTRIES = 5_000

# Looked up a hundred thousand times in a large catalogue.
_SCALAR, _ALIAS = yaml.ScalarEvent, yaml.AliasEvent
_MAPPING, _MAPPING_END, _LIST_END = yaml.MappingStartEvent, yaml.MappingEndEvent, yaml.SequenceEndEvent

_SHORT = 16
_short_value = functools.lru_cache(maxsize=10_000)(
    plain_value
)  # keys, terms and numbers come again and again

NextEvent = Callable[[], Any]
"""Returns the next event of a YAML parser, None after the last."""


class UnusualError(Exception):
    """The text has something in it that a record does not have; `yaml_source` says what."""


def read_quickly(next_event: NextEvent, *, max_depth: int) -> dict[str, object]:
    """Return the mapping that a YAML text holds.

    Raises:
        UnusualError: There is anything but one document of nested mappings, lists and safe scalars.
        yaml.YAMLError: The text is not YAML.
    """
    next_event()
    start, root = next_event(), next_event()
    if type(root) is not yaml.MappingStartEvent or root.anchor or root.tag or start.version or start.tags:
        raise UnusualError
    tree = _mapping(next_event, max_depth)
    next_event()
    if type(next_event()) is not yaml.StreamEndEvent:
        raise UnusualError
    return tree


def _mapping(next_event: NextEvent, depth: int) -> dict[str, object]:
    mapping: dict[str, object] = {}
    while type(event := next_event()) is _SCALAR:
        key = _value(event, next_event, 0)
        if type(key) is not str or key in mapping or key == "<<" or len(mapping) >= MAX_ENTRIES:
            raise UnusualError
        mapping[key] = _value(next_event(), next_event, depth)
    if type(event) is not _MAPPING_END:
        raise UnusualError
    return mapping


def _list(next_event: NextEvent, depth: int) -> list[object]:
    items: list[object] = []
    while type(event := next_event()) is not _LIST_END:
        if len(items) >= MAX_ENTRIES:
            raise UnusualError
        items.append(_value(event, next_event, depth))
    return items


def _value(event: Any, next_event: NextEvent, depth: int) -> object:  # noqa: ANN401 - events differ
    kind = type(event)
    if kind is _ALIAS or event.anchor or event.tag:
        raise UnusualError
    if kind is _SCALAR:
        text: str = event.value
        if event.style or (len(text) > LONGEST_WORD and text[0] not in NUMBER_STARTS):
            return text
        value = _short_value(text) if len(text) <= _SHORT else plain_value(text)
        if type(value) is Refusal:
            raise UnusualError
        return value
    if depth <= 1:
        raise UnusualError
    return _mapping(next_event, depth - 1) if kind is _MAPPING else _list(next_event, depth - 1)
