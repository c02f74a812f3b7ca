"""The page "Find a tactic": the questions tactics are found by, the table of all, the data of its script."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from greentactics.citing.bibtex import LICENCE, bibtex_entry
from greentactics.evidence.comparison import POINTS, Estimate
from greentactics.evidence.level import Level
from greentactics.evidence.tactic import Tactic
from greentactics.evidence.wording import estimate_phrase, points_interval, points_phrase, typographic
from greentactics.models.bibliography import Reference
from greentactics.models.record import Record
from greentactics.models.vocabulary import (
    Artifact,
    Direction,
    EffortLevel,
    Group,
    Kind,
    Participant,
    Quality,
    Stage,
    Tag,
    Term,
)
from greentactics.text.escaping import one_line

NONE = "none"
"""Word for a tactic without a reproduced figure, among provenances and devices."""

RANKS = {
    "metered": "Metered: energy from a meter",
    "measured": "Measured on the device it ran on",
    "modelled": "Modelled: computed from a model, not measured",
    "counted": "Counted: parameters or operations, neither time nor energy",
    NONE: "Without a reproduced difference",
}
"""What heads each part of the default order, by how its figures came about.

Factors of different kinds have no order among them.
"""

_UNIT_QUALITIES = {
    "J": Quality.ENERGY_EFFICIENCY,
    "Wh": Quality.ENERGY_EFFICIENCY,
    "W": Quality.ENERGY_EFFICIENCY,
    "MAC energy": Quality.ENERGY_EFFICIENCY,
    "gCO2e": Quality.CARBON_FOOTPRINT,
    "s": Quality.TIME_BEHAVIOUR,
    "ms": Quality.TIME_BEHAVIOUR,
    "bytes": Quality.RESOURCE_UTILIZATION,
}


@dataclass(frozen=True)
class SelectorEntry:
    """What the selector knows of one tactic; the script reads it and the downloads hold it, as JSON."""

    id: str
    """Identifier."""
    title: str
    """Title."""
    kind: str
    """`awesome` or `dark`."""
    group: str
    """Part of the system it acts on."""
    stages: tuple[str, ...]
    """Stages in which it is decided."""
    participants: tuple[str, ...]
    """Who decides it."""
    artifacts: tuple[str, ...]
    """What it changes."""
    tags: tuple[str, ...]
    """Subjects."""
    intent: str
    """What it is for."""
    improves: tuple[str, ...]
    """Qualities that get better."""
    worsens: tuple[str, ...]
    """Qualities that get worse."""
    depends: tuple[str, ...]
    """Qualities that get better or worse, depending on a condition."""
    claimed: str
    """The headline claim in words."""
    reproduced: str | None
    """The reproduced headline cost with its interval, in words; None where nothing was reproduced."""
    not_counted: str | None
    """Why the reproduced figure is no evidence; None where it is, or where there is none."""
    effect: float | None
    """Factor of the reproduced saving, above 1 where less is used; None without a difference that counts."""
    effect_on: tuple[str, ...]
    """Qualities the factor stands for: the record's target, and what its unit or name says it measures."""
    provenance: str
    """How the reproduced figure came about, or `none`."""
    devices: tuple[str, ...]
    """Kinds of device it was reproduced on, or `none`."""
    quality: str | None
    """The reproduced change of the result's quality with its interval, in words."""
    loss_points: float | None
    """Largest loss of quality within that interval, percentage points; negative where quality rose."""
    evidence: str
    """Level of evidence."""
    evidence_reason: str
    """Why that level."""
    marks: tuple[str, ...]
    """What results add to the level."""
    effort: str
    """S, M or L."""
    effort_reason: str
    """What has to be done."""
    applies_when: tuple[str, ...]
    """Conditions for it."""
    avoid_when: tuple[str, ...]
    """Conditions against it."""
    sources: tuple[str, ...]
    """Keys of its sources."""


def selector_entries(tactics: Iterable[Tactic]) -> list[SelectorEntry]:
    """Return one entry for each tactic, in the default order.

    The default order is by how the reproduced effect came about, as in `RANKS`; within one kind by the
    effect, largest first, then level of evidence, then title. A claim never moves an entry: what was not
    reproduced stands after what was.
    """
    return sorted((_selector_entry(tactic) for tactic in tactics), key=_default_order)


