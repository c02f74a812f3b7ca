"""A fast reading of YAML for the usual case, a file without any mistake.

Most records are right; only a wrong one is worth the time to keep the place of each value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from greentactics.plain_scalars import LONGEST_WORD, NUMBER_STARTS, Refusal, plain_value

MAX_ENTRIES = 5_000

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
    while type(event := next_event()) is yaml.ScalarEvent:
        key = _value(event, next_event, 0)
        if type(key) is not str or key in mapping or key == "<<" or len(mapping) >= MAX_ENTRIES:
            raise UnusualError
        mapping[key] = _value(next_event(), next_event, depth)
    if type(event) is not yaml.MappingEndEvent:
        raise UnusualError
    return mapping


def _list(next_event: NextEvent, depth: int) -> list[object]:
    items: list[object] = []
    while type(event := next_event()) is not yaml.SequenceEndEvent:
        if len(items) >= MAX_ENTRIES:
            raise UnusualError
        items.append(_value(event, next_event, depth))
    return items


def _value(event: Any, next_event: NextEvent, depth: int) -> object:  # noqa: ANN401 - events differ
    kind = type(event)
    if kind is yaml.AliasEvent or event.anchor or event.tag:
        raise UnusualError
    if kind is yaml.ScalarEvent:
        text: str = event.value
        if event.style or (len(text) > LONGEST_WORD and text[0] not in NUMBER_STARTS):
            return text
        value = plain_value(text)
        if type(value) is Refusal:
            raise UnusualError
        return value
    if depth <= 1:
        raise UnusualError
    return _mapping(next_event, depth - 1) if kind is yaml.MappingStartEvent else _list(next_event, depth - 1)
