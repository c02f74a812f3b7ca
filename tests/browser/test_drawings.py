"""No line or mark of a drawing crosses a word in a browser, at the widths of a phone, a tablet and a desk."""

from __future__ import annotations

import pytest

from greentactics.site.drawings.svg import text_width
from tests.browser.selector_page import PRUNING

PAGES = (
    f"tactics/{PRUNING}/index.html",
    f"tactics/{PRUNING}/measurements/index.html",
    "overview/index.html",
    "relations/index.html",
    "energy-model/index.html",
)

CROSSED = """
() => {
  const found = [];
  const words = (figure) => {
    const walker = document.createTreeWalker(figure, NodeFilter.SHOW_TEXT);
    const boxes = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (!node.data.trim() || node.parentElement.closest("title, desc, thead, .gt-level")) continue;
      const range = document.createRange();
      range.selectNodeContents(node);
      for (const { left, right, top, bottom } of range.getClientRects()) {
        const high = (bottom - top) * 0.2; // room for accents and tails, which figures do not have
        boxes.push({ left, right, top: top + high, bottom: bottom - high, text: node.data.trim() });
      }
    }
    return boxes;
  };
  const inside = (one, other) =>
    one.left <= other.right && other.left <= one.right && one.top <= other.bottom && other.top <= one.bottom;
  const points = (figure, boxes) => {
    const outlines = [];
    for (const shape of figure.querySelectorAll("line, path, circle, rect")) {
      if (shape.closest("marker, defs")) continue;
      const around = shape.getBoundingClientRect();
      if (!boxes.some((box) => inside(box, around))) continue;
      const matrix = shape.getScreenCTM();
      const onScreen = ({ x, y }) => new DOMPoint(x, y).matrixTransform(matrix);
      if (shape.classList.contains("gt-points")) {
        for (const [, x, y] of shape.getAttribute("d").matchAll(/(-?[\\d.]+) (-?[\\d.]+)/g)) {
          for (const [across, up] of [[-4, 0], [4, 0], [0, -4], [0, 4]]) {
            outlines.push(onScreen({ x: Number(x) + across, y: Number(y) + up }));
          }
        }
        continue;
      }
      const length = shape.getTotalLength();
      for (let at = 0; at <= length; at += 2) outlines.push(onScreen(shape.getPointAtLength(at)));
    }
    return outlines;
  };
  for (const figure of document.querySelectorAll(".gt-figure")) {
    const boxes = words(figure);
    const outlines = points(figure, boxes);
    for (const box of boxes) {
      const { left, right, top, bottom, text } = box;
      if (outlines.some(({ x, y }) => x > left && x < right && y > top && y < bottom)) found.push(text);
      const other = boxes.find(
        (one) => one !== box && one.left < right && left < one.right && one.top < bottom && top < one.bottom,
      );
      if (other) found.push(`${text} on ${other.text}`);
      if (left < 0 || (right > innerWidth && !figure.closest(".gt-scroll"))) found.push(`${text} is cut`);
    }
  }
  return found;
}
"""

SIZES = """
() => [...document.querySelectorAll(
  ".gt-figure :is(text:not(:has(tspan), .gt-heading), tspan)",
)].map((text) => [
  text.textContent, parseFloat(getComputedStyle(text).fontSize), text.getComputedTextLength(),
])
"""

TYPE = """
() => [...document.querySelectorAll(".gt-forest tbody :is(th, td:last-child)")].map((cell) =>
  parseFloat(getComputedStyle(cell).fontSize))
"""


@pytest.mark.parametrize("width", [375, 768, 1440])
def test_nothing_crosses_a_word(new_page, address, width) -> None:
    page = new_page(f"{address}/{PAGES[0]}", viewport={"width": width, "height": 900})
    for path in PAGES:
        page.goto(f"{address}/{path}")
        assert page.locator(".gt-figure").count(), path
        assert not page.evaluate(CROSSED), path
        assert all(13 <= size <= 14.5 for size in page.evaluate(TYPE)), path


def test_words_are_no_wider_than_the_drawings_take_them_for(new_page, address) -> None:
    page = new_page(f"{address}/{PAGES[0]}")
    for path in PAGES:
        page.goto(f"{address}/{path}")
        for words, size, width in page.evaluate(SIZES):
            assert width <= text_width(words, size), words


def test_a_struck_minus_sign_is_found(new_page, address) -> None:
    page = new_page(f"{address}/{PAGES[0]}")
    page.evaluate("""
      const cell = document.querySelector(".gt-forest tbody td:last-child");
      cell.style.position = "relative";
      cell.innerHTML += '<svg class="gt-plot"><line x1="90%" x2="90%" y2="100%"/></svg>';
    """)
    assert len(page.evaluate(CROSSED)) == 1
