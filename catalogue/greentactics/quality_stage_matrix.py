"""How many tactics improve which quality in which stage; empty fields show what the catalogue lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from greentactics.tactic import Tactic
from greentactics.vocabulary import Direction, Kind, Quality, Stage


@dataclass(frozen=True)
class Field:
    """One field of the matrix."""

    quality: Quality
    """What gets better."""
    stage: Stage
    """Where the decision is taken."""
    count: int
    """How many tactics of advice do so."""

    @property
    def query(self) -> str:
        """What "Find a tactic" is asked to show these tactics, and no others."""
        return f"?improves={self.quality}&stages={self.stage}"

    @property
    def shade(self) -> int:
        """How dark the field is drawn, from 1 to 4: one more for each doubling of the count."""
        return min(4, self.count.bit_length())


def matrix_rows(tactics: Iterable[Tactic]) -> list[tuple[Quality, tuple[Field, ...]]]:
    """Return a row for each quality that some tactic improves, with a field for each stage.

    Habits to avoid are left out, as on the page that the fields lead to.
    """
    counts = _counts(tactics)
    return [
        (quality, tuple(Field(quality, stage, counts[quality, stage]) for stage in Stage))
        for quality in Quality
        if any(counts[quality, stage] for stage in Stage)
    ]


def not_improved(tactics: Iterable[Tactic]) -> list[Quality]:
    """Return the qualities that no tactic improves."""
    improved = {quality for quality, _ in matrix_rows(tactics)}
    return [quality for quality in Quality if quality not in improved]


def _counts(tactics: Iterable[Tactic]) -> Counter[tuple[Quality, Stage]]:
    return Counter(
        (effect.quality, stage)
        for tactic in tactics
        if tactic.record.kind is not Kind.DARK
        for effect in tactic.record.effects
        if effect.direction is Direction.IMPROVES
        for stage in tactic.record.stages
    )
