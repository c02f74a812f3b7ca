"""A tactic: its record joined with its results, and what follows from both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from greentactics.evidence.claims import claim_phrase, headline_claim
from greentactics.evidence.level import Evidence, assess
from greentactics.evidence.replays import TacticReplay, tactic_replays
from greentactics.evidence.runs import TacticRun, tactic_runs
from greentactics.evidence.verdict import Verdict, headline_run, verdict
from greentactics.evidence.wording import estimate_phrase, with_provenance
from greentactics.models.record import Record
from greentactics.models.results import Results
from greentactics.models.vocabulary import Direction
from greentactics.records.loading import Catalogue


@dataclass(frozen=True)
class Tactic:
    """A record with its runs; what is computed from them is computed here once, for every reader."""

    record: Record
    """The record."""
    committed: tuple[TacticRun, ...]
    """Runs in the repository."""
    local: tuple[TacticRun, ...]
    """Runs of this machine; shown beside the committed ones, never counted as evidence."""
    evidence: Evidence
    """How well the effect is supported."""
    replays: tuple[TacticReplay, ...] = ()
    """What others metered, recomputed; shown beside our own figures, never counted as evidence."""

    @property
    def runs(self) -> tuple[TacticRun, ...]:
        """The runs that are shown, committed ones first; no smoke runs."""
        return tuple(run for run in (*self.committed, *self.local) if not run.is_smoke)

    @cached_property
    def shown(self) -> TacticRun | None:
        """The committed run that the verdict rests on."""
        return headline_run(self.committed)

    @cached_property
    def verdict(self) -> Verdict:
        """Claim and reproduction in words."""
        return verdict(self.record, self.committed)

    @cached_property
    def local_verdict(self) -> Verdict | None:
        """The same of this machine's runs; None where they show nothing."""
        return verdict(self.record, self.local) if headline_run(self.local) else None

    @property
    def quality(self) -> str:
        """The quality the tactic targets, or the first one a dark tactic worsens."""
        if self.record.target_quality is not None:
            return self.record.target_quality.label
        effects = self.record.effects
        worsened = (effect for effect in effects if effect.direction is Direction.WORSENS)
        return next(worsened, effects[0]).quality.label

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
        run, recipe = self.shown, self.record.recipe
        if run is None or run.cost is None or recipe is None:
            return "not yet"
        label = with_provenance(recipe.cost_label, run.results.metrics[recipe.cost_metric])
        return f"{label} {estimate_phrase(run.cost)}, n = {run.cost.n}"

    @property
    def reproduced_on(self) -> str:
        """The devices of the runs that count as evidence, in words, and whether none was an accelerator."""
        devices = [run.results.device for run in self.committed if not run.against]
        if not devices:
            return "no device yet"
        names = dict.fromkeys(
            f"{one.label}, {one.share}" if one.kind == "cpu" else f"{one.label} (accelerator)"
            for one in devices
        )
        without = "; no accelerator was used" if all(one.kind == "cpu" for one in devices) else ""
        return "; ".join(names) + without


def join(catalogue: Catalogue, local: Mapping[str, tuple[Results, ...]]) -> dict[str, Tactic]:
    """Join each record with its results, in alphabetical order of identifiers."""
    return {
        identifier: _tactic(catalogue, record, local.get(identifier, ()))
        for identifier, record in sorted(catalogue.records.items())
    }


def _tactic(catalogue: Catalogue, record: Record, local: tuple[Results, ...]) -> Tactic:
    source = catalogue.recipes.get(record.id)
    runs = tactic_runs(
        record,
        catalogue.results.get(record.id, ()),
        local,
        checksum=source.checksum if source else None,
        timing_sha256=catalogue.timing_sha256,
    )
    committed = tuple(run for run in runs if not run.local)
    evidence = assess(record, committed, catalogue.bibliography)
    replays = tactic_replays(catalogue.replays.get(record.id, ()), catalogue.replay_sha256.get(record.id))
    return Tactic(record, committed, runs[len(committed) :], evidence, replays)


def effects_by_direction(record: Record) -> dict[str, str]:
    """Return the labels of the qualities by direction, for the metadata list."""
    return {
        direction.value: ", ".join(
            effect.quality.label for effect in record.effects if effect.direction is direction
        )
        for direction in Direction
    }
