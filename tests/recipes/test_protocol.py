from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from recipes.common.timing.protocol import EnergyReadings, interleave, interleave_energy, ratios


@dataclass
class FakeMachine:
    """A machine whose clocks move on only when an arm works, and which writes down who did."""

    now_s: float = 0.0
    cpu_s: float = 0.0
    worked: list[str] = field(default_factory=list)

    def arm(self, name: str, cost_s: float, noise: Callable[[], float] = lambda: 0.0) -> Callable[[], None]:
        def call() -> None:
            self.worked.append(name)
            self.now_s += cost_s * (1 + noise())
            self.cpu_s += cost_s / 2

        return call

    def clocks(self) -> dict[str, Callable[[], float]]:
        return {"clock_s": lambda: self.now_s, "cpu_clock_s": lambda: self.cpu_s}


def readings_of(machine: FakeMachine, cells, **settings):
    return interleave(cells, order_seed=0, **settings, **machine.clocks())


def test_times_and_ratios_of_arms_of_known_cost() -> None:
    machine = FakeMachine()
    cells = {"baseline": machine.arm("baseline", 0.004), "tactic": machine.arm("tactic", 0.001)}
    got = readings_of(machine, cells)
    assert got.precise
    assert set(got.wall_ms) == {"baseline", "tactic", "baseline_again"}
    for arm, wall_ms in (("baseline", 4), ("baseline_again", 4), ("tactic", 1)):
        assert got.wall_ms[arm] == pytest.approx([wall_ms] * 20), "no more rounds than are needed"
        assert got.cpu_ms[arm] == pytest.approx([wall_ms / 2] * 20)
    found = ratios(got.wall_ms)
    assert found["tactic"].value == pytest.approx(4)
    assert found["baseline_again"].value == pytest.approx(1)


def test_a_reading_fills_its_time_and_starts_with_an_untimed_call() -> None:
    machine = FakeMachine()
    cells = {"baseline": machine.arm("baseline", 0.004), "tactic": machine.arm("tactic", 0.2)}
    got = readings_of(machine, cells, cell_s=0.05, least_rounds=3)
    assert got.calls == {"baseline": 16, "baseline_again": 16, "tactic": 1}
    rounds = machine.worked[-3 * (17 + 17 + 2) :]
    assert rounds.count("baseline") == 3 * 2 * 17
    assert rounds.count("tactic") == 3 * 2


def test_a_reading_is_filled_even_when_the_machine_has_become_faster() -> None:
    machine = FakeMachine()
    cells = {"baseline": machine.arm("baseline", 0.004, lambda: -0.75 if len(machine.worked) > 200 else 0.0)}
    got = readings_of(machine, cells, cell_s=0.05, least_rounds=20)
    assert got.calls["baseline"] == 16, "16 calls of 4 ms"
    assert got.wall_ms["baseline"][-1] == pytest.approx(1)
    before = len(machine.worked)
    shorter = FakeMachine()
    fewer = {"baseline": shorter.arm("baseline", 0.004, lambda: -0.75 if len(shorter.worked) > 200 else 0.0)}
    readings_of(shorter, fewer, cell_s=0.05, least_rounds=19)
    assert before - len(shorter.worked) == 2 * (1 + 4 * 16), "four blocks of 16 calls of 1 ms fill 50 ms"


def test_one_slow_call_does_not_pass_for_a_full_reading() -> None:
    machine = FakeMachine()
    interruptions = iter([0.0] * 6 + [100.0])
    cells = {"baseline": machine.arm("baseline", 0.01, lambda: next(interruptions, 0.0))}
    assert readings_of(machine, cells, least_rounds=3).calls["baseline"] == 8


def test_each_arm_is_warmed_up_and_the_order_changes_with_the_seed() -> None:
    def orders(seed: int) -> tuple[list[str], list[str]]:
        machine = FakeMachine()
        cells = {arm: machine.arm(arm, 0.06) for arm in ("baseline", "tactic", "rival")}
        interleave(cells, order_seed=seed, warm_up_calls=7, **machine.clocks())
        timed = machine.worked[7 * 3 + 2 * 2 * 3 :: 2]
        return machine.worked[: 7 * 3], timed

    warm_up, timed = orders(0)
    assert warm_up == ["baseline"] * 7 + ["tactic"] * 7 + ["rival"] * 7
    rounds = [tuple(timed[first : first + 4]) for first in range(0, len(timed), 4)]
    assert all(sorted(order) == ["baseline", "baseline", "rival", "tactic"] for order in rounds)
    assert len(set(rounds)) > 6
    assert orders(0)[1] == timed
    assert orders(1)[1] != timed


