"""The level of evidence, computed from claims and results, never typed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greentactics.evidence.claims import effect_claims, has_figure
from greentactics.evidence.runs import TacticRun
from greentactics.models.bibliography import Name, Reference
from greentactics.models.record import Record
from greentactics.models.results import DeviceInfo
from greentactics.models.vocabulary import ReadIn, Term


class Level(Term):
    """How well the effect is supported."""

    E0 = "E0", "argued, without a figure"
    E1 = "E1", "a figure from one source"
    E2 = "E2", "figures from independent sources"
    E3 = "E3", "reproduced here"
    E4 = "E4", "reproduced here on a second device"


@dataclass(frozen=True)
class Evidence:
    """Level of evidence with the reason for it."""

    level: Level
    """The level."""
    contested: bool
    """Whether a counting result contests the headline claim."""
    reasons: tuple[str, ...]
    """Why this level and, where contested, why that."""


def assess(record: Record, runs: Iterable[TacticRun], bibliography: Mapping[str, Reference]) -> Evidence:
    """Derive the level of evidence.

    Args:
        record: The tactic.
        runs: Its committed runs, one a device; a machine's own uncommitted runs are not passed in.
        bibliography: References by key, to tell independent sources.
    """
    counting = [run for run in runs if not run.against]
    contests = tuple(f"on {run.results.device.name} {run.contests}" for run in counting if run.contests)
    devices = _device_count([run.results.device for run in counting if run.reproduces])
    level, reason = _level(record, devices, bibliography)
    return Evidence(level, bool(contests), (reason, *contests))


def _device_count(devices: Iterable[DeviceInfo]) -> int:
    """Count devices that are surely different: by name, and by model where both tell it."""
    models: dict[tuple[str, str], set[str]] = {}
    for device in devices:
        models.setdefault((device.kind, device.name), set()).update(filter(None, [device.model]))
    return sum(max(1, len(known)) for known in models.values())


def _level(record: Record, devices: int, bibliography: Mapping[str, Reference]) -> tuple[Level, str]:
    if devices >= 2:
        return Level.E4, f"reproduced here on {devices} devices"
    if devices == 1:
        return Level.E3, "reproduced here on one device"
    figures = [claim for claim in effect_claims(record) if has_figure(claim)]
    if not figures:
        return Level.E0, "argued in the literature, without a figure"
    # What was read second-hand has the second hand as its source, which may repeat one of the others.
    keys = dict.fromkeys(claim.source for claim in figures if claim.read_in is not ReadIn.SECONDARY)
    if not keys:
        return Level.E1, "a figure that was read second-hand only"
    if _independent(tuple(keys), bibliography):
        return Level.E2, f"figures from {len(keys)} sources, at least two of them without a common author"
    shared = "figures from sources that share authors"
    return Level.E1, "one source with a figure" if len(keys) == 1 else shared


def _independent(keys: tuple[str, ...], bibliography: Mapping[str, Reference]) -> bool:
    """Tell whether two of the sources have no author in common."""
    authors = [{_signature(name) for name in bibliography[key].author} for key in keys if key in bibliography]
    return any(not (one & other) for index, one in enumerate(authors) for other in authors[index + 1 :])


def _signature(name: Name) -> str:
    initial = (name.given or "")[:1]
    return f"{name.literal or name.family or ''} {initial}".casefold().strip()
