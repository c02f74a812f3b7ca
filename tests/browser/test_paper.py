"""Pages on paper: columns that can be read, what was chosen, and where the sheet is from."""

from __future__ import annotations

import re

import pytest

from tests.browser.selector_page import BUILT_IN, PRUNING

SHEETS = {"Letter": 816, "A4": 794}
"""Width in pixels, of which rules for a width see all."""
MARGINS = 121
"""Of which the text has none."""
TABLES = [
    "find/index.html?evidence=E3",
    f"find/index.html?compare={PRUNING},{BUILT_IN}",
    "tactics/index.html",
    "terms/quality/energy-efficiency/index.html",
]
HEADED = ["overview/index.html", "relations/index.html", f"tactics/{PRUNING}/index.html"]
# Words that stand on more than one line, though no hyphen or space lets them.
BROKEN_WORDS = """() => [...document.querySelectorAll("article table :is(th, td)")].flatMap((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const broken = [];
  for (let text; (text = walker.nextNode()); ) {
    for (const { 0: word, index } of text.data.matchAll(/[A-Za-z]{2,}/g)) {
      const range = new Range();
      range.setStart(text, index);
      range.setEnd(text, index + word.length);
      if (new Set([...range.getClientRects()].map(({ top }) => top)).size > 1) broken.push(word);
    }
  }
  return broken;
})"""
STRANDED = """() => [...document.querySelectorAll("article :is(h1, h2, h3, h4, .gt-group)")]
  .filter((node) => getComputedStyle(node).breakAfter !== "avoid").map((node) => node.textContent)"""


@pytest.fixture
def on_paper(new_page, address):
    """Open a page as it is printed."""

    def printed(path: str, sheet: str = "A4"):
        page = new_page(f"{address}/{path}", viewport={"width": SHEETS[sheet], "height": 900})
        page.emulate_media(media="print")
        narrow = "(article, width) => { article.style.maxWidth = `${width}px`; }"
        page.locator("article").evaluate(narrow, SHEETS[sheet] - MARGINS)
        page.evaluate("dispatchEvent(new Event('beforeprint'))")
        return page

    return printed


@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("path", TABLES)
def test_no_column_is_so_narrow_that_words_break(on_paper, path, sheet) -> None:
    page = on_paper(path, sheet)
    assert page.locator("article table:visible").count() > 0
    assert page.evaluate(BROKEN_WORDS) == []


def test_the_sheet_says_what_was_chosen_and_when_and_where_it_was_printed(on_paper) -> None:
    page = on_paper("find/index.html?loss=1&evidence=E3&sort=evidence")
    text = page.locator("article").inner_text()
    for part in ("Quality lost: at most 1 point", "Evidence at least: E3: reproduced or shown here"):
        assert part in text
    assert "\u00d7" not in page.locator("#find-chips").inner_text()
    assert "Reset" not in text
    assert page.locator("select[name=sort]").is_visible()
    origin = page.locator(".gt-origin").inner_text()
    assert re.fullmatch(r"Printed on \d{4}-\d\d-\d\d from http.*/find/index\.html\?.*loss=1.*", origin)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.locator(".gt-origin").count() == 0


@pytest.mark.parametrize("path", HEADED)
def test_no_heading_stands_alone_at_the_foot_of_a_sheet(on_paper, path) -> None:
    assert on_paper(path).evaluate(STRANDED) == []


@pytest.mark.parametrize("sheet", SHEETS)
def test_the_drawing_of_the_relations_fits_on_one_sheet(on_paper, sheet) -> None:
    page = on_paper("relations/index.html", sheet)
    box = page.locator(".gt-relations svg").bounding_box()
    shortest_sheet, margins, inch = 11, 2 * 16 / 25.4, 96
    assert box["height"] < (shortest_sheet - margins) * inch
