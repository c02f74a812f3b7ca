from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from recipes.common.meters import choice, zeus
from recipes.common.meters.source import EnergySource
from recipes.common.run.contract import UserError
from tests.recipes.fake_machine import FakeMachine

ROOT = Path(__file__).parents[2]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch) -> FakeMachine:
    machine = FakeMachine(tmp_path)
    machine.install(monkeypatch)
    return machine


def pretend_torch(monkeypatch, *, available: bool, initialized: bool) -> list[str]:
    """Put a torch in place of the real one, and return what is told of it."""
    told: list[str] = []
    cuda = SimpleNamespace(
        is_available=lambda: available,
        is_initialized=lambda: initialized,
        synchronize=lambda: told.append("synchronize"),
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    return told


def test_without_an_energy_meter_there_are_clocks_and_no_figure(machine: FakeMachine) -> None:
    meter = machine.choose()
    assert (meter.name, meter.energy, meter.idle_power_w) == ("process clocks", "none", None)
    with meter.window("work") as window:
        machine.pass_time(3.0)
    assert (window.duration_s, window.cpu_s) == (3.0, 1.5)
    assert (window.energy_j, window.energy_above_idle_j, window.energy_by_domain_j) == (None, None, {})
    assert machine.slept_s == [], "no time is lost where there is nothing to read"


def test_processor_and_memory_are_metered_beside_the_clocks(machine: FakeMachine) -> None:
    machine.add_processor()
    meter = machine.choose()
    assert (meter.name, meter.energy) == ("RAPL (package-0, dram-0)", "RAPL")
    assert meter.idle_power_w == pytest.approx(25.0)
    assert machine.slept_s == [2.0]
    with meter.window("work") as window:
        machine.pass_time(4.0, extra_j=60.0)
    assert (window.duration_s, window.cpu_s) == (4.0, 2.0)
    assert window.energy_by_domain_j == pytest.approx({"package-0": 140.0, "dram-0": 20.0})
    assert window.energy_j == pytest.approx(160.0)
    assert window.energy_above_idle_j == pytest.approx(60.0)


def test_processor_and_gpu_are_kept_apart_and_added(machine: FakeMachine) -> None:
    machine.add_processor()
    machine.add_gpu()
    meter = machine.choose("cuda")
    assert (meter.name, meter.energy) == ("RAPL (package-0, dram-0) + NVML (gpu-0)", "RAPL + NVML")
    assert meter.idle_power_w == pytest.approx(95.0)
    assert machine.slept_s == [5.0]
    with meter.window("outer") as outer:
        machine.pass_time(4.0)
        with meter.window("inner") as inner:
            machine.pass_time(2.0)
    assert outer.energy_by_domain_j == pytest.approx({"package-0": 120.0, "dram-0": 30.0, "gpu-0": 420.0})
    assert (outer.energy_j, inner.energy_j) == (pytest.approx(570.0), pytest.approx(190.0))
    assert outer.energy_above_idle_j == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("device_kind", "has_processor", "has_gpu", "energy"),
    [
        ("cpu", True, True, "RAPL"),
        ("cpu", False, True, "none"),
        ("cuda", True, True, "RAPL + NVML"),
        ("cuda", False, True, "NVML"),
        ("cuda", True, False, "none"),
        ("mps", True, True, "none"),
    ],
)
def test_what_does_the_work_is_metered_or_nothing_is(
    machine: FakeMachine, device_kind: str, has_processor: bool, has_gpu: bool, energy: str
) -> None:
    """A GPU that rests is no cost of the work, and a processor that waits for one is not all of it."""
    if has_processor:
        machine.add_processor()
    if has_gpu:
        machine.add_gpu()
    assert machine.choose(device_kind).energy == energy


@pytest.mark.parametrize(
    ("device_kind", "domains", "name"),
    [
        ("mps", ("soc",), "zeus (soc)"),
        ("cpu", ("soc",), "zeus (soc)"),
        ("cpu", ("gpu-0", "package-0"), "zeus (package-0)"),
        ("cpu", ("gpu-0",), "process clocks"),
        ("cuda", ("gpu-0", "package-0"), "zeus (gpu-0, package-0)"),
        ("cuda", ("package-0",), "process clocks"),
    ],
)
def test_zeus_is_for_what_rapl_and_nvml_do_not_meter(
    machine: FakeMachine, monkeypatch, device_kind: str, domains: tuple[str, ...], name: str
) -> None:
    counted = dict.fromkeys(domains, 10.0)
    source = EnergySource("zeus", domains, (), 0.1, 5.0, lambda: taking(counted))
    monkeypatch.setattr(zeus, "find_source", lambda _: source)
    meter = machine.choose(device_kind)
    assert meter.name == name
    if meter.energy == "zeus":
        assert meter.idle_power_w == pytest.approx(2.0 * (name.count(",") + 1))


def test_zeus_is_not_started_where_it_is_not_needed(machine: FakeMachine, monkeypatch) -> None:
    machine.add_processor()
    monkeypatch.setattr(zeus, "find_source", lambda _: pytest.fail("zeus was started"))
    assert machine.choose().energy == "RAPL"


@contextmanager
def taking(energy_j: dict[str, float]):
    """A measured block in which the domains take `energy_j`, whatever happens."""
    found: dict[str, float] = {}
    yield found
    found.update(energy_j)


