"""The shape of a tactic's JSON document; its JSON Schema is made from these models.

Addresses are relative to the root of the site, the folder that holds `api/`, whichever document gives them.
Every key is always present; `null` says that there is no value. Numbers have seven significant digits.
"""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, PlainSerializer

from greentactics.evidence.latency import Quantity
from greentactics.evidence.level import Level, Mark
from greentactics.evidence.rivals import Against
from greentactics.models.bibliography import STRICT, ArxivId, CitationKey, Doi, Name, Text
from greentactics.models.record import Correction, MetricName, Record, TacticId
from greentactics.models.results import DeviceInfo, MetricInfo, Provenance
from greentactics.models.timings import Engine
from greentactics.models.vocabulary import Direction, Kind


def _rounded(value: float) -> float:
    """Keep seven significant digits, so that the bytes do not depend on the machine's last bit."""
    return float(f"{value:.7g}")


def _as_written(record: Record) -> dict[str, Any]:
    """Return a record with the keys that its file has."""
    return record.model_dump(mode="json", exclude_none=True)


Number = Annotated[float, AfterValidator(_rounded)]
WrittenRecord = Annotated[Record, PlainSerializer(_as_written)]
Count = Annotated[int, Field(ge=0)]


class Document(BaseModel):
    """What all parts of the documents have in common: nothing missing, nothing more than the schema says."""

    model_config = STRICT


class EstimateDocument(Document):
    """A number with its interval."""

    value: Number
    """The estimate, in `unit`."""
    interval_95: tuple[Number, Number] | None
    """95 % interval, lower end first; null with a single pair."""
    n: Count
    """Pairs of runs with the same seed, repeats for an absolute value, processes for a timing, or the models
    of a replay."""
    unit: Text
    """`times lower`, `times higher`, `percentage points`, or the unit of the metric."""
    of_means: bool
    """Whether a ratio is that of the two means, in place of the geometric mean of the ratios by seed."""


class ComparisonDocument(Document):
    """One metric of one arm of one run, beside the baseline's."""

    metric: MetricName
    """Name of the metric, described in the run's `metrics`."""
    arm: Text
    """The arm: `tactic`, a rival, or `baseline_again`, which is the baseline run twice."""
    provenance: Provenance
    """How the values came about."""
    against_baseline: EstimateDocument | None
    """The arm against the baseline, paired by seed; null where that gives no number."""
    not_comparable_because: str | None
    """Why there is no comparison."""
    baseline: EstimateDocument | None
    """The baseline's mean."""
    treated: EstimateDocument
    """The arm's mean."""


class LatencyDocument(Document):
    """One arm in one engine over all timing passes."""

    engine: Engine
    """What executed the nets."""
    arm: Text
    """The arm."""
    quantity: Quantity
    """What was read for one call: wall-clock or processor time, or energy with or without that at rest."""
    unit: Literal["ms", "J"]
    """Unit of `baseline` and `treated`."""
    provenance: Literal["measured", "metered"]
    """How the readings came about."""
    batch_size: Count
    """Examples in one call."""
    threads: Count
    """Threads of the engine."""
    against_baseline: EstimateDocument
    """The arm against the baseline; `n` counts fresh processes."""
    baseline_against_itself: EstimateDocument
    """What the machine cannot tell apart."""
    difference_shown: bool
    """Whether a difference may be claimed: the interval excludes 1 and the control is exceeded."""
    baseline: Number
    """Median of one call of the baseline."""
    treated: Number
    """Median of one call of the arm."""


class RunDocument(Document):
    """What one committed results file gives."""

    run: Text
    """Name of the run in file names: device, and preset where it is not the default one."""
    raw: Text
    """Address of the raw repeats."""
    preset: Text
    """Name of the settings."""
    data: Text
    """Name of the data set."""
    device: DeviceInfo
    """The machine."""
    threads: Count
    """Threads the recipe computed with."""
    meter: Text
    """Source of energy figures, or `none`."""
    date: datetime.date
    """Day of the first repeat, in UTC."""
    commit: str | None
    """Commit that was measured."""
    seeds: tuple[Count, ...]
    """Seeds, ascending."""
    counts_as_evidence: bool
    """Whether the run counts for the level of evidence."""
    not_counted_because: tuple[str, ...]
    """Why it does not."""
    metrics: dict[MetricName, MetricInfo]
    """Unit, direction, provenance and description by metric."""
    comparisons: tuple[ComparisonDocument, ...]
    """One entry for each metric and arm."""
    latency_is_stale: bool
    """Whether the timing protocol has changed since."""
    latency: tuple[LatencyDocument, ...]
    """One entry for each engine, arm and quantity."""


