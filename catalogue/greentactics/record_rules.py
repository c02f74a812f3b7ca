"""Rules inside one record that concern more than one field."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from greentactics.diagnosis import did_you_mean
from greentactics.places import FieldPath, Finding
from greentactics.rules import Rule
from greentactics.schema import Record
from greentactics.vocabulary import Direction, Kind, TacticType


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
