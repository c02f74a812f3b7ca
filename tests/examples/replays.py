"""Made-up replays for tests."""

from __future__ import annotations

from greentactics.models.datasets import ML_ENERGY_ARCHIVE
from greentactics.models.replays import Reading, Replay, Replayed, ReplayedPair

CODE = "c" * 64
"""Checksum of the program that made them."""


def pair(
    cluster: str, baseline_j: float, tactic_j: float, seconds: tuple[float, float] = (1.0, 1.0)
) -> ReplayedPair:
    """Return two runs of these energies and times."""
    return ReplayedPair(
        cluster=cluster,
        baseline=Reading(file="data/small.json", energy_j=baseline_j, seconds=seconds[0]),
        tactic=Reading(file="data/large.json", energy_j=tactic_j, seconds=seconds[1]),
    )


def replayed(*pairs: ReplayedPair) -> Replayed:
    """Return pairs as a comparison; of none given, two of one model each."""
    return Replayed(
        name="large",
        tactic="large",
        baseline="small",
        alike="model",
        clusters="models",
        energy="GPU energy",
        time="time",
        note="<3 series are left out",
        pairs=pairs or (pair("a", 2.0, 1.0), pair("b", 4.0, 2.0)),
    )


def replay(tactic: str = "consider-energy-aware-pruning") -> Replay:
    """Return a replay of a tactic, made from the published data."""
    return Replay(
        tactic=tactic,
        data="ml-energy",
        data_sha256=ML_ENERGY_ARCHIVE.sha256,
        code_sha256=CODE,
        comparisons=(replayed(),),
    )
