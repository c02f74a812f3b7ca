from __future__ import annotations

import dataclasses
import datetime
import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from greentactics.measure import measuring
from greentactics.measure.measuring import (
    Existing,
    is_this_machine,
    measure,
    partial_folder,
    write_results,
)
from greentactics.measure.processes import interleave
from greentactics.measure.runner import Request
from greentactics.models.results import DeviceInfo
from greentactics.records.loading import load_results
from greentactics.text.problems import UserError
from tests.examples.measuring_runs import existing, kept, started


def test_refuses_to_replace_results_unasked(request_two, destination, recorder, tell):
    first = measure(request_two, destination, recorder)
    before = first.path.read_bytes()
    tell("all", epochs=5)
    with pytest.raises(UserError, match=r"results of this device are there; replace them with --replace"):
        measure(request_two, destination, recorder)
    assert first.path.read_bytes() == before
    with pytest.raises(UserError, match="replace them with --replace"):
        measure(request_two, existing(destination, Existing.RESUME), recorder)
    replaced = measure(request_two, existing(destination, Existing.REPLACE), recorder)
    assert replaced.results.config == {"epochs": 5}
    assert load_results(first.path) == replaced.results


def test_a_named_device_is_checked_before_anything_is_run(request_two, destination, recorder):
    named = dataclasses.replace(destination, slug="my-laptop")
    assert measure(request_two, named, recorder).path.name == "my-laptop.json"
    count = len(started(request_two.root))
    with pytest.raises(UserError, match=r"my-laptop\.json: results of this device are there"):
        measure(request_two, named, recorder)
    assert len(started(request_two.root)) == count


def test_another_preset_stands_beside_the_default_one(request_two, destination, recorder):
    first = measure(request_two, destination, recorder)
    full = measure(dataclasses.replace(request_two, preset="full"), destination, recorder)
    assert full.path.name == f"{first.path.stem}-full.json"
    assert full.results.device_slug == full.path.stem
    with pytest.raises(UserError, match=r"-full\.json: results of this device are there"):
        measure(dataclasses.replace(request_two, preset="full"), destination, recorder)
    assert load_results(first.path) == first.results


def interrupt_after(file: Path) -> threading.Thread:
    """Send SIGINT to this process as soon as a file is there and filled."""

    def wait() -> None:
        while not file.exists() or not file.read_text():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def interrupted(request_two, destination, recorder, tell) -> Request:
    """A run that was stopped after two repeats, with a grandchild that would go on for a minute."""
    tell("all")
    third = interleave(("baseline", "tactic"), range(2))[2]
    tell(f"{third.arm}-{third.seed}", child=str(request_two.root / "child"))
    thread = interrupt_after(request_two.root / "child")
    with pytest.raises(KeyboardInterrupt):
        measure(request_two, destination, recorder)
    thread.join()
    tell(f"{third.arm}-{third.seed}")
    return request_two


def is_gone(process: int) -> bool:
    for _ in range(1500):
        status = Path(f"/proc/{process}/stat")
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_an_interruption_keeps_what_has_finished_and_leaves_no_process(interrupted, destination, recorder):
    assert len(kept(interrupted)) == 2
    assert is_gone(int((interrupted.root / "child").read_text()))
    with pytest.raises(
        UserError, match=r"2 finished repeats is there; continue it with --resume, or begin anew"
    ):
        measure(interrupted, destination, recorder)


def test_continues(interrupted, destination, recorder):
    before = (partial_folder(interrupted) / "runs" / "baseline-0.json").read_text()
    measured = measure(interrupted, existing(destination, Existing.RESUME), recorder)
    assert measured.results.complete
    assert recorder.totals == (4, 2)
    kept_start = datetime.datetime.fromisoformat(json.loads(before)["started"])
    baseline = next(entry for entry in measured.results.repeats if (entry.arm, entry.seed) == ("baseline", 0))
    assert baseline.started == kept_start


def test_begins_anew(interrupted, destination, recorder):
    measured = measure(interrupted, existing(destination, Existing.REPLACE), recorder)
    assert recorder.totals == (4, 0)
    assert measured.results.complete


def test_does_not_continue_with_another_recipe_or_threads(interrupted, destination, recorder):
    recipe = interrupted.root / "recipes" / "fake_tactic.py"
    recipe.write_text(recipe.read_text() + "\n\ndef run():\n    return 2\n")
    other = dataclasses.replace(interrupted, threads=2)
    with pytest.raises(UserError) as caught:
        measure(other, existing(destination, Existing.RESUME), recorder)
    assert "the recipe, or a shared module it uses, has been changed since" in str(caught.value)
    assert "threads: 1 before, 2 now" in str(caught.value)
    assert len(kept(interrupted)) == 2


def test_does_not_continue_with_another_python(interrupted, destination, recorder):
    for path in partial_folder(interrupted).glob("runs/*.json"):
        document = json.loads(path.read_text())
        document["versions"] = {"python": "3.10.1", "click": "1.0", "some-unknown-package": "1"}
        path.write_text(json.dumps(document))
    with pytest.raises(UserError) as caught:
        measure(interrupted, existing(destination, Existing.RESUME), recorder)
    assert "python: 3.10.1 before" in str(caught.value)
    assert "click: 1.0 before" in str(caught.value)
    assert "some-unknown-package" not in str(caught.value)


