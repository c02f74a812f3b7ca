"""Rules inside one record that concern more than one field."""

from __future__ import annotations

import graphlib
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from greentactics.models.record import Record
from greentactics.models.vocabulary import Direction, Kind, RelationType, Status, TacticType
from greentactics.records.diagnosis import did_you_mean
from greentactics.text.problems import FieldPath, Finding, Rule

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
    while cycle := _cycle(edges):
        first, after = cycle[:2]
        yield (
            first,
            Finding(
                ("relations", edges[first][after], "target"), Rule.RELATION_CYCLE,
                f"{relation_type} without a cycle", " -> ".join([*cycle, first]),
                "remove one of these relations",
            ),
        )  # fmt: skip
        del edges[first][after]


def _cycle(edges: Mapping[str, Iterable[str]]) -> list[str]:
    """Return the records on a cycle in the order of their relations, the alphabetically first one first."""
    try:
        graphlib.TopologicalSorter(edges).prepare()
    except graphlib.CycleError as error:
        cycle: list[str] = error.args[1][:0:-1]
        start = cycle.index(min(cycle))
        return cycle[start:] + cycle[:start]
    return []


def life_cycle_findings(
    records: Mapping[str, Record], known: frozenset[str]
) -> Iterator[tuple[str, Finding]]:
    """Yield what is wrong with withdrawals and former identifiers, with the identifier of the record.

    Args:
        records: The records that could be read, in alphabetical order.
        known: Identifiers of all records, those that could not be read included.
    """
    holders: dict[str, str] = {}
    for tactic, record in records.items():
        findings = [*_withdrawal(record), *_successor(record, records, known)]
        findings += [*_withdrawn_targets(record, records), *_former_ids(record, known, holders)]
        for finding in findings:
            yield tactic, finding


def _withdrawal(record: Record) -> Iterator[Finding]:
    is_withdrawn = record.status is Status.WITHDRAWN
    if is_withdrawn and record.withdrawn is None:
        expected, cure = "`withdrawn:` beside it", "add it with a reason and, if there is one, a successor"
        yield Finding(("status",), Rule.WITHDRAWAL, expected, "none", cure)
    if record.withdrawn is not None and not is_withdrawn:
        expected = "status withdrawn, as there is `withdrawn:`"
        yield Finding(("status",), Rule.WITHDRAWAL, expected, record.status, "change one of the two")


def _successor(record: Record, records: Mapping[str, Record], known: frozenset[str]) -> Iterator[Finding]:
    successor = record.withdrawn and record.withdrawn.successor
    if not successor:
        return
    if successor not in known:
        others = sorted(known - {record.id})
        expected, found = "the identifier of a record", f'"{successor}"'
        cure = did_you_mean(successor, others) or "see `tactics/` for the identifiers there are"
    elif successor == record.id:
        expected, found, cure = "another tactic", "this one", "remove it where there is no successor"
    elif successor in records and records[successor].status is Status.WITHDRAWN:
        expected, found = "a tactic that is not withdrawn", f'"{successor}", which is'
        cure = "name its successor, or none"
    else:
        return
    yield Finding(("withdrawn", "successor"), Rule.SUCCESSOR, expected, found, cure)


def _withdrawn_targets(record: Record, records: Mapping[str, Record]) -> Iterator[Finding]:
    if record.status is Status.WITHDRAWN:
        return
    for index, relation in enumerate(record.relations):
        target = records.get(relation.target)
        if target is not None and target.status is Status.WITHDRAWN:
            successor = target.withdrawn and target.withdrawn.successor
            cure = f"relate to {successor} instead, or remove it" if successor else "remove the relation"
            found = f'"{relation.target}", which is'
            expected = "a tactic that is not withdrawn"
            yield Finding(("relations", index, "target"), Rule.WITHDRAWN_TARGET, expected, found, cure)


def _former_ids(record: Record, known: frozenset[str], holders: dict[str, str]) -> Iterator[Finding]:
    for index, former in enumerate(record.former_ids):
        first = holders.setdefault(former, record.id)
        if former in known:
            found = f'"{former}", which tactics/{former}.yaml has'
        elif first != record.id:
            found = f'"{former}", which {first} had before, too'
        else:
            continue
        expected, cure = "an identifier that no other record has or had", "identifiers are never used again"
        yield Finding(("former_ids", index), Rule.FORMER_ID, expected, found, cure)


def record_findings(record: Record) -> Iterator[Finding]:
    """Yield what is wrong with a record whose fields are right one by one."""
    yield from _kind(record)
    yield from _target(record)
    yield from _trade_offs(record)
    yield from _sources(record)
    yield from _duplicates(record)
    yield from _steps(record)
    yield from _dates(record)


