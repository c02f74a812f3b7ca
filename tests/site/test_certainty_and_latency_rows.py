"""What a page says of certainty and latency."""

from __future__ import annotations

import re

import pytest

from greentactics.api.documents import tactic_document
from greentactics.evidence.runs import TacticRun, tactic_runs
from greentactics.evidence.tactic import join
from greentactics.evidence.wording import metric_title
from greentactics.models.results import EnergyReading
from greentactics.models.timings import CONTROL
from greentactics.site.impact import metric_groups, panels
from greentactics.site.measurements import certainty_rows, meter_words, p_value, timed_views
from greentactics.site.pages import render_site
from tests.examples.records import PRUNING, catalogue
from tests.examples.synthetic import METRICS, UNCHANGED, results, timing

TITLES = [
    ("pruning_cpu_s", "s", "measured pruning CPU time"),
    ("energy_above_idle_j", "J", "measured energy above idle"),
    ("transmission_power_w", "W", "measured transmission power"),
    ("written_bytes", "bytes", "measured written bytes"),
]
ACCURACY = {"baseline": 0.9, "tactic": 0.89}
BYTES = {"baseline": 2048, "tactic": 1024}
COUNTED = {"flops": {"baseline": 4_000_000, "tactic": 3_000_000}, "allocated_bytes": BYTES}


FOR_MAGNITUDE = {
    "accuracy_fraction": {"baseline": 0.9, "magnitude": 0.88},
    "stored_bytes": {"baseline": 2048, "magnitude": 3072},
    "flops": {"baseline": 4_000_000, "magnitude": 2_000_000},
    "allocated_bytes": {"baseline": 2048, "magnitude": 1024},
}


@pytest.mark.parametrize(("name", "unit", "title"), TITLES)
def test_a_title_leaves_out_the_unit_unless_it_is_the_thing_counted(name, unit, title) -> None:
    info = METRICS["test_accuracy"].model_copy(update={"unit": unit, "provenance": "measured"})
    assert metric_title(PRUNING, name, info) == title


@pytest.mark.parametrize(("label", "named"), [("modelled energy", ""), ("operations", " energy")])
def test_a_claim_of_another_quantity_than_the_cost_says_which(label: str, named: str) -> None:
    assert PRUNING.recipe is not None
    recipe = PRUNING.recipe.model_copy(update={"cost_label": label})
    record = PRUNING.model_copy(update={"recipe": recipe})
    entry = results()
    runs = tactic_runs(record, [entry], checksum=UNCHANGED)
    assert next(iter(panels(record, runs).values())).marks[0].label == f"claimed{named}: AlexNet [1]"
    cost, *_ = metric_groups(record, runs)
    assert cost.claimed.startswith(f"{named} 3.7".lstrip())


def timed(*factors: float, **changes):
    passes = tuple(
        timing(
            seed,
            factor,
            test_count=2000,
            **({"accuracy_fraction": ACCURACY, "stored_bytes": BYTES} | COUNTED | changes),
        )
        for seed, factor in enumerate(factors)
    )
    return results(timings=passes, timing_sha256="e" * 64, not_timed={"onnxruntime": "onnx is not installed"})


def view(entry, timing_sha256="e" * 64, record=PRUNING) -> TacticRun:
    (found,) = tactic_runs(record, [entry], checksum=UNCHANGED, timing_sha256=timing_sha256)
    return found


def test_the_interval_the_smallest_effect_and_equivalence() -> None:
    rows = certainty_rows(view(results()))
    assert {row.arm for row in rows} == {"tactic", "magnitude", "weight_ordered"}
    cost, quality = (row for row in rows if row.arm == "tactic")
    assert cost.n == 5
    assert cost.students.startswith("7.4\u00d7 lower [7.3, 7.5]")
    assert cost.detectable.endswith("\u00d7")
    assert cost.equivalent == "\u2013"
    assert quality.detectable.endswith(" points")
    assert quality.equivalent == "shown, p < 0.001"


def test_equivalence_is_not_shown_by_a_missing_significance() -> None:
    lossy = results(arms=("baseline", "tactic"), factors={"tactic": (7.4, 3.1, -0.01, 8.0, 4.0)})
    (quality,) = (row for row in certainty_rows(view(lossy)) if "accuracy" in row.metric)
    assert quality.equivalent.startswith("not shown, p = ")


def test_one_pair_or_no_recipe_says_nothing() -> None:
    assert certainty_rows(view(results(seeds=1))) == ()
    assert certainty_rows(None) == ()


@pytest.mark.parametrize(("value", "text"), [(0.0001, "< 0.001"), (0.0345, "= 0.035"), (0.5, "= 0.5")])
def test_probabilities_have_two_digits(value, text) -> None:
    assert p_value(value) == text