def test_does_not_continue_with_other_settings(interrupted, destination, recorder, tell):
    tell("all", epochs=9)
    with pytest.raises(UserError, match=r"config\.epochs: 3 before, 9 now"):
        measure(interrupted, existing(destination, Existing.RESUME), recorder)
    assert len(kept(interrupted)) == 2


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("plan.json", "the plan of this unfinished run cannot be read (it is damaged)"),
        ("runs/baseline-0.json", "remove the file to have this repeat run again"),
    ],
)
def test_says_which_file_of_an_unfinished_run_is_damaged(interrupted, destination, recorder, file, message):
    (partial_folder(interrupted) / file).write_text("{")
    with pytest.raises(UserError) as caught:
        measure(interrupted, existing(destination, Existing.RESUME), recorder)
    assert message in str(caught.value)


def test_if_needed_continues_or_begins_anew(interrupted, destination, recorder):
    recipe = interrupted.root / "recipes" / "fake_tactic.py"
    recipe.write_text(recipe.read_text() + "\n\ndef run():\n    return 2\n")
    measured = measure(interrupted, existing(destination, Existing.IF_NEEDED), recorder)
    assert "an unfinished run cannot be continued and is begun anew: the recipe" in recorder.text
    assert measured.results.complete


def test_resume_without_an_unfinished_run_says_so(request_two, destination, recorder):
    assert measure(request_two, existing(destination, Existing.RESUME), recorder).results.complete
    assert "no unfinished run to continue; a new one is begun" in recorder.lines


def test_if_needed_keeps_results_that_hold(request_two, destination, recorder):
    place = dataclasses.replace(destination, existing=Existing.IF_NEEDED, slug="this-machine")
    first = measure(request_two, place, recorder)
    second = measure(request_two, place, recorder)
    assert not first.reused
    assert second.reused
    assert second.results == first.results
    assert len(started(request_two.root)) == 4


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"seed_count": 3}, "not all arms and seeds are there"),
        ({"preset": "full"}, "preset default with 1 threads before"),
        ({"threads": 2}, "preset default with 1 threads before"),
    ],
)
def test_if_needed_measures_anew_for_another_request(request_two, destination, recorder, change, reason):
    place = dataclasses.replace(destination, existing=Existing.IF_NEEDED, slug="this-machine")
    measure(request_two, place, recorder)
    other = dataclasses.replace(request_two, **change)
    assert not measure(other, place, recorder).reused
    assert reason in recorder.text


def test_if_needed_measures_anew_when_the_recipe_or_the_data_have_changed(
    request_two, destination, recorder, tmp_path
):
    place = dataclasses.replace(destination, existing=Existing.IF_NEEDED, slug="this-machine")
    recipe = request_two.root / "recipes" / "fake_tactic.py"
    without = measure(request_two, place, recorder)
    settings = without.results.config | {"data": ["fashion-mnist", "digits"]}
    write_results(without.path, without.results.model_copy(update={"config": settings}))
    (tmp_path / "train-images-idx3-ubyte.gz").touch()
    with_data = dataclasses.replace(request_two, data_dir=tmp_path)
    assert not measure(with_data, place, recorder).reused
    assert "digits before, Fashion-MNIST is there now" in recorder.text
    recipe.write_text(recipe.read_text() + "\n\ndef run():\n    return 2\n")
    assert not measure(request_two, place, recorder).reused
    assert "measured anew: the recipe, or a shared module it uses, has been changed since" in recorder.text


X86 = "processor\t: 0\nmodel name\t: Intel(R) Xeon(R) CPU @ 2.20GHz\nflags\t\t: fpu\n"
ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("processors", "named", "kind", "same"),
    [
        (X86, "Intel(R) Xeon(R) CPU @ 2.20GHz", "cpu", True),
        (X86, "Intel(R) Xeon(R) CPU", "cpu", False),
        (X86, "AMD EPYC", "cpu", False),
        (X86, "Intel(R) Xeon(R) CPU @ 2.20GHz", "cuda", False),
        (ARM, "aarch64", "cpu", True),
        (None, "arm", "cpu", True),
    ],
)
def test_a_processor_is_known_again_on_any_machine(tmp_path, monkeypatch, processors, named, kind, same):
    monkeypatch.setattr(measuring, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(measuring.platform, "system", lambda: "System")
    monkeypatch.setattr(measuring.platform, "machine", lambda: "machine")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    if processors:
        measuring.PROCESSORS.write_text(processors, encoding="utf-8")
    device = DeviceInfo(kind=kind, name=named, cores=3, memory_bytes=1, system="System", machine="machine")
    assert is_this_machine(device) is same
    assert not is_this_machine(device.model_copy(update={"cores": 2}))
    assert not is_this_machine(device.model_copy(update={"machine": "another"}))


EPYC = "cpu family\t: 26\nmodel\t\t: 2\nmodel name\t: AMD EPYC\n"


@pytest.mark.parametrize(
    ("named", "model", "same"),
    [
        ("AMD EPYC", "family 26, model 2", True),
        ("AMD EPYC", "family 25, model 1", False),
        ("AMD EPYC", None, False),  # the name hides which one it was
        ("AMD EPYC 9575F", None, True),
    ],
)
def test_processors_of_one_brand_are_told_apart(tmp_path, monkeypatch, named, model, same):
    monkeypatch.setattr(measuring, "PROCESSORS", tmp_path / "cpuinfo")
    monkeypatch.setattr(measuring.platform, "system", lambda: "System")
    monkeypatch.setattr(measuring.platform, "machine", lambda: "machine")
    monkeypatch.setattr(measuring, "_usable_cores", lambda: 3)
    measuring.PROCESSORS.write_text(EPYC.replace("AMD EPYC", named), encoding="utf-8")
    device = DeviceInfo(
        kind="cpu", name=named, model=model, cores=3, memory_bytes=1, system="System", machine="machine"
    )
    assert is_this_machine(device) is same
