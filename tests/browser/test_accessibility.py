"""Each kind of page for people who see little, use no mouse, or want nothing to move."""

from __future__ import annotations

import pytest

from tests.browser.axe import colour_violations, narrow_violations, prepare, structure_violations

TACTIC = "tactics/consider-energy-aware-pruning/index.html"
NOTE_REFUSALS = (
    "addEventListener('securitypolicyviolation', (e) => (window.refused ??= []).push(e.effectiveDirective))"
)
HEADING_IN_SIGHT = """() => {
  const heading = document.querySelector("main h1:target");
  const header = document.querySelector(".md-header").getBoundingClientRect();
  const { top, bottom } = heading?.getBoundingClientRect() ?? { top: -1, bottom: -1 };
  return top >= header.bottom && bottom <= innerHeight;
}"""
CUT_OFF = """() => [...document.querySelectorAll(".gt-scroll, .md-typeset__scrollwrap")]
  .filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.ariaLabel)"""
MOVING = """() => [...document.querySelectorAll("*")].flatMap((node) =>
  [null, "::before", "::after"].map((part) => [node, getComputedStyle(node, part)]))
  .filter(([, style]) => `${style.transitionDuration},${style.animationDuration}`.split(",")
    .some((duration) => parseFloat(duration) > 0.001))
  .map(([node]) => `${node.tagName}.${node.classList}`)"""


def test_each_kind_of_page_in_both_palettes_at_all_widths(new_page, address, kinds) -> None:
    """Each page is loaded once, for loading is what takes long."""
    page = new_page(address, color_scheme="light", reduced_motion="reduce")
    page.add_init_script(NOTE_REFUSALS)
    findings = []
    for kind in kinds:
        page.goto(f"{address}/{kind}")
        found = _skip_link(page)
        found += page.evaluate("window.refused ?? []")
        prepare(page)
        found += structure_violations(page) + _colours(page, "light", "default")
        page.get_by_title("Switch to dark colours").click()
        found += _colours(page, "dark", "slate")
        page.get_by_title("Switch to light colours").click()
        found += _too_wide(page)
        findings += [f"{kind}: {finding}" for finding in found]
    assert findings == []


def _skip_link(page) -> list[str]:
    page.keyboard.press("Tab")
    if (text := page.locator(":focus").inner_text()) != "Skip to content":
        return [f"the first key leads to {text!r}"]
    page.keyboard.press("Enter")
    return [] if page.evaluate(HEADING_IN_SIGHT) else ["the link to the content leads past the main heading"]


def _colours(page, palette: str, scheme: str) -> list[str]:
    assert page.evaluate("document.body.dataset.mdColorScheme") == scheme
    return [f"{palette}: {violation}" for violation in colour_violations(page)]


def _too_wide(page) -> list[str]:
    """On a phone, at 1280 px and a zoom of 200 %, and on wide screens, which show tables whole."""
    found = []
    for width in (375, 640, 1920, 1440, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        # The script hears of new sizes after the next frame has been laid out.
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        if (needed := page.evaluate("document.documentElement.scrollWidth")) > width:
            found.append(f"{needed} px wide in a window of {width} px")
        if width == 375:
            found += narrow_violations(page)
        if width >= 1440:
            found += [f"cut off at {width} px: {name}" for name in page.evaluate(CUT_OFF)]
    return found


@pytest.mark.parametrize("palette", ["light", "dark"])
def test_the_open_search(new_page, address, palette) -> None:
    page = new_page(address, color_scheme=palette, reduced_motion="reduce")
    page.keyboard.press("/")
    page.keyboard.type("pruning")
    page.locator(".md-search-result__item").first.wait_for()
    prepare(page)
    assert structure_violations(page) + colour_violations(page) == []


@pytest.mark.parametrize("path", ["index.html", "find/index.html", TACTIC])
def test_nothing_moves_for_those_who_ask_for_it(new_page, address, path) -> None:
    page = new_page(f"{address}/{path}", reduced_motion="reduce")
    assert set(page.evaluate(MOVING)) == set()
    page.emulate_media(reduced_motion="no-preference")
    assert set(page.evaluate(MOVING)) != set()


def test_without_javascript_each_page_shows_its_content(new_page, address, kinds) -> None:
    page = new_page(address, java_script_enabled=False)
    for kind in kinds:
        page.goto(f"{address}/{kind}")
        assert page.locator("h1").is_visible(), kind
        assert len(page.locator("article").inner_text()) > 100, kind
