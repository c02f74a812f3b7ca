"""The record of a tactic: words, published claims and sources, written by people.

A record holds no measured number of ours; those stand in the results and are joined when pages are made.
"""

from __future__ import annotations

import datetime
import re
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from greentactics.models.bibliography import CitationKey, Reference, StrictModel, Text, WebAddress
from greentactics.models.vocabulary import (
    Artifact,
    Bound,
    Category,
    ClaimDirection,
    ClaimKind,
    ClaimUnit,
    Direction,
    EffortLevel,
    Group,
    Kind,
    Participant,
    Quality,
    Quantity,
    ReadIn,
    RelationType,
    Stage,
    Status,
    TacticType,
    Tag,
)
from greentactics.text.problems import Rule

DEVICE_NAMES = frozenset(
    {"con", "prn", "aux", "nul", *(f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10))}
)
"""Names that Windows keeps for devices, with any suffix: a checkout with such a file fails there."""


def storable(name: str) -> str:
    """Return the stem of a file's name, after a look whether every system can store it.

    Raises:
        PydanticCustomError: Windows keeps it for a device.
    """
    if name in DEVICE_NAMES:
        raise PydanticCustomError(Rule.BAD_ID, "a name that Windows does not keep for a device")
    return name


class Range(StrictModel):
    """A published range."""

    low: float
    """Lower end, in the claim's unit."""
    high: float
    """Upper end, in the claim's unit."""

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if self.low > self.high:
            raise PydanticCustomError(
                Rule.RANGE_ORDER,
                "a range whose low end is not above its high end",
                {"found": f"{self.low:g} to {self.high:g}"},
            )
        return self


class Claim(StrictModel):
    """One published statement about the effect."""

    quantity: Quantity
    """What was counted."""
    value: Annotated[float, Field(ge=0)] | None = None
    """The figure, without sign; `direction` says which way."""
    range: Range | None = None
    """A range, where the source gives one instead of a single figure."""
    unit: ClaimUnit | None = None
    """Unit of `value` or `range`."""
    bound: Bound = Bound.EXACT
    """Whether the source qualifies the figure."""
    direction: ClaimDirection
    """Which way the quantity moves against the baseline."""
    baseline: Text
    """What it is compared with."""
    setting: Text
    """Model, data, hardware and conditions."""
    kind: ClaimKind
    """How the figure came about."""
    source: CitationKey
    """Key of the source in the bibliography."""
    read_in: ReadIn
    """Where we read it."""
    note: Text | None = None
    """What a reader should know."""

    @model_validator(mode="after")
    def _figure_or_argument(self) -> Claim:
        given = [name for name in ("value", "range", "unit") if getattr(self, name) is not None]
        if self.kind is ClaimKind.ARGUED:
            expected, right = "an argued claim without value, range or unit", not given
        else:
            expected = "either a value or a range, with its unit (or kind: argued)"
            right = given in (["value", "unit"], ["range", "unit"])
        if not right:
            raise PydanticCustomError(
                Rule.CLAIM_FIGURE, expected, {"found": " and ".join(given) or "none of them"}
            )
        return self


class Impact(StrictModel):
    """What has been published about the effect."""

    claims: tuple[Claim, ...] = ()
    """Published claims; the first is the one shown in the verdict line."""


TacticId = Annotated[
    str, StringConstraints(pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=80), AfterValidator(storable)
]


def _read_date(value: object) -> object:
    # Without this look, digits in quotes would be taken for seconds since 1970.
    if not isinstance(value, str):
        return value
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
            return datetime.date.fromisoformat(value)
    except ValueError:
        pass
    raise PydanticCustomError(Rule.BAD_DATE, "a date such as 2026-01-31")


Date = Annotated[datetime.date, BeforeValidator(_read_date)]
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$")]


class Effect(StrictModel):
    """What the tactic does to one quality."""

    quality: Quality
    """The quality that changes."""
    direction: Direction
    """Which way it changes."""
    reason: Text
    """Why, in one sentence."""


class Step(StrictModel):
    """One step of the mechanism; the page lists the steps."""

    text: Annotated[Text, StringConstraints(max_length=60)]
    """The step in a few words, verb first."""
    repeat_from: Annotated[int, Field(ge=1)] | None = None
    """Number of the earlier step to go back to, counted from 1."""
    until: Annotated[Text, StringConstraints(max_length=60)] | None = None
    """When the repetition ends."""


class TradeOff(StrictModel):
    """One adverse effect."""

    quality: Quality
    """The quality that suffers."""
    effect: Text
    """What happens, with its size where one is known."""
    source: CitationKey | None = None
    """Where it was read; left out where the recipe shows it."""


class Effort(StrictModel):
    """What it takes to apply the tactic."""

    level: EffortLevel
    """S, M or L, as the vocabulary defines them."""
    reason: Text
    """What has to be done."""


class Relation(StrictModel):
    """A tie to another tactic."""

    type: RelationType
    """How this tactic stands to the other."""
    target: TacticId
    """Identifier of the other tactic."""
    reason: Text
    """Why, in one sentence."""


class SourceUse(StrictModel):
    """A source and what it is good for here."""

    key: CitationKey
    """Key in the bibliography."""
    supports: Text
    """What of this record rests on it."""


class RecipeUse(StrictModel):
    """Which of the recipe's metrics are set beside the claims."""

    cost_metric: MetricName
    """Metric of the headline cost, such as `energy_batch_1`."""
    cost_label: Text
    """What the metric is called in the verdict line, such as `modelled energy`."""
    quality_metric: MetricName
    """Metric of the quality that must not suffer, such as `test_accuracy`."""
    quality_label: Text
    """What the quality is called in the verdict line, such as `accuracy`."""
    quality_tolerance_points: Annotated[float, Field(ge=0)] = 1.0
    """Loss of quality that is still acceptable, in percentage points, or hundredths of a nat; a subject of
    trials says its own."""
    condition: Text | None = None
    """Condition that belongs to the headline, such as `batch 1`."""
    also_metrics: tuple[MetricName, ...] = ()
    """Further cost metrics for the impact panel, in order."""
    why_different: Text
    """Why our figure may differ from the published one."""


