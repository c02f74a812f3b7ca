"""What a reader of "Find a tactic" looks at stays where it is when the script begins to work."""

from __future__ import annotations

import pytest

from tests.browser.selector_page import BUILT_IN, PRUNING, SAVING

OBSERVE = """window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, sources } of list.getEntries()) {
    window.shifts.push([value, sources.map(({ node }) => node?.id || node?.nodeName)]);
  }
}).observe({ type: "layout-shift", buffered: true });"""
PAINTED = "performance.getEntriesByName('first-contentful-paint').length"
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize(
    "query", ["", f"?improves={SAVING}&devices=cpu&sort=name", f"?compare={PRUNING},{BUILT_IN}"]
)
def test_nothing_moves_when_the_script_comes_late(new_page, address, width, query) -> None:
    page = new_page(f"{address}/index.html", viewport={"width": width, "height": 900})
    page.add_init_script(OBSERVE)
    held = []
    page.route("**/assets/selector.js", lambda route: held.append(route))
    with page.expect_request("**/assets/selector.js"):
        page.goto(f"{address}/find/index.html{query}", wait_until="commit")
    page.wait_for_function(PAINTED)
    page.evaluate(TWO_FRAMES)
    (route,) = held
    route.continue_()
    page.wait_for_load_state("load")
    page.evaluate(TWO_FRAMES)
    assert page.evaluate("window.shifts") == []
