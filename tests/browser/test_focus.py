"""Who walks through a page by the Tab key sees where they are: on each kind of page, in both palettes."""

from __future__ import annotations

import pytest

DEEP = "api/index.html"
"""A page with a section open around it, and a table of contents."""
MOST_STOPS = 500
LEAST_STOPS = 40

# Elements whose names and classes are the same up to the body look the same with the focus, so one of each
# kind keeps its place in the order of tabs. Returns the kinds that are new.
KEEP_ONE_OF_A_KIND = """(known) => {
  const seen = new Set(known);
  const kinds = [];
  for (const node of document.querySelectorAll("body *")) {
    if (node.tabIndex < 0) continue;
    let kind = "";
    for (let one = node; one !== document.body; one = one.parentElement) {
      kind += `${one.tagName}.${one.getAttribute("class") ?? ""} `;
    }
    if (seen.has(kind)) node.tabIndex = -1;
    else kinds.push(kind);
    seen.add(kind);
  }
  return kinds;
}"""

# What is wrong with the element that has the focus; null at the end of the page. For the buttons that the
# theme hides stands the label beside them.
LOOK = """() => {
  const node = document.activeElement;
  if (node === document.body || node.dataset.met) return null;
  node.dataset.met = "";
  const shown = node.matches(".md-option") ? node.nextElementSibling : node;
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = (colour) => colour.map((one) => one / 255)
    .map((one) => (one <= 0.04045 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4))
    .reduce((sum, one, index) => sum + one * [0.2126, 0.7152, 0.0722][index], 0.05);
  const ground = (one) => {
    if (!one) return [255, 255, 255];
    const [red, green, blue, opacity = 1] = channels(getComputedStyle(one).backgroundColor);
    const behind = opacity < 1 ? ground(one.parentElement) : [0, 0, 0];
    return [red, green, blue].map((part, index) => opacity * part + (1 - opacity) * behind[index]);
  };
  const contrast = (scheme) => {
    document.body.dataset.mdColorScheme = scheme;
    const style = getComputedStyle(shown);
    const around = parseFloat(style.outlineOffset) < 0 ? shown : shown.parentElement;
    const lights = [channels(style.outlineColor).slice(0, 3), ground(around)].map(light);
    const [less, more] = lights.sort((one, other) => one - other);
    return more / less;
  };
  const outlined = () => {
    const style = getComputedStyle(shown);
    return style.outlineStyle === "solid" && parseFloat(style.outlineWidth) >= 2;
  };
  const inWindow = [...shown.getClientRects()].map(({ left, top, right, bottom }) => ({
    left: Math.max(left, 0), top: Math.max(top, 0),
    right: Math.min(right, innerWidth), bottom: Math.min(bottom, innerHeight),
  })).filter(({ left, top, right, bottom }) => right - left >= 1 && bottom - top >= 1);
  const onTop = ({ left, top, right, bottom }) => [0.05, 0.5, 0.95].some((x) => [0.05, 0.5, 0.95].some((y) =>
    shown.contains(document.elementFromPoint(left + x * (right - left), top + y * (bottom - top)))));
  const faults = [];
  if (!shown.checkVisibility({ opacityProperty: true, visibilityProperty: true })) faults.push("is hidden");
  if (!inWindow.some(onTop)) faults.push("is covered or outside of the window");
  if (!outlined()) faults.push("has no outline");
  const low = ["slate", "default"].filter((scheme) => contrast(scheme) < 3);
  if (low.length) faults.push(`has too little contrast in ${low}`);
  node.blur();
  if (outlined()) faults.push("has an outline without the focus too");
  return faults.length ? `${node.outerHTML.slice(0, 100)} ${faults.join(", ")}` : "";
}"""


# The theme opens its search a moment after the field has taken the focus, by a timer of 1 ms.
SETTLE = "() => new Promise((done) => setTimeout(done, 5))"


@pytest.fixture
def calm_page(new_page):
    """Open a page on which nothing moves, so that it looks after a key as it will look."""
    return lambda address, width: new_page(
        address, viewport={"width": width, "height": 800}, color_scheme="light", reduced_motion="reduce"
    )


@pytest.mark.parametrize("width", [1280, 375])
def test_what_has_the_focus_is_seen(calm_page, address, kinds, width) -> None:
    page = calm_page(address, width)
    known: list[str] = []
    seen = []
    for kind in kinds:
        page.goto(f"{address}/{kind}")
        known += page.evaluate(KEEP_ONE_OF_A_KIND, known)
        seen += [fault and f"{kind}: {fault}" for fault in faults(page)]
    assert list(filter(None, seen)) == []
    assert len(seen) >= LEAST_STOPS


def test_what_has_the_focus_is_seen_without_scripts(new_page, address) -> None:
    page = new_page(f"{address}/{DEEP}", java_script_enabled=False, reduced_motion="reduce")
    seen = faults(page, settle="0")
    assert list(filter(None, seen)) == []
    assert len(seen) >= LEAST_STOPS


def test_on_a_phone_each_panel_of_the_navigation_comes_into_sight(calm_page, address) -> None:
    page = calm_page(f"{address}/{DEEP}", 375)
    assert page.locator(".md-sidebar--primary .md-nav__toggle:checked ~ .md-nav").count() > 0
    seen = faults(page)
    assert list(filter(None, seen)) == []
    assert len(seen) >= LEAST_STOPS


def faults(page, settle: str = SETTLE) -> list[str]:
    """Go from the start of the page to its end by the Tab key; return the fault of each stop, or nothing."""
    found: list[str] = []
    while (fault := pressed_tab(page, settle)) is not None:
        found.append(fault)
        assert len(found) < MOST_STOPS, "the end of the page is never reached"
    return found


def pressed_tab(page, settle: str) -> str | None:
    page.keyboard.press("Tab")
    page.evaluate(settle)
    return page.evaluate(LOOK)
