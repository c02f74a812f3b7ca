"""The fewest pages of the built site that together show each kind of page and each kind of element."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from tests.browser.selector_page import BUILT_IN, PRUNING

_KIND = re.compile(r'<(\w+)[^>]*? class="([^"]*)"|<(h\d|p|li|dd|th|td)\b[^>]*>[^<]*<(\w+)')
_LISTING = re.compile(r"<pre.*?</pre>", re.DOTALL)


def page_kinds(site: Path) -> list[str]:
    """Return addresses below the site's.

    Each page that stands alone in a folder is a kind of its own. Of pages that share a folder, such as those
    of the tactics, as many are taken as it needs to meet each class of element that any of them has, and
    each element inside a text. So a kind that is added later is tested without being named here.
    """
    alone, shared = [], defaultdict(list)
    for path in sorted(site.rglob("*.html")):
        parts = path.relative_to(site).parts
        (alone if len(parts) <= 2 else shared[parts[0]]).append(path)
    pages = alone + [page for pages in shared.values() for page in _covering(pages)]
    kinds = [page.relative_to(site).as_posix() for page in pages]
    with_results = {
        (site / "results" / Path(kind).parent.name).is_dir() for kind in kinds if "tactics/" in kind
    }
    assert {"index.html", "404.html", "find/index.html"} <= set(kinds)
    assert with_results == {True, False}
    return [*kinds, f"find/index.html?compare={PRUNING},{BUILT_IN}"]


def _covering(pages: Collection[Path]) -> list[Path]:
    """Choose greedily: the page that shows most of what is not shown yet, of equals the lightest."""
    elements = {page: set(_KIND.findall(_LISTING.sub("", page.read_text("utf-8")))) for page in pages}
    chosen, shown = [], set()
    while missing := {page: found - shown for page, found in elements.items() if found - shown}:
        best = max(missing, key=lambda page: (len(missing[page]), -page.stat().st_size))
        chosen.append(best)
        shown |= missing[best]
    return chosen