def _kind(record: Record) -> Iterator[Finding]:
    dark = record.kind is Kind.DARK
    pattern = TacticType.UNSUSTAINABLE_PATTERN
    if dark and record.type is not pattern:
        yield Finding(("type",), Rule.KIND_TYPE, f"{pattern} for a dark tactic", record.type)
    if not dark and record.type is pattern:
        expected = (
            f"{TacticType.ARCHITECTURAL_TACTIC} or {TacticType.SOFTWARE_PRACTICE} for an awesome tactic"
        )
        yield Finding(("type",), Rule.KIND_TYPE, expected, record.type)
    for name, value in (("intent_measure", record.intent_measure), ("countermeasure", record.countermeasure)):
        if dark and value is None:
            yield Finding(
                (name,), Rule.DARK_FIELDS, "text, as the tactic is dark", "nothing", f"add `{name}:`"
            )
        if not dark and value is not None:
            yield Finding(
                (name,),
                Rule.AWESOME_FIELDS,
                "nothing, as the tactic is awesome",
                "text",
                "remove the key",
                at_key=True,
            )


def _target(record: Record) -> Iterator[Finding]:
    target = record.target_quality
    if record.kind is Kind.DARK:
        return
    if target is None:
        expected = "a quality, as the tactic is awesome"
        yield Finding(("target_quality",), Rule.TARGET_QUALITY, expected, "nothing", "add `target_quality:`")
    elif not any(
        effect.quality is target and effect.direction is Direction.IMPROVES for effect in record.effects
    ):
        expected = "a quality that one of the effects improves"
        cure = f"add an effect with quality {target} and direction improves"
        yield Finding(("target_quality",), Rule.TARGET_EFFECT, expected, target, cure)


def _trade_offs(record: Record) -> Iterator[Finding]:
    expected = "either `trade_offs:` or `no_trade_offs_reason:`"
    if record.trade_offs and record.no_trade_offs_reason:
        yield Finding(("no_trade_offs_reason",), Rule.TRADE_OFFS, expected, "both", "remove one", at_key=True)
    if not record.trade_offs and not record.no_trade_offs_reason:
        cure = "state an adverse effect, or where you looked for one"
        yield Finding(("trade_offs",), Rule.TRADE_OFFS, expected, "neither", cure)


def _sources(record: Record) -> Iterator[Finding]:
    listed = [source.key for source in record.sources]
    used: list[tuple[FieldPath, str]] = [
        (("impact", "claims", index, "source"), claim.source)
        for index, claim in enumerate(record.impact.claims)
    ]
    used += [
        (("trade_offs", index, "source"), trade_off.source)
        for index, trade_off in enumerate(record.trade_offs)
        if trade_off.source
    ]
    for path, key in used:
        if key not in listed:
            cure = did_you_mean(key, listed) or "add it to `sources:`"
            yield Finding(
                path, Rule.SOURCE_NOT_LISTED, "a key from this record's `sources`", f'"{key}"', cure
            )


def _duplicates(record: Record) -> Iterator[Finding]:
    lists: dict[str, Sequence[Hashable]] = {
        "tags": record.tags,
        "participant": record.participant,
        "artifact": record.artifact,
        "stages": record.stages,
        "effects": [effect.quality for effect in record.effects],
        "applies_when": record.applies_when,
        "avoid_when": record.avoid_when,
        "sources": [source.key for source in record.sources],
        "relations": [f"{relation.type} {relation.target}" for relation in record.relations],
        "aliases": [alias.url for alias in record.aliases],
        "former_ids": record.former_ids,
    }
    for name, entries in lists.items():
        yield from _repeated((name,), entries)
    if record.recipe:
        yield from _repeated(("recipe", "also_metrics"), record.recipe.also_metrics)


def _repeated(path: tuple[str, ...], entries: Sequence[Hashable]) -> Iterator[Finding]:
    first: dict[Hashable, int] = {}
    for index, entry in enumerate(entries):
        if first.setdefault(entry, index) != index:
            found = f'"{entry}" again (first as number {first[entry] + 1})'
            yield Finding(
                (*path, index), Rule.DUPLICATE_ENTRY, "each entry once", found, "remove one of the two"
            )


def _steps(record: Record) -> Iterator[Finding]:
    for index, step in enumerate(record.steps):
        if step.repeat_from is not None and step.repeat_from > index:
            expected = (
                f"the number of an earlier step, 1 to {index}" if index else "no repetition in the first step"
            )
            yield Finding(("steps", index, "repeat_from"), Rule.REPEAT_FROM, expected, str(step.repeat_from))
        if step.until is not None and step.repeat_from is None:
            cure = "add `repeat_from:` or remove `until:`"
            yield Finding(
                ("steps", index, "until"), Rule.UNTIL_ALONE, "`repeat_from:` beside it", "none", cure
            )


def _dates(record: Record) -> Iterator[Finding]:
    if record.modified < record.created:
        expected = f"a date on or after {record.created}, when the record was created"
        yield Finding(("modified",), Rule.MODIFIED_BEFORE_CREATED, expected, str(record.modified))
    dates = [change.date for change in record.history]
    for index in range(1, len(dates)):
        if dates[index] < dates[index - 1]:
            expected = f"a date on or after {dates[index - 1]}, the entry before"
            cure = "put the oldest change first"
            yield Finding(("history", index, "date"), Rule.HISTORY_ORDER, expected, str(dates[index]), cure)
    if max(dates) != record.modified:
        expected = f"{max(dates)}, the date of the last change in `history`"
        cure = "add the change to `history:` or correct the date"
        yield Finding(("modified",), Rule.HISTORY_MODIFIED, expected, str(record.modified), cure)
