"""Pages without what only weighs: the theme indents each line and leaves many empty."""

from __future__ import annotations

import re

_KEPT_OR_SPACE = re.compile(r"(<(pre|script|style|textarea)\b.*?</\2>)|\s*\n\s*", re.DOTALL)


def without_indentation(page: str) -> str:
    """Return HTML with a line break for each run of space that has one; listings and scripts stay as is."""
    return _KEPT_OR_SPACE.sub(lambda found: found[1] or "\n", page)
