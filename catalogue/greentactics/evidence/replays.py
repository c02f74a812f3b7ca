"""What the pairs of a replay come to: a ratio of energies, with an interval over models, and one of times.

Runs of one model are not independent, so each model, or family, counts once: with the mean of the logarithms
of its pairs. The interval says how far the figure would move with other models; other machines and meters,
and the noise of the single runs, are not in it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from greentactics.evidence.comparison import TIMES_LOWER, Estimate
from greentactics.evidence.intervals import interval, mean_of
from greentactics.evidence.wording import estimate_phrase, includes_no_effect, ratio_digits
from greentactics.models.datasets import KNOWN_SHA256
from greentactics.models.replays import Reading, Replay, Replayed, ReplayedPair


class ReplayObjection(StrEnum):
    """Why a replay is not current; the value is what readers see."""

    CODE_CHANGED = "stale: the program has changed since"
    DATA_CHANGED = "stale: other data are published"


@dataclass(frozen=True)
class Effect:
    """One comparison in numbers."""

    replayed: Replayed
    """What is compared."""

    @cached_property
    def energy(self) -> Estimate:
        """Energy without the tactic over energy with it; `n` counts clusters."""
        return _over_clusters(self.replayed.pairs, lambda reading: reading.energy_j)

    @cached_property
    def time(self) -> Estimate:
        """The same of the time."""
        return _over_clusters(self.replayed.pairs, lambda reading: reading.seconds)

    @property
    def span(self) -> tuple[float, float]:
        """The smallest and the largest ratio of energies in a pair."""
        ratios = [pair.baseline.energy_j / pair.tactic.energy_j for pair in self.replayed.pairs]
        return min(ratios), max(ratios)

    @property
    def count(self) -> str:
        """How many pairs there are, and of how many clusters."""
        return f"{len(self.replayed.pairs)} pairs of {self.energy.n} {self.replayed.clusters}"


@dataclass(frozen=True)
class TacticReplay:
    """A replay of a tactic. It never decides the level of evidence: models and machines are others'."""

    replay: Replay
    """The pairs."""
    against: tuple[ReplayObjection, ...]
    """Why it is not current."""

    @cached_property
    def effects(self) -> tuple[Effect, ...]:
        """The comparisons, in their order."""
        return tuple(map(Effect, self.replay.comparisons))


def tactic_replays(replays: Iterable[Replay], code_sha256: str | None) -> tuple[TacticReplay, ...]:
    """Return the replays of a tactic with what speaks against them.

    Args:
        replays: The replays.
        code_sha256: Checksum of the program as it is now; None where it is not known.
    """
    return tuple(TacticReplay(replay, _objections(replay, code_sha256)) for replay in replays)


def _objections(replay: Replay, code_sha256: str | None) -> tuple[ReplayObjection, ...]:
    holds = {
        ReplayObjection.CODE_CHANGED: code_sha256 not in (None, replay.code_sha256),
        ReplayObjection.DATA_CHANGED: KNOWN_SHA256.get(replay.data) != replay.data_sha256,
    }
    return tuple(objection for objection in ReplayObjection if holds[objection])


def effect_lines(effect: Effect) -> tuple[str, str]:
    """Return what is compared, and what it comes to, for a terminal."""
    replayed = effect.replayed
    energy = f"{ratio_phrase(effect.energy)}, in single pairs {span_phrase(*effect.span)}"
    figures = f"{replayed.energy} {energy}; {replayed.time} {ratio_phrase(effect.time)}; {effect.count}"
    return f"{replayed.tactic}, against: {replayed.baseline}", f"  {figures}"


def ratio_phrase(estimate: Estimate) -> str:
    """Return a ratio with its interval, and whether that holds no difference."""
    return estimate_phrase(estimate) + ("; no difference shown" if includes_no_effect(estimate) else "")


def span_phrase(low: float, high: float) -> str:
    """Write two ratios, of which above 1 is lower, such as `1.24x to 5.1x lower`."""
    ends = [
        (ratio if ratio >= 1 else 1 / ratio, "lower" if ratio >= 1 else "higher") for ratio in (low, high)
    ]
    if ends[0][1] == ends[1][1] == "higher":
        ends.reverse()
    (least, way), (most, other) = ends
    words = [f"{one:,.{ratio_digits(one)}f}x" for one in (least, most)]
    return f"{words[0]} to {words[1]} {other}" if way == other else f"{words[0]} {way} to {words[1]} {other}"


def _over_clusters(pairs: Iterable[ReplayedPair], of: Callable[[Reading], float]) -> Estimate:
    by_cluster: dict[str, list[float]] = {}
    for pair in pairs:
        by_cluster.setdefault(pair.cluster, []).append(math.log(of(pair.baseline) / of(pair.tactic)))
    mean = mean_of([math.fsum(ratios) / len(ratios) for ratios in by_cluster.values()])
    ends = interval(mean)
    low, high = (None, None) if ends is None else map(math.exp, ends)
    return Estimate(math.exp(mean.value), low, high, len(by_cluster), TIMES_LOWER)
