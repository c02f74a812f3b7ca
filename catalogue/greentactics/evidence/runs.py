"""A run of a tactic: one results file, and what follows from it.

Whether results count, whether they reproduce the effect, whether they contest the claim, and how the tactic
fares against its best rival are four questions. A figure from another network or device than ours is still
compared: our interval contests it when it lies wholly on the wrong side of no effect, or wholly below the
claimed effect. A larger effect than claimed contests nothing, nor does an effect on another quantity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from greentactics.evidence.claims import (
    claimed_times,
    effect_claims,
    headline_claim,
    most_claimed_loss,
    other_quantity,
    quality_claim,
)
from greentactics.evidence.comparison import (
    POINTS,
    Estimate,
    NotComparable,
    absolute,
    compare,
    loss_interval,
    tolerance_points,
)
from greentactics.evidence.latency import PassesCompared, Quantity, compare_passes, engines, shows_difference
from greentactics.evidence.rivals import Against, BestRival, best_rival, choice_metric, fares
from greentactics.evidence.wording import includes_no_effect, plain_label
from greentactics.models.datasets import KNOWN_SHA256
from greentactics.models.record import Record
from greentactics.models.results import BASELINE, SMOKE_PRESET, TACTIC, TEST, Results
from greentactics.models.timings import CONTROL, Engine
from greentactics.models.vocabulary import Bound, Kind
from greentactics.records.recipes import RecipeChecksum, is_recipe_changed

LEAST_PAIRS = 5
NOISY = ("measured", "metered")
"""Provenances of costs that need an A/A control."""


class Objection(StrEnum):
    """Why results do not count as evidence; the value is the sentence that readers see."""

    SMOKE_RUN = "smoke run"
    RECIPE_CHANGED = "stale: the recipe has changed since"
    DATA_CHANGED = "stale: the data have changed since"
    UNCOMMITTED_CHANGES = "uncommitted changes in the working tree"
    NO_COMMIT = "not tied to a commit"
    INCOMPLETE = "incomplete: a repeat failed or is missing"
    FEW_SEEDS = f"fewer than {LEAST_PAIRS} seeds"
    OTHER_METER = "the energy meter does not cover the processor that worked"


class Doubt(StrEnum):
    """Why a cost is not shown to differ from the baseline's; the value is what readers see."""

    NO_DIFFERENCE = "no difference shown"
    NO_CONTROL = "no A/A control"
    SIDE_BY_SIDE = "repeats ran side by side"


class Contest(StrEnum):
    """How results contest a claim; the value is what readers see."""

    OPPOSITE = "the interval lies wholly on the opposite side of no effect"
    SMALLER = "the interval lies wholly below the claimed effect"
    LOSSIER = "the interval of the quality's loss lies wholly above what is claimed"


STALE = frozenset({Objection.RECIPE_CHANGED, Objection.DATA_CHANGED})
"""Objections to results that were right once."""


def objections(results: Results, checksum: RecipeChecksum | None = None) -> tuple[Objection, ...]:
    """Return why results do not count as evidence; empty when they do.

    What is not known is not held against the run: a recipe that is not there, data of the contributor's own.

    Args:
        results: The results of one device.
        checksum: Tells the checksum of the recipe as it is now; None skips the comparison.
    """
    data = results.data
    holds = {
        Objection.SMOKE_RUN: results.preset == SMOKE_PRESET,
        Objection.RECIPE_CHANGED: is_recipe_changed(results, checksum),
        Objection.DATA_CHANGED: KNOWN_SHA256.get(data.name, data.sha256) != data.sha256,
        Objection.UNCOMMITTED_CHANGES: results.dirty,
        Objection.NO_COMMIT: results.commit is None and not results.dirty,
        Objection.INCOMPLETE: not results.complete,
        Objection.FEW_SEEDS: len(results.seeds) < LEAST_PAIRS,
        # A user can force the meter of an accelerator on work that the processor does.
        Objection.OTHER_METER: results.device.kind == "cpu" and results.meter.energy == "NVML",
    }
    return tuple(objection for objection in Objection if holds[objection])


def timing_is_stale(results: Results, timing_sha256: str | None) -> bool:
    """Tell whether the timing protocol has changed since; an unknown one is not held against the passes."""
    return bool(results.timings) and timing_sha256 not in (None, results.timing_sha256)


def needs_control(record: Record, results: Results) -> bool:
    """Tell whether the headline cost was measured or metered, so that noise of the machine is in it."""
    info = None if record.recipe is None else results.metrics.get(record.recipe.cost_metric)
    return info is not None and info.provenance in NOISY


