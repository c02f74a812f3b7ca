"""The page "Find a tactic": the questions tactics are found by, the table of all, the data of its script."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment
from markupsafe import Markup

from greentactics.bibliography import Reference
from greentactics.escaping import one_line
from greentactics.evidence import Level
from greentactics.export import LICENCE, bibtex_entry
from greentactics.selector_entries import NONE, RANKS, Entry, rank, selector_entries
from greentactics.tactic import Tactic
from greentactics.vocabulary import (
    Artifact,
    EffortLevel,
    Group,
    Kind,
    Participant,
    Quality,
    Stage,
    Tag,
    Term,
)

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


def questions(entries: Sequence[Entry]) -> tuple[Question, ...]:
    """Return what the form asks; choices that fit no tactic at all are left out."""

    def asked(
        name: str,
        title: str,
        labels: Mapping[str, str],
        of: Callable[[Entry], Iterable[str]],
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


def advised_improvements(entry: Entry) -> tuple[str, ...]:
    """Return the qualities one would choose the tactic for; a habit to avoid is never an answer."""
    return () if entry.kind == Kind.DARK else entry.improves


def script_json(value: object) -> Markup:
    """Return JSON on one line for a script element of a Markdown page: no sign can end it or be marked up."""
    text = one_line(json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")))
    for sign in "<>&`~\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 - signs with a meaning in HTML and Markdown are escaped above


def _levels_reached(entry: Entry) -> list[str]:
    return [level.value for level in Level if level.value <= entry.evidence]
