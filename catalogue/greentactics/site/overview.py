"""What each tactic saves and what quality it loses: reproduced figures, and published ones beside them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greentactics.evidence.claims import claim_figure, claimed_times, direction_word, effect_claims
from greentactics.evidence.comparison import POINTS, TIMES_LOWER, Estimate
from greentactics.evidence.runs import Objection, TacticRun
from greentactics.evidence.tactic import Tactic
from greentactics.evidence.wording import DASH, estimate_phrase, typographic, with_provenance
from greentactics.models.record import Claim, RecipeUse, Record
from greentactics.models.results import MetricInfo
from greentactics.models.vocabulary import ClaimDirection, ClaimUnit, Kind, Quantity

_NOUNS = {"MAC energy": "energy", "J": "energy", "Wh": "energy", "W": "power", "s": "time", "ms": "time"}
_ORDER = ("metered", "measured", "modelled", "counted")


@dataclass(frozen=True)
class SavingPoint:
    """One row of the table, with a mark for each of its figures that is known."""

    tactic: Tactic
    """The tactic."""
    published: bool
    """Whether the figures are a source's and not ours."""
    saved: str
    """What is saved, with the condition."""
    saving: Estimate | None
    """Times that the cost is lower; above 1 where the tactic saves."""
    change: Estimate | None
    """Change of quality in percentage points, above 0 where it is better."""
    saving_words: str
    """The saving with its interval."""
    change_words: str
    """The change of quality with its interval, or with its unit where that is not points."""
    provenance: str
    """How the saving came about."""
    against: tuple[Objection, ...]
    """Why it does not count as evidence."""

    @property
    def solid(self) -> bool:
        """Whether both figures have an interval and count as evidence."""
        ends = [estimate and estimate.low for estimate in (self.saving, self.change)]
        return not self.published and not self.against and None not in ends


@dataclass(frozen=True)
class SavingsPanel:
    """All tactics that save the same kind of cost, so that one axis holds them."""

    title: str
    """What is saved, led by how the figures came about, such as `modelled energy`."""
    points: tuple[SavingPoint, ...]
    """Each reproduced figure, the largest saving first, with the published one after it."""


def savings_panels(tactics: Iterable[Tactic]) -> list[SavingsPanel]:
    """Return the figures that the verdicts rest on, apart by what is saved; what was metered comes first."""
    found: dict[tuple[int, str], list[tuple[SavingPoint, ...]]] = {}
    for tactic in tactics:
        shown, recipe = tactic.shown, tactic.record.recipe
        if shown is None or recipe is None:
            continue
        info = shown.results.metrics[recipe.cost_metric]
        key = _ORDER.index(info.provenance), saved_kind(recipe, info)
        found.setdefault(key, []).append((_reproduced_point(tactic, recipe, shown), *_published(tactic)))
    return [
        SavingsPanel(title, tuple(point for row in sorted(rows, key=_largest_first) for point in row))
        for (_, title), rows in sorted(found.items())
    ]


def saved_kind(recipe: RecipeUse, info: MetricInfo) -> str:
    """Return the kind of cost by its unit, or what the record calls it where the unit does not tell."""
    noun = _NOUNS.get(info.unit, recipe.cost_label)
    if noun == "time" and "cpu" in recipe.cost_metric.split("_"):
        noun = "processor time"
    return with_provenance(noun, info)


@dataclass(frozen=True)
class PublishedPair:
    """A published saving and a published change of quality that belong together."""

    effect: Claim
    """The claim of the saving, or of the harm of a habit to avoid."""
    times: float
    """Times that the cost is lower, at least; below 1 for a habit to avoid."""
    quality: Claim
    """The claim about quality."""
    points: float
    """Change of quality in percentage points; of a range or bound the end that loses most."""


def published_pair(record: Record) -> PublishedPair | None:
    """Return the first claims of saving and quality that belong together, None where none do.

    They do where source and setting are the same, word for word: an average saving beside the worst loss, or
    the saving of one network beside the loss of another, was never observed.
    """
    effects = effect_claims(record)
    for effect in effects:
        times = claimed_times(effect)
        if times is None or effect.quantity is not effects[0].quantity:
            continue
        for quality in record.impact.claims:
            points = _claimed_points(quality)
            if points is not None and (effect.source, effect.setting) == (quality.source, quality.setting):
                turned = 1 / times if record.kind is Kind.DARK else times
                return PublishedPair(effect, turned, quality, points)
    return None


def _claimed_points(claim: Claim) -> float | None:
    if claim.quantity is not Quantity.QUALITY or claim.unit is not ClaimUnit.PERCENTAGE_POINTS:
        return None
    lost = claim.direction is ClaimDirection.DECREASE
    figure = claim.value if claim.range is None else claim.range.high if lost else claim.range.low
    return None if figure is None else -figure if lost else figure


def _reproduced_point(tactic: Tactic, recipe: RecipeUse, shown: TacticRun) -> SavingPoint:
    cost, quality = shown.cost, shown.quality
    info = shown.results.metrics[recipe.cost_metric]
    in_points = quality is not None and quality.unit == POINTS
    better_lower = in_points and shown.results.metrics[shown.quality_metric].better == "lower"
    label = with_provenance(recipe.cost_label, info)
    return SavingPoint(
        tactic=tactic,
        published=False,
        saved=f"{label}, {recipe.condition}" if recipe.condition else label,
        saving=cost if cost is not None and not cost.is_difference else None,
        change=_turned(quality) if quality is not None and better_lower else quality if in_points else None,
        saving_words=DASH if cost is None else typographic(estimate_phrase(cost)),
        change_words=DASH
        if quality is None
        else f"{shown.quality_label} {typographic(estimate_phrase(quality))}",
        provenance=info.provenance,
        against=shown.against,
    )


def _turned(quality: Estimate) -> Estimate:
    """Return a change of a quality that is better lower, so that above 0 is better."""
    low, high = (None if end is None else -end for end in (quality.high, quality.low))
    return Estimate(-quality.value, low, high, quality.n, quality.unit)


def _published(tactic: Tactic) -> Sequence[SavingPoint]:
    pair = published_pair(tactic.record)
    if pair is None:
        return ()
    effect, quality = (
        typographic(f"{claim_figure(claim)} {direction_word(claim)}") for claim in (pair.effect, pair.quality)
    )
    return (
        SavingPoint(
            tactic=tactic,
            published=True,
            saved=f"{pair.effect.quantity}, {pair.effect.setting}",
            saving=Estimate(pair.times, None, None, 0, TIMES_LOWER),
            change=Estimate(pair.points, None, None, 0, POINTS),
            saving_words=effect,
            change_words=f"quality {quality}",
            provenance=f"{pair.effect.kind}, read {pair.effect.read_in.definition}",
            against=(),
        ),
    )


def _largest_first(row: Sequence[SavingPoint]) -> tuple[float, str]:
    saving = row[0].saving
    return (0.0 if saving is None else -saving.value), row[0].tactic.record.id
