"""Text of records into Markdown files: everything is escaped, whatever a record contains.

Pages carry text inside raw HTML blocks, where Markdown is not interpreted. Left over are the signs that
preprocessors look for before HTML is recognised (fences), control characters, and marks that turn the
direction of writing; they are replaced or removed here.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from markupsafe import Markup, escape

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")
_SPACE = re.compile(r"[ \t\r\n]+")  # spaces that must not break stay
_FENCE = re.compile("[`~{}]")
_FENCES = str.maketrans({"`": "&#96;", "~": "&#126;", "{": "&#123;", "}": "&#125;"})


def one_line(text: str) -> str:
    """Return text without line breaks and without signs that nobody sees."""
    if text.isprintable() and "  " not in text:
        return text.strip(" ")
    return _SPACE.sub(" ", _INVISIBLE.sub("", text)).strip()


def text_to_html(text: str) -> Markup:
    """Escape one run of text for a raw HTML block; line breaks become spaces."""
    escaped = escape(one_line(text))
    if not _FENCE.search(escaped):
        return escaped
    return Markup(str(escaped).translate(_FENCES))  # noqa: S704 - escaped above


def listing_to_html(text: str) -> Markup:
    """Escape a listing for `<pre>`, line breaks kept."""
    return Markup(str(escape(_INVISIBLE.sub("", text))).translate(_FENCES))  # noqa: S704 - escaped on this line


def paragraphs(text: str) -> list[str]:
    """Split prose at empty lines."""
    return [part for part in re.split(r"\n\s*\n", text.strip()) if part.strip()]


def safe_address(address: str | None) -> str | None:
    """Return the address if it is a plain web address, else None."""
    if address is None:
        return None
    try:
        parts = urlsplit(address)
    except ValueError:  # such as brackets that hold no address of a machine
        return None
    return address if parts.scheme in {"http", "https"} and parts.netloc else None


def finalize(value: object) -> Markup:
    """Turn a template's expression into output; a missing value is an error, never the word None."""
    if isinstance(value, Markup):
        return value
    if value is None:
        raise ValueError("a template shows a value that is missing")
    return text_to_html(str(value))


def fence_for(text: str) -> str:
    """Return a fence longer than any run of backticks in the text."""
    return "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", text)), default=0))
