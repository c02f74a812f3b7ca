"""The rules of axe-core on a page; the one that costs most is asked once for each kind of text."""

from __future__ import annotations

import pytest

_CONTRAST = "color-contrast"
_SIZE = "target-size"  # of WCAG 2.2; axe asks for it only when told to
_UNFOLD = "document.querySelectorAll('details').forEach((one) => { one.open = true; })"
# Texts whose elements have the same names and classes up to the body have the same colours.
_MARK_TEXTS = """() => {
  const seen = new Set();
  for (const node of document.querySelectorAll("body *")) {
    if (![...node.childNodes].some((one) => one.nodeType === Node.TEXT_NODE && one.data.trim())) continue;
    let path = "";
    for (let one = node; one !== document.body; one = one.parentElement) {
      path += `${one.tagName}.${one.classList} `;
    }
    if (!seen.has(path)) node.setAttribute("data-first-of-its-kind", "");
    seen.add(path);
  }
}"""


def prepare(page) -> None:
    """Load axe-core into the page, unfold everything and mark the texts to look at."""
    library = pytest.importorskip("axe_playwright_python.sync_playwright", reason="axe is not installed")
    page.evaluate(library.Axe().axe_script)
    page.evaluate(_UNFOLD)
    page.evaluate(_MARK_TEXTS)


def colour_violations(page) -> list[str]:
    """Return texts of a prepared page that stand out too little in the palette it shows."""
    return _violations(page, "[data-first-of-its-kind]", {"runOnly": [_CONTRAST]})


def structure_violations(page) -> list[str]:
    """Return what breaks any other rule on a prepared page."""
    return _violations(page, "html", {"rules": {_CONTRAST: {"enabled": False}, _SIZE: {"enabled": True}}})


def narrow_violations(page) -> list[str]:
    """Return what a narrow window breaks: targets that come too close, and scrolling by the mouse alone."""
    return _violations(page, "html", {"runOnly": [_SIZE, "scrollable-region-focusable"]})


def _violations(page, context: str, options: dict[str, object]) -> list[str]:
    common = {"resultTypes": ["violations"], "preload": False}
    report = page.evaluate("([context, options]) => axe.run(context, options)", [context, options | common])
    return [
        f"{rule['id']}: {[node['html'][:150] for node in rule['nodes'][:3]]}" for rule in report["violations"]
    ]
