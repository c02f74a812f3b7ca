"""The level of evidence, computed from claims and results, never typed.

Whether a result counts, whether it reproduces the effect, and whether it contests the claim are three
questions. A figure from another network or device than ours is still compared: our interval contests it
when it lies wholly on the wrong side of no effect, or wholly below the claimed effect. A larger effect than
claimed contests nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from greentactics.evidence.claims import claimed_times, effect_claims, has_figure, headline_claim
from greentactics.evidence.comparison import POINTS, Estimate, NotComparable, compare, largest_loss
from greentactics.evidence.latency import shows_difference
from greentactics.evidence.wording import includes_no_effect
from greentactics.models.bibliography import Name, Reference
from greentactics.models.datasets import KNOWN_SHA256
from greentactics.models.record import Record
from greentactics.models.results import SMOKE_PRESET, TACTIC, DeviceInfo, Results
from greentactics.models.timings import CONTROL
from greentactics.models.vocabulary import Bound, Kind, ReadIn, Term
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


STALE = frozenset({Objection.RECIPE_CHANGED, Objection.DATA_CHANGED})
"""Objections to results that were right once."""


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


def is_stale(results: Results, checksum: RecipeChecksum | None) -> bool:
    """Tell whether the recipe or the data have changed since the run.

    What is not known is not held against the run: a recipe that is not there, data of the contributor's own.
    """
    return is_recipe_changed(results, checksum) or _data_changed(results)


def _data_changed(results: Results) -> bool:
    return KNOWN_SHA256.get(results.data.name, results.data.sha256) != results.data.sha256


def objections(results: Results, checksum: RecipeChecksum | None = None) -> tuple[Objection, ...]:
    """Return why results do not count as evidence; empty when they do.

    Args:
        results: The results of one device.
        checksum: Tells the checksum of the recipe as it is now; None skips the comparison.
    """
    holds = {
        Objection.SMOKE_RUN: results.preset == SMOKE_PRESET,
        Objection.RECIPE_CHANGED: is_recipe_changed(results, checksum),
        Objection.DATA_CHANGED: _data_changed(results),
        Objection.UNCOMMITTED_CHANGES: results.dirty,
        Objection.NO_COMMIT: results.commit is None and not results.dirty,
        Objection.INCOMPLETE: not results.complete,
        Objection.FEW_SEEDS: len(results.seeds) < LEAST_PAIRS,
        Objection.OTHER_METER: _meters_something_else(results),
    }
    return tuple(objection for objection in Objection if holds[objection])


def timing_is_stale(results: Results, timing_sha256: str | None) -> bool:
    """Tell whether the timing protocol has changed since; an unknown one is not held against the passes."""
    return bool(results.timings) and timing_sha256 not in (None, results.timing_sha256)


def _meters_something_else(results: Results) -> bool:
    """Tell whether a user forced the meter of an accelerator on work that the processor did."""
    return results.device.kind == "cpu" and results.meter.energy == "NVML"


def cost_estimate(record: Record, results: Results, arm: str = TACTIC) -> Estimate | None:
    """Compare the record's headline cost; None where there is no number."""
    return None if record.recipe is None else estimate_or_none(results, arm, record.recipe.cost_metric)


def quality_estimate(record: Record, results: Results, arm: str = TACTIC) -> Estimate | None:
    """Compare the quality that must not suffer; None where there is no number."""
    return None if record.recipe is None else estimate_or_none(results, arm, record.recipe.quality_metric)


def estimate_or_none(results: Results, arm: str, metric: str) -> Estimate | None:
    """Compare an arm with the baseline; None where that gives no number."""
    try:
        return compare(results, arm, metric)
    except NotComparable:
        return None


def within_tolerance(record: Record, results: Results) -> bool:
    """Tell whether the whole interval of the quality's loss lies within the record's tolerance."""
    if record.recipe is None or (quality := quality_estimate(record, results)) is None:
        return False
    loss = largest_loss(quality, results.metrics[record.recipe.quality_metric].better)
    return loss is not None and loss <= record.recipe.quality_tolerance_points


