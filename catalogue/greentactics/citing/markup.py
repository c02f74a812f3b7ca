"""Text without the markup of HTML, JATS and MathML that registries leave in titles and names."""

from __future__ import annotations

import html
import re

_NAMES = (
    "(?:mml|jats):[a-z]+|math|m(?:i|n|o|row|text|sup|sub|subsup|frac|sqrt|space|style|multiscripts|prescripts)"
    "|i|b|u|em|strong|italic|bold|sub|sup|sc|scp|tt|span|p|br"
)
_TAG = re.compile(rf"</?(?:{_NAMES})(?:\s+[^<>=]{{1,60}}=[^<>]{{0,300}})?\s?/?>", re.IGNORECASE)
_FORMULA_EDGE = re.compile(
    r"(?<=\w)(?=<(?:mml:)?math\b)|(?:(?<=</math>)|(?<=</mml:math>))(?=\w)", re.IGNORECASE
)
_CHARACTER = re.compile(r"&(?:#[0-9]{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});", re.IGNORECASE)
_READINGS = 2
"""Times that the names of characters are replaced: some texts were escaped before they were registered."""


def without_markup(text: str) -> str:
    """Return a text without tags, and with characters in place of their names; other angle brackets stay."""
    for _ in range(_READINGS):
        if "<" not in text and "&" not in text:
            return text
        text = _CHARACTER.sub(lambda name: html.unescape(name[0]), _without_tags(text))
    return _without_tags(text)


def _without_tags(text: str) -> str:
    return _TAG.sub("", _FORMULA_EDGE.sub(" ", text))