class EvidenceDocument(Document):
    """How well the effect is supported."""

    level: Level
    """The level."""
    meaning: Text
    """The level in words."""
    marks: tuple[Mark, ...]
    """What runs that count add to the level."""
    reasons: tuple[str, ...]
    """Why this level."""


class RivalDocument(Document):
    """The tactic against its best rival."""

    arm: Text
    """The rival."""
    chosen_by: MetricName
    """Metric of the quality that it was chosen by."""
    cost: EstimateDocument
    """The tactic's cost against the rival's."""
    quality: EstimateDocument
    """The same of the quality that must not suffer."""
    outcome: Against | None
    """How the tactic fares; null without intervals."""


class ReproducedDocument(Document):
    """The headline of the reproduction: the figures of the verdict, taken from one of the runs."""

    run: Text
    """The run."""
    label: Text
    """What the cost is called."""
    condition: str | None
    """Condition that belongs to the cost."""
    cost: ComparisonDocument
    """The cost."""
    quality_label: Text
    """What the quality is called."""
    quality: ComparisonDocument | None
    """The quality that must not suffer; null where it was not measured."""
    quality_tolerance_points: float
    """Loss of quality that is still acceptable, in the unit of its difference."""
    within_tolerance: bool
    """Whether the whole interval of the loss lies within the tolerance."""
    difference_shown: bool
    """Whether the cost is shown to differ from the baseline's."""
    not_shown_because: str | None
    """Why not."""
    rival: RivalDocument | None
    """The same against the best rival; null where there is none."""
    felt: tuple[LatencyDocument, ...]
    """Time of one call of the tactic, by engine; those of `latency` of the run."""


class EffectDocument(Document):
    """What the pairs of one kind come to."""

    name: Text
    """Name among those of the replay."""
    tactic: Text
    """What the runs with the tactic are."""
    baseline: Text
    """What they are compared with."""
    alike: Text
    """What the two runs of a pair have in common."""
    pairs: Count
    """How many pairs there are."""
    clusters: Text
    """What `n` of the estimates counts: pairs of one model, or family, are not independent."""
    energy_label: Text
    """Which energy was metered."""
    energy: EstimateDocument
    """The energy with the tactic against that without, the interval over clusters."""
    least: Number
    """The smallest such ratio in a pair."""
    most: Number
    """The largest one."""
    time_label: Text
    """Which time was measured."""
    time: EstimateDocument
    """The same of the time."""
    note: str
    """What else a reader has to know, such as which runs gave no pair; may be empty."""


class ReplayDocument(Document):
    """What others metered and published, recomputed; it never decides the level of evidence."""

    data: Text
    """Name of the data set."""
    source: CitationKey
    """Key of the source that published it."""
    licence: Text
    """Its licence."""
    raw: Text
    """Address of the pairs."""
    provenance: Text
    """How the values came about."""
    is_current: bool
    """Whether program and data are as they were."""
    not_current_because: tuple[str, ...]
    """Why not."""
    effects: tuple[EffectDocument, ...]
    """What was compared."""


class SourceDocument(Document):
    """One source of a tactic."""

    key: CitationKey
    """Key in the bibliography."""
    supports: Text
    """What rests on it."""
    type: Text
    """CSL type, such as `paper-conference`."""
    title: Text
    """Title of the work."""
    authors: tuple[Name, ...]
    """Authors in the order of the work."""
    year: int
    """Year of publication."""
    doi: Doi | None
    """Digital object identifier."""
    arxiv: ArxivId | None
    """Identifier at arXiv."""
    address: str | None
    """Best address of the work."""


class TacticDocument(Document):
    """A tactic: the record as it is written, then what is computed from results and sources."""

    id: TacticId
    """Permanent identifier."""
    page: Text
    """Address of the page for people."""
    record: WrittenRecord
    """The record as it is written."""
    evidence: EvidenceDocument
    """Level of evidence."""
    verdict: Text
    """Claim and reproduction, the best rival, and time, in a line of words."""
    claimed: Text
    """The claim that the reproduction is set against, in words."""
    headline_claim: Count | None
    """Its position in `record.impact.claims`, counted from 0."""
    reproduced: ReproducedDocument | None
    """What the recipe showed; null where there is no current reproduction."""
    results: tuple[RunDocument, ...]
    """Committed runs, smoke runs left out."""
    replays: tuple[ReplayDocument, ...]
    """What others metered, recomputed from their published data."""
    sources: tuple[SourceDocument, ...]
    """Sources in the order of the record."""


