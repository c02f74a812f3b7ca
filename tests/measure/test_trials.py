"""Recipes that are tried on subjects: a process a seed, kept one by one, on seeds that chose nothing."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path

import pytest

from greentactics.measure import runner
from greentactics.measure.measuring import Existing, NothingYet, first_seed, measure, partial_folder
from greentactics.measure.processes import TimeLimit
from greentactics.measure.runner import Request, accelerator_for, resolve
from greentactics.models.results import DeviceInfo
from greentactics.records.recipes import contract_problems, read_outline
from greentactics.text.problems import Rule, UserError
from tests.examples.measuring_runs import existing, started

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture
def trial(checkout) -> Request:
    """Two seeds with all arms."""
    shutil.copyfile(EXAMPLES / "fake_trial.py", checkout / "recipes" / "fake_trial.py")
    request = Request(checkout, "fake-trial", "default", (), 2, latency_seeds=1, latency_cap_s=3.0)
    return dataclasses.replace(request, first_seed=first_seed(request, checkout / "recipes" / "results"))


def tell(request, name, **told):
    (request.root / "told" / name).write_text(json.dumps(told))


def test_a_seed_is_one_process_with_all_arms(trial, destination, recorder):
    results = measure(trial, destination, recorder).results
    assert started(trial.root) == ["1000 None 3", "1001 None 0"]  # the nets of the first seed are timed
    assert results.seeds == (1000, 1001)
    assert results.arms == ("baseline", "tactic", "as_given", "rival")
    assert results.subject == "lenet_fashion"
    assert results.values("tactic", "energy") == {1000: 102.0, 1001: 102.1}
    assert results.complete
    assert results.not_timed == {"onnxruntime": "not asked for"}
    assert results.repeats[0].scores is not None
    assert results.repeats[0].scores.unpacked().tolist() == [0, 1, 0, 0]


def test_what_was_finished_is_kept_and_the_rest_is_run(trial, destination, recorder):
    tell(trial, "trial-1001", exit=3)
    assert not measure(trial, destination, recorder).results.complete
    (trial.root / "told" / "trial-1001").unlink()
    results = measure(trial, existing(destination, Existing.RESUME), recorder).results
    assert results.complete
    assert [line.split()[0] for line in started(trial.root)] == ["1000", "1001", "1001"]


def test_time_that_is_up_leaves_what_is_complete(trial, destination, recorder, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(TimeLimit, "is_enough", property(lambda limit: limit.longest_s == 0))
        measured = measure(dataclasses.replace(trial, until_s=time.monotonic() + 900), destination, recorder)
    assert (measured.left, measured.results.seeds) == (1, (1000,))
    assert not measured.results.complete
    assert not measured.results.failures
    shutil.rmtree(partial_folder(trial))  # as on another machine, to which only the results were taken
    lent = dataclasses.replace(
        existing(destination, Existing.IF_NEEDED),
        out_dir=trial.root / "build" / "results",
        known=(destination.out_dir,),
    )
    results = measure(trial, lent, recorder).results
    assert results.complete
    assert results.seeds == (1000, 1001)
    assert results.repeats[:4] == measured.results.repeats
    assert [line.split()[0] for line in started(trial.root)] == ["1000", "1001"]
    assert measure(trial, lent, recorder).reused


def test_without_time_nothing_is_begun(trial, destination, recorder):
    with pytest.raises(NothingYet, match=r"no time for .*tactic.*; 0 finished repeats"):
        measure(dataclasses.replace(trial, until_s=time.monotonic()), destination, recorder)
    assert started(trial.root) == []


def test_nets_are_trained_where_it_is_asked_for(trial, destination, recorder, monkeypatch):
    gpu = DeviceInfo(kind="cuda", name="Fast", cores=1, memory_bytes=2**30, system="Linux", machine="x86_64")
    monkeypatch.setattr(runner, "find_accelerator", lambda root, wanted: gpu)
    assert accelerator_for(trial.root, "fake-trial", "auto") == gpu
    assert accelerator_for(trial.root, "fake-trial", "cpu") is None
    assert accelerator_for(trial.root, "fake-tactic", "auto") is None
    with pytest.raises(UserError, match="--device: expected cpu for fake-tactic"):
        accelerator_for(trial.root, "fake-tactic", "cuda")
    there = dataclasses.replace(trial, accelerator=gpu, seed_count=1)
    measure(there, destination, recorder)
    assert started(trial.root) == ["1000 None 3 cuda"]


def test_a_rival_that_does_not_fit_is_left_out_and_said(trial, destination, recorder):
    tell(trial, "all", left_out={"rival": "it has no channels"})
    results = measure(trial, destination, recorder).results
    assert results.complete
    assert results.arms == ("baseline", "tactic", "as_given")
    assert results.left_out == {"rival": "it has no channels"}


def test_another_subject_is_measured_beside_that_of_the_recipe(trial, destination, recorder, tmp_path):
    mine = tmp_path / "mine.py"
    mine.write_text("def build_model(): ...\n")
    own = measure(trial, destination, recorder)
    other = measure(dataclasses.replace(trial, subject=str(mine)), destination, recorder)
    assert other.path.name == own.path.name.replace(".json", "-mine.json")
    assert other.results.subject == "mine"


def test_seeds_whose_test_figures_were_seen_are_not_read_again_by_other_code(trial, destination, recorder):
    out_dir = destination.out_dir
    measure(trial, destination, recorder)
    assert first_seed(trial, out_dir) == 1000  # the same code measures the same seeds on other machines
    recipe = trial.root / "recipes" / "fake_trial.py"
    recipe.write_text(recipe.read_text().replace('yield "one", study.copy()', 'yield "two", study.copy()', 1))
    assert first_seed(trial, out_dir) == 1100
    assert first_seed(dataclasses.replace(trial, subject="digits_cnn"), out_dir) == 1000


@pytest.mark.parametrize(
    ("seeds", "unchanged", "changed"),
    [(range(2), 1000, 1000), (range(1000, 1002), 1000, 1100), (range(1100, 1102), 1100, 1200)],
)
def test_a_workload_of_its_own_is_published_from_the_same_seed_on(
    request_two, destination, recorder, seeds, unchanged, changed
):
    one = dataclasses.replace(request_two, first_seed=seeds[0])
    assert measure(one, destination, recorder).results.seeds == tuple(seeds)  # from 0 on: as it once was
    assert first_seed(one, destination.out_dir) == unchanged
    recipe = one.root / "recipes" / f"{one.tactic.replace('-', '_')}.py"
    recipe.write_text(recipe.read_text() + "\n\ndef run():\n    return 2\n")
    assert first_seed(one, destination.out_dir) == changed


def test_arms_run_together_and_a_workload_of_its_own_has_no_subject(trial, request_two):
    with pytest.raises(UserError, match="chosen and timed beside each other"):
        resolve(dataclasses.replace(trial, arms=("tactic",)))
    with pytest.raises(UserError, match="brings a workload of its own"):
        resolve(dataclasses.replace(request_two, subject="digits_cnn"))


def test_the_outline_holds_the_arms_of_the_harness(trial):
    outline = read_outline(trial.root, "fake-trial")
    assert outline.arms == ("baseline", "as_given", "tactic", "rival")
    assert outline.presets == ("smoke", "default", "full")
    recipe = trial.root / "recipes" / "fake_trial.py"
    recipe.write_text(recipe.read_text() + "\nRETRAINS = False\n")
    assert read_outline(trial.root, "fake-trial").arms == ("baseline", "tactic", "rival")


@pytest.mark.parametrize(
    ("was", "now", "rule", "said"),
    [
        ("(tactic, rival)", "(rival, tactic)", Rule.RECIPE_ARMS, "that starts with tactic"),
        ('"full": "lenet_fashion"', '"more": "lenet_fashion"', Rule.RECIPE_PRESETS, "a subject"),
        ('COST = "energy"', "COST = 3", Rule.RECIPE_RUN, "the metric that is wanted lower"),
    ],
)
def test_what_breaks_the_contract_is_told(was, now, rule, said):
    text = (
        EXAMPLES / "fake_trial.py"
    ).read_text() + "\n# --8<-- [start:tactic]\nX = 1\n# --8<-- [end:tactic]\n"
    assert contract_problems(text, "recipes/fake_trial.py", "fake-trial") == []
    (problem,) = contract_problems(text.replace(was, now), "recipes/fake_trial.py", "fake-trial")
    assert problem.rule is rule
    assert said in problem.expected