def needs_control(record: Record, results: Results) -> bool:
    """Tell whether the headline cost was measured or metered, so that noise of the machine is in it."""
    info = None if record.recipe is None else results.metrics.get(record.recipe.cost_metric)
    return info is not None and info.provenance in NOISY


def doubt(record: Record, results: Results) -> str | None:
    """Return why the headline cost is not shown to differ from the baseline's, or None where it is.

    The interval has to exclude no effect. Where the cost was measured or metered, the baseline is run twice
    with each seed, and the effect has to exceed what these two runs differ by.
    """
    cost = cost_estimate(record, results)
    if record.recipe is None or cost is None or includes_no_effect(cost):
        return "no difference shown"
    if not needs_control(record, results):
        return None
    control = estimate_or_none(results, CONTROL, record.recipe.cost_metric)
    if control is None:
        return "no A/A control"
    if results.jobs > 1:
        return "repeats ran side by side"
    return None if shows_difference(cost, control) else "no difference shown"


def reproduces(record: Record, results: Results) -> bool:
    """Tell whether counting results show the claimed effect, at acceptable quality if the tactic advises."""
    interval, quality = _effect_interval(record, results), quality_estimate(record, results)
    if interval is None or not effect_claims(record) or interval[0] <= 1:
        return False
    if doubt(record, results) is not None:
        return False
    if record.kind is Kind.DARK:
        return True
    return quality is not None and quality.n >= LEAST_PAIRS and within_tolerance(record, results)


def contests(record: Record, results: Results) -> str | None:
    """Return why counting results contest the headline claim, or None."""
    claim, interval = headline_claim(record), _effect_interval(record, results)
    if claim is None or interval is None:
        return None
    if interval[1] < 1:
        return f"on {results.device.name} the interval lies wholly on the opposite side of no effect"
    claimed = claimed_times(claim)
    if claimed is None or claim.bound is Bound.AT_MOST or interval[1] >= claimed:
        return None
    return f"on {results.device.name} the interval lies wholly below the claimed effect"


def assess(
    record: Record,
    results: Iterable[Results],
    bibliography: Mapping[str, Reference],
    checksum: RecipeChecksum | None = None,
) -> Evidence:
    """Derive the level of evidence.

    Args:
        record: The tactic.
        results: Committed results, one entry a device; a machine's own uncommitted runs are not passed in.
        bibliography: References by key, to tell independent sources.
        checksum: Tells the checksum of the recipe as it is now; None skips the comparison.
    """
    counting = [entry for entry in results if not objections(entry, checksum)]
    contests_found = tuple(reason for entry in counting if (reason := contests(record, entry)))
    devices = _device_count([entry.device for entry in counting if reproduces(record, entry)])
    level, reason = _level(record, devices, bibliography)
    return Evidence(level, bool(contests_found), (reason, *contests_found))


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
    return Level.E1, "one source with a figure" if len(
        keys
    ) == 1 else "figures from sources that share authors"


def _independent(keys: tuple[str, ...], bibliography: Mapping[str, Reference]) -> bool:
    """Tell whether two of the sources have no author in common."""
    authors = [{_signature(name) for name in bibliography[key].author} for key in keys if key in bibliography]
    return any(not (one & other) for index, one in enumerate(authors) for other in authors[index + 1 :])


def _signature(name: Name) -> str:
    initial = (name.given or "")[:1]
    return f"{name.literal or name.family or ''} {initial}".casefold().strip()


def _effect_interval(record: Record, results: Results) -> tuple[float, float] | None:
    """Return the interval of the headline cost, turned so that the effect is above 1; None below 5 pairs."""
    estimate = cost_estimate(record, results)
    if estimate is None or estimate.n < LEAST_PAIRS or estimate.low is None or estimate.high is None:
        return None
    if estimate.unit == POINTS:
        return None
    if record.kind is Kind.DARK:
        return 1 / estimate.high, 1 / estimate.low
    return estimate.low, estimate.high
