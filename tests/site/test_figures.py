"""Drawings: well-formed, described, in both palettes, and to scale."""

import re
from xml.etree import ElementTree

import pytest

from greentactics.evidence.runs import tactic_runs
from greentactics.models.results import Results
from greentactics.site.drawings.curve import curve_figures, curves
from greentactics.site.drawings.forest import Mark, Panel, forest, forest_key, shared_scale
from greentactics.site.drawings.layers import layer_figures
from greentactics.site.drawings.svg import Scale, scale_over, ticks
from greentactics.site.impact import curve_views
from tests.examples.records import PRUNING, ROOT
from tests.examples.synthetic import CHANGED, results


def marks(*values: float) -> tuple[Mark, ...]:
    roles = ("claim", "tactic", "local", "rival", "rival", "rival")
    return tuple(
        Mark(f"row {index}", role, value, value * 0.9, value * 1.1, f"{value}")
        for index, (role, value) in enumerate(zip(roles, values, strict=False))
    )


FOREST = Panel("energy", "times lower, logarithmic", True, marks(3.7, 7.4, 7.0, 2.0, 0.5, 1.0))
POINTS = Panel("accuracy", "points", False, marks(-0.5, -0.4))


def drawings() -> list[str]:
    return [
        str(forest(FOREST, shared_scale([FOREST]))),
        str(forest(POINTS, shared_scale([POINTS]))),
        *(str(figure.drawing) for figure in layer_figures(results())),
    ]


def test_drawings_are_well_formed_and_described() -> None:
    found = drawings()
    assert len(found) == 4
    for drawing in found:
        root = ElementTree.fromstring(f"<figure>{drawing}</figure>")
        table = root.find("table")
        if table is not None:  # its words stand in cells
            assert table.attrib["aria-label"]
            continue
        (root,) = root
        named = root.attrib["aria-labelledby"].split()
        ids = [element.attrib["id"] for element in root if element.tag in ("title", "desc")]
        assert named == ids
        assert all((element.text or "").strip() for element in root if element.tag in ("title", "desc"))


def test_drawings_hold_no_colour_of_their_own() -> None:
    for drawing in drawings():
        assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|style=|fill=|stroke=", drawing)


def test_both_palettes_define_every_variable_that_figures_use() -> None:
    assets = ROOT / "catalogue" / "pages" / "assets"
    used = set(
        re.findall(
            r"var\((--gt-[a-z]+)\)",
            "".join(path.read_text(encoding="utf-8") for path in assets.glob("*.css")),
        )
    )
    palettes = re.findall(
        r"\[data-md-color-scheme=.*?\{(.*?)\n\}",
        (assets / "palette.css").read_text(encoding="utf-8"),
        re.DOTALL,
    )
    assert len(palettes) == 2
    assert used
    for palette in palettes:
        assert used <= set(re.findall(r"(--gt-[a-z]+):", palette))


def test_position_on_a_logarithmic_axis() -> None:
    panel = Panel("energy", "times lower", True, (Mark("a", "tactic", 10.0, None, None, "10"),))
    drawing = str(forest(panel, Scale(1.0, 100.0, logarithmic=True)))
    assert '<circle cx="50%"' in drawing
    assert '<line x1="0%" x2="0%" y2="100%"/>' in drawing


def test_each_row_says_its_label_and_its_figure_in_full() -> None:
    label = "claimed: " + "a setting of many words " * 6
    panel = Panel("accuracy", "points", False, (Mark(label, "claim", -0.1, None, None, "\u22120.1"),))
    text = str(forest(panel, shared_scale([panel])))
    assert f'<th scope="row">{label.strip()}</th>' in text
    assert "<td>\u22120.1</td>" in text


def test_shapes_differ_between_roles_and_the_key_names_those_drawn() -> None:
    drawing = drawings()[0]
    marks_drawn = re.findall(r'gt-plot gt-(\w+)".*?<(circle|path)(?: d="([^"]*)")?', drawing)
    assert len(marks_drawn) == 6
    assert len(set(marks_drawn)) == len({role for role, *_ in marks_drawn}) == 4
    assert forest_key([FOREST]).startswith("Diamond: claimed. Dot: reproduced. Ring: ")
    assert forest_key([POINTS]) == (
        "Diamond: claimed. Dot: reproduced. Bar: 95 % interval. Dashed: no difference."
    )


@pytest.mark.parametrize(
    ("limits", "logarithmic", "expected"),
    [
        ((0.8, 9.0), True, ["1\u00d7", "2\u00d7", "5\u00d7"]),
        ((0.9, 1.3), True, ["1\u00d7", "1.1\u00d7", "1.2\u00d7"]),
        ((0.5, 600_000), True, ["1\u00d7", "1,000\u00d7"]),
        ((-1.1, 0.2), False, ["\u22121", "\u22120.5", "0"]),
        ((-0.1, 0.1), False, ["\u22120.05", "0", "+0.05"]),
    ],
)
def test_ticks_are_round_and_say_the_sign(limits, logarithmic, expected) -> None:
    found = ticks(Scale(*limits, logarithmic=logarithmic), 200 if max(limits) < 100 else 130)
    assert [words for _, words in found] == expected


