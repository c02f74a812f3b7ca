"""Rules on the life of records: withdrawal, successors and identifiers that are never used again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from greentactics.diagnosis import did_you_mean
from greentactics.places import Finding
from greentactics.rules import Rule
from greentactics.schema import Record
from greentactics.vocabulary import Status


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
