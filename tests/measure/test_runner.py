from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from greentactics.measure.journal import locked
from greentactics.measure.measuring import Existing, device_slug, measure, partial_folder
from greentactics.measure.processes import child_environment, interleave, stop_all
from greentactics.models.results import DeviceInfo
from greentactics.records.git import Revision
from greentactics.records.loading import load_results
from greentactics.text.problems import UserError
from tests.examples.measuring_runs import existing, kept, started

DEVICE = DeviceInfo(kind="cpu", name="AMD EPYC", cores=2, memory_bytes=1, system="Linux", machine="x86_64")


def nothing_temporary(root: Path) -> bool:
    return not [path for path in root.rglob(".*") if path.is_file()]


def test_interleaves_the_arms_of_each_seed_in_a_fixed_order():
    pairs = interleave(("baseline", "tactic", "magnitude"), range(8))
    assert [pair.seed for pair in pairs] == [seed for seed in range(8) for _ in range(3)]
    orders = {tuple(pair.arm for pair in pairs[start : start + 3]) for start in range(0, 24, 3)}
    assert len(orders) > 2
    assert all(sorted(order) == ["baseline", "magnitude", "tactic"] for order in orders)
    assert interleave(("baseline", "tactic", "magnitude"), range(8)) == pairs


def test_jobs_take_turns_between_as_many_seeds():
    pairs = interleave(("baseline", "tactic"), range(3), 2)
    assert [pair.seed for pair in pairs] == [0, 1, 0, 1, 2, 2]
    assert set(pairs) == set(interleave(("baseline", "tactic"), range(3)))


def test_measures_and_writes_one_file(request_two, destination, recorder):
    every_arm = dataclasses.replace(request_two, arms=())
    measured = measure(every_arm, destination, recorder)
    assert measured.path == destination.out_dir / "fake-tactic" / "cpu-amd-epyc-2-cores.json"
    results = load_results(measured.path)
    assert results == measured.results
    assert results.complete
    assert set(results.arms) == {"baseline", "tactic", "magnitude"}
    assert results.values("tactic", "energy") == {0: 2.0, 1: 2.1}
    assert results.device_slug == "cpu-amd-epyc-2-cores"
    assert results.commit is None
    assert not results.dirty
    order = [(repeat.arm, repeat.seed) for repeat in results.repeats]
    pairs = interleave(("baseline", "tactic", "magnitude"), range(2))
    assert order == [(pair.arm, pair.seed) for pair in pairs]
    assert "data: digits, threads 1 PASSIVE" in recorder.lines
    assert recorder.text.count("data: ") == 1
    assert kept(request_two) == []
    assert nothing_temporary(request_two.root)


def test_runs_several_at_the_same_time(request_two, destination, recorder):
    request = dataclasses.replace(request_two, jobs=3)
    assert measure(request, destination, recorder).results.complete
    assert [line.split()[0] for line in recorder.lines[:4]] == ["no", *["started"] * 3]


def test_runs_chosen_arms_with_the_named_data(request_two, destination, recorder, tmp_path):
    request = dataclasses.replace(request_two, arms=("tactic", "baseline"), data_dir=tmp_path, threads=2)
    results = measure(request, destination, recorder).results
    assert set(results.arms) == {"baseline", "tactic"}
    assert results.threads == 2
    assert all(line.endswith(str(tmp_path)) for line in started(request.root))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tactic": "fake-tactics"}, "did you mean fake-tactic?"),
        ({"tactic": "zzz"}, "recipes there are: fake-tactic"),
        ({"preset": "huge"}, "huge: no such preset in this recipe; expected one of smoke, default, full"),
        (
            {"arms": ("rival",)},
            "rival: no such arm in this recipe; expected one of baseline, tactic",
        ),
    ],
)
def test_refuses_what_the_recipe_does_not_have(request_two, destination, recorder, change, message):
    with pytest.raises(UserError) as caught:
        measure(dataclasses.replace(request_two, **change), destination, recorder)
    assert message in str(caught.value)


def test_refuses_a_recipe_whose_arms_are_not_written_out(request_two, destination, recorder):
    recipe = request_two.root / "recipes" / "fake_tactic.py"
    recipe.write_text("ARMS = tuple(sorted(['baseline', 'tactic']))\nDEFAULT = None\n")
    with pytest.raises(UserError, match="expected ARMS, a tuple of names written out"):
        measure(request_two, destination, recorder)