@pytest.mark.parametrize(
    ("asked", "energy"),
    [("auto", "RAPL + NVML"), ("", "RAPL + NVML"), ("none", "none"), ("rapl", "RAPL"), ("nvml", "NVML")],
)
def test_the_user_may_choose(machine: FakeMachine, asked: str, energy: str) -> None:
    machine.add_processor()
    machine.add_gpu()
    assert machine.choose("cuda", GREENTACTICS_METER=asked).energy == energy


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            "rapl",
            "GREENTACTICS_METER=rapl: expected an energy meter of this machine, got none: no counter in ",
        ),
        (
            "nvml",
            "GREENTACTICS_METER=nvml: expected an energy meter of this machine, got none: there is no GPU;",
        ),
        ("zeus", "got none: the package zeus is not installed; install it; `greentactics meters` lists what"),
        ("watt", "GREENTACTICS_METER: expected one of auto, none, rapl, nvml, zeus, got 'watt'"),
    ],
)
def test_asking_for_what_is_not_there(machine: FakeMachine, asked: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        machine.choose(GREENTACTICS_METER=asked)
    assert message in str(caught.value)


def test_counters_that_stand_still_are_left_out(machine: FakeMachine) -> None:
    machine.add_processor(dram_w=0.0)
    assert machine.choose().name == "RAPL (package-0)"
    machine.rest_w = {"intel-rapl:0": 0.0, "intel-rapl:0:0": 5.0}
    assert machine.choose().name == "process clocks", "memory alone is not the energy of the work"
    machine.rest_w["intel-rapl:0:0"] = 0.0
    assert machine.choose().name == "process clocks"
    with pytest.raises(UserError, match="got none: its counters stand still; measure on another machine"):
        machine.choose(GREENTACTICS_METER="rapl")


@pytest.mark.parametrize(("duration_s", "has_figure"), [(0.009, False), (0.02, True)])
def test_windows_too_short_for_the_counters_have_no_figure(
    machine: FakeMachine, duration_s: float, has_figure: bool
) -> None:
    machine.add_processor()
    with machine.choose().window("short") as window:
        machine.pass_time(duration_s)
    assert (window.energy_j is not None) == has_figure
    assert bool(window.energy_by_domain_j) == has_figure
    assert window.duration_s == pytest.approx(duration_s)


def test_a_counter_that_did_not_move_gives_no_figure(machine: FakeMachine) -> None:
    machine.add_processor()
    meter = machine.choose()
    machine.rest_w["intel-rapl:0:0"] = 0.0
    with meter.window("work") as window:
        machine.pass_time(5.0)
    assert (window.energy_j, window.energy_above_idle_j, window.energy_by_domain_j) == (None, None, {})


def test_a_lost_counter_is_an_error_at_the_end_of_the_window(machine: FakeMachine) -> None:
    machine.add_processor()
    meter = machine.choose()
    with pytest.raises(UserError, match="RAPL: a counter could no longer be read"), meter.window("work"):
        (machine.tree.folder / "intel-rapl:0:0/energy_uj").unlink()


def test_a_window_in_which_the_machine_was_suspended_gives_no_number(machine: FakeMachine) -> None:
    machine.add_processor()
    meter = machine.choose()

    def sleep() -> None:
        machine.suspended_s += 60.0

    with pytest.raises(UserError, match=r"RAPL: the machine was suspended for 60\.0 s"), meter.window("work"):
        sleep()
    with meter.window("work") as window:
        machine.pass_time(5.0)
    assert window.energy_j == pytest.approx(125.0)


def test_a_block_that_raises_has_clocks_and_no_energy(machine: FakeMachine) -> None:
    machine.add_processor()
    meter = machine.choose()
    with pytest.raises(RuntimeError), meter.window("work") as window:
        raise RuntimeError
    assert window.duration_s >= 0
    assert window.energy_j is None


def test_windows_wait_for_the_gpu_that_is_in_use(monkeypatch) -> None:
    told = pretend_torch(monkeypatch, available=True, initialized=True)
    with choice.ProcessMeter().window("work"):
        told.append("work")
    assert told == ["synchronize", "work", "synchronize"]
    told = pretend_torch(monkeypatch, available=True, initialized=False)
    with choice.ProcessMeter().window("work"):
        pass
    assert told == [], "a GPU that is not in use is left alone"


@pytest.mark.parametrize(("work_s", "repeats"), [(2.0, 3), (6.0, 1), (5.0, 1)])
def test_work_is_repeated_until_the_window_is_long_enough(
    machine: FakeMachine, work_s: float, repeats: int
) -> None:
    machine.add_processor()
    synchronised: list[float] = []
    window, done = choice.repeat_for(
        lambda: machine.pass_time(work_s),
        meter=machine.choose(),
        synchronize=lambda: synchronised.append(machine.now_s),
    )
    assert done == repeats == len(synchronised)
    assert window.duration_s == pytest.approx(repeats * work_s)
    assert window.energy_j == pytest.approx(25.0 * repeats * work_s)


def test_work_is_done_at_least_once(machine: FakeMachine) -> None:
    window, done = choice.repeat_for(lambda: None, at_least_s=0.0, meter=machine.choose())
    assert (done, window.energy_j) == (1, None)


def test_peak_memory_is_that_of_a_python_process() -> None:
    assert 2**22 < choice.peak_memory_bytes() < 2**40


def test_importing_the_meters_imports_no_torch() -> None:
    script = "import sys; import recipes.common.meters.choice; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False).returncode == 0
