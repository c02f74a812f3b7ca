"""Saving against quality over all tactics: which figures, in which panel, where, and in words."""

from __future__ import annotations

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from greentactics.figures_overview import MOST_LETTERS, Frame, frame, savings_figure
from greentactics.overview import published_pair, saved_kind, savings_panels
from greentactics.pages import render_site
from greentactics.tactic import join
from greentactics.vocabulary import Bound, ClaimDirection, ClaimUnit, Kind, Quantity
from tests.site.records import DARK, PRUNING, REAL, SPARSITY, catalogue, claim, with_claims
from tests.site.synthetic import FACTORS, METRICS, results

SETTING = "AlexNet, ImageNet"
LOSS = claim(
    quantity=Quantity.QUALITY,
    value=1.0,
    unit=ClaimUnit.PERCENTAGE_POINTS,
    bound=Bound.AT_MOST,
    setting=SETTING,
)
PAIRED = with_claims(PRUNING, claim(setting=SETTING), LOSS)
AXES = Frame(low=1.0, high=100.0, bottom=-4.0, top=0.0)


def panels(*records, **committed):
    found = {record.id: committed["results"] for record in records[:1] if committed}
    return savings_panels(join(catalogue(*records, results=found), {}).values())


def only(*committed, record=PRUNING):
    ((point, *_),) = (panel.points for panel in panels(record, SPARSITY, results=committed))
    return point


def drawing(*committed, record=PRUNING, axes=AXES) -> ElementTree.Element:
    (panel,) = panels(record, results=committed)
    return ElementTree.fromstring(str(savings_figure(panel, axes, "s", "../")))


def metric(name: str, **changes):
    return METRICS | {name: METRICS[name].model_copy(update=changes)}


def test_a_tactic_with_results_has_a_point_with_both_intervals() -> None:
    (panel,) = panels(PAIRED, SPARSITY, DARK, results=(results(),))
    assert panel.title == "modelled energy"
    point, published = panel.points
    assert (point.published, published.published) == (False, True)
    assert point.saved == "modelled energy, batch 1"
    assert point.saving_words.startswith("7.4\u00d7 lower [")
    assert point.change_words.startswith("accuracy \u22120.6 points [")
    assert point.solid
    assert (published.saving.value, published.change.value) == (3.7, -1.0)
    assert published.change_words == "quality up to 1 point lower"
    assert not published.solid


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "han-2015"},
        {"setting": "AlexNet"},
        {"unit": ClaimUnit.PERCENT},
        {"quantity": Quantity.POWER},
    ],
)
def test_figures_of_other_sources_settings_or_units_are_no_pair(changes) -> None:
    record = with_claims(PRUNING, claim(setting=SETTING), LOSS.model_copy(update=changes))
    assert published_pair(record) is None


def test_a_published_range_counts_with_the_end_that_claims_least() -> None:
    wide = {"value": None, "range": {"low": 2.0, "high": 5.0}}
    loss = claim(**wide, quantity=Quantity.QUALITY, unit=ClaimUnit.PERCENTAGE_POINTS, setting=SETTING)
    gain = loss.model_copy(update={"direction": ClaimDirection.INCREASE})
    pair = published_pair(with_claims(PRUNING, claim(**wide, setting=SETTING), loss))
    assert pair is not None
    assert (pair.times, pair.points) == (2.0, -5.0)
    pair = published_pair(with_claims(PRUNING, claim(setting=SETTING), gain))
    assert pair is not None
    assert pair.points == 2.0


def test_a_habit_to_avoid_costs_more_and_stands_on_the_left() -> None:
    harm = claim(direction=ClaimDirection.INCREASE, value=2.0, setting=SETTING)
    pair = published_pair(with_claims(DARK, harm, LOSS))
    assert pair is not None
    assert pair.times == 0.5
    record = PRUNING.model_copy(update={"kind": Kind.DARK})
    worse = results(factors=FACTORS | {"tactic": (0.5, *FACTORS["tactic"][1:])})
    marks = drawing(worse, record=record, axes=Frame(0.1, 10, -1, 1)).findall("a")
    assert [mark.attrib["class"] for mark in marks] == ["gt-tactic gt-habit"]
    assert "(a habit to avoid): 2.0\u00d7 higher [" in marks[0].attrib["aria-label"]


def test_kinds_of_cost_are_never_mixed() -> None:
    recipe = PRUNING.recipe
    kinds = {
        saved_kind(
            recipe.model_copy(update={"cost_metric": name}), METRICS["effective_macs"].model_copy(update=info)
        )
        for name, info in [
            ("a", {"unit": "J", "provenance": "metered"}),
            ("a", {"unit": "MAC energy", "provenance": "modelled"}),
            ("a", {"unit": "ratio", "provenance": "measured"}),
            ("training_cpu_s", {"unit": "s", "provenance": "measured"}),
            ("training_s", {"unit": "s", "provenance": "measured"}),
        ]
    }
    assert kinds == {
        "metered energy", "modelled energy", "measured energy", "measured processor time", "measured time",
    }  # fmt: skip
    other = SPARSITY.model_copy(
        update={"recipe": recipe.model_copy(update={"cost_metric": "effective_macs"})}
    )
    found = {PRUNING.id: (results(),), other.id: (results(tactic=other.id),)}
    titles = [
        panel.title for panel in savings_panels(join(catalogue(PRUNING, other, results=found), {}).values())
    ]
    assert titles == ["modelled energy", "energy"]  # modelled figures come before counted ones


