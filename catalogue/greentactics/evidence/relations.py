"""How the tactics stand to one another: all relations, each found from both of its ends, in one pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from greentactics.models.vocabulary import Group, RelationType

if TYPE_CHECKING:
    from greentactics.evidence.tactic import Tactic

MIRRORED = {
    RelationType.REQUIRES: "Required by",
    RelationType.CONFLICTS_WITH: "Conflicts with",
    RelationType.ALTERNATIVE_TO: "Alternative to",
    RelationType.SPECIALISES: "Specialised by",
    RelationType.COMBINES_WITH: "Combines with",
    RelationType.COUNTERED_BY: "Counters",
}


@dataclass(frozen=True)
class Tie:
    """One relation, as one of its two tactics sees it."""

    source: Tactic
    """The tactic that sees it."""
    target: Tactic
    """The other one."""
    type: RelationType
    """How the record that states it stands to the other."""
    reason: str
    """Why, in one sentence."""
    mirrored: bool = False
    """Whether the other tactic's record states it."""

    @property
    def label(self) -> str:
        """How the one that sees it stands to the other, in words."""
        return MIRRORED[self.type] if self.mirrored else self.type.label


def stated_ties(tactics: Mapping[str, Tactic]) -> tuple[Tie, ...]:
    """Return the relations as the records state them, in the order of the records."""
    return tuple(
        Tie(tactic, tactics[relation.target], relation.type, relation.reason)
        for tactic in tactics.values()
        for relation in tactic.record.relations
        if relation.target in tactics
    )


def ties_by_tactic(identifiers: Iterable[str], stated: Iterable[Tie]) -> dict[str, list[Tie]]:
    """Return the relations by the tactic that sees them: those it states, then those stated of it.

    A relation that both records state is listed once at each.
    """
    found: dict[str, dict[tuple[str, str], Tie]] = {identifier: {} for identifier in identifiers}
    mirrored = []
    for tie in stated:
        found[tie.source.record.id][tie.label, tie.target.record.id] = tie
        mirrored.append(Tie(tie.target, tie.source, tie.type, tie.reason, mirrored=True))
    for tie in mirrored:
        found[tie.source.record.id].setdefault((tie.label, tie.target.record.id), tie)
    return {identifier: list(ties.values()) for identifier, ties in found.items()}


def by_group(tactics: Mapping[str, Tactic]) -> dict[Group, list[Tactic]]:
    """Return the tactics by the part of a system they act on, groups in the order of the vocabulary."""
    found: dict[Group, list[Tactic]] = {group: [] for group in Group}
    for tactic in tactics.values():
        found[tactic.record.group].append(tactic)
    return {group: members for group, members in found.items() if members}
