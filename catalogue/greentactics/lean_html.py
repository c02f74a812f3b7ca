"""Pages without what only weighs: indentation, coloured spaces, and end tags that HTML lets one leave out."""

from __future__ import annotations

import re

_KEPT_OR_SPACE = re.compile(
    r"(<(pre|script|style|textarea)\b.*?</\2>)|(</t(?:d|h|r|head|body)>)|\s*\n\s*", re.DOTALL
)
_HIGHLIGHTED_SPACE = '<span class="w"> </span>'


def without_indentation(page: str) -> str:
    """Return HTML with a line break for each run of space that has one; listings and scripts stay as is.

    Cells, rows and groups of rows lose their end tags, which the next start tag implies
    (https://html.spec.whatwg.org/multipage/syntax.html#optional-tags). A space that a highlighter
    wrapped is a space again.
    """
    page = page.replace(_HIGHLIGHTED_SPACE, " ")
    return _KEPT_OR_SPACE.sub(lambda found: found[1] or ("" if found[3] else "\n"), page)
