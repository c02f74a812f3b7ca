"""Rules on the relations between records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from greentactics.diagnosis import did_you_mean
from greentactics.places import Finding
from greentactics.rules import Rule
from greentactics.schema import Record
from greentactics.vocabulary import Kind, RelationType

_CONTRADICTIONS = (
    (RelationType.CONFLICTS_WITH, RelationType.COMBINES_WITH),
    (RelationType.CONFLICTS_WITH, RelationType.REQUIRES),
    (RelationType.CONFLICTS_WITH, RelationType.SPECIALISES),
    (RelationType.ALTERNATIVE_TO, RelationType.REQUIRES),
    (RelationType.ALTERNATIVE_TO, RelationType.SPECIALISES),
)
_DIRECTED = (RelationType.REQUIRES, RelationType.SPECIALISES)


class _Tie(NamedTuple):
    """One relation and where it is written."""

    source: str
    position: int
    type: RelationType


def relation_findings(records: Mapping[str, Record], known: frozenset[str]) -> Iterator[tuple[str, Finding]]:
    """Yield what is wrong with relations, with the identifier of the record that says it.

    Args:
        records: The records that could be read, in alphabetical order.
        known: Identifiers of all records, those that could not be read included.
    """
    for tactic, record in records.items():
        for finding in _targets(record, records, known):
            yield tactic, finding
    yield from _contradictions(records)
    for relation_type in _DIRECTED:
        yield from _cycles(records, relation_type)


def _targets(record: Record, records: Mapping[str, Record], known: frozenset[str]) -> Iterator[Finding]:
    for index, relation in enumerate(record.relations):
        path = ("relations", index, "target")
        target = relation.target
        if target == record.id:
            yield Finding(path, Rule.SELF_RELATION, "another tactic", "this one", "remove the relation")
        elif target not in known:
            cure = (
                did_you_mean(target, sorted(known - {record.id}))
                or "see `tactics/` for the identifiers there are"
            )
            yield Finding(path, Rule.DANGLING_RELATION, "the identifier of a record", f'"{target}"', cure)
        if relation.type is not RelationType.COUNTERED_BY:
            continue
        if record.kind is not Kind.DARK:
            expected = f"a relation other than {relation.type}, as the tactic is awesome"
            yield Finding(("relations", index, "type"), Rule.COUNTERED_BY, expected, relation.type)
        elif target in records and records[target].kind is Kind.DARK:
            yield Finding(
                path, Rule.COUNTERED_BY, "an awesome tactic as remedy", f'the dark tactic "{target}"'
            )


def _contradictions(records: Mapping[str, Record]) -> Iterator[tuple[str, Finding]]:
    pairs: dict[tuple[str, str], list[_Tie]] = {}
    for tactic, record in records.items():
        for index, relation in enumerate(record.relations):
            pair = (min(tactic, relation.target), max(tactic, relation.target))
            pairs.setdefault(pair, []).append(_Tie(tactic, index, relation.type))
    for pair, ties in pairs.items():
        for one, other in _CONTRADICTIONS:
            clash = [tie for tie in ties if tie.type in (one, other)]
            if {tie.type for tie in clash} == {one, other}:
                later = next(tie for tie in clash if tie.type is not clash[0].type)
                expected = f"no {later.type} between {pair[0]} and {pair[1]}"
                found = f"it beside {clash[0].type} in {clash[0].source}"
                finding = Finding(
                    ("relations", later.position, "type"),
                    Rule.CONTRADICTING_RELATIONS,
                    expected,
                    found,
                    "remove one",
                )
                yield later.source, finding


def _cycles(records: Mapping[str, Record], relation_type: RelationType) -> Iterator[tuple[str, Finding]]:
    """Yield one finding for each cycle, at the alphabetically first record on it."""
    edges: dict[str, dict[str, int]] = {
        tactic: {
            relation.target: index
            for index, relation in enumerate(record.relations)
            if relation.type is relation_type and relation.target != tactic and relation.target in records
        }
        for tactic, record in records.items()
    }
    while _remove_ends(edges):
        trail = [min(edges)]
        while (following := min(edges[trail[-1]])) not in trail:
            trail.append(following)
        cycle = trail[trail.index(following) :]
        start = cycle.index(min(cycle))
        cycle = cycle[start:] + cycle[:start]
        after = cycle[1]
        found = " -> ".join([*cycle, cycle[0]])
        yield (
            cycle[0],
            Finding(
                ("relations", edges[cycle[0]][after], "target"), Rule.RELATION_CYCLE,
                f"{relation_type} without a cycle", found, "remove one of these relations",
            ),
        )  # fmt: skip
        del edges[cycle[0]][after]


def _remove_ends(edges: dict[str, dict[str, int]]) -> bool:
    """Remove, in place, all records from which no relation leads on; return whether any are left."""
    incoming: dict[str, list[str]] = {}
    for tactic, targets in edges.items():
        for target in targets:
            incoming.setdefault(target, []).append(tactic)
    ends = [tactic for tactic, targets in edges.items() if not targets]
    while ends:
        end = ends.pop()
        del edges[end]
        for tactic in incoming.get(end, ()):
            del edges[tactic][end]
            if not edges[tactic]:
                ends.append(tactic)
    return bool(edges)
