"""A tactic: its record joined with its results, and what follows from both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from greentactics.evidence.claims import claim_phrase, headline_claim
from greentactics.evidence.level import Evidence, assess, cost_estimate, objections
from greentactics.evidence.verdict import headline_results, verdict_line
from greentactics.evidence.wording import estimate_phrase, with_provenance
from greentactics.models.record import Record
from greentactics.models.results import Results
from greentactics.models.vocabulary import Direction
from greentactics.records.loading import Catalogue
from greentactics.records.recipes import RecipeChecksum


@dataclass(frozen=True)
class Tactic:
    """A record with everything computed from its results."""

    record: Record
    committed: tuple[Results, ...]
    local: tuple[Results, ...]
    checksum: RecipeChecksum | None
    evidence: Evidence
    verdict: str
    local_verdict: str | None

    @property
    def quality(self) -> str:
        """The quality the tactic targets, or harms."""
        return quality_word(self.record)

    @property
    def improves(self) -> str:
        """The qualities that get better, in the order of the record."""
        return effects_by_direction(self.record)[Direction.IMPROVES.value]

    @property
    def claimed(self) -> str:
        """The headline claim in words."""
        claim = headline_claim(self.record)
        return claim_phrase(claim) if claim else "no published figure"

    @property
    def reproduced(self) -> str:
        """The headline cost of the committed results in words."""
        shown = headline_results(self.record, self.committed, self.checksum)
        estimate = cost_estimate(self.record, shown) if shown else None
        if shown is None or estimate is None or self.record.recipe is None:
            return "not yet"
        label = with_provenance(self.record.recipe.cost_label, shown.metrics[self.record.recipe.cost_metric])
        return f"{label} {estimate_phrase(estimate)}, n = {estimate.n}"

    @property
    def reproduced_on(self) -> str:
        """The devices of the runs that count as evidence, in words, and whether none was an accelerator."""
        devices = [entry.device for entry in self.committed if not objections(entry, self.checksum)]
        if not devices:
            return "no device yet"
        names = dict.fromkeys(
            f"{one.name}, {one.share}" if one.kind == "cpu" else f"{one.name} (accelerator)"
            for one in devices
        )
        without = "; no accelerator was used" if all(one.kind == "cpu" for one in devices) else ""
        return "; ".join(names) + without


def join(catalogue: Catalogue, local: Mapping[str, tuple[Results, ...]]) -> dict[str, Tactic]:
    """Join each record with its results, in alphabetical order of identifiers."""
    return {
        identifier: _tactic(catalogue, record, _in_order(local.get(identifier, ())))
        for identifier, record in sorted(catalogue.records.items())
    }


def _tactic(catalogue: Catalogue, record: Record, local: tuple[Results, ...]) -> Tactic:
    committed = _in_order(catalogue.results.get(record.id, ()))
    source = catalogue.recipes.get(record.id)
    checksum = source.checksum if source else None
    shown_locally = headline_results(record, local, checksum)
    return Tactic(
        record=record,
        committed=committed,
        local=local,
        checksum=checksum,
        evidence=assess(record, committed, catalogue.bibliography, checksum),
        verdict=verdict_line(record, committed, checksum=checksum),
        local_verdict=verdict_line(record, local, checksum=checksum) if shown_locally else None,
    )


def _in_order(results: Iterable[Results]) -> tuple[Results, ...]:
    return tuple(sorted(results, key=lambda entry: (entry.device_slug, entry.preset)))


def quality_word(record: Record) -> str:
    """Return the quality a tactic improves, or the first one a dark tactic worsens."""
    if record.target_quality is not None:
        return record.target_quality.label
    worsened = [effect.quality for effect in record.effects if effect.direction is Direction.WORSENS]
    return (worsened or [record.effects[0].quality])[0].label


def effects_by_direction(record: Record) -> dict[str, str]:
    """Return the labels of the qualities by direction, for the metadata list."""
    return {
        direction.value: ", ".join(
            effect.quality.label for effect in record.effects if effect.direction is direction
        )
        for direction in Direction
    }
