"""The Content-Security-Policy in a browser: what the site needs works, and what was slipped in does not."""

from __future__ import annotations

import pytest

from tests.browser.test_accessibility import NOTE_REFUSALS

SLIPPED_IN = (
    "<script>window.ran = true</script>"
    '<img src="assets/images/favicon.png" onload="window.ran = true">'
    '<img src="https://example.org/spy.png">'
    '<link rel="stylesheet" href="https://example.org/spy.css">'
    '<p style="position: fixed">Covered</p>'
)
BLUE = "getComputedStyle(document.querySelector('.md-header')).backgroundColor"


def test_each_kind_of_page_can_be_opened_from_disk(new_page, site, kinds) -> None:
    """What the policy refuses is an error in the console, which `new_page` lets no test pass with."""
    page = new_page(f"file://{site}/index.html")
    for kind in kinds:
        if kind == "404.html":  # its addresses start at the root of a server
            continue
        page.goto(f"file://{site}/{kind}")
        assert page.locator("h1").is_visible(), kind
        assert page.evaluate("document.querySelector('meta[http-equiv]').content.includes('sha256-')"), kind
        assert page.evaluate("getComputedStyle(document.querySelector('.md-header')).position") == "sticky", (
            kind
        )


@pytest.mark.parametrize("place", ["http", "disk"])
def test_the_colours_can_be_switched_and_stay(new_page, address, site, place) -> None:
    start = address if place == "http" else f"file://{site}"
    page = new_page(f"{start}/index.html", color_scheme="light")
    before = page.evaluate(BLUE)
    page.get_by_title("Switch to dark colours").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    page.goto(f"{start}/find/index.html")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"
    assert page.evaluate(BLUE) != before


def test_search_leads_to_a_page(new_page, address) -> None:
    page = new_page(f"{address}/index.html")
    page.keyboard.press("/")
    page.keyboard.type("pruning")
    result = page.locator(".md-search-result__item a").first
    result.wait_for()
    result.click()
    page.wait_for_url(f"{address}/*/**")
    assert page.locator("h1").is_visible()


def test_what_was_slipped_into_a_page_neither_runs_nor_loads(browser, address, site) -> None:
    """The page is changed on its way to the browser, as a mistake in the escaping would change it."""
    page = browser.new_page()
    page.add_init_script(NOTE_REFUSALS)
    changed = (site / "index.html").read_text(encoding="utf-8").replace("</h1>", f"</h1>{SLIPPED_IN}")
    page.route("**/index.html", lambda route: route.fulfill(body=changed, content_type="text/html"))
    page.goto(f"{address}/index.html")
    page.get_by_text("Covered").wait_for()
    assert page.evaluate("window.ran") is None
    assert page.get_by_text("Covered").evaluate("node => getComputedStyle(node).position") == "static"
    assert set(page.evaluate("window.refused")) == {
        "script-src-elem", "script-src-attr", "img-src", "style-src-elem", "style-src-attr",
    }  # fmt: skip
    page.close()
