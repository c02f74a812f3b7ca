"""The vocabularies as pages: what each word means, and which tactics carry it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from greentactics.evidence.level import Level, Mark
from greentactics.evidence.rivals import Against
from greentactics.evidence.tactic import Tactic
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
    Term,
)

Carried = Iterable[tuple[Term, str]]
"""Terms that a tactic carries, each with the way it does so; empty where there is one way only."""

WAYS = {
    Direction.IMPROVES: "Improve it",
    Direction.WORSENS: "Worsen it",
    Direction.DEPENDS: "Improve or worsen it, depending on a condition",
    Direction.NEUTRAL: "Leave it as it is",
}


@dataclass(frozen=True)
class Vocabulary:
    """A vocabulary whose terms have pages."""

    name: str
    """Name in addresses."""
    title: str
    """What it is called on pages."""
    terms: type[Term]
    """Its terms."""
    asked_as: str
    """Name of the question on the page "Find a tactic" that has these terms as choices."""
    carried: Callable[[Tactic], Carried]
    """The terms a tactic carries."""


VOCABULARIES = (
    Vocabulary(
        "quality",
        "Qualities",
        Quality,
        "improves",
        lambda tactic: [(effect.quality, WAYS[effect.direction]) for effect in tactic.record.effects],
    ),
    Vocabulary("stage", "Stages", Stage, "stages", lambda tactic: _plain(tactic.record.stages)),
    Vocabulary("group", "Groups", Group, "group", lambda tactic: _plain([tactic.record.group])),
    Vocabulary(
        "participant",
        "Participants",
        Participant,
        "participants",
        lambda tactic: _plain(tactic.record.participant),
    ),
    Vocabulary("artifact", "Artefacts", Artifact, "artifacts", lambda tactic: _plain(tactic.record.artifact)),
    Vocabulary("tag", "Tags", Tag, "tags", lambda tactic: _plain(tactic.record.tags)),
    Vocabulary("kind", "Kinds", Kind, "kind", lambda tactic: _plain([tactic.record.kind])),
    Vocabulary(
        "effort", "Effort", EffortLevel, "effort", lambda tactic: _plain([tactic.record.effort.level])
    ),
    Vocabulary(
        "evidence", "Levels of evidence", Level, "evidence", lambda tactic: _plain([tactic.evidence.level])
    ),
)
"""The vocabularies by which tactics are looked up."""

FURTHER: tuple[tuple[str, type[Term]], ...] = (
    ("Types of tactic", TacticType),
    ("Fields of engineering", Category),
    ("Directions of an effect", Direction),
    ("Relations", RelationType),
    ("Kinds of claim", ClaimKind),
    ("Where a claim was read", ReadIn),
    ("Quantities of a claim", Quantity),
    ("Units of a claim", ClaimUnit),
    ("Directions of a claim", ClaimDirection),
    ("Bounds of a claim", Bound),
    ("Status of a record", Status),
    ("Marks beside a level", Mark),
    ("Against the best rival", Against),
)
"""Words of the records that are defined in the glossary only."""


@dataclass(frozen=True)
class TermPage:
    """One term and the tactics that carry it."""

    vocabulary: Vocabulary
    """Its vocabulary."""
    term: Term
    """The term."""
    sections: Mapping[str, list[Tactic]]
    """Tactics by the way they carry it; empty where none does."""

    @property
    def folder(self) -> str:
        """Folder of the page, from the root of the site."""
        return f"terms/{self.vocabulary.name}/{self.term.value.lower()}"

    @property
    def count(self) -> int:
        """How many tactics carry it."""
        return sum(len(tactics) for tactics in self.sections.values())


def term_pages(tactics: Iterable[Tactic]) -> list[TermPage]:
    """Return a page for each term of each vocabulary, after one pass over the tactics."""
    found: dict[tuple[str, Term], dict[str, list[Tactic]]] = {
        (vocabulary.name, term): {} for vocabulary in VOCABULARIES for term in vocabulary.terms
    }
    for tactic in tactics:
        for vocabulary in VOCABULARIES:
            for term, way in vocabulary.carried(tactic):
                found[vocabulary.name, term].setdefault(way, []).append(tactic)
    return [
        TermPage(vocabulary, term, _in_order(found[vocabulary.name, term]))
        for vocabulary in VOCABULARIES
        for term in vocabulary.terms
    ]


def question(terms: type[Term]) -> str:
    """Return the question a vocabulary answers: the first line of its docstring."""
    return (inspect.getdoc(terms) or "").partition("\n")[0]


def _in_order(sections: Mapping[str, list[Tactic]]) -> dict[str, list[Tactic]]:
    return {way: sections[way] for way in ("", *WAYS.values()) if way in sections}


def _plain(terms: Iterable[Term]) -> Carried:
    return [(term, "") for term in terms]
