"""What a YAML scalar without quotes means here, and which ones may not stand without quotes.

Whole numbers, decimals, truth values and dates have one spelling each, and a date is text. Any other spelling
that YAML 1.1 or 1.2 takes for something else than text is refused, as programs disagree about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from greentactics.places import shown
from greentactics.rules import Rule

_WORDS = frozenset({"y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "="})
LONGEST_WORD = max(map(len, _WORDS))
"""Longer scalars that start with no sign or digit are always text."""
NUMBER_STARTS = frozenset("-+.0123456789")
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


@dataclass(frozen=True)
class Refusal:
    """Why a scalar may not stand without quotes."""

    rule: Rule
    """The rule."""
    expected: str
    """What should stand there."""
    found: str
    """What stands there, and what is wrong with it."""
    cure: str
    """What to write."""


def plain_value(text: str) -> str | int | float | bool | Refusal:
    """Return what a scalar without quotes means, or why it is refused."""
    if not text:
        return Refusal(Rule.EMPTY_VALUE, "a value", "nothing", "write one, or remove the key")
    if len(text) <= LONGEST_WORD and text.lower() in _WORDS:
        return _word(text)
    if text[0] not in NUMBER_STARTS:
        return text
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _CONVERTED.fullmatch(text):
        found = f"{shown(text)}, which YAML programs read as different numbers, times or text"
        cure = f'write "{shown(text)}" if it is text, or a number in plain decimals such as 1000 or 0.5'
        return Refusal(Rule.SILENT_CONVERSION, "text in quotes or a plain number", found, cure)
    return text


def _word(text: str) -> bool | Refusal:
    if text in ("true", "false"):
        return text == "true"
    if text == "null":
        return Refusal(Rule.EMPTY_VALUE, "a value", "null", "write one, or remove the key")
    found = f"{text}, which YAML programs take for a truth value, nothing or a sign"
    return Refusal(Rule.SILENT_CONVERSION, "text in quotes", found, f'write "{text}"')
