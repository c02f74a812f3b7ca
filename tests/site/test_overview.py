"""Saving against quality over all tactics: which figures, in which panel, where, and in words."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from greentactics.evidence.tactic import join
from greentactics.models.vocabulary import Bound, ClaimDirection, ClaimUnit, Kind, Quantity
from greentactics.site.drawings.savings import Frame, frame
from greentactics.site.drawings.svg import Scale
from greentactics.site.overview import published_pair, saved_kind, savings_panels
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, catalogue, claim, with_claims
from tests.examples.synthetic import FACTORS, METRICS, results

SETTING = "AlexNet, ImageNet"
LOSS = claim(
    quantity=Quantity.QUALITY,
    value=1.0,
    unit=ClaimUnit.PERCENTAGE_POINTS,
    bound=Bound.AT_MOST,
    setting=SETTING,
)
PAIRED = with_claims(PRUNING, claim(setting=SETTING), LOSS)
AXES = Frame(Scale(1.0, 100.0, logarithmic=True), Scale(-4.0, 0.0, logarithmic=False))


def panels(*records, **committed):
    found = {record.id: committed["results"] for record in records[:1] if committed}
    return savings_panels(join(catalogue(*records, results=found), {}).values())


def only(*committed, record=PRUNING):
    ((point, *_),) = (panel.points for panel in panels(record, SPARSITY, results=committed))
    return point


def overview(*records, **committed) -> str:
    found = {record.id: committed["results"] for record in records[:1] if committed}
    return render_site(catalogue(*records, results=found), {})["overview/index.md"]


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
    text = overview(record, SPARSITY, results=(worse,))
    assert '<span class="gt-warning">a habit to avoid</span>' in text
    assert "<td>2.0\u00d7 higher [" in text
    point = only(worse, record=record)
    assert point.saving is not None
    assert point.saving.value == pytest.approx(0.5, abs=0.01)


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
    point = only(results(**changes))
    assert not point.solid
    assert 'class="gt-plot gt-local"' in AXES.saving_plot(point)


def test_one_seed_has_no_bars() -> None:
    bar = re.compile(r'<svg y="50%"><line ')
    assert not bar.search(AXES.saving_plot(only(results(seeds=1))))
    assert bar.search(AXES.saving_plot(only(results())))


def test_a_quality_that_is_better_lower_is_turned() -> None:
    point = only(results(metrics=metric("test_accuracy", better="lower")))
    assert point.change.value > 0
    assert point.change.low < point.change.value < point.change.high


@pytest.mark.parametrize(
    "metrics", [metric("test_accuracy", unit="count"), metric("energy_batch_1", unit="fraction")]
)
def test_what_has_no_place_on_an_axis_is_there_in_words(metrics) -> None:
    point = only(results(metrics=metrics))
    assert "" in (AXES.saving_plot(point), AXES.change_plot(point))
    (panel,) = panels(PRUNING, results=(results(metrics=metrics),))
    assert frame([panel]).saving.low < 1 < frame([panel]).saving.high
    assert point.change_words in overview(PRUNING, results=(results(metrics=metrics),)).replace(
        ",\u00a0", ", "
    )


def test_smoke_and_stale_results_have_no_point() -> None:
    for committed in (results(preset="smoke"), results(recipe_sha256="c" * 64)):
        assert panels(PRUNING, results=(committed,)) == []


def test_marks_stand_to_scale_beside_what_they_say() -> None:
    tenfold = results(factors=FACTORS | {"tactic": (10.0, *FACTORS["tactic"][1:])}, spread=0.0)
    point = only(tenfold)
    saving = ElementTree.fromstring(str(AXES.saving_plot(point)))
    mark = saving.find("svg/circle")
    assert mark is not None
    assert mark.attrib["cx"] == "50%"  # the middle of a logarithmic axis from 1 to 100
    mark = ElementTree.fromstring(str(AXES.change_plot(point))).find("svg/circle")
    assert mark is not None
    assert 80 < float(mark.attrib["cx"].rstrip("%")) < 90  # 0.6 points below the end of an axis over 4
    row = next(line for line in overview(PRUNING, results=(tenfold,)).splitlines() if '"row"' in line)
    assert f'<a href="../tactics/{PRUNING.id}/index.html">{PRUNING.title}</a>' in row
    assert "</svg></td><td>10.0\u00d7 lower [" in row
    assert "</svg></td><td>accuracy \u22120.6 points [" in row


def test_published_figures_are_another_shape_in_a_row_of_their_own() -> None:
    text = overview(PAIRED, results=(results(),))
    assert re.findall(r'gt-plot gt-(\w+)"', text) == ["tactic", "tactic", "claim", "claim"]
    assert '<th scope="row">Published <small>' in text
    assert "Diamond: published" in text
    assert "Diamond" not in overview(PRUNING, results=(results(),))


def test_titles_stand_in_full_however_many_and_long() -> None:
    records = [
        PRUNING.model_copy(update={"id": f"{PRUNING.id}-{number}", "title": f"{number} word" + " more" * 14})
        for number in range(12)
    ]
    made = catalogue(*records, results={record.id: (results(tactic=record.id),) for record in records})
    text = render_site(made, {})["overview/index.md"]
    assert all(f">{record.title}</a>" in text for record in records)
    assert "\u2026" not in text


def test_the_page_has_a_row_for_each_point_of_the_drawing() -> None:
    text = render_site(catalogue(PAIRED, SPARSITY, DARK, results={PRUNING.id: (results(),)}), {})[
        "overview/index.md"
    ]
    assert "1 of 3 tactics have results." in text
    assert len(re.findall(r'<tr><th scope="row">', text)) == 2
    assert text.count('class="gt-plot ') == 2 * 2
    assert f"energy, {SETTING}; modelled, read in the abstract of the source</small>" in text


def test_without_results_the_page_says_so() -> None:
    text = render_site(catalogue(SPARSITY, DARK), {})["overview/index.md"]
    assert "No tactic has results yet." in text
    assert "<svg" not in text


def test_the_catalogue_pairs_only_what_its_sources_pair() -> None:
    pairs = {name: pair for name, record in REAL.records.items() if (pair := published_pair(record))}
    assert "train-for-sparse-activations" in pairs
    for pair in pairs.values():
        assert (pair.effect.source, pair.effect.setting) == (pair.quality.source, pair.quality.setting)