def test_engines_stand_with_control_accuracy_and_size() -> None:
    (shown,) = timed_views([view(timed(2.0, 2.0, 2.0))])
    (group,) = shown.groups
    assert (group.engine, shown.run.timing_is_stale, shown.test_count) == ("PyTorch, eager", False, 2000)
    assert group.conditions == "batch 1, 1 thread, 3 processes of 6 rounds"
    assert group.control.startswith("1.00\u00d7")
    baseline, tactic = group.rows
    assert (baseline.arm, baseline.accuracy, baseline.size) == ("baseline", "90.00\u00a0%", "2\u00a0KiB")
    assert (tactic.shown, tactic.accuracy, tactic.size) == ("faster", "89.00\u00a0%", "1\u00a0KiB")
    assert tactic.compared.startswith("2.0\u00d7 lower")
    assert len(group.passes) == 3
    assert [(row.arm, row.flops, row.allocated) for row in shown.counted] == [
        ("baseline", "4 million", "2 KiB"),
        ("tactic", "3 million", "1 KiB"),
    ]
    assert shown.not_timed == (("ONNX Runtime, fp32 was not timed", "onnx is not installed"),)


def test_what_is_within_the_noise_is_not_called_faster() -> None:
    (shown,) = timed_views([view(timed(1.0, 2.0, 0.5, precise=False))])
    (group,) = shown.groups
    assert group.rows[1].shown == "no difference shown"
    assert group.conditions.endswith("; 3 of them ended at the time cap")
    (slower,) = timed_views([view(timed(0.5, 0.5, 0.5))])
    assert slower.groups[0].rows[1].shown == "slower"


@pytest.mark.parametrize(
    ("engine", "difference", "named"),
    [
        ("onnxruntime", 0.001, False),
        ("onnxruntime", 0.02, True),
        ("pytorch", 0.0, False),
        ("onnxruntime_int8", 0.2, False),
    ],
)
def test_outputs_that_differ_for_a_few_inputs_are_named(engine, difference, named) -> None:
    differences = {"baseline": 1e-7, CONTROL: 1e-7, "tactic": difference}
    (shown,) = timed_views([view(timed(2.0, 2.0, engine=engine, output_difference=differences))])
    told = "for up to 1\u00a0% of the inputs, by at most 2\u00a0% of the largest output"
    assert shown.groups[0].conditions.endswith(told) is named
    assert ("; outputs of tactic differ" in shown.groups[0].conditions) is named


def test_metered_energy_of_a_call_stands_below_its_engine() -> None:
    energy = {"baseline": (4.0,) * 5, CONTROL: (4.0,) * 5, "tactic": (1.0,) * 5}
    (shown,) = timed_views([view(timed(2.0, 2.0, 2.0, energy_j=energy))])
    (row,) = shown.groups[0].energy
    assert (row.what, row.energy, row.shown) == ("metered energy, gross", "1.000 J", "less")


def test_a_changed_protocol_makes_passes_stale() -> None:
    assert timed_views([view(timed(2.0, 2.0, 2.0), "f" * 64)])[0].run.timing_is_stale
    assert timed_views([view(results())]) == ()


def test_a_meter_that_gives_no_ratio_says_why() -> None:
    energy = {"baseline": (4.0,) * 5, CONTROL: (4.0,) * 5, "tactic": (-0.1,) * 5}
    (shown,) = timed_views([view(timed(2.0, 2.0, 2.0, energy_above_idle_j=energy))])
    (row,) = shown.groups[0].energy
    assert (row.what, row.energy) == ("metered energy above idle", "\u2013")
    assert row.compared == "\u2013 (a ratio needs positive values)"


def test_an_arm_without_a_net_in_one_seed_is_left_out_of_that_pass_only() -> None:
    whole, partly = timed(2.0), timed(2.0, arm="magnitude", **FOR_MAGNITUDE)
    (second,) = partly.timings
    both = (*whole.timings, second.model_copy(update={"seed": 1}))
    entry = whole.model_copy(
        update={"timings": both, "not_timed": {"pytorch": "arm weight_ordered: refused"}}
    )
    (shown,) = timed_views([view(entry)])
    sizes = {row.arm: (row.size, row.accuracy) for row in shown.groups[0].rows}
    assert sizes["tactic"] == ("1\u00a0KiB", "89.00\u00a0%")
    assert sizes["magnitude"] == ("3\u00a0KiB", "88.00\u00a0%")
    assert [row.flops for row in shown.counted] == ["4 million", "3 million", "2 million"]
    assert shown.not_timed == (
        ("PyTorch, eager was timed with some seeds only", "arm weight_ordered: refused"),
    )


