"""The runs of a tactic as its page names them."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass

from greentactics.api.addresses import raw_path
from greentactics.evidence.level import STALE, Objection, objections
from greentactics.evidence.wording import quantity
from greentactics.models.record import Record
from greentactics.models.results import SMOKE_PRESET, Results
from greentactics.records.recipes import RecipeChecksum


@dataclass(frozen=True)
class RunView:
    """One results file as the page shows it."""

    label: str
    """Letter that table rows refer to."""
    results: Results
    """The results."""
    local: bool
    """Whether it comes from this machine instead of the repository."""
    against: tuple[Objection, ...]
    """Why it does not count as evidence."""
    raw: str
    """Address of the raw JSON, relative to the site's root."""

    @property
    def place(self) -> str:
        """Where it comes from, in words."""
        return "this machine" if self.local else "committed"

    @property
    def meter(self) -> str:
        """The energy meter and the power at rest it read, or that there was none."""
        idle = [
            repeat.energy.idle_power_w
            for repeat in self.results.repeats
            if repeat.energy is not None and repeat.energy.idle_power_w is not None
        ]
        if self.results.meter.energy == "none":
            return "none, so no joules"
        rest = f"; {quantity(statistics.median(idle), 'W')} at rest" if idle else ""
        return f"{self.results.meter.energy}{rest}"

    @property
    def stale(self) -> bool:
        """Whether the recipe or the data have changed since."""
        return not STALE.isdisjoint(self.against)


def run_views(
    record: Record, committed: Iterable[Results], local: Iterable[Results], checksum: RecipeChecksum | None
) -> tuple[RunView, ...]:
    """Return the runs a page shows, committed ones first; smoke runs are never shown."""
    entries = [(entry, False) for entry in committed] + [(entry, True) for entry in local]
    shown = [(entry, is_local) for entry, is_local in entries if entry.preset != SMOKE_PRESET]
    return tuple(
        RunView(
            label=_letter(index),
            results=entry,
            local=is_local,
            against=objections(entry, checksum),
            raw=raw_path(record.id, entry, is_local),
        )
        for index, (entry, is_local) in enumerate(shown)
    )


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)
