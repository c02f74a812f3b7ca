from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from greentactics.cli import meters as commands_meters
from tests.evidence.test_carbon import metered
from tests.examples.command_line import call
from tests.examples.example_files import REPOSITORY
from tests.examples.synthetic import results

TACTIC = "base-awesome"
SCI = ("sci", TACTIC, "--grid-intensity", "56", "--grid-source", "operator, 2025")


def store(folder: Path, **energy_j: float) -> None:
    """Store results with these readings of the tactic, by seed `s0`, `s1`; with none, no meter."""
    readings = {("tactic", int(seed[1:])): value for seed, value in energy_j.items()}
    entry = metered(readings, tactic=TACTIC) if readings else results(tactic=TACTIC)
    place = folder / TACTIC / f"{entry.device_slug}.json"
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_text(entry.model_dump_json())


def test_meters_lists_those_of_this_machine(monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_METER", "none")
    shown = call(REPOSITORY, "meters")
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith("process clocks  wall time, processor time\n")
    assert max(map(len, shown.stdout.splitlines())) <= 100
    record = json.loads(call(REPOSITORY, "meters", "--json").stdout)
    assert record["used"]["cpu"] == "process clocks"
    assert {"RAPL", "NVML", "zeus"} < {meter["name"] for meter in record["meters"]}


def test_meters_shows_the_list_also_where_the_choice_cannot_be_had(monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_METER", "watt")
    shown = call(REPOSITORY, "meters")
    assert shown.exit_code == 1
    assert "RAPL" in shown.stdout
    assert "GREENTACTICS_METER: expected one of auto, none, rapl, nvml, zeus, got 'watt'" in shown.stdout


def test_meters_needs_the_recipes(root: Path) -> None:
    (root / "recipes" / "__init__.py").touch()
    shown = call(root, "meters")
    assert shown.exit_code == 1
    assert shown.stderr.startswith("recipes.common.meters: ")
    assert "No module named" in shown.stderr


def test_meters_says_so_when_there_is_no_answer(root: Path, monkeypatch) -> None:
    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(commands_meters.subprocess, "run", hang)
    shown = call(root, "meters")
    assert shown.exit_code == 1
    assert shown.stderr == "recipes.common.meters: no answer after 120 s; a driver may hang\n"


def test_sci_of_published_and_own_results(root: Path, tmp_path: Path) -> None:
    store(root / "recipes" / "results", s0=3.6e5)
    store(tmp_path / "own", s0=7.2e5, s1=3.6e5)
    shown = call(root, *SCI, "--results", str(tmp_path / "own"))
    assert shown.exit_code == 0, shown.output
    assert shown.stdout.startswith(f"{TACTIC}, arm tactic\nSoftware Carbon Intensity (ISO/IEC 21031:2024)")
    assert shown.stdout.count("M is left out") == 2
    assert "  SCI  5.6 g CO2e per 1 run of the arm\n" in shown.stdout
    assert "  SCI  8.4 g CO2e per 1 run of the arm\n" in shown.stdout


def test_sci_as_json_with_embodied_emissions(root: Path) -> None:
    store(root / "build" / "results", s0=3.6e5)
    shown = call(root, *SCI, "--embodied-g", "12", "--embodied-source", "maker", "--json")
    record = json.loads(shown.stdout)
    assert (record["standard"], record["tactic"], record["arm"]) == ("ISO/IEC 21031:2024", TACTIC, "tactic")
    assert record["sci"][0]["sci_g"] == pytest.approx(17.6)


def test_sci_counts_a_folder_once(root: Path) -> None:
    published = root / "recipes" / "results"
    store(published, s0=3.6e5)
    assert len(json.loads(call(root, *SCI, "--json", "--results", str(published)).stdout)["sci"]) == 1


@pytest.mark.parametrize(
    ("has_results", "found"), [(False, "no results"), (True, "results without an energy")]
)
def test_sci_without_metered_energy_gives_no_number(root: Path, has_results: bool, found: str) -> None:
    if has_results:
        store(root / "recipes" / "results")
    shown = call(root, *SCI)
    assert (shown.exit_code, shown.stdout) == (1, "")
    assert shown.stderr.startswith(
        f"recipes/results/{TACTIC} and build/results/{TACTIC}: expected metered energy of tactic, got {found}"
    )
    assert "`greentactics meters` says what this machine can meter" in shown.stderr


def test_sci_of_an_arm_that_was_not_run(root: Path) -> None:
    store(root / "recipes" / "results", s0=3.6e5)
    shown = call(root, *SCI, "--arm", "tactik")
    assert shown.exit_code == 1
    assert shown.stderr == "--arm: expected one of baseline, tactic, got 'tactik'\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sci", TACTIC, "--grid-intensity", "56"), "Missing option '--grid-source'"),
        (("sci", TACTIC, "--grid-source", "x"), "Missing option '--grid-intensity'"),
        ((*SCI[:-1], " "), "--grid-intensity: expected its source in --grid-source, got none"),
        (
            (*SCI, "--grid-intensity", "nan"),
            "Invalid value for '--grid-intensity': nan is not in the range 0<=x<=10000.",
        ),
        (
            (*SCI, "--grid-intensity=-1"),
            "Invalid value for '--grid-intensity': -1.0 is not in the range 0<=x<=10000.",
        ),
        ((*SCI, "--embodied-g", "3"), "--embodied-g: expected its source in --embodied-source, got none"),
        ((*SCI, "--embodied-source", "x"), "--embodied-g: expected a number from 0, got none"),
    ],
)
def test_sci_wrong_usage(root: Path, arguments: tuple[str, ...], message: str) -> None:
    shown = call(root, *arguments)
    assert shown.exit_code == 2
    assert message in shown.stderr