def test_an_arm_timed_in_one_engine_only_is_listed_there_only() -> None:
    entry = timed(2.0, 2.0)
    exported = timing(2, 2.0, engine="onnxruntime", arm="magnitude")
    entry = entry.model_copy(update={"timings": (*entry.timings, exported)})
    made_up = catalogue(PRUNING, results={PRUNING.id: (entry,)})
    document = tactic_document(join(made_up, {})[PRUNING.id], made_up.bibliography)
    listed = [
        (found.engine, found.arm) for found in document.results[0].latency if found.quantity == "wall_ms"
    ]
    assert listed == [("pytorch", "tactic"), ("onnxruntime", "magnitude")]


def test_without_a_tolerance_nothing_is_called_the_same() -> None:
    strict = PRUNING.recipe.model_copy(update={"quality_tolerance_points": 0.0})
    rows = certainty_rows(view(results(), record=PRUNING.model_copy(update={"recipe": strict})))
    assert {row.equivalent for row in rows} == {"\u2013"}


def test_what_was_not_counted_is_left_out() -> None:
    assert timed_views([view(timed(2.0, 2.0, 2.0, flops=None))])[0].counted == ()


def test_the_page_and_the_document_carry_them() -> None:
    from greentactics.site.pages import render_site

    made_up = catalogue(PRUNING, results={PRUNING.id: (timed(2.0, 2.0, 2.0),)})
    files = render_site(made_up, {})
    page = files[f"tactics/{PRUNING.id}/index.md"]
    measurements = files[f"tactics/{PRUNING.id}/measurements/index.md"]
    for text in (page, measurements):
        assert "ONNX Runtime, fp32 was not timed: onnx is not installed." in text
        assert "none, so no joules" in text
        assert "PyTorch, eager" in text
        assert "<td>faster</td>" in text
    assert "## How sure" in measurements
    assert 'aria-label="Processes, PyTorch, eager"' in measurements
    document = tactic_document(join(made_up, {})[PRUNING.id], made_up.bibliography)
    assert not document.results[0].latency_is_stale
    latency, processor_time = document.results[0].latency
    assert (latency.engine, latency.difference_shown) == ("pytorch", True)
    assert (processor_time.quantity, processor_time.unit) == ("cpu_ms", "ms")


def test_a_meter_is_named_with_its_power_at_rest() -> None:
    entry = results()
    domains = {"package-0": 50.0}
    reading = EnergyReading(gross_j=50.0, above_idle_j=30.0, idle_power_w=12.5, by_domain_j=domains)
    repeats = tuple(repeat.model_copy(update={"energy": reading}) for repeat in entry.repeats)
    metered = entry.model_copy(
        update={"repeats": repeats, "meter": entry.meter.model_copy(update={"energy": "RAPL"})}
    )
    assert meter_words(view(metered)) == "RAPL; 12.5 W at rest"
    assert METRICS["energy_batch_1"].provenance == "modelled"


def test_a_measured_cost_stands_beside_its_control() -> None:
    entry = results(arms=("baseline", "tactic"))
    again = tuple(
        repeat.model_copy(update={"arm": CONTROL}) for repeat in entry.repeats if repeat.arm == "baseline"
    )
    measured = {
        name: info.model_copy(update={"provenance": "measured"}) if name == "energy_batch_1" else info
        for name, info in METRICS.items()
    }
    entry = entry.model_copy(update={"repeats": (*entry.repeats, *again), "metrics": measured})
    groups = {group.name: group for group in metric_groups(PRUNING, [view(entry)])}
    assert [row.label for row in groups["energy_batch_1"].rows] == ["tactic", "baseline again (A/A)"]
    assert [row.arm for row in groups["energy_batch_48"].rows] == ["tactic"], "a modelled cost has no noise"


def test_each_device_has_its_own_latency() -> None:
    here = timed(2.0, 2.0, 2.0)
    there = here.device.model_copy(update={"kind": "cuda", "name": "Fast", "model": "139 GiB"})
    fast = timed(4.0, 4.0, 4.0).model_copy(update={"device": there, "device_slug": "gpu-fast"})
    again = here.model_copy(update={"device_slug": "other-subject"})
    shown = timed_views([view(here), view(again), view(fast)])
    assert [entry.run.results for entry in shown] == [here, fast]
    committed = (here, fast)
    made = catalogue(PRUNING, results={PRUNING.id: committed})
    text = render_site(made, {})[f"tactics/{PRUNING.id}/measurements/index.md"]
    assert re.findall(r"\{#(latency\S*)\}", text) == ["latency", "latency-b"]
    page = render_site(made, {})[f"tactics/{PRUNING.id}/index.md"]
    assert 'On Fast, run <a href="measurements/index.html#latency-b">B</a>' in page