@pytest.mark.parametrize("changes", [{"dirty": True}, {"seeds": 1}])
def test_what_does_not_count_or_has_no_interval_is_hollow(changes) -> None:
    assert not only(results(**changes)).solid
    (mark,) = drawing(results(**changes)).findall("a")
    assert mark.attrib["class"] == "gt-local"


def test_one_seed_has_no_bars() -> None:
    assert not drawing(results(seeds=1)).findall("path[@class='gt-bar gt-tactic']")
    assert len(drawing(results()).findall("path[@class='gt-bar gt-tactic']")) == 1


def test_a_quality_that_is_better_lower_is_turned() -> None:
    point = only(results(metrics=metric("test_accuracy", better="lower")))
    assert point.change.value > 0
    assert point.change.low < point.change.value < point.change.high


@pytest.mark.parametrize(
    "metrics", [metric("test_accuracy", unit="count"), metric("energy_batch_1", unit="fraction")]
)
def test_what_has_no_place_in_the_drawing_is_in_the_table(metrics) -> None:
    point = only(results(metrics=metrics))
    assert not point.drawn
    (panel,) = panels(PRUNING, results=(results(metrics=metrics),))
    assert savings_figure(panel, AXES, "s", "../") is None
    assert frame([panel]).low < 1 < frame([panel]).high


def test_smoke_and_stale_results_have_no_point() -> None:
    for committed in (results(preset="smoke"), results(recipe_sha256="c" * 64)):
        assert panels(PRUNING, results=(committed,)) == []


def test_marks_stand_to_scale_and_lead_to_their_tactic() -> None:
    tenfold = results(factors=FACTORS | {"tactic": (10.0, *FACTORS["tactic"][1:])}, spread=0.0)
    root = drawing(tenfold)
    assert root.attrib["aria-labelledby"] == "s-t s-d"
    description = next(element.text for element in root if element.tag == "desc")
    assert description.startswith(f"{PRUNING.title}: 10.0\u00d7 lower [")
    (mark,) = root.findall("a")
    assert mark.attrib["href"] == f"../tactics/{PRUNING.id}/index.html"
    assert mark.find("title").text == mark.attrib["aria-label"]
    assert mark.attrib["aria-label"].startswith(f"{PRUNING.title}: 10.0\u00d7 lower [")
    x, y = map(float, re.match(r"M([\d.]+) ([\d.]+)m", mark.find("path").attrib["d"]).groups())
    assert x == pytest.approx((38 + 350) / 2, abs=0.1)  # the middle of a logarithmic axis from 1 to 100
    assert 26 < y < 26 + 180 * 0.2  # 0.6 points below the top of an axis over 4 points


def test_published_figures_are_another_shape() -> None:
    marks = drawing(results(), record=PAIRED).findall("a")
    assert [mark.attrib["class"] for mark in marks] == ["gt-tactic", "gt-claim"]
    shapes = {re.sub(r"[-\d. ]+", "", mark.find("path").attrib["d"]) for mark in marks}
    assert len(shapes) == 2


def test_labels_do_not_overlap_and_long_titles_are_cut() -> None:
    records = [
        PRUNING.model_copy(update={"id": f"{PRUNING.id}-{number}", "title": f"{number} word" + " more" * 14})
        for number in range(12)
    ]
    made = catalogue(*records, results={record.id: (results(tactic=record.id),) for record in records})
    (panel,) = savings_panels(join(made, {}).values())
    root = ElementTree.fromstring(str(savings_figure(panel, AXES, "s", "../")))
    labels = root.findall("text[@class='gt-label']")
    assert 1 <= len(labels) < 12
    lines = sorted(float(label.attrib["y"]) for label in labels)
    assert all(later - earlier >= 13 for earlier, later in pairwise(lines))
    assert all(len(label.text) <= MOST_LETTERS and label.text.endswith("\u2026") for label in labels)
    assert len(root.findall("a")) == 12


def test_drawings_hold_no_colour_of_their_own() -> None:
    (panel,) = panels(PAIRED, results=(results(),))
    text = str(savings_figure(panel, AXES, "s", "../"))
    assert not re.search(r"#[0-9a-f]{3,6}\b|rgb|style=|fill=|stroke=", text)


def test_the_page_has_a_row_for_each_point_of_the_drawing() -> None:
    text = render_site(catalogue(PAIRED, SPARSITY, DARK, results={PRUNING.id: (results(),)}), {})[
        "overview/index.md"
    ]
    assert "1 of 3 tactics have results." in text
    assert len(re.findall(r'<tr><th scope="row">', text)) == 2
    assert text.count('class="gt-mark"') == 2
    assert "<td>modelled, read in the abstract of the source</td>" in text


def test_without_results_the_page_says_so() -> None:
    text = render_site(catalogue(SPARSITY, DARK), {})["overview/index.md"]
    assert "No tactic has results yet." in text
    assert "<svg" not in text


def test_the_catalogue_pairs_only_what_its_sources_pair() -> None:
    pairs = {name: pair for name, record in REAL.records.items() if (pair := published_pair(record))}
    assert "train-for-sparse-activations" in pairs
    for pair in pairs.values():
        assert (pair.effect.source, pair.effect.setting) == (pair.quality.source, pair.quality.setting)