def test_rounds_go_on_until_the_intervals_are_narrow() -> None:
    machine, noise = FakeMachine(), random.Random(3)
    cells = {arm: machine.arm(arm, 0.06, lambda: noise.uniform(0, 0.2)) for arm in ("baseline", "tactic")}
    got = readings_of(machine, cells, half_width=0.03, cap_s=1e6)
    assert got.precise
    assert len(got.wall_ms["tactic"]) > 20
    assert all(ratio.relative_half_width < 0.03 for ratio in ratios(got.wall_ms).values())
    before = {arm: values[:-1] for arm, values in got.wall_ms.items()}
    assert any(ratio.relative_half_width >= 0.03 for ratio in ratios(before).values())


@pytest.mark.parametrize(("cap_s", "rounds"), [(0.0, 3), (10.0, 8)])
def test_the_time_cap_ends_a_noisy_pass_after_three_rounds_at_least(cap_s: float, rounds: int) -> None:
    machine, noise = FakeMachine(), random.Random(0)
    cells = {arm: machine.arm(arm, 0.1, lambda: noise.uniform(0, 2)) for arm in ("baseline", "tactic")}
    got = readings_of(machine, cells, cap_s=cap_s)
    assert not got.precise
    assert len(got.wall_ms["tactic"]) == rounds


@pytest.mark.parametrize("arms", [("tactic",), ("baseline", "baseline_again")])
def test_arms_without_a_baseline_are_refused(arms: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="expected baseline and not baseline_again among the arms"):
        interleave({arm: lambda: None for arm in arms}, order_seed=0)


@dataclass
class FakeWindow:
    energy_j: float | None = None
    energy_above_idle_j: float | None = None


@dataclass
class FakeMeter:
    """Charges 100 W while a machine works, of which 30 W are idle power."""

    machine: FakeMachine
    energy: str = "fake"
    idle: bool = True
    fails_at: int = -1
    windows: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def window(self, name: str) -> Iterator[FakeWindow]:
        reading, started_s = FakeWindow(), self.machine.now_s
        yield reading
        took_s = self.machine.now_s - started_s
        self.windows.append((name, took_s))
        if len(self.windows) != self.fails_at:
            reading.energy_j = 100 * took_s
            reading.energy_above_idle_j = 70 * took_s if self.idle else None


def energy_of(meter: FakeMeter):
    machine = meter.machine
    cells = {"baseline": machine.arm("baseline", 0.004), "tactic": machine.arm("tactic", 0.001)}
    calls = {"baseline": 16, "tactic": 64, "baseline_again": 16}
    return interleave_energy(cells, calls, meter, order_seed=0, clock_s=lambda: machine.now_s)


def test_energy_of_one_call_gross_and_above_idle() -> None:
    meter = FakeMeter(FakeMachine())
    got = energy_of(meter)
    assert {arm: len(values) for arm, values in got.energy_j.items()} == {
        "baseline": 5, "tactic": 5, "baseline_again": 5,
    }  # fmt: skip
    assert got.energy_j["baseline"] == got.energy_j["baseline_again"] == pytest.approx([0.4] * 5)
    assert got.energy_j["tactic"] == pytest.approx([0.1] * 5)
    assert got.energy_above_idle_j["tactic"] == pytest.approx([0.07] * 5)
    assert min(took_s for _, took_s in meter.windows) >= 5
    rounds = [tuple(name for name, _ in meter.windows[first : first + 3]) for first in range(0, 15, 3)]
    assert len(set(rounds)) > 1
    assert all(sorted(order) == ["baseline", "baseline_again", "tactic"] for order in rounds)


def test_without_an_energy_meter_nothing_is_run() -> None:
    machine = FakeMachine()
    assert energy_of(FakeMeter(machine, energy="none")) == EnergyReadings(None, None)
    assert machine.worked == []


def test_without_idle_power_only_gross_energy_is_given() -> None:
    got = energy_of(FakeMeter(FakeMachine(), idle=False))
    assert got.energy_above_idle_j is None
    assert got.energy_j["tactic"] == pytest.approx([0.1] * 5)


def test_a_window_that_was_not_read_leaves_no_energy() -> None:
    assert energy_of(FakeMeter(FakeMachine(), fails_at=4)) == EnergyReadings(None, None)