def test_a_failing_repeat_is_reported_and_the_others_go_on(request_two, destination, recorder, tell):
    private = f"{Path.home()}/secret and {request_two.root}/recipes"
    tell("tactic-1", print=f"{private}\n\x1b[31mno luck\x1b[0m\x07", exit=3)
    measured = measure(request_two, destination, recorder)
    assert not measured.results.complete
    assert len(measured.results.repeats) == 3
    (failure,) = load_results(measured.path).failures
    assert (failure.arm, failure.seed, failure.exit_code) == ("tactic", 1, 3)
    assert failure.output.endswith("~/secret and recipes\nno luck")
    assert str(request_two.root) not in failure.output
    assert "\x1b" not in failure.output
    assert "failed tactic-1 3" in recorder.text
    assert len(kept(request_two)) == 3


def left_out(arm: str, seed: int = 0) -> str:
    return f'{{"arm": "{arm}", "seed": {seed}, "left_out": "no compiler"}}'


def test_a_rival_that_cannot_run_here_is_left_out_with_its_reason(request_two, destination, recorder, tell):
    tell("magnitude-0", raw=left_out("magnitude"))
    tell("magnitude-1", raw=left_out("magnitude", 1))
    measured = measure(dataclasses.replace(request_two, arms=()), destination, recorder)
    results = load_results(measured.path)
    assert results.complete
    assert results.arms == ("baseline", "tactic")
    assert results.left_out == {"magnitude": "no compiler"}
    with pytest.raises(UserError, match="no repeat of magnitude finished"):
        measure(
            dataclasses.replace(request_two, arms=("magnitude",)),
            existing(destination, Existing.REPLACE),
            recorder,
        )


def test_the_tactic_itself_is_never_left_out(request_two, destination, recorder, tell):
    tell("tactic-0", raw=left_out("tactic"))
    assert not measure(request_two, destination, recorder).results.complete


def test_failed_repeats_can_be_run_again(request_two, destination, recorder, tell):
    tell("tactic-1", exit=3)
    measure(request_two, destination, recorder)
    tell("tactic-1")
    measured = measure(request_two, existing(destination, Existing.RESUME), recorder)
    assert measured.results.complete
    assert len(measured.results.repeats) == 4
    assert len(started(request_two.root)) == 5
    assert recorder.totals == (4, 3)
    assert "continuing an unfinished run: 3 finished repeats kept" in recorder.lines


def test_an_arm_without_a_repeat_writes_nothing(request_two, destination, recorder, tell):
    tell("tactic-0", exit=1)
    tell("tactic-1", exit=1)
    with pytest.raises(UserError, match=r"no repeat of tactic finished, so no results .*--resume"):
        measure(request_two, destination, recorder)
    assert not destination.out_dir.exists()


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"nothing": True}, "the process ended without writing its file"),
        ({"raw": "{"}, "what the process wrote is not a run: the file: Invalid JSON"),
        ({"raw": '{"arm": 3}'}, "what the process wrote is not a run: tactic: Field required"),
        ({"energy": float("nan")}, "energy is nan, expected a finite number"),
        ({"killed": True}, "failed tactic-0 -9"),
    ],
)
def test_says_why_what_a_repeat_wrote_cannot_be_used(request_two, destination, recorder, tell, told, message):
    tell("tactic-0", **told)
    assert not measure(request_two, destination, recorder).results.complete
    assert message in recorder.text


def test_a_run_of_another_arm_is_refused(request_two, destination, recorder, tell):
    tell("tactic-0", arm="magnitude")
    measured = measure(request_two, destination, recorder)
    assert measured.results.failures[0].exit_code == 0
    assert "'tactic', 0) and wrote (" in recorder.text


