"""Entries of the selector and its page without a script."""

from __future__ import annotations

import json
import re

import pytest

from greentactics.evidence.tactic import join
from greentactics.models.record import Effect
from greentactics.models.vocabulary import Direction, Quality
from greentactics.site.find import (
    RANKS,
    SelectorEntry,
    advised_improvements,
    questions,
    rank,
    script_json,
    selector_entries,
)
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, catalogue
from tests.examples.synthetic import FACTORS, METRICS, results

HOSTILE = "</script><img src=x onerror=alert(1)> ``` ~~~ {{ 7 * 7 }} & \u2028 <!-- \\u003c"


def entries(*records, **committed):
    made = catalogue(
        *records, results={record.id: committed["results"] for record in records[:1] if committed}
    )
    return selector_entries(join(made, {}).values())


def pruning(*committed) -> SelectorEntry:
    return entries(PRUNING, results=committed)[0]


def page(*records) -> str:
    return render_site(catalogue(*records, results={PRUNING.id: (results(),)}), {})["find/index.md"]


def with_factors(points: float):
    energy, energy_48, _, weights, macs = FACTORS["tactic"]
    return results(factors=FACTORS | {"tactic": (energy, energy_48, points, weights, macs)})


def test_a_reproduced_figure_brings_effect_loss_provenance_and_device() -> None:
    entry = pruning(results())
    assert entry.effect == pytest.approx(7.4, abs=0.1)
    assert entry.effect_on == ("energy-efficiency",)
    assert entry.provenance == "modelled"
    assert entry.devices == ("cpu",)
    assert entry.reproduced is not None
    assert entry.reproduced.startswith("modelled energy 7.4\u00d7 lower [")
    assert entry.quality is not None
    assert entry.quality.startswith("\u22120.6 points of accuracy [")


def test_a_reproduced_time_stands_for_time_behaviour_whatever_its_unit() -> None:
    found = [entry for entry in selector_entries(join(REAL, {}).values()) if entry.reproduced]
    times = [entry for entry in found if "time" in str(entry.reproduced).split()]
    assert 0 < len(times) < len(found)
    for entry in found:
        assert ("time-behaviour" in entry.effect_on) == (entry in times), entry.id


def test_the_loss_is_the_worse_end_of_the_interval() -> None:
    entry = pruning(results())
    low = re.findall(r"\[\u2212([0-9.]+)", entry.quality or "")
    assert entry.loss_points == pytest.approx(float(low[0]), abs=0.05)
    assert entry.loss_points is not None
    assert entry.loss_points > 0.6


def test_a_gain_of_quality_is_a_negative_loss() -> None:
    loss = pruning(with_factors(0.02)).loss_points
    assert loss is not None
    assert -2 < loss < -1.5


def test_a_quality_that_is_better_lower_loses_upwards() -> None:
    turned = METRICS | {"test_accuracy": METRICS["test_accuracy"].model_copy(update={"better": "lower"})}
    loss = pruning(results(metrics=turned)).loss_points
    assert loss is not None
    assert loss < 0


def test_a_quality_that_is_no_fraction_has_no_loss_in_points() -> None:
    turned = METRICS | {"test_accuracy": METRICS["test_accuracy"].model_copy(update={"unit": "count"})}
    entry = pruning(results(metrics=turned))
    assert entry.loss_points is None
    assert entry.quality is not None
    assert entry.quality.startswith("accuracy 1.0")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dirty": True}, "uncommitted changes"),
        ({"seeds": 1}, "fewer than 5 seeds"),
        ({"complete": False}, "incomplete"),
    ],
)
def test_a_figure_that_is_no_evidence_is_shown_with_the_reason_and_moves_nothing(changes, reason) -> None:
    entry = pruning(results(**changes))
    assert entry.reproduced is not None
    assert reason in (entry.not_counted or "")
    assert (entry.effect, entry.loss_points) == (None, None)
    assert (entry.provenance, entry.devices) == ("none", ("none",))


def test_smoke_stale_and_missing_results_leave_nothing_to_show() -> None:
    for committed in ((), (results(preset="smoke"),), (results(recipe_sha256="c" * 64),)):
        entry = pruning(*committed)
        assert (
            entry.reproduced
            is entry.not_counted
            is entry.effect
            is entry.quality
            is entry.loss_points
            is None
        )
        assert (entry.provenance, entry.devices, entry.effect_on) == ("none", ("none",), ())


def test_a_difference_that_is_not_shown_does_not_count_as_effect() -> None:
    none = FACTORS | {"tactic": (1.0, *FACTORS["tactic"][1:])}
    entry = pruning(results(factors=none))
    assert entry.reproduced is not None
    assert entry.effect is None


def test_a_claim_never_outranks_a_reproduction() -> None:
    small = FACTORS | {"tactic": (1.2, *FACTORS["tactic"][1:])}
    found = entries(PRUNING, SPARSITY, DARK, results=(results(arms=("baseline", "tactic"), factors=small),))
    assert [(entry.id, entry.effect is None) for entry in found] == [
        (PRUNING.id, False), (SPARSITY.id, True), (DARK.id, True),
    ]  # fmt: skip
    assert [entry.evidence for entry in found] == ["E3", "E2", "E1"]


def test_a_counted_factor_never_outranks_a_modelled_one() -> None:
    counted = PRUNING.model_copy(update={"id": f"{PRUNING.id}-counted"})
    larger = results(
        tactic=counted.id,
        factors=FACTORS | {"tactic": (400.0, *FACTORS["tactic"][1:])},
        metrics=METRICS
        | {"energy_batch_1": METRICS["energy_batch_1"].model_copy(update={"provenance": "counted"})},
    )
    made = catalogue(PRUNING, counted, DARK, results={PRUNING.id: (results(),), counted.id: (larger,)})
    found = selector_entries(join(made, {}).values())
    assert [(entry.id, rank(entry)) for entry in found] == [
        (PRUNING.id, "modelled"), (counted.id, "counted"), (DARK.id, "none"),
    ]  # fmt: skip
    text = render_site(made, {})["find/index.md"]
    headings = re.findall(r'<tr class="gt-rank"><td colspan="6">(.*?)</td>', text)
    assert headings == [RANKS[word] for word in ("modelled", "counted", "none")]


