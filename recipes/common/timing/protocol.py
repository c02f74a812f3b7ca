"""Time several things against a baseline on a machine that does other work too.

The arms take turns within one process, a few dozen milliseconds each, in a new order every round, so that a
change of load or clock frequency meets all of them; only ratios within a round are compared. Pairing what is
compared is what makes timing possible on shared machines: Bulej et al., "Duet Benchmarking", ICPE 2020
(arXiv 2001.05811), run the two side by side on two cores; with one or two cores in all, turns are what is
left. The baseline is read twice a round, and the ratio of the two shows what cannot be told apart here.

Give the arms one thread. The threads of OpenMP spin at their barriers: when one of them loses its core, the
others burn processor time until it is back, and both wall and processor time grow many times over.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from greentactics.evidence.medians import MedianRatio, median_ratio
from greentactics.models.timings import CONTROL
from recipes.common.run.contract import Meter

BASELINE = "baseline"
FEWEST_ROUNDS = 3
"""Rounds that are made however little time there is."""

Clock = Callable[[], float]
"""Returns seconds that have passed."""

Cells = Mapping[str, Callable[[], object]]
"""What is timed, by arm; one call does the work once."""


@dataclass(frozen=True)
class Readings:
    """Every reading of a timing pass; `baseline_again` is the second one of the baseline."""

    calls: Mapping[str, int]
    """Calls between two looks at the clock, by arm."""
    wall_ms: Mapping[str, tuple[float, ...]]
    """Wall-clock time of one call, by arm and round."""
    cpu_ms: Mapping[str, tuple[float, ...]]
    """Processor time of one call, all threads, by arm and round."""
    precise: bool
    """Whether the rounds ended because the intervals were narrow enough; False at the time cap."""


@dataclass(frozen=True)
class EnergyReadings:
    """Every energy window of a pass."""

    energy_j: Mapping[str, tuple[float, ...]] | None = None
    """Gross metered energy of one call, by arm and round; None without a meter."""
    energy_above_idle_j: Mapping[str, tuple[float, ...]] | None = None
    """The same less idle power times duration; None where idle power is not known."""


def interleave(
    cells: Cells,
    *,
    order_seed: int,
    warm_up_calls: int = 5,
    cell_s: float = 0.05,
    least_rounds: int = 20,
    half_width: float = 0.03,
    cap_s: float = 30.0,
    clock_s: Clock = time.perf_counter,
    cpu_clock_s: Clock = time.process_time,
) -> Readings:
    """Time the arms in turns, until the ratios are known well enough or the time is up.

    A reading is one untimed call, which fills the caches, then as many calls as last `cell_s`.

    Args:
        cells: What is timed, by arm; `baseline` is one of them.
        order_seed: Seed of the order within each round.
        warm_up_calls: Untimed calls of each arm before anything is read.
        cell_s: Shortest time of one reading.
        least_rounds: Rounds before the precision may end the pass.
        half_width: Half width of the 95 % intervals of all ratios, control included, that ends the pass, as a
            share of the ratio.
        cap_s: Time after which no further round starts; 3 rounds are made in any case.
        clock_s: Monotonic clock.
        cpu_clock_s: Processor time of this process.
    """
    work = _with_control(cells)
    for call in cells.values():
        for _ in range(warm_up_calls):
            call()
    calls = {arm: _calls_filling(cell_s, call, clock_s) for arm, call in cells.items()}
    calls[CONTROL] = calls[BASELINE]
    wall_ms: dict[str, list[float]] = {arm: [] for arm in work}
    cpu_ms: dict[str, list[float]] = {arm: [] for arm in work}
    started_s, precise = clock_s(), False
    for rounds, order in enumerate(_orders(work, order_seed), start=1):
        for arm in order:
            wall_s, cpu_s = _reading(work[arm], calls[arm], cell_s, clock_s, cpu_clock_s)
            wall_ms[arm].append(wall_s * 1000)
            cpu_ms[arm].append(cpu_s * 1000)
        if rounds >= max(least_rounds, FEWEST_ROUNDS):
            precise = all(ratio.relative_half_width < half_width for ratio in ratios(wall_ms).values())
        if precise or (rounds >= FEWEST_ROUNDS and clock_s() - started_s >= cap_s):
            break
    return Readings(calls, _frozen(wall_ms), _frozen(cpu_ms), precise)


def interleave_energy(
    cells: Cells,
    calls: Mapping[str, int],
    meter: Meter,
    *,
    order_seed: int,
    window_s: float = 5.0,
    rounds: int = 5,
    clock_s: Clock = time.perf_counter,
) -> EnergyReadings:
    """Read the energy of the arms in turns; where the meter has none, nothing is run.

    Energy counters move in steps of up to 0.1 s, so that only windows of seconds can be read.

    Args:
        cells: What is metered, by arm; `baseline` is one of them.
        calls: Calls between two looks at the clock, by arm, as in `Readings`.
        meter: Meter of this machine.
        order_seed: Seed of the order within each round.
        window_s: Shortest time of one window, 5 s or more in earnest.
        rounds: Windows of each arm; at least 5 in earnest.
        clock_s: Monotonic clock.
    """
    if meter.energy == "none":
        return EnergyReadings()
    work = _with_control(cells)
    gross: dict[str, list[float | None]] = {arm: [] for arm in work}
    above_idle: dict[str, list[float | None]] = {arm: [] for arm in work}
    for _, order in zip(range(rounds), _orders(work, order_seed), strict=False):
        for arm in order:
            call, count, done = work[arm], calls[arm], 0
            call()
            with meter.window(arm) as window:
                until_s = clock_s() + window_s
                while clock_s() < until_s:
                    for _ in range(count):
                        call()
                    done += count
            gross[arm].append(_per_call(window.energy_j, done))
            above_idle[arm].append(_per_call(window.energy_above_idle_j, done))
    return EnergyReadings(_complete(gross), _complete(above_idle))


def ratios(wall_ms: Mapping[str, Sequence[float]]) -> dict[str, MedianRatio]:
    """Return by arm how many times its time the baseline takes; above 1 the arm is faster.

    The baseline of a round is the geometric mean of its two readings. The control is compared with the first.
    """
    first, again = wall_ms[BASELINE], wall_ms[CONTROL]
    both = [math.sqrt(one * other) for one, other in zip(first, again, strict=True)]
    arms = [arm for arm in wall_ms if arm not in (BASELINE, CONTROL)]
    return {CONTROL: median_ratio(first, again)} | {arm: median_ratio(both, wall_ms[arm]) for arm in arms}


def _with_control(cells: Cells) -> dict[str, Callable[[], object]]:
    """Return the arms and the baseline a second time."""
    if BASELINE not in cells or CONTROL in cells:
        raise ValueError(f"expected {BASELINE} and not {CONTROL} among the arms, got {', '.join(cells)}")
    return {**cells, CONTROL: cells[BASELINE]}


def _orders(work: Cells, order_seed: int) -> Iterator[list[str]]:
    """Yield the arms in a new order for each round, without end."""
    generator = random.Random(order_seed)  # noqa: S311 - an order of readings, not a secret
    while True:
        yield generator.sample(list(work), len(work))


def _reading(
    call: Callable[[], object], count: int, cell_s: float, clock_s: Clock, cpu_clock_s: Clock
) -> tuple[float, float]:
    """Return the wall-clock and the processor time of one call, from blocks of calls that fill the reading.

    How many blocks that takes is found anew each time: the machine may have become faster since `count` was.
    """
    call()
    done, started_s, started_cpu_s = 0, clock_s(), cpu_clock_s()
    while True:
        for _ in range(count):
            call()
        done += count
        wall_s, cpu_s = clock_s() - started_s, cpu_clock_s() - started_cpu_s
        if wall_s >= cell_s:
            return wall_s / done, cpu_s / done


def _calls_filling(cell_s: float, call: Callable[[], object], clock_s: Clock) -> int:
    """Return how many calls fill one reading, doubling until they do.

    The shorter of two readings decides: while another process has the core, one call may seem to fill it.
    """
    count = 1
    while min(_block_s(call, count, clock_s) for _ in range(2)) < cell_s:
        count *= 2
    return count


def _block_s(call: Callable[[], object], count: int, clock_s: Clock) -> float:
    """Return the time of so many calls, after an untimed one."""
    call()
    started_s = clock_s()
    for _ in range(count):
        call()
    return clock_s() - started_s


def _per_call(energy_j: float | None, calls: int) -> float | None:
    return None if energy_j is None else energy_j / calls


def _complete(readings: Mapping[str, Sequence[float | None]]) -> dict[str, tuple[float, ...]] | None:
    """Return the readings, or None when one is missing: what is left would favour an arm."""
    if any(value is None for values in readings.values() for value in values):
        return None
    return {arm: tuple(value for value in values if value is not None) for arm, values in readings.items()}


def _frozen(readings: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    return {arm: tuple(values) for arm, values in readings.items()}
