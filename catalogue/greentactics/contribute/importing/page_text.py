"""HTML to the lines of text that a browser would copy."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import NamedTuple

_BLOCKS = frozenset(re.findall(r"\w+", """
    address article aside blockquote br dd div dl dt figure footer form h1 h2 h3 h4 h5 h6 header hr li main
    nav ol p pre section table td th tr ul
"""))  # fmt: skip
_UNSEEN = frozenset({"script", "style", "template", "title"})


_LONG_REFERENCE = re.compile(r"&#[0-9]{8,};?")
"""Numbers that no character has; some are too long to be converted."""
_NO_TAG = re.compile(r"<(?![^<>]*>)|<(?=!\[)")


class PageLine(NamedTuple):
    """One line of a page."""

    number: int
    """Line of the file, counted from 1."""
    text: str
    """What is seen."""


@dataclass
class Page:
    """What is read of a page."""

    lines: list[PageLine] = field(default_factory=list)
    """Its text."""
    address: str = ""
    """Where it says it stands; empty where it does not say."""
    pictures: list[str] = field(default_factory=list)
    """Addresses of its pictures."""


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.page = Page()
        self._unseen = 0
        self._parts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Begin a line where an element begins one; note addresses."""
        given = {name: value or "" for name, value in attrs}
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag in _BLOCKS:
            self.end_line()
        elif tag == "img":
            self.page.pictures.append(given.get("src", "").strip())
        is_own = tag == "link" and given.get("rel") == "canonical"
        if is_own or (tag == "a" and "u-url" in given.get("class", "").split() and not self.page.address):
            self.page.address = given.get("href", "").strip()

    def handle_endtag(self, tag: str) -> None:
        """End a line where an element ends one."""
        if tag in _UNSEEN:
            self._unseen = max(0, self._unseen - 1)
        elif tag in _BLOCKS:
            self.end_line()

    def handle_data(self, data: str) -> None:
        """Keep what is seen."""
        if not self._unseen:
            self._parts.append(data)

    def end_line(self) -> None:
        """Store the line, where it has text."""
        if text := " ".join("".join(self._parts).split()):
            self.page.lines.append(PageLine(self.getpos()[0], text))
        self._parts = []


def lines_of_html(text: str) -> Page:
    """Return the text of a page, line by line, with the addresses in it; broken HTML as far as it goes."""
    reader = _Reader()
    # The parser takes time quadratic in the number of tags that do not end, and stops at marked sections of
    # SGML; of both nothing is read.
    reader.feed(_NO_TAG.sub("&lt;", _LONG_REFERENCE.sub("\ufffd", _without_comments(text))))
    reader.close()
    reader.end_line()
    return reader.page


def _without_comments(text: str) -> str:
    first, *others = text.split("<!--")
    return first + "".join(other.partition("-->")[2] for other in others)