def test_the_catalogue_is_ranked_within_one_kind_only() -> None:
    found = selector_entries(join(REAL, {}).values())
    places = [(list(RANKS).index(rank(entry)), -(entry.effect or 0)) for entry in found]
    assert places == sorted(places)
    assert len({place for place, _ in places}) > 2


def test_a_habit_to_avoid_is_no_answer_to_what_must_improve() -> None:
    better = Effect(quality=Quality.SAFETY, direction=Direction.IMPROVES, reason="A reason.")
    record = DARK.model_copy(update={"effects": (*DARK.effects, better)})
    (entry,) = entries(record)
    assert "safety" in entry.improves
    assert advised_improvements(entry) == ()
    assert "safety" not in dict(questions([entry])[0].choices)


def test_choices_that_fit_no_tactic_are_not_asked() -> None:
    found = entries(PRUNING, results=(results(),))
    asked = {question.name: dict(question.choices) for question in questions(found)}
    assert asked["stages"] == {"compression": "Compression"}
    assert asked["devices"] == {"cpu": "Processor, no GPU"}
    assert asked["provenance"] == {"modelled": "Modelled"}
    assert list(asked["evidence"]) == ["E1", "E2", "E3"]
    assert "functional-correctness" not in asked["keeps"]


def test_each_choice_says_how_many_tactics_it_leaves_when_nothing_else_is_chosen() -> None:
    found = entries(PRUNING, SPARSITY, DARK, results=(results(),))
    asked = {question.name: question for question in questions(found)}
    assert asked["kind"].counts == {"awesome": 2, "dark": 1}
    assert asked["evidence"].counts == {"E0": 3, "E1": 3, "E2": 2, "E3": 1}
    for word, _ in asked["keeps"].choices:
        assert asked["keeps"].counts[word] == sum(word not in entry.worsens for entry in found), word
    for name in ("improves", "stages", "devices"):
        for word, _ in asked[name].choices:
            label = re.escape(dict(asked[name].choices)[word])
            shown = rf'name="{name}" value="{word}"><span>{label}</span> <small>{asked[name].counts[word]}<'
            assert re.search(shown, page(PRUNING, SPARSITY, DARK)), word


def test_the_table_holds_all_tactics_with_claim_and_reproduction_apart() -> None:
    text = page(PRUNING, SPARSITY, DARK)
    rows = re.findall(r"<tr><th scope=\"row\">.*", text)
    assert len(rows) == 3
    assert f'href="../tactics/{PRUNING.id}/index.html"' in rows[0]
    assert '<td data-label="Reproduced">modelled energy 7.4\u00d7 lower' in rows[0]
    assert '<td data-label="Claimed">energy 3.7\u00d7 lower (AlexNet)' in rows[0]
    assert ">E3</a>" in rows[0]
    assert all('<td data-label="Reproduced">not yet' in row for row in rows[1:])
    assert sum("a habit to avoid" in row for row in rows) == 1


def test_the_hint_on_comparing_stands_before_the_table() -> None:
    text = page(PRUNING, SPARSITY, DARK)
    (hint,) = re.findall(r'<p id="find-hint" class="gt-rule">(.*)</p>', text)
    assert hint == "Tick two to four tactics to compare them side by side."
    assert text.index("find-hint") < text.index('<table id="found"')
    assert 'aria-describedby="find-hint"' in text


def test_the_device_is_asked_for_without_unfolding() -> None:
    shown, _, folded = page(PRUNING, SPARSITY, DARK).partition("<details>")
    assert 'name="devices" value="none"' in shown
    assert 'name="devices"' not in folded
    assert 'name="stages"' in folded


def test_the_data_of_the_script_are_those_of_the_table() -> None:
    text = page(PRUNING, SPARSITY, DARK)
    found = re.search(r'<script type="application/json" id="find-data">(.*)</script>\n', text)
    assert found is not None
    data = json.loads(found[1])
    assert [tactic["id"] for tactic in data["tactics"]] == re.findall(
        r'"row"><input[^>]*><a href="../tactics/([^/]+)/', text
    )
    cited = {key for tactic in data["tactics"] for key in tactic["sources"]}
    assert set(data["sources"]) == cited
    assert data["sources"]["yang-2017"].startswith("@inproceedings{yang-2017,\n")


def test_a_strict_policy_for_content_lets_the_page_work() -> None:
    text = page(PRUNING, SPARSITY, DARK)
    assert not re.search(r"<[^>]+ (?:style|on\w+)=", text)
    assert re.findall(r"<script(?! type=\"application/(?:ld\+)?json\")[^>]*>[^<]*</script>", text) == [
        '<script defer src="../assets/selector.js"></script>'
    ]


def test_hostile_text_can_end_no_script() -> None:
    text = script_json({"a": HOSTILE})
    assert not set("<>&`~\u2028\n") & set(text)
    assert json.loads(text) == {"a": HOSTILE}


def test_hostile_records_stay_text_on_the_page() -> None:
    changes = {"title": HOSTILE[:80], "intent": HOSTILE, "applies_when": (HOSTILE,)}
    text = page(PRUNING.model_copy(update=changes), SPARSITY)
    assert "<img" not in text
    assert "```" not in text
    assert text.count("</script>") == 3