def _selector_entry(tactic: Tactic) -> SelectorEntry:
    record = tactic.record
    return SelectorEntry(
        id=record.id,
        title=record.title,
        kind=record.kind.value,
        group=record.group.value,
        stages=_term_values(record.stages),
        participants=_term_values(record.participant),
        artifacts=_term_values(record.artifact),
        tags=_term_values(record.tags),
        intent=typographic(record.intent),
        improves=_effects(record, Direction.IMPROVES),
        worsens=_effects(record, Direction.WORSENS),
        depends=_effects(record, Direction.DEPENDS),
        claimed=typographic(tactic.claimed),
        **_reproduction(tactic),
        evidence=tactic.evidence.level.value,
        evidence_reason="; ".join(tactic.evidence.reasons),
        marks=_term_values(tactic.evidence.marks),
        effort=record.effort.level.value,
        effort_reason=record.effort.reason,
        applies_when=tuple(typographic(condition) for condition in record.applies_when),
        avoid_when=tuple(typographic(condition) for condition in record.avoid_when),
        sources=tuple(use.key for use in record.sources),
    )


def _reproduction(tactic: Tactic) -> dict[str, Any]:
    """Return the fields that rest on results; figures that do not count are told, and move nothing."""
    shown, record, recipe = tactic.shown, tactic.record, tactic.record.recipe
    if shown is None or recipe is None:
        names = ("reproduced", "not_counted", "effect", "quality", "loss_points")
        return dict.fromkeys(names) | {"effect_on": (), "provenance": NONE, "devices": (NONE,)}
    against, cost, quality = shown.against, shown.cost, shown.quality
    loss = shown.largest_loss if quality is not None and quality.unit == POINTS else None
    info = shown.results.metrics[recipe.cost_metric]
    counting = [run for run in tactic.committed if not run.against]
    different = cost is not None and not cost.is_difference and not against and shown.doubt is None
    return {
        "reproduced": typographic(tactic.reproduced),
        "not_counted": ", ".join(against) or None,
        "effect": _seven_digits(cost.value) if cost is not None and different else None,
        "effect_on": _term_values(_effect_on(record, recipe.cost_metric, info.unit)),
        "provenance": NONE if against else info.provenance,
        "devices": tuple(sorted({run.results.device.kind for run in counting})) or (NONE,),
        "quality": None if quality is None else typographic(_quality_phrase(quality, shown.quality_label)),
        "loss_points": None if against or loss is None else _seven_digits(loss),
    }


def _quality_phrase(quality: Estimate, label: str) -> str:
    if quality.is_difference:
        return f"{points_phrase(quality)} of {label}{points_interval(quality)}"
    return f"{label} {estimate_phrase(quality)}"


def _effect_on(record: Record, metric: str, unit: str) -> list[Quality]:
    relative_time = Quality.TIME_BEHAVIOUR if unit == "ratio" and "time" in metric.split("_") else None
    found = (record.target_quality, _UNIT_QUALITIES.get(unit, relative_time))
    return list(dict.fromkeys(quality for quality in found if quality is not None))


def _effects(record: Record, direction: Direction) -> tuple[str, ...]:
    return _term_values(effect.quality for effect in record.effects if effect.direction is direction)


def _term_values(terms: Iterable[Term]) -> tuple[str, ...]:
    return tuple(term.value for term in terms)


def rank(entry: SelectorEntry) -> str:
    """Return the part of the default order that holds an entry, a key of `RANKS`."""
    return NONE if entry.effect is None else entry.provenance


def _default_order(entry: SelectorEntry) -> tuple[int, float, int, str, str]:
    place = list(RANKS).index(rank(entry))
    return place, -(entry.effect or 0.0), -int(entry.evidence[1:]), entry.title, entry.id


def _seven_digits(value: float) -> float:
    """Keep seven significant digits, so that the bytes do not depend on the machine's last bit."""
    return float(f"{value:.7g}") + 0.0  # the sum turns -0.0 into 0.0


_LIMITED = Quality.FUNCTIONAL_CORRECTNESS.value
"""The quality with a limit in points instead of a tick."""

_PROVENANCES = {
    "measured": "Measured",
    "metered": "Metered by an energy meter",
    "modelled": "Modelled",
    "counted": "Counted",
    NONE: "None yet",
}
_DEVICES = {
    "cpu": "Processor, no GPU",
    "cuda": "GPU (CUDA)",
    "mps": "GPU (Apple)",
    "xpu": "GPU (Intel)",
    NONE: "Not run here",
}


