from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recipes.common.meters import __main__ as meter_list
from tests.recipes.fake_machine import FakeMachine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch) -> FakeMachine:
    machine = FakeMachine(tmp_path)
    machine.install(monkeypatch)
    return machine


def listed(capsys, machine: FakeMachine, *arguments: str) -> str:
    assert meter_list.main(arguments, machine.root) == 0
    return capsys.readouterr().out


def test_the_list_says_why_not_and_what_would_help(machine: FakeMachine, capsys) -> None:
    (machine.root / ".dockerenv").touch()
    text = listed(capsys, machine)
    assert max(map(len, text.splitlines())) <= 100
    assert "process clocks  wall time, processor time\n" in text
    assert "RAPL            not available\n    why: no counter in /sys/class/powercap: this is a con" in text
    assert "    cure: start the container as root with" in text
    assert text.endswith(
        "work on the processor is measured with: process clocks, which give no energy figure\n"
        "work on the GPU is measured with: process clocks, which give no energy figure\n"
    )
    record = json.loads(listed(capsys, machine, "--json"))
    assert record["used"] == {"cpu": "process clocks", "cuda": "process clocks"}
    assert [meter["name"] for meter in record["meters"]] == [
        "process clocks", "peak memory", "RAPL", "NVML", "zeus",
    ]  # fmt: skip
    assert record["meters"][3] == {
        "name": "NVML",
        "available": False,
        "domains": [],
        "left_out": [],
        "reason": "there is no GPU",
        "cure": "measure on a machine with an NVIDIA GPU, in an environment that shows it",
    }


def test_the_list_names_domains_and_reads_no_idle_power(machine: FakeMachine, capsys) -> None:
    machine.add_processor()
    machine.tree.add("intel-rapl:0:1", "core")
    text = listed(capsys, machine)
    assert "RAPL            package-0, dram-0\n    left out: core-0\n" in text
    assert "work on the processor is measured with: RAPL (package-0, dram-0)\n" in text
    assert text.endswith("work on the GPU is measured with: process clocks, which give no energy figure\n")
    machine.add_gpu()
    text = listed(capsys, machine)
    assert text.endswith("work on the GPU is measured with: RAPL (package-0, dram-0) + NVML (gpu-0)\n")
    assert machine.slept_s == []


def test_the_list_names_what_is_not_added_and_why(machine: FakeMachine, capsys) -> None:
    for die in (0, 1):
        machine.tree.add(f"intel-rapl:{die}", f"package-0-die-{die}", 70_000_000)
    machine.tree.add("intel-rapl:0:0", "dram")
    (machine.tree.folder / "intel-rapl:0:0/energy_uj").unlink()
    text = listed(capsys, machine)
    assert "RAPL            package-0-die-0\n" in text
    left_out = "dram-0-die-0 (cannot be read), package-0-die-1 (is the counter of package-0-die-0)"
    assert f"    left out: {left_out}\n" in text


def test_the_list_says_when_the_choice_cannot_be_had(machine: FakeMachine, capsys, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_METER", "rapl")
    assert meter_list.main([], machine.root) == 1
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 100
    assert text.startswith("process clocks")
    assert "\nrecipes do not start: GREENTACTICS_METER=rapl: expected an energy meter of this machine" in text
    assert meter_list.main(["--json"], machine.root) == 1
    record = json.loads(capsys.readouterr().out)
    assert record["used"] == {}
    assert record["mistake"].startswith("GREENTACTICS_METER=rapl")


def test_the_module_lists_this_machine() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "recipes.common.meters", "--json"],
        cwd=ROOT,
        env=os.environ | {"GREENTACTICS_METER": "none"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["used"]["cpu"] == "process clocks"
