"""Nothing crosses a word of a drawing: boxes of words against lines, marks and one another.

Words are taken as wide as in the widest usual font. The catalogue's own drawings are held against it, and
made-up ones of hard inputs. `tests/browser/test_drawings.py` does the same with a browser's boxes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, pairwise
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greentactics.evidence.relations import by_group, stated_ties
from greentactics.evidence.tactic import join
from greentactics.models.record import Relation
from greentactics.models.vocabulary import Kind, RelationType
from greentactics.site.drawings.curve import Curve, draw
from greentactics.site.drawings.forest import Mark, Panel, forest, shared_scale
from greentactics.site.drawings.layers import layer_figures
from greentactics.site.drawings.svg import NARROWEST, Scale, scale_over, text_width, ticks, wrapped_lines
from greentactics.site.drawings.web import drawn_groups, relation_figure
from greentactics.site.pages import render_site
from tests.examples.records import PRUNING, REAL, ROOT, catalogue
from tests.examples.synthetic import results

SIZES = {"gt-tick": 12, "gt-small": 11, "gt-mark-dark": 11}
PLAIN_SIZE = 13
PERCENT_WIDTHS = (NARROWEST, 300, 700)
MARK = 5  # px that a mark of a curve reaches from its point
EDGE = 8.5  # px that words may stand out of a drawing


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float
    words: str = ""

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )


def drawings_in(page: str) -> list[ElementTree.Element]:
    """Return the outer SVG elements of a page, and nested ones within them."""
    plain = page.replace("<col>", "").replace(' data-search-exclude="true"', "")
    roots = [
        ElementTree.fromstring(figure) for figure in re.findall(r"<figure.*?</figure>", plain, re.DOTALL)
    ]
    return [svg for root in roots for svg in outer_svgs(root)]


def outer_svgs(element: ElementTree.Element) -> Iterator[ElementTree.Element]:
    if element.tag == "svg":
        yield element
        return
    for child in element:
        yield from outer_svgs(child)


def px(value: str | None, whole: float) -> float:
    if value is None:
        return 0.0
    return float(value[:-1]) / 100 * whole if value.endswith("%") else float(value)


def boxes(svg: ElementTree.Element, width: float) -> tuple[list[Box], list[Box]]:
    """Return the boxes of words, and those of lines and marks, of an SVG of a width in px."""
    words, shapes = [], []
    height = float((svg.get("viewBox") or "0 0 0 20").split()[3])
    for element in svg.iter():
        look = set((element.get("class") or "").split())
        if element.tag in ("text", "tspan") and (element.text or "").strip():
            words.append(text_box(element, look, width))
        elif element.tag == "line":
            ends = [px(element.get(name), width) for name in ("x1", "y1", "x2", "y2")]
            ends[1:4:2] = (px(element.get(name), height) for name in ("y1", "y2"))
            shapes.append(around((ends[0], ends[1]), (ends[2], ends[3]), 1))
        elif element.tag == "circle":
            x, y, r = px(element.get("cx"), width), px(element.get("cy"), height), px(element.get("r"), 0)
            shapes.append(Box(x - r, y - r, x + r, y + r))
        elif element.tag == "rect" and look & {"gt-share-0", "gt-share-1", "gt-share-2", "gt-share-3"}:
            x, y = px(element.get("x"), width), px(element.get("y"), height)
            shapes.append(
                Box(x, y, x + px(element.get("width"), width), y + px(element.get("height"), height))
            )
        elif element.tag == "rect":
            x, y, wide, high = (float(element.get(name, 0)) for name in ("x", "y", "width", "height"))
            corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high), (x, y)]
            shapes += [around(one, other, 1) for one, other in pairwise(corners)]
        elif element.tag == "path" and "gt-points" in look:
            shapes += [around(point, point, MARK) for point in vertices(element.get("d", ""))]
        elif element.tag == "path" and not look & {"gt-mark", "gt-head"}:
            shapes += [around(one, other, 1) for one, other in strokes(element.get("d", ""))]
    return words, shapes


def text_box(element: ElementTree.Element, look: set[str], width: float) -> Box:
    size = next((size for name, size in SIZES.items() if name in look), PLAIN_SIZE)
    long = text_width(element.text or "", size)
    x, y = px(element.get("x"), width), px(element.get("y"), 0)
    start = x - long if look & {"gt-end", "gt-mark-dark"} else x
    if "gt-tick" in look and not look & {"gt-end", "gt-start"}:
        start = x - long / 2
    return Box(start, y - 0.78 * size, start + long, y + 0.22 * size, element.text or "")


def around(one: tuple[float, float], other: tuple[float, float], margin: float) -> Box:
    (left, right), (top, bottom) = sorted((one[0], other[0])), sorted((one[1], other[1]))
    return Box(left - margin, top - margin, right + margin, bottom + margin)


def vertices(path: str) -> list[tuple[float, float]]:
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", path)]
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def strokes(path: str) -> Iterator[tuple[tuple[float, float], tuple[float, float]]]:
    """Return the short straight pieces of a path of M, L, H, V and C."""
    x = y = 0.0
    for command, text in re.findall(r"([MLHVC])([^MLHVC]*)", path):
        given = [float(number) for number in re.findall(r"-?[\d.]+", text)]
        if command == "C":
            points = [(x, y), *zip(given[::2], given[1::2], strict=True)]
            curve = [bezier(points, step / 40) for step in range(41)]
            yield from pairwise(curve)
            (x, y) = curve[-1]
            continue
        new = {"H": (given[0], y), "V": (x, given[0])}.get(command) or (given[0], given[1])
        if command != "M":
            yield (x, y), new
        x, y = new


def bezier(points: list[tuple[float, float]], share: float) -> tuple[float, float]:
    while len(points) > 1:
        points = [
            (one[0] + share * (other[0] - one[0]), one[1] + share * (other[1] - one[1]))
            for one, other in pairwise(points)
        ]
    return points[0]


def check(svg: ElementTree.Element) -> int:
    """Hold the words of one drawing against all else; return how many there are."""
    view = svg.get("viewBox")
    found = 0
    for width in [float(view.split()[2])] if view else PERCENT_WIDTHS:
        words, shapes = boxes(svg, width)
        found += len(words)
        for word in words:
            struck = [shape for shape in shapes if word.meets(shape)]
            assert not struck, f"{word} is crossed by {struck[0]}"
            assert word.left >= -EDGE, f"{word} begins before its drawing"
            assert word.right <= width + EDGE, f"{word} ends beyond {width}"
        for one, other in combinations(words, 2):
            assert not one.meets(other), f"{one} and {other}"
        if "gt-plot" in (svg.get("class") or ""):
            assert not words
            for name in ("x", "x1", "x2", "cx"):
                for element in svg.iter():
                    assert 0 <= px(element.get(name), 1.0) <= 1
    return found


def check_all(drawing: object) -> int:
    return sum(check(svg) for svg in drawings_in(f"<figure>{drawing}</figure>"))


def test_no_drawing_of_the_catalogue_has_a_word_crossed_or_cut() -> None:
    checked = {}
    pages = render_site(REAL, {})
    written = {path.name: path.read_text("utf-8") for path in (ROOT / "catalogue/pages").rglob("*.md")}
    for name, page in (pages | written).items():
        if "<figure" not in page:
            continue
        try:
            checked[name] = sum(check(svg) for svg in drawings_in(page))
        except AssertionError as crossed:
            raise AssertionError(f"{name}: {crossed}") from crossed
        assert "\u2026" not in "".join(re.findall(r"<figure.*?</figure>", page, re.DOTALL)), name
    assert len(checked) > 25
    assert sum(checked.values()) > 900


@pytest.mark.parametrize(
    "mark",
    [
        '<line x1="300" x2="300" y1="0" y2="90"/>',  # strikes out a minus sign: -0.1 reads +0.1
        '<path class="gt-axis" d="M10 36H350"/>',
        '<path class="gt-points" d="M20 20 340 36"/>',
        '<text x="250" y="44">words</text>',
    ],
)
def test_a_crossed_word_is_found(mark) -> None:
    text = '<text x="220" y="40">\u22120.2 [\u22120.4, \u22120.1]</text>'
    with pytest.raises(AssertionError):
        check_all(f'<svg viewBox="0 0 360 100">{mark}{text}</svg>')
    assert check_all(f'<svg viewBox="0 0 360 100">{text}</svg>') == 1


HARD = {
    "around zero": (-0.1, 0.0, 0.1, -0.04, 1e-9),
    "negative": (-99.0, -98.0, -0.5),
    "equal": (0.0, 0.0, 0.0),
    "equal and far": (-7.0, -7.0),
    "positive": (0.2, 3.0, 80.0),
}
HARD_RATIOS = {
    "around one": (0.99, 1.0, 1.01, 1.1),
    "tiny": (1e-9, 2e-9),
    "huge": (1.0, 1e9, 3e12),
    "tiny and huge": (1e-6, 1.0, 1e6),
    "equal": (1.0, 1.0),
    "habits": (0.1, 0.5, 0.04),
}
LONG = "claimed operations of " + "a very long setting with many words in it " * 3 + "W" * 90


@pytest.mark.parametrize("name", [*HARD, *HARD_RATIOS])
def test_forests_of_hard_figures(name) -> None:
    logarithmic = name in HARD_RATIOS and name not in HARD
    values = (HARD_RATIOS if logarithmic else HARD)[name] * 8
    marks = tuple(
        Mark(f"{index} {LONG}", role, value, min(value, value * 0.9), max(value, value * 1.2), f"{value:g}")
        for index, value in enumerate(values)
        for role in ("claim", "tactic", "local", "rival")
    )
    panel = Panel(LONG, "difference in percentage points", logarithmic, marks)
    text = str(forest(panel, shared_scale([panel])))
    assert check_all(text) >= 1
    assert text.count(LONG) == len(marks) + 1


@pytest.mark.parametrize("name", HARD_RATIOS)
@pytest.mark.parametrize("tolerance", [0.0, 0.001, 50.0])
def test_curves_of_many_arms(name, tolerance) -> None:
    savings = HARD_RATIOS[name]
    drawn = [
        Curve(f"arm_{index}_with_{'quite_' * 20}a_name", tuple((loss, saving) for saving in savings))
        for index, loss in enumerate((0.0, 0.0, -0.1, 1.0, 5.9, 6.1, *[0.5] * 14))
    ]
    figure = draw(drawn, "c", LONG, tolerance)
    assert check_all(figure) > 3
    (legend, _) = ElementTree.fromstring(f"<figure>{figure}</figure>")
    looks = [(item.get("class"), item[0][0].get("d")) for item in legend]
    assert len(set(looks)) == len(looks) == 19  # one arm has no point near enough


def test_a_curve_without_a_point_near_enough() -> None:
    assert check_all(draw([Curve("tactic", ((50.0, 2.0),))], "c", "energy", 0.5)) >= 2


def test_relations_of_long_titles() -> None:
    ids = [f"{PRUNING.id}-{number}" for number in range(30)]
    records = [
        PRUNING.model_copy(
            update={
                "id": name,
                "title": f"{number} " + ("Wide WORDS " * 9 if number % 2 else "illicit little " * 7),
                "kind": Kind.DARK if number % 3 else Kind.AWESOME,
                "relations": tuple(
                    Relation(type=kind, target=ids[(number + 7 * step) % 30], reason="A reason.")
                    for step, kind in enumerate(RelationType, start=1)
                ),
            }
        )
        for number, name in enumerate(ids)
    ]
    tactics = join(catalogue(*records), {})
    ties = stated_ties(tactics)
    assert check_all(relation_figure(drawn_groups(by_group(tactics), ties), ties, "../")) > 60


def test_energy_of_long_layers_and_many_types_of_data() -> None:
    names = [f"features.{number}.{'block_of_' * 6}conv" for number in range(4)]
    layers = [
        {"layer": name, "batch_size": None} | {f"energy_{'long_' * 5}{kind}": 10.0**kind for kind in range(7)}
        for name in names
    ]
    (figure,) = layer_figures(results(details={"layers": layers}))
    check_all(figure.drawing)
    assert all(name in figure.drawing for name in names)
    layers = [row | {key: 0.0 for key in row if key.startswith("energy")} for row in layers]
    assert layer_figures(results(details={"layers": layers}))


FINITE = st.floats(-100, 100, allow_nan=False)
RATIOS = st.floats(1e-12, 1e12)


@given(st.lists(FINITE, min_size=1), st.floats(100, 800))
def test_ticks_of_differences_fit_and_hold_no_difference(values, length) -> None:
    fits(scale_over([*values, 0.0], logarithmic=False), length)


@given(st.lists(RATIOS, min_size=1), st.floats(100, 800))
def test_ticks_of_ratios_fit_and_hold_no_effect(values, length) -> None:
    fits(scale_over([*values, 1.0], logarithmic=True), length)


def fits(scale: Scale, length: float) -> None:
    found = ticks(scale, length)
    assert scale.neutral in [value for value, _ in found]
    assert len({words for _, words in found}) == len(found)
    spans = [
        (scale.share(value) * length - text_width(words, 12) / 2, text_width(words, 12))
        for value, words in found
    ]
    assert all(start + wide < later for (start, wide), (later, _) in pairwise(spans))
    assert spans[0][0] >= -EDGE
    assert sum(spans[-1]) <= length + EDGE


@given(st.text(max_size=120), st.floats(40, 300))
def test_lines_are_as_narrow_as_said_and_hold_all_words(text, width) -> None:
    lines = wrapped_lines(text, width, PLAIN_SIZE)
    assert all(text_width(line, PLAIN_SIZE) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
