"""The level of evidence, computed from claims and results, never typed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from greentactics.evidence.claims import effect_claims, has_figure, other_quantity
from greentactics.evidence.rivals import Against
from greentactics.evidence.runs import TacticRun, needs_control
from greentactics.evidence.wording import plain_label
from greentactics.models.bibliography import Name, Reference
from greentactics.models.record import Record
from greentactics.models.results import DEFAULT_PRESET, DeviceInfo
from greentactics.models.vocabulary import ReadIn, Term


class Level(Term):
    """How well the effect is supported."""

    E0 = "E0", "argued, without a figure"
    E1 = "E1", "a figure from one source"
    E2 = "E2", "figures from independent sources"
    E3 = "E3", "reproduced or shown here"
    E4 = "E4", "reproduced or shown here on a second device or subject"


class Mark(Term):
    """What stands beside a level."""

    CONTESTED = "contested", "a result contests the headline claim, or the first one about quality"
    MATCHED = "matched", "the best rival does as well, as far as was shown"
    BEATEN = "beaten", "the best rival does better"


_MARKED = {Against.MATCHED: Mark.MATCHED, Against.BEATEN: Mark.BEATEN}


@dataclass(frozen=True)
class Evidence:
    """Level of evidence with the reason for it."""

    level: Level
    """The level."""
    marks: tuple[Mark, ...]
    """What counting results add to it, in the order of the vocabulary."""
    reasons: tuple[str, ...]
    """Why this level, then why these marks."""

    @property
    def text(self) -> str:
        """The level and its marks, such as `E3, contested`."""
        return ", ".join([self.level.value, *self.marks])


def assess(record: Record, runs: Iterable[TacticRun], bibliography: Mapping[str, Reference]) -> Evidence:
    """Derive the level of evidence.

    Args:
        record: The tactic.
        runs: Its committed runs, one a device; a machine's own uncommitted runs are not passed in.
        bibliography: References by key, to tell independent sources.
    """
    counting = [run for run in runs if not run.against]
    marked = [(mark, reason) for run in counting for mark, reason in _marks(run)]
    marks = tuple(mark for mark in Mark if mark in dict(marked))
    level, reason = _level(record, counting, bibliography)
    return Evidence(
        level, marks, (reason, *(reason for mark in marks for of, reason in marked if of is mark))
    )


def _marks(run: TacticRun) -> Iterator[tuple[Mark, str]]:
    """Return what a run adds to the level, each with the reason."""
    where = f"on {run.results.device.label}"
    if run.results.preset != DEFAULT_PRESET:
        where += f", preset {run.results.preset},"
    for contest in run.contests:
        yield Mark.CONTESTED, f"{where} {contest}"
    rival = run.best_rival
    if rival and rival.outcome in _MARKED:
        mark = _MARKED[rival.outcome]
        yield mark, f"{where} {mark.value} by its best rival, {plain_label(rival.arm)}"


def _shown(record: Record, counting: Sequence[TacticRun]) -> tuple[Level, str] | None:
    """Return level and reason where every counting run shows the effect and none loses to its best rival."""
    passed = [run for run in counting if run.reproduces and not run.is_beaten]
    if not counting or len(passed) < len(counting):
        return None
    figures = [claim for claim in effect_claims(record) if has_figure(claim)]
    same_quantity = any(not other_quantity(record, claim) for claim in figures)
    word = "reproduced here" if same_quantity else "shown here"
    # Counts and models give the same on any device, so that only another subject can tell more.
    if needs_control(record, counting[0].results):
        count, of = _device_count([run.results.device for run in counting]), "device"
    else:
        count, of = len({run.results.subject or run.results.data.name for run in counting}), "subject"
    if count >= 2:
        return Level.E4, f"{word} on {count} {of}s"
    return Level.E3, f"{word} on one {of}"


def _device_count(devices: Iterable[DeviceInfo]) -> int:
    """Count devices that are surely different: by name, and by model where both tell it."""
    models: dict[tuple[str, str], set[str]] = {}
    for device in devices:
        models.setdefault((device.kind, device.name), set()).update(filter(None, [device.model]))
    return sum(max(1, len(known)) for known in models.values())


def _level(
    record: Record, counting: Sequence[TacticRun], bibliography: Mapping[str, Reference]
) -> tuple[Level, str]:
    shown = _shown(record, counting)
    if shown:
        return shown
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
