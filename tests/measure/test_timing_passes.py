"""Nets that repeats leave behind are timed in processes of their own."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from greentactics.cli.measure import control_needed
from greentactics.measure import runner
from greentactics.measure.journal import Journal
from greentactics.measure.measuring import Existing, measure, partial_folder
from greentactics.models.timings import CONTROL
from greentactics.records.loading import load_results
from greentactics.text.problems import UserError
from tests.examples.records import PRUNING, SPARSITY, catalogue
from tests.examples.synthetic import METRICS, results


@pytest.fixture
def request_timed(request_two, timed_checkout):
    return dataclasses.replace(request_two, latency_seeds=2, latency_cap_s=7.0)


def timed(root: Path) -> list[str]:
    return (root / "timed").read_text().splitlines() if (root / "timed").exists() else []


def test_times_the_nets_of_each_seed(request_timed, destination, recorder):
    measured = measure(request_timed, destination, recorder)
    stored = load_results(measured.path)
    assert stored.complete
    assert [(timing.seed, timing.engine) for timing in stored.timings] == [(0, "pytorch"), (1, "pytorch")]
    assert set(stored.timings[0].wall_ms) == {"baseline", "tactic", CONTROL}
    assert stored.not_timed == dict.fromkeys(("onnxruntime", "onnxruntime_int8"), "not installed")
    assert len(stored.timing_sha256) == 64
    assert timed(request_timed.root) == ["0 7", "1 7"]
    assert not partial_folder(request_timed).exists()


def test_times_nothing_where_arms_leave_no_nets(request_timed, destination, recorder, tell):
    tell("all", no_net=True)
    stored = measure(request_timed, destination, recorder).results
    assert stored.complete
    assert (stored.timings, stored.timing_sha256, timed(request_timed.root)) == ((), None, [])


def test_a_failed_pass_is_reported_and_made_again_on_resume(request_timed, destination, recorder, tell):
    tell("latency-1", exit=1)
    first = measure(request_timed, destination, recorder)
    assert not first.results.complete
    assert [(entry.arm, entry.seed) for entry in first.results.failures] == [("latency", 1)]
    assert "the outputs differ" in recorder.text
    tell("latency-1")
    again = measure(
        request_timed, dataclasses.replace(destination, existing=Existing.RESUME), recorder
    ).results
    assert again.complete
    assert timed(request_timed.root) == ["0 7", "1 7", "1 7"]
    assert [timing.seed for timing in again.timings] == [0, 1]


def test_a_pass_of_other_nets_is_refused(request_timed, destination, recorder, tell):
    tell("latency-0", seed=5)
    results = measure(request_timed, destination, recorder).results
    assert "not a timing pass of these nets" in results.failures[0].output


def test_changed_code_times_again(request_timed, destination, recorder):
    needed = dataclasses.replace(destination, existing=Existing.IF_NEEDED)
    assert not measure(request_timed, needed, recorder).reused
    assert measure(request_timed, needed, recorder).reused
    protocol = request_timed.root / "recipes" / "common" / "timing" / "__main__.py"
    protocol.write_text(protocol.read_text() + "\n\ndef time_all():\n    return 2\n")
    assert not measure(request_timed, needed, recorder).reused
    assert "the timing protocol has been changed since" in recorder.text


def test_a_protocol_edited_meanwhile_is_refused(request_timed, destination, recorder, monkeypatch):
    checksums = iter(["a" * 64, "b" * 64])
    monkeypatch.setattr("greentactics.measure.runner.protocol_checksum", lambda root: next(checksums))
    with pytest.raises(UserError, match="the timing protocol was edited meanwhile"):
        measure(request_timed, destination, recorder)
    assert not list(partial_folder(request_timed).glob("timings/*/*.json"))


def test_a_recipe_edited_while_its_nets_are_timed_is_refused(
    request_timed, destination, recorder, monkeypatch
):
    recipe, time_nets = request_timed.root / "recipes" / "fake_tactic.py", runner.time_nets

    def edited_meanwhile(*arguments):
        timed = time_nets(*arguments)
        recipe.write_text(recipe.read_text() + "\n\ndef run():\n    return 2\n")
        return timed

    monkeypatch.setattr(runner, "time_nets", edited_meanwhile)
    with pytest.raises(UserError, match=r"the recipe.*was edited meanwhile.*--replace"):
        measure(request_timed, destination, recorder)


def test_the_net_of_a_failed_repeat_is_not_timed(request_timed, recorder):
    journal = Journal(partial_folder(request_timed))
    journal.begin(runner.make_plan(request_timed))
    journal.net("magnitude", 0).write_text("net of magnitude")
    performed = runner.perform(request_timed, journal, recorder)
    assert set(performed.passes[0].timings[0].wall_ms) == {"baseline", "tactic", CONTROL}


def test_results_without_the_control_are_measured_anew_when_needed(request_two, destination, recorder):
    needed = dataclasses.replace(destination, existing=Existing.IF_NEEDED)
    measure(request_two, needed, recorder)
    controlled = dataclasses.replace(request_two, control=True)
    assert not measure(controlled, needed, recorder).reused
    assert "the baseline was not run a second time" in recorder.text
    assert measure(controlled, needed, recorder).reused


@pytest.mark.parametrize(
    ("provenances", "wanted"),
    [
        (["measured"], True),
        (["metered"], True),
        (["modelled"], False),
        (["counted"], False),
        (["modelled", "metered"], True),
        ([], True),
    ],
)
def test_the_control_is_run_unless_the_headline_is_known_to_be_modelled_or_counted(provenances, wanted):
    cost = METRICS[PRUNING.recipe.cost_metric]
    measured_before = tuple(
        results(metrics=METRICS | {PRUNING.recipe.cost_metric: cost.model_copy(update={"provenance": word})})
        for word in provenances
    )
    known = catalogue(PRUNING, results={PRUNING.id: measured_before})
    assert control_needed(known, PRUNING.id) is wanted
    assert not control_needed(catalogue(SPARSITY), SPARSITY.id)
    assert not control_needed(None, PRUNING.id)


def test_the_control_is_the_baseline_run_again(request_two, destination, recorder):
    results = measure(dataclasses.replace(request_two, control=True), destination, recorder).results
    assert results.arms == ("baseline", "tactic")
    assert results.values(CONTROL, "energy") == results.values("baseline", "energy")
    started = (request_two.root / "started").read_text().splitlines()
    assert sum(line.startswith("baseline ") for line in started) == 4


def test_only_the_seeds_and_engines_asked_for_are_timed(request_timed, destination, recorder):
    fewer = dataclasses.replace(request_timed, latency_seeds=1, engines=("pytorch",))
    measure(fewer, destination, recorder)
    assert timed(request_timed.root) == ["0 7 pytorch"]


def test_passes_of_another_machine_are_refused(request_timed, destination, recorder, tell):
    tell("latency-1", device={"name": "Other Processor"})
    with pytest.raises(UserError, match=r'device\.name: "AMD EPYC" before, "Other Processor" now'):
        measure(request_timed, destination, recorder)


def test_how_many_ran_side_by_side_is_kept(request_two, destination, recorder):
    assert measure(dataclasses.replace(request_two, jobs=2), destination, recorder).results.jobs == 2