@dataclass(frozen=True, eq=False)
class TacticRun:
    """One results file of a tactic. Each comparison is computed once, when it is first asked for."""

    record: Record
    """The tactic."""
    results: Results
    """The results."""
    local: bool
    """Whether they come from this machine instead of the repository."""
    label: str
    """Letter that the rows of tables refer to; empty for a smoke run, which is never shown."""
    against: tuple[Objection, ...]
    """Why they do not count as evidence."""
    timing_is_stale: bool
    """Whether the timing protocol has changed since."""
    _compared: dict[tuple[str, str, str], Estimate | NotComparable] = field(default_factory=dict)
    _passes: dict[tuple[Engine, str, Quantity], PassesCompared | NotComparable] = field(default_factory=dict)

    @property
    def stale(self) -> bool:
        """Whether the recipe or the data have changed since."""
        return not STALE.isdisjoint(self.against)

    @property
    def is_smoke(self) -> bool:
        """Whether it only shows that the recipe runs."""
        return self.results.preset == SMOKE_PRESET

    def compared(self, arm: str, metric: str, reference: str = BASELINE) -> Estimate | NotComparable:
        """Compare an arm with another, the baseline unless told; or say why that gives no number."""
        key = arm, metric, reference
        if key not in self._compared:
            try:
                self._compared[key] = compare(self.results, *key)
            except NotComparable as refusal:
                self._compared[key] = refusal.with_traceback(None)
        return self._compared[key]

    def estimate(self, arm: str, metric: str, reference: str = BASELINE) -> Estimate | None:
        """Compare as `compared` does; None where that gives no number."""
        answer = self.compared(arm, metric, reference)
        return None if isinstance(answer, NotComparable) else answer

    def mean(self, arm: str, metric: str) -> Estimate | None:
        """Return the mean of a metric over an arm's repeats with its interval; None where it has none."""
        return absolute(self.results, arm, metric)

    def passes(
        self, engine: Engine, arm: str, quantity: Quantity = "wall_ms"
    ) -> PassesCompared | NotComparable:
        """Compare an arm with the baseline over all timing passes; or say why that gives no number."""
        key = engine, arm, quantity
        if key not in self._passes:
            try:
                self._passes[key] = compare_passes(self.results.timings, *key)
            except NotComparable as refusal:
                self._passes[key] = refusal.with_traceback(None)
        return self._passes[key]

    @cached_property
    def felt(self) -> tuple[PassesCompared, ...]:
        """Time of one call of the tactic against the baseline, in each engine that both were timed in."""
        answers = (self.passes(engine, TACTIC) for engine in engines(self.results.timings))
        return tuple(answer for answer in answers if not isinstance(answer, NotComparable))

    @property
    def cost(self) -> Estimate | None:
        """The record's headline cost against the baseline; None where there is no number."""
        recipe = self.record.recipe
        return None if recipe is None else self.estimate(TACTIC, recipe.cost_metric)

    @property
    def quality_metric(self) -> str:
        """The metric of the quality that must not suffer; empty without a recipe."""
        recipe = self.record.recipe
        return "" if recipe is None else self.results.quality_metric(recipe.quality_metric)

    @property
    def quality_label(self) -> str:
        """What that quality is called; empty without a recipe."""
        recipe, name = self.record.recipe, self.quality_metric
        if recipe is None or name == recipe.quality_metric:
            return "" if recipe is None else recipe.quality_label
        return plain_label(name.removeprefix(TEST))

    @property
    def quality(self) -> Estimate | None:
        """The quality that must not suffer against the baseline; None where there is no number."""
        return None if self.record.recipe is None else self.estimate(TACTIC, self.quality_metric)

    @property
    def loss_interval(self) -> tuple[float, float] | None:
        """Points of quality that were lost, at least and at most; None without an interval in points."""
        recipe, quality = self.record.recipe, self.quality
        if recipe is None or quality is None:
            return None
        return loss_interval(quality, self.results.metrics[self.quality_metric].better)

    @property
    def largest_loss(self) -> float | None:
        """Points of quality that may have been lost at most; None without an interval in points."""
        loss = self.loss_interval
        return None if loss is None else loss[1]

    @property
    def tolerance_points(self) -> float:
        """Loss of quality that is still acceptable, in percentage points; 0 without a recipe."""
        recipe = self.record.recipe
        return 0.0 if recipe is None else tolerance_points(self.results, recipe)

    @property
    def within_tolerance(self) -> bool:
        """Whether the whole interval of the quality's loss lies within the tolerance."""
        loss = self.largest_loss
        return loss is not None and loss <= self.tolerance_points

    @cached_property
    def doubt(self) -> Doubt | None:
        """Why the headline cost is not shown to differ from the baseline's, or None where it is.

        The interval has to exclude no effect. Where the cost was measured or metered, the baseline is run
        twice with each seed, and the effect has to exceed what these two runs differ by.
        """
        return self._doubt(self.cost)

    def _doubt(self, cost: Estimate | None) -> Doubt | None:
        """Return why a comparison of headline costs shows no difference, or None where it does."""
        if self.record.recipe is None or cost is None or includes_no_effect(cost):
            return Doubt.NO_DIFFERENCE
        if not needs_control(self.record, self.results):
            return None
        control = self.estimate(CONTROL, self.record.recipe.cost_metric)
        if control is None:
            return Doubt.NO_CONTROL
        if self.results.jobs > 1:
            return Doubt.SIDE_BY_SIDE
        return None if shows_difference(cost, control) else Doubt.NO_DIFFERENCE

    @cached_property
    def best_rival(self) -> BestRival | None:
        """The tactic against the rival to beat; None without a rival, and for a habit to avoid."""
        recipe, results = self.record.recipe, self.results
        if recipe is None or self.record.kind is Kind.DARK:
            return None
        arm = best_rival(results, recipe)
        if arm is None:
            return None
        cost = self.estimate(TACTIC, recipe.cost_metric, arm)
        quality = self.estimate(TACTIC, self.quality_metric, arm)
        if cost is None or quality is None:
            return None
        outcome = fares(
            cost,
            quality,
            results.metrics[self.quality_metric].better,
            self.tolerance_points,
            cost_differs=self._doubt(cost) is None,
        )
        return BestRival(arm, choice_metric(results, recipe), cost, quality, outcome)

    @property
    def reproduces(self) -> bool:
        """Whether it shows the claimed effect, at acceptable quality if the tactic advises."""
        interval, quality = self._effect_interval, self.quality
        if interval is None or not effect_claims(self.record) or interval[0] <= 1:
            return False
        if self.doubt is not None:
            return False
        if self.record.kind is Kind.DARK:
            return True
        return quality is not None and quality.n >= LEAST_PAIRS and self.within_tolerance

    @property
    def is_beaten(self) -> bool:
        """Whether the best rival does better."""
        return self.best_rival is not None and self.best_rival.outcome is Against.BEATEN

    @property
    def contests(self) -> tuple[Contest, ...]:
        """How it contests the headline claim, and the first one about quality."""
        return tuple(filter(None, (self._contests_effect, self.contests_quality)))

    @property
    def contests_quality(self) -> Contest | None:
        """How it contests the first claim about quality, or None."""
        recipe, claim, quality, loss = (
            self.record.recipe,
            quality_claim(self.record),
            self.quality,
            self.loss_interval,
        )
        if recipe is None or claim is None or quality is None or loss is None or quality.n < LEAST_PAIRS:
            return None
        if quality.unit != POINTS:  # claims are in no other
            return None
        claimed = most_claimed_loss(claim, self.tolerance_points)
        return Contest.LOSSIER if claimed is not None and loss[0] > claimed else None

    @property
    def _contests_effect(self) -> Contest | None:
        claim, interval = headline_claim(self.record), self._effect_interval
        if claim is None or interval is None or other_quantity(self.record, claim):
            return None
        if interval[1] < 1:
            return Contest.OPPOSITE
        claimed = claimed_times(claim)
        if claimed is None or claim.bound is Bound.AT_MOST or interval[1] >= claimed:
            return None
        return Contest.SMALLER

    @property
    def _effect_interval(self) -> tuple[float, float] | None:
        """The interval of the headline cost, turned so that the effect is above 1; None below 5 pairs."""
        cost = self.cost
        if cost is None or cost.n < LEAST_PAIRS or cost.low is None or cost.high is None:
            return None
        if cost.is_difference:
            return None
        return (1 / cost.high, 1 / cost.low) if self.record.kind is Kind.DARK else (cost.low, cost.high)


def tactic_runs(
    record: Record,
    committed: Iterable[Results] = (),
    local: Iterable[Results] = (),
    *,
    checksum: RecipeChecksum | None = None,
    timing_sha256: str | None = None,
) -> tuple[TacticRun, ...]:
    """Return the runs of a tactic, committed ones first, each by device and preset.

    Args:
        record: The tactic.
        committed: Results in the repository.
        local: Results of this machine.
        checksum: Tells the checksum of the recipe as it is now; None takes no result for stale.
        timing_sha256: Checksum of the timing protocol as it is now; None takes no pass for stale.
    """
    runs: list[TacticRun] = []
    shown = 0
    for is_local, entries in ((False, committed), (True, local)):
        for results in sorted(entries, key=lambda entry: (entry.device_slug, entry.preset)):
            is_shown = results.preset != SMOKE_PRESET
            label = _letter(shown) if is_shown else ""
            against = objections(results, checksum)
            timing = timing_is_stale(results, timing_sha256)
            runs.append(TacticRun(record, results, is_local, label, against, timing))
            shown += is_shown
    return tuple(runs)


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else str(index + 1)
