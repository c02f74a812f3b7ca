"""Latency and energy of one call, from the raw readings of timing passes.

Within a pass each round gives one ratio of the baseline to an arm, and the pass gives their median with a
bootstrap interval over rounds. Rounds of one process share its memory layout and the load of its minutes, so
that interval is too narrow for a claim. The claim rests on the passes, which are fresh processes with the
nets of different seeds: a Student's t interval over the logarithms of their medians.

The baseline stands twice in each round. The two times are compared in the same way, and what they differ by
is what this machine cannot tell apart.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from greentactics.evidence.comparison import TIMES_LOWER, Estimate, NotComparable, times_lower
from greentactics.evidence.medians import MedianRatio, median_ratio
from greentactics.models.results import BASELINE
from greentactics.models.timings import CONTROL, Engine, Timing

LEAST_PASSES = 3
"""Fresh processes that a claim needs: a single one has one memory layout and one load."""

Quantity = Literal["wall_ms", "cpu_ms", "energy_j", "energy_above_idle_j"]


@dataclass(frozen=True)
class Pass:
    """One arm in one timing pass."""

    seed: int
    """Seed of the nets."""
    ratio: MedianRatio
    """Baseline over arm: above 1 the arm needs less."""
    control: MedianRatio
    """Baseline over the baseline's second reading."""


@dataclass(frozen=True)
class PassesCompared:
    """One arm against the baseline in one engine, over all passes."""

    engine: Engine
    """What executed the nets."""
    arm: str
    """The arm."""
    estimate: Estimate
    """How many times lower the arm's value is; n is the number of passes."""
    control: Estimate
    """The same for the baseline against itself."""
    baseline: float
    """Median over passes of the median of the baseline's readings, in the unit of the quantity."""
    treated: float
    """The same of the arm."""
    passes: tuple[Pass, ...]
    """What each process gave."""

    @property
    def difference_shown(self) -> bool:
        """Whether a difference may be claimed."""
        return len(self.passes) >= LEAST_PASSES and shows_difference(self.estimate, self.control)


def compare_passes(
    timings: Sequence[Timing], engine: Engine, arm: str, quantity: Quantity = "wall_ms"
) -> PassesCompared:
    """Compare an arm with the baseline over all timing passes in one engine.

    Raises:
        NotComparable: No pass holds both, or a reading is not positive.
    """
    passes, medians = [], list[tuple[float, float]]()
    for timing in (entry for entry in timings if entry.engine == engine):
        readings = getattr(timing, quantity) or {}
        if not {arm, BASELINE, CONTROL} <= set(readings):
            continue
        if min(min(readings[name]) for name in (arm, BASELINE, CONTROL)) <= 0:
            raise NotComparable("a ratio needs positive values")
        passes.append(_pass(timing.seed, readings, arm))
        medians.append((statistics.median(readings[BASELINE]), statistics.median(readings[arm])))
    if not passes:
        raise NotComparable("not timed")
    return PassesCompared(
        engine=engine,
        arm=arm,
        estimate=_over_passes([entry.ratio for entry in passes]),
        control=_over_passes([entry.control for entry in passes]),
        baseline=statistics.median([first for first, _ in medians]),
        treated=statistics.median([second for _, second in medians]),
        passes=tuple(passes),
    )


def shows_difference(estimate: Estimate, control: Estimate) -> bool:
    """Tell whether a difference may be claimed.

    The interval has to exclude no effect, which is a ratio of 1 or a difference of 0 points, and the estimate
    has to lie further from it than the farthest end of the control's interval does.
    """
    found = (estimate.value, estimate.low, estimate.high, control.low, control.high)
    numbers = [number for number in found if number is not None]
    if len(numbers) < len(found):
        return False
    if not estimate.is_difference:
        if min(numbers) <= 0:
            return False
        numbers = [math.log(number) for number in numbers]
    value, low, high, control_low, control_high = numbers
    return (low > 0 or high < 0) and abs(value) > max(abs(control_low), abs(control_high))


def engines(timings: Sequence[Timing]) -> tuple[Engine, ...]:
    """Return the engines there are passes of, in the order they were timed."""
    return tuple(dict.fromkeys(timing.engine for timing in timings))


def timed_arms(timings: Sequence[Timing]) -> tuple[str, ...]:
    """Return the arms but the baseline, the tactic first."""
    found = dict.fromkeys(arm for timing in timings for arm in timing.wall_ms)
    return tuple(sorted(found.keys() - {BASELINE, CONTROL}, key=lambda arm: (arm != "tactic", arm)))


def _pass(seed: int, readings: Mapping[str, Sequence[float]], arm: str) -> Pass:
    first, again = readings[BASELINE], readings[CONTROL]
    both = [math.sqrt(one * other) for one, other in zip(first, again, strict=True)]
    return Pass(seed, median_ratio(both, readings[arm]), median_ratio(first, again))


def _over_passes(ratios: Sequence[MedianRatio]) -> Estimate:
    """Join the passes; a single one keeps its interval over rounds."""
    if len(ratios) == 1:
        only = ratios[0]
        return Estimate(only.value, only.low, only.high, 1, TIMES_LOWER)
    return times_lower([ratio.value for ratio in ratios])
