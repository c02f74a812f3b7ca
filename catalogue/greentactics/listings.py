"""The recipe's text as a page shows it: the marked lines first, then the whole file."""

from __future__ import annotations

import re
import textwrap

_START = re.compile(r"^\s*# --8<-- \[start:tactic\]\s*$", re.MULTILINE)
_END = re.compile(r"^\s*# --8<-- \[end:tactic\]\s*$", re.MULTILINE)
_MARKER_LINE = re.compile(r"^\s*# --8<-- \[(?:start|end):[a-z_]+\]\s*\n", re.MULTILINE)


def key_lines(text: str) -> str | None:
    """Return the lines between the markers `start:tactic` and `end:tactic`, or None without them."""
    start = _START.search(text)
    end = _END.search(text, start.end()) if start else None
    if start is None or end is None:
        return None
    return (
        textwrap.dedent(_MARKER_LINE.sub("", text[start.end() : end.start()].strip("\n") + "\n")).rstrip()
        + "\n"
    )


def whole_file(text: str) -> str:
    """Return the file without the marker lines."""
    return _MARKER_LINE.sub("", text)