def test_the_range_holds_marks_intervals_and_no_effect() -> None:
    scale = shared_scale([Panel("a", "b", True, marks(3.0))])
    assert scale.low < 1 < 3.3 < scale.high
    scale = shared_scale([Panel("a", "b", False, marks(-0.5))])
    assert scale.low < -0.55 < 0 < scale.high
    same = scale_over([0.0, 0.0], logarithmic=False)
    assert same.low < 0 < same.high


def test_energy_by_layer_is_drawn_for_both_batches_or_not_at_all() -> None:
    figures = layer_figures(results())
    assert [figure.title for figure in figures] == [
        "Modelled energy by layer, batch 1, seed 0",
        "Modelled energy by layer, batch 48, seed 0",
    ]
    assert "<td>1 million → 166,667</td>" in str(figures[0].drawing)
    assert layer_figures(results(details={})) == []
    assert layer_figures(results(details={"curve": [{"round": 1, "accuracy": 0.9}], "words": "text"})) == []


CURVE_POINTS = {
    "baseline": [{"validation_accuracy": 0.92, "energy_batch_1": 100.0, "kept": True}],
    "tactic": [
        {"validation_accuracy": 0.915, "energy_batch_1": 25.0, "energy_batch_48": 5.0},
        {"validation_accuracy": 0.905, "energy_batch_1": 10.0},
        {"validation_accuracy": 0.5, "energy_batch_1": 1.0},
    ],
    "magnitude": [{"validation_accuracy": 0.91, "energy_batch_1": 50.0}, {"energy_batch_1": 1.0}],
    "weight_ordered": "not a list",
}


def with_curves(seeds: int = 1) -> Results:
    made = results(seeds=seeds)
    repeats = tuple(
        repeat.model_copy(update={"details": {"curve": CURVE_POINTS[repeat.arm]}}) for repeat in made.repeats
    )
    return made.model_copy(update={"repeats": repeats})


def test_curves_compare_each_seed_with_its_own_baseline() -> None:
    found = curves(PRUNING, with_curves())
    assert list(found) == ["energy_batch_1"]  # no baseline for batch 48
    tactic, magnitude = found["energy_batch_1"]
    assert (tactic.arm, magnitude.arm) == ("tactic", "magnitude")
    assert tactic.points == (
        pytest.approx((0.5, 4.0)),
        pytest.approx((1.5, 10.0)),
        pytest.approx((42.0, 100)),
    )
    assert magnitude.points == (pytest.approx((1.0, 2.0)),)


def test_recipes_without_curves_have_no_drawing() -> None:
    assert curve_figures(PRUNING, results(), "c") == []


def test_curves_are_drawn_to_scale_and_described() -> None:
    (figure,) = curve_figures(PRUNING, with_curves(seeds=2), "c")
    legend, root = ElementTree.fromstring(f"<figure>{figure.drawing}</figure>")
    assert ["".join(item.itertext()) for item in legend] == ["tactic", "magnitude"]
    assert root.attrib["aria-labelledby"] == "c-1-t c-1-d"
    description = next(element.text for element in root if element.tag == "desc")
    assert description == (
        "tactic: 4 to 10 times lower at a loss of 0.5 to 1.5 points; "
        "magnitude: 2 to 2 times lower at a loss of 1.0 to 1.0 points."
    )
    tactic = next(element for element in root if element.attrib.get("class") == "gt-points")
    assert {value for name, value in tactic.attrib.items() if name.startswith("marker-")} == {"url(#c-1-m0)"}
    positions = re.findall(r"(\d+) (\d+)", tactic.attrib["d"])
    assert len(positions) == 2 * 2  # two seeds of two points
    x, y = zip(*((int(across), int(up)) for across, up in positions[:2]), strict=True)
    assert x[0] < x[1]  # more is lost
    assert y[0] > y[1]  # more is saved, higher up
    markers = [element for element in root if element.tag == "marker"]
    assert [element.attrib["class"] for element in markers] == ["gt-tactic", "gt-rival"]
    assert [element[0].attrib["d"] for element in markers] == [item[0][0].attrib["d"] for item in legend]
    assert len({element[0].attrib["d"] for element in markers}) == 2


def test_curves_are_on_the_page_with_unique_identifiers() -> None:
    runs = tactic_runs(PRUNING, [with_curves(), with_curves()])
    views = curve_views(PRUNING, runs)
    identifiers = [re.findall(r'id="([^"]+)"', str(figure.drawing)) for _, drawn in views for figure in drawn]
    assert len(identifiers) == 2
    assert not set(identifiers[0]) & set(identifiers[1])
    stale = tactic_runs(PRUNING, [with_curves()], checksum=CHANGED)
    assert curve_views(PRUNING, stale) == ()