def test_stops_a_repeat_that_takes_too_long(request_two, destination, recorder, tell):
    tell("tactic-0", wait_s=60)
    request = dataclasses.replace(request_two, timeout_s=1.0, jobs=3)
    assert not measure(request, destination, recorder).results.complete
    assert "stopped: it took longer than 1 s" in recorder.text


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"epochs": 4}, "config.epochs: 3 before, 4 now"),
        ({"data": "Fashion-MNIST"}, 'data.name: "digits" before, "Fashion-MNIST" now'),
        ({"unit": "J"}, 'energy.unit: "MAC energy" before, "J" now'),
    ],
)
def test_refuses_to_mix_conditions(request_two, destination, recorder, tell, told, message):
    for arm in ("baseline", "tactic"):
        tell(f"{arm}-1", **told)
    with pytest.raises(UserError) as caught:
        measure(request_two, destination, recorder)
    assert message in str(caught.value)
    assert "measure anew with --replace" in str(caught.value)
    assert len(kept(request_two)) == 2
    assert not destination.out_dir.exists()


def test_notices_that_the_recipe_was_edited_meanwhile(request_two, destination, recorder, tell):
    tell("tactic-0", edit=True)
    with pytest.raises(UserError, match="was edited meanwhile; nothing was written"):
        measure(request_two, destination, recorder)
    assert "tactic-0" not in kept(request_two)
    assert not destination.out_dir.exists()


def test_says_that_results_of_a_changed_tree_do_not_count(request_two, destination, recorder, monkeypatch):
    revision = Revision("a" * 40, dirty=True)
    monkeypatch.setattr("greentactics.measure.runner.read_revision", lambda root: revision)
    results = measure(request_two, destination, recorder).results
    assert (results.commit, results.dirty) == ("a" * 40, True)
    assert "files differ from the commit, so these results will not count as evidence" in recorder.lines


def test_repeats_see_a_relative_data_folder_as_the_user_does(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENTACTICS_DATA", "data")
    environment = child_environment(3)
    assert environment["GREENTACTICS_DATA"] == str(tmp_path / "data")
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["PYTHONHASHSEED"] == "0"


def test_stops_a_process_that_does_not_listen(tmp_path):
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)"
    command = [sys.executable, "-c", f"{deaf}; print(1, flush=True); time.sleep(60)"]
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    stop_all([process], grace_s=0.1)
    process.stdout.close()
    assert process.returncode == -signal.SIGKILL


def test_two_runs_at_the_same_time_are_refused(request_two, destination, recorder):
    with (
        locked(partial_folder(request_two)),
        pytest.raises(UserError, match="another measuring run of this tactic and preset is under way"),
    ):
        measure(request_two, destination, recorder)


@pytest.mark.parametrize(
    ("change", "slug"),
    [
        ({}, "cpu-amd-epyc-2-cores"),
        ({"name": "AMD EPYC 7B13 64-Core Processor"}, "cpu-amd-epyc-7b13-2-cores"),
        ({"name": "Intel(R) Core(TM) i7-8550U CPU @ 1.80GHz", "cores": 8}, "cpu-intel-core-i7-8550u-8-cores"),
        ({"name": "Apple M2", "cores": 1}, "cpu-apple-m2-1-core"),
        ({"model": "family 25, model 1"}, "cpu-amd-epyc-family-25-model-1-2-cores"),
        (
            {"name": "Intel(R) Xeon(R) Processor", "model": "family 6, model 207"},
            "cpu-intel-xeon-family-6-model-207-2-cores",
        ),
        ({"name": "Xeon Gold 6230", "model": "family 6, model 85"}, "cpu-xeon-gold-6230-2-cores"),
        ({"kind": "cuda", "name": "NVIDIA H200", "memory_bytes": 150_000_000_000}, "gpu-nvidia-h200-139-gib"),
        ({"name": "龍"}, "cpu-unknown-2-cores"),
        ({"name": "x" * 200}, "cpu-" + "x" * 68 + "-2-cores"),
    ],
)
def test_names_the_device(change, slug):
    assert device_slug(DEVICE.model_copy(update=change)) == slug
    assert len(slug) <= 80


def test_repeats_side_by_side_read_no_energy_meter(request_two, destination, recorder, monkeypatch):
    monkeypatch.setenv("GREENTACTICS_METER", "rapl")
    for jobs in (1, 2):
        request = dataclasses.replace(request_two, jobs=jobs)
        measure(request, existing(destination, Existing.REPLACE), recorder)
    meters = [line.split()[-1] for line in (request_two.root / "meters").read_text().splitlines()]
    assert meters == ["rapl"] * 4 + ["none"] * 4