class Alias(StrictModel):
    """The same tactic in another catalogue."""

    catalogue: Text
    """Short name of the catalogue, such as `aadt`."""
    title: Text
    """Its title there."""
    url: WebAddress
    """Its address there."""
    diagram: Text | None = None
    """File name of its diagram there."""


class Correction(StrictModel):
    """What this record says otherwise than the same tactic in another catalogue."""

    catalogue: Text
    """Short name of the catalogue, as in `aliases`."""
    field: Text
    """What is corrected, such as `DOI`, `source` or `impact`."""
    theirs: Text
    """What stands there, in own words."""
    ours: Text
    """What stands here instead."""
    reason: Text
    """How it is known."""


class Withdrawal(StrictModel):
    """Why a record is no longer held up, and what stands in its place."""

    reason: Text
    """Why, in one or two sentences."""
    successor: TacticId | None = None
    """Identifier of the tactic to read instead; left out where there is none."""


class Change(StrictModel):
    """One entry of the record's history."""

    date: Date
    """When."""
    change: Text
    """What, and why."""
    corrections: tuple[Correction, ...] = ()
    """What was put right against other catalogues."""


class Record(StrictModel):
    """A tactic: one file in `tactics/`, named after its `id`."""

    id: TacticId
    """Permanent identifier in kebab-case; equals the file's name."""
    title: Annotated[Text, StringConstraints(max_length=80)]
    """Verb first, as the field says it, such as `Distil a large model into a small one`."""
    summary: Annotated[Text, StringConstraints(max_length=240)]
    """One sentence: what is done, by what mechanism, what it saves."""
    kind: Kind
    """Advice (`awesome`) or warning (`dark`)."""
    type: TacticType
    """Sort of decision."""
    category: Category
    """Field of engineering."""
    group: Group
    """Part of a machine-learning system the tactic acts on."""
    tags: tuple[Tag, ...] = ()
    """Subjects that cut across groups."""
    participant: Annotated[tuple[Participant, ...], Field(min_length=1)]
    """Who takes the decision, the first one first."""
    artifact: Annotated[tuple[Artifact, ...], Field(min_length=1)]
    """What is changed."""
    artifact_note: Text | None = None
    """The artefact more exactly, where the vocabulary is too coarse."""
    context: Text
    """Where the tactic belongs."""
    feature: Text | None = None
    """Feature of the artefact that is concerned."""
    intent: Text
    """What the tactic is for; for a dark tactic, what those who follow it want."""
    target_quality: Quality | None = None
    """Quality the tactic is meant to improve; a dark tactic need not have one."""
    effects: Annotated[tuple[Effect, ...], Field(min_length=1)]
    """Effects on qualities, the target included."""
    problem: Text
    """The situation that asks for the tactic; for a dark tactic, the harm."""
    solution: Text
    """What is done; for a dark tactic, how the pattern works."""
    steps: tuple[Step, ...] = ()
    """The mechanism step by step, for the diagram."""
    applies_when: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Checkable conditions for it; for a dark tactic, signs that it is at work."""
    avoid_when: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Checkable conditions against it; for a dark tactic, cases that look like it and are not."""
    trade_offs: tuple[TradeOff, ...] = ()
    """Adverse effects; either at least one, or `no_trade_offs_reason`."""
    no_trade_offs_reason: Text | None = None
    """Where none was found: where was looked, and why there should be none."""
    effort: Effort
    """What it takes."""
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)]
    """When the decision is taken."""
    impact: Impact
    """What has been published about the effect."""
    relations: tuple[Relation, ...] = ()
    """Ties to other tactics."""
    sources: Annotated[tuple[SourceUse, ...], Field(min_length=1)]
    """Sources, the main one first."""
    recipe: RecipeUse | None = None
    """How the recipe's results are read; left out while there is no recipe."""
    intent_measure: Text | None = None
    """Dark tactics: how to measure the pattern and its harm."""
    countermeasure: Text | None = None
    """Dark tactics: what to do instead."""
    aliases: tuple[Alias, ...] = ()
    """The same tactic in other catalogues."""
    former_ids: tuple[TacticId, ...] = ()
    """Identifiers it had before; their pages lead here, and no other record may ever have one of them."""
    status: Status
    """Where the record stands in its life."""
    withdrawn: Withdrawal | None = None
    """With status `withdrawn`: why, and what to read instead."""
    created: Date
    """Date the record was first written."""
    modified: Date
    """Date of the last change of substance."""
    history: Annotated[tuple[Change, ...], Field(min_length=1)]
    """Changes of substance, oldest first."""

    @property
    def module(self) -> str:
        """Name of the recipe's module, without its package."""
        return self.id.replace("-", "_")


DRAFTS = "drafts"
"""Folder of drafts, beside `tactics/`; never committed, as its texts are other people's."""


class DraftRecord(Record):
    """A draft: one file in `drafts/`, a record once it is complete and in its author's words."""

    quarantine: Annotated[dict[str, Text], Field(default_factory=dict)]
    """Wording of another catalogue by the name it has there: to be read, rewritten and removed."""
    references: Annotated[dict[CitationKey, Reference], Field(default_factory=dict)]
    """Sources that are not in the bibliography yet; `greentactics cite --file` adds them."""
    to_clarify: tuple[Text, ...] = ()
    """What the import did not understand or had to repair, and what the author has to settle."""
