"""What a tactic's page shows of the measurements itself, and what the page of measurements adds."""

from __future__ import annotations

import re

import pytest

from greentactics.evidence.comparison import compare
from greentactics.evidence.runs import tactic_runs
from greentactics.evidence.wording import estimate_phrase, typographic
from greentactics.site.impact import full_impact, headline_impact, rival_rows, rivals_table, together_table
from greentactics.site.pages import render_site
from tests.examples.records import PRUNING, SPARSITY, catalogue
from tests.examples.synthetic import FACTORS, results

RECIPE = PRUNING.recipe
VERDICT = ("modelled energy, batch 1", "accuracy")
PAGE = f"tactics/{PRUNING.id}/index.md"
MEASUREMENTS = f"tactics/{PRUNING.id}/measurements/index.md"


def files(*committed, local=()):
    made = catalogue(PRUNING, SPARSITY, results={PRUNING.id: committed})
    return render_site(made, {PRUNING.id: tuple(local)})


def views(*committed, checksum=None):
    runs = tactic_runs(PRUNING, committed, checksum=checksum)
    return runs, full_impact(PRUNING, runs)


def row_heads(text: str) -> list[str]:
    table = text.partition('aria-label="Reproduced figures"')[2].partition("</table>")[0]
    return re.findall(r'<th scope="row">(.*?)(?: <small>.*?)?</th>', table)


def test_the_page_holds_the_tactic_in_each_metric_and_rivals_in_those_of_the_verdict() -> None:
    runs, full = views(results())
    headline = headline_impact(PRUNING, full, runs[0])
    assert [group.name for group in headline.groups] == [group.name for group in full.groups]
    assert {row.arm for group in headline.groups for row in group.rows} == {"tactic"}
    assert [panel.title for panel in headline.panels.values()] == list(VERDICT)
    assert {row.arm for group in full.groups for row in group.rows} == {
        "tactic", "magnitude", "weight_ordered",
    }  # fmt: skip


def test_the_runs_tell_the_processor_and_how_much_of_it_a_container_had() -> None:
    entry = results()
    assert "<td>Example Processor 9000, 2 cores, 1 thread</td>" in files(entry)[MEASUREMENTS]
    capped = entry.device.model_copy(update={"model": "family 26, model 2", "quota_cores": 1.5})
    text = files(entry.model_copy(update={"device": capped}))[MEASUREMENTS]
    assert "<td>Example Processor 9000 (family 26, model 2), 2 cores (quota 1.5), 1 thread</td>" in text


def test_a_run_tells_which_rival_it_is_without_and_why() -> None:
    entry = results().model_copy(update={"left_out": {"by_chance": "no convolution with 3 channels < 4"}})
    for page in (PAGE, MEASUREMENTS):
        assert (
            "<p>Run A is without by chance: no convolution with 3 channels &lt; 4.</p>" in files(entry)[page]
        )


def test_rivals_stand_beside_the_baseline_and_beside_the_tactic() -> None:
    entry = results()
    runs, full = views(entry)
    table = rivals_table(PRUNING, full, rival_rows(PRUNING, runs), runs[0])
    assert table is not None
    assert table.columns == (
        *(f"{title}: against the baseline" for title in VERDICT),
        *(f"{title}: the tactic against it" for title in VERDICT),
        "n",
    )
    magnitude, ordered = table.rows
    assert (magnitude[0], ordered[0]) == ("magnitude", "weight ordered")
    against_baseline = compare(entry, "magnitude", RECIPE.cost_metric)
    against_tactic = compare(entry, "tactic", RECIPE.quality_metric, "magnitude")
    assert magnitude[1] == typographic(estimate_phrase(against_baseline))
    assert magnitude[4].startswith(typographic(estimate_phrase(against_tactic)))
    assert magnitude[5] == "5"


def test_the_tactic_joined_with_another_stands_beside_each_of_the_two_alone() -> None:
    factors = {"magnitude": (4.0, 3.0, 0.0, 2.0, 2.0), "tactic_and_magnitude": (8.0, 3.0, 0.0, 2.0, 2.0)}
    arms = ("baseline", "tactic", *factors)
    entry = results(arms=arms, factors=factors | {"tactic": (7.0, 3.0, 0.0, 2.0, 2.0)}, spread=0.0)
    runs, full = views(entry)
    table = together_table(PRUNING, runs[0])
    assert [row[0] for row in table.rows] == [
        "tactic and magnitude, against magnitude",
        "tactic and magnitude, against tactic",
    ]
    joined = compare(entry, "tactic_and_magnitude", RECIPE.cost_metric, "magnitude")
    assert joined.value == pytest.approx(2)
    assert table.rows[0][1] == typographic(estimate_phrase(joined))
    rivals = rivals_table(PRUNING, full, rival_rows(PRUNING, runs), runs[0])
    assert [row[0] for row in rivals.rows] == ["magnitude"]
    assert 'aria-label="Together"' in files(entry)[PAGE]
    assert together_table(PRUNING, views(results())[0][0]) is None


def test_on_a_second_device_cost_and_quality_are_shown_and_the_rest_is_linked() -> None:
    found = files(results(), results(device_slug="zz-other-device"))
    heads = row_heads(found[PAGE])
    assert [heads.count(title) for title in VERDICT] == [2, 2]
    assert heads.count("effective MACs") == 1
    assert found[MEASUREMENTS].count('<th scope="row">tactic</th>') >= 2 * 5


def test_the_page_links_what_it_leaves_out() -> None:
    found = files(results())
    assert '<a href="measurements/index.html">All measurements</a>: each metric and arm' in found[PAGE]
    assert '<a href="../index.html#impact">' in found[MEASUREMENTS]
    assert "Modelled energy of one image at batch 48." in found[MEASUREMENTS]
    assert "Modelled energy of one image at batch 48." not in found[PAGE]


@pytest.mark.parametrize("words", ["## Runs", "## Against the baseline", "## Against rivals", "## How sure"])
def test_sections_of_the_measurements(words) -> None:
    assert words in files(results())[MEASUREMENTS]


def test_without_results_there_are_no_measurements_to_link() -> None:
    found = files()
    assert MEASUREMENTS not in found
    assert "measurements/index.html" not in found[PAGE]


def test_stale_results_are_shown_without_rivals_and_drawings() -> None:
    found = files(results(recipe_sha256="c" * 64))
    assert len(row_heads(found[PAGE])) == 5
    assert 'aria-label="Rivals"' not in found[PAGE]
    assert "## Against rivals" not in found[MEASUREMENTS]
    assert 'class="gt-stale"' in found[MEASUREMENTS]


def test_results_of_this_machine_stand_in_the_same_table() -> None:
    heads = row_heads(files(results(), local=[results(dirty=True)])[PAGE])
    assert heads.count("accuracy") == heads.count("accuracy, this machine") == 1
    assert "effective MACs, this machine" not in heads


def test_the_net_as_given_is_shown_by_its_quality_alone() -> None:
    factors = FACTORS | {"as_given": (1.0, 1.0, -0.004, 1.0, 1.0)}
    _, impact = views(results(arms=("baseline", "as_given", "tactic", "magnitude"), factors=factors))
    with_it = [
        name for name, panel in impact.panels.items() if "net as given" in [m.label for m in panel.marks]
    ]
    assert with_it == ["test_accuracy"]