class Link(Document):
    """An address of the API."""

    address: Text
    """Address, relative to the root of the site; a name in braces stands for one of many."""
    title: Text
    """What lies there."""
    media_type: Text
    """Its media type."""
    schema_address: Text | None
    """Address of its JSON Schema."""


class TacticEntry(Document):
    """A tactic in the index."""

    id: TacticId
    """Permanent identifier."""
    title: Text
    """Its title."""
    kind: Kind
    """Advice or warning."""
    evidence: Level
    """Level of evidence."""
    marks: tuple[Mark, ...]
    """What runs that count add to the level."""
    verdict: Text
    """Claim and reproduction, the best rival, and time, in a line of words."""
    page: Text
    """Address of its page."""
    document: Text
    """Address of its document."""


class Counts(Document):
    """How much there is."""

    tactics: Count
    """Tactics."""
    with_recipe: Count
    """Tactics whose recipe is there."""
    with_results: Count
    """Tactics with committed runs."""
    claims: Count
    """Published claims."""
    sources: Count
    """References in the bibliography."""
    changes: Count
    """Changes of substance."""


class IndexDocument(Document):
    """Where everything lies; the entry to the API."""

    name: Text
    """Name of the catalogue."""
    version: Text
    """Version of the package that made the documents."""
    licence: Text
    """Licence of the records and of all documents made from them."""
    site: str | None
    """Address of the root of the site; null where it is not known."""
    updated: datetime.date | None
    """Date of the latest change to a record."""
    counts: Counts
    """How much there is."""
    links: tuple[Link, ...]
    """All addresses."""
    tactics: tuple[TacticEntry, ...]
    """The tactics, by identifier."""


class TacticsDocument(Document):
    """All tactics."""

    licence: Text
    """Licence of the records."""
    count: Count
    """How many there are."""
    tactics: tuple[TacticDocument, ...]
    """The tactics, by identifier."""


class ChangeEntry(Document):
    """One change of substance to a record."""

    id: Text
    """Permanent identifier of the entry, a URN."""
    tactic: TacticId
    """The tactic."""
    title: Text
    """Its title."""
    kind: Kind
    """Advice or warning."""
    page: Text
    """Address of its page."""
    date: datetime.date
    """When."""
    change: Text
    """What, and why."""
    corrections: tuple[Correction, ...]
    """What was put right against other catalogues."""


class ChangesDocument(Document):
    """Changes of substance to all records, from their histories."""

    count: Count
    """How many there are."""
    updated: datetime.date | None
    """Date of the latest one."""
    changes: tuple[ChangeEntry, ...]
    """The changes, the latest first."""


class Carrier(Document):
    """A tactic that carries a term."""

    id: TacticId
    """The tactic."""
    effect: Direction | None
    """What it does to the quality; null for terms that are no qualities."""


class TermDocument(Document):
    """A term of a vocabulary."""

    term: Text
    """The word as records have it."""
    label: Text
    """The word as pages show it."""
    definition: Text
    """What it means."""
    page: Text
    """Address of its page."""
    count: Count
    """Tactics that carry it."""
    tactics: tuple[Carrier, ...]
    """These tactics, by identifier."""


class _Vocabulary(Document):
    name: Text
    """Name in addresses."""
    title: Text
    """What it is called on pages."""
    question: Text
    """The question it answers."""


class VocabularyDocument(_Vocabulary):
    """A vocabulary with the tactics that carry its terms."""

    terms: tuple[TermDocument, ...]
    """Its terms, in the order of the vocabulary."""


class VocabularyEntry(_Vocabulary):
    """A vocabulary in the list of them."""

    address: Text
    """Address of its document."""
    counts: dict[str, Count]
    """Tactics that carry a term, by term."""


class VocabulariesDocument(Document):
    """All vocabularies that tactics are looked up by."""

    vocabularies: tuple[VocabularyEntry, ...]
    """The vocabularies."""
