"""Lists of tactics are in the order of their titles, not in that of identifiers, which no list shows."""

from __future__ import annotations

import html
import re
from itertools import groupby, pairwise

import pytest

from greentactics.site.pages import render_site
from tests.examples.records import REAL

TITLE = {record.id: record.title for record in REAL.records.values()}


@pytest.fixture(scope="module")
def rendered() -> dict[str, str]:
    return render_site(REAL, {})


def titles(text: str, start: str) -> list[str]:
    """Return the titles of the links to tactics that stand behind a text."""
    link = rf'{start}<a href="[^"]*tactics/[^"]*">([^<]*)</a>'
    return [html.unescape(title) for title in re.findall(link, text)]


def in_order(found: list[str]) -> bool:
    return all(one.casefold() <= other.casefold() for one, other in pairwise(found))


def test_the_list_of_tactics(rendered) -> None:
    found = titles(rendered["tactics/index.md"], '<th scope="row">')
    assert sorted(found) == sorted(TITLE.values())
    assert in_order(found)


def test_corrections(rendered) -> None:
    found = titles(rendered["corrections/index.md"], '<th scope="rowgroup" colspan="4">')
    assert len(found) > 10
    assert in_order(found)


def test_relations_within_a_group(rendered) -> None:
    for group in rendered["relations/index.md"].partition("{#list}")[2].split("<h3>")[1:]:
        assert in_order(titles(group, "<h4>")), group[:40]


def test_verdicts_and_terms_within_a_level_of_evidence(rendered) -> None:
    row = r'<th scope="row"><a [^>]*>([^<]*)</a>.*?aria-label="Evidence (E\d)"'
    for path in ("index.md", "terms/effort/s/index.md"):
        rows = re.findall(row, rendered[path])
        assert len(rows) > 5
        for level, members in groupby(rows, key=lambda row: row[1]):
            assert in_order([html.unescape(title) for title, _ in members]), (path, level)
