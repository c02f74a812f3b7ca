"""The link past the navigation, for readers who go through a page by keyboard or by ear."""

from __future__ import annotations

import re

_PLACE = re.compile(r'(<div data-md-component="skip">).*?(</div>)', re.DOTALL)
_MAIN_HEADING = re.compile(r'<h1\b[^>]*?\bid="([^"]+)"')


def with_skip_link(page: str) -> str:
    """Return the page with a first link that leads to its main heading, where that has an identifier.

    The theme leads to the first entry of the table of contents, past what stands before it, and gives no link
    to pages without such a table.
    """
    heading, place = _MAIN_HEADING.search(page), _PLACE.search(page)
    if heading is None or place is None:
        return page
    link = f'<a href="#{heading[1]}" class="md-skip">Skip to content</a>'
    return f"{page[: place.start()]}{place[1]}{link}{place[2]}{page[place.end() :]}"
