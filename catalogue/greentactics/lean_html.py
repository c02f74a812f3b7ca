"""Pages without what only weighs: indentation, and marks that no browser needs."""

from __future__ import annotations

import re

_KEPT_OR_SPACE = re.compile(
    r"(<(pre|script|style|textarea)\b.*?</\2>)|(?:\s*</(?:t(?:d|h|r|head|body)|li|d[dt])>)+\s*|\s*\n\s*",
    re.DOTALL,
)
# The theme wraps the words of each link in an element that would cut them off; they are to wrap instead.
_WRAPPED_LINK = re.compile(
    r'(<a [^>]*class="md-nav__link[^>]*>)\s*<span class="md-ellipsis">\s*([^<]*?)\s*</span>\s*</a>'
)
# The page names its tags itself, with links; the theme adds a list that it hides.
_HIDDEN_TAGS = re.compile(r'<nav class="md-tags" hidden>.*?</nav>', re.DOTALL)
_WEIGHT = {
    '<span class="w"> </span>': " ",  # a space that a highlighter wrapped
    "<pre><span></span>": "<pre>",
    ' xmlns="http://www.w3.org/2000/svg"': "",  # HTML knows the names of SVG
    " data-search-exclude": "",  # read before, when the index of the search is made
    ' tabindex=""': "",
}


def without_indentation(page: str) -> str:
    """Return HTML with a line break for each run of space that has one; listings and scripts stay as is.

    Items, cells, rows and groups of rows lose their end tags, which what follows implies
    (https://html.spec.whatwg.org/multipage/syntax.html#optional-tags).
    """
    for weight, rest in _WEIGHT.items():
        page = page.replace(weight, rest)
    page = _WRAPPED_LINK.sub(r"\1\2</a>", _HIDDEN_TAGS.sub("", page))
    return _KEPT_OR_SPACE.sub(lambda found: found[1] or ("\n" if "\n" in found[0] else ""), page)