@dataclass(frozen=True)
class Question:
    """One group of choices of the form."""

    name: str
    """Name in the page's address."""
    title: str
    """What it asks, in a few words."""
    choices: tuple[tuple[str, str], ...]
    """Words with their labels."""
    counts: Mapping[str, int]
    """How many tactics each word leaves when nothing else is chosen."""
    single: bool = False
    """Whether only one of them can be chosen."""


def find_page(
    environment: Environment, tactics: Iterable[Tactic], bibliography: Mapping[str, Reference]
) -> dict[str, str]:
    """Render the page with its table of all tactics, which is complete without the script."""
    known = {tactic.record.id: tactic for tactic in tactics}
    entries = selector_entries(known.values())
    keys = dict.fromkeys(key for entry in entries for key in entry.sources)
    data = {
        "licence": LICENCE,
        "ranks": RANKS,
        "tactics": [dataclasses.asdict(entry) for entry in entries],
        "sources": {key: bibtex_entry(key, bibliography[key]) for key in keys if key in bibliography},
    }
    text = environment.get_template("find.md.j2").render(
        rows=[(entry, known[entry.id]) for entry in entries],
        parts_of_order=[
            (heading, members)
            for word, heading in RANKS.items()
            if (members := [(entry, known[entry.id]) for entry in entries if rank(entry) == word])
        ],
        questions={question.name: question for question in questions(entries)},
        data=script_json(data),
        root="../",
    )
    return {"find/index.md": text}


def questions(entries: Sequence[SelectorEntry]) -> tuple[Question, ...]:
    """Return what the form asks; choices that fit no tactic at all are left out."""

    def asked(
        name: str,
        title: str,
        labels: Mapping[str, str],
        of: Callable[[SelectorEntry], Iterable[str]],
        *,
        single: bool = False,
    ) -> Question:
        counts = Counter(word for entry in entries for word in set(of(entry)))
        choices = tuple((word, label) for word, label in labels.items() if word in counts)
        return Question(name, title, choices, counts, single)

    levels = {level.value: f"{level.value}: {level.definition}" for level in list(Level)[1:]}
    efforts = {level.value: f"{level.value}: {level.definition}" for level in EffortLevel}
    kinds = {Kind.AWESOME.value: "Advice (awesome)", Kind.DARK.value: "A habit to avoid (dark)"}
    kept = {word: label for word, label in _labels(Quality).items() if word != _LIMITED}
    worse = asked("keeps", "Not worse", kept, lambda entry: entry.worsens)
    left = {word: len(entries) - worse.counts[word] for word, _ in worse.choices}
    return (
        asked("improves", "Improves", _labels(Quality), advised_improvements, single=True),
        dataclasses.replace(worse, counts=left),
        asked("stages", "Stage", _labels(Stage), lambda entry: entry.stages),
        asked("group", "Group", _labels(Group), lambda entry: (entry.group,)),
        asked("evidence", "Evidence at least", levels, _levels_reached, single=True),
        asked("provenance", "Reproduced figure", _PROVENANCES, lambda entry: (entry.provenance,)),
        asked("devices", "Reproduced on", _DEVICES, lambda entry: entry.devices),
        asked("participants", "Role", _labels(Participant), lambda entry: entry.participants),
        asked("artifacts", "Artefact", _labels(Artifact), lambda entry: entry.artifacts),
        asked("tags", "Subject", _labels(Tag), lambda entry: entry.tags),
        asked("effort", "Effort", efforts, lambda entry: (entry.effort,)),
        asked("kind", "Kind", kinds, lambda entry: (entry.kind,)),
    )


def _labels(terms: type[Term]) -> dict[str, str]:
    return {term.value: term.label for term in terms}


def advised_improvements(entry: SelectorEntry) -> tuple[str, ...]:
    """Return the qualities one would choose the tactic for; a habit to avoid is never an answer."""
    return () if entry.kind == Kind.DARK else entry.improves


def script_json(value: object) -> Markup:
    """Return JSON on one line for a script element of a Markdown page: no sign can end it or be marked up."""
    text = one_line(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    for sign in "<>&`~\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - signs with a meaning in HTML and Markdown are escaped above


def _levels_reached(entry: SelectorEntry) -> list[str]:
    return [level.value for level in Level if level.value <= entry.evidence]
