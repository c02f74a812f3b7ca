"""What others metered, recomputed: the table on the page of a tactic."""

from __future__ import annotations

from dataclasses import dataclass

from greentactics.api.addresses import replay_path
from greentactics.evidence.replays import Effect, ReplayObjection, TacticReplay, ratio_phrase, span_phrase
from greentactics.evidence.tactic import Tactic
from greentactics.evidence.wording import typographic
from greentactics.models.datasets import DATA_SETS, DataSet
from greentactics.records.loading import Catalogue
from greentactics.records.replays import replay_module
from greentactics.site.impact import source_number


@dataclass(frozen=True)
class EffectRow:
    """One comparison in words."""

    tactic: str
    baseline: str
    alike: str
    note: str
    energy_label: str
    energy: str
    span: str
    """The smallest and the largest ratio in a pair."""
    time_label: str
    time: str
    count: str


@dataclass(frozen=True)
class ReplayView:
    """One replay of a tactic."""

    data: DataSet
    """What it is recomputed from."""
    number: int
    """Number of its source on the page."""
    provenance: str
    rows: tuple[EffectRow, ...]
    against: tuple[ReplayObjection, ...]
    """Why it is not current."""
    raw: str
    """Address of the pairs."""
    program: str | None
    """Address of the program; None where the catalogue does not hold it."""


def replay_views(tactic: Tactic, catalogue: Catalogue) -> tuple[ReplayView, ...]:
    """Return the replays of a tactic as its page shows them."""
    return tuple(_view(tactic, entry, catalogue) for entry in tactic.replays)


def _view(tactic: Tactic, entry: TacticReplay, catalogue: Catalogue) -> ReplayView:
    replay, data = entry.replay, DATA_SETS[entry.replay.data]
    program = f"{replay_module(replay.tactic).replace('.', '/')}.py"
    return ReplayView(
        data=data,
        number=source_number(tactic.record, data.reference),
        provenance=replay.provenance,
        rows=tuple(map(_row, entry.effects)),
        against=entry.against,
        raw=replay_path(replay),
        program=program if program in catalogue.modules else None,
    )


def _row(effect: Effect) -> EffectRow:
    replayed = effect.replayed
    return EffectRow(
        tactic=replayed.tactic,
        baseline=replayed.baseline,
        alike=replayed.alike,
        note=replayed.note,
        energy_label=replayed.energy,
        energy=typographic(ratio_phrase(effect.energy)),
        span=typographic(span_phrase(*effect.span)),
        time_label=replayed.time,
        time=typographic(ratio_phrase(effect.time)),
        count=effect.count,
    )
