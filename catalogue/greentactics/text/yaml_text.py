"""Values to YAML text that our own reader takes for the same values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import yaml

from greentactics.text.yaml_source import plain_value

_UNBOUNDED = 1 << 30
_PLAIN = re.compile(r"[^\W_](?:[^\n:#]|:(?=\S)|(?<=\S)#)*")
"""Text that needs no quotes in a block."""
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Inline(dict[str, Any]):
    """A mapping that is written on one line within braces."""


class InlineList(list[Any]):
    """A list that is written on one line within brackets."""


class _Dumper(yaml.SafeDumper):
    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: ARG002
        """Indent the items of a list below their key."""
        super().increase_indent(flow, indentless=False)

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - a value that stands twice is written twice
        return True

    def choose_scalar_style(self) -> str:
        """Use one sort of quotes."""
        style: str = super().choose_scalar_style()
        return '"' if style == "'" else style


def _text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    if _DATE.fullmatch(text):  # text to our reader, and without quotes in every record
        return dumper.represent_scalar("tag:yaml.org,2002:timestamp", text)
    style = "|" if "\n" in text else '"'
    if text == text.strip() and _PLAIN.fullmatch(text) and plain_value(text) == text:
        style = ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style or None)


def _number(dumper: _Dumper, number: float) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:float", f"{Decimal(repr(number)):f}")


def _inline(dumper: _Dumper, mapping: Inline) -> yaml.MappingNode:
    return dumper.represent_mapping("tag:yaml.org,2002:map", mapping.items(), flow_style=True)


def _inline_list(dumper: _Dumper, items: InlineList) -> yaml.SequenceNode:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(float, _number)
_Dumper.add_representer(Inline, _inline)
_Dumper.add_representer(InlineList, _inline_list)


def yaml_text(mapping: Mapping[str, object], *, width: int = _UNBOUNDED) -> str:
    """Return a mapping as YAML: keys in their order, text in quotes where it needs them.

    Args:
        mapping: Mappings, lists, text, numbers and truth values; text with line ends becomes a block.
        width: Characters after which a line is folded.
    """
    return yaml.dump(dict(mapping), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=width)


def scalar_text(text: str) -> str:
    """Return one line of text as it stands behind a key or a hyphen, in quotes where it needs them."""
    return yaml_text({"key": text}).removeprefix("key: ").rstrip("\n")
