"""What a change means: each record before and after, in the words that readers see."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from greentactics.evidence.claims import claim_figure, direction_word, has_figure
from greentactics.evidence.replays import effect_lines
from greentactics.evidence.runs import TacticRun
from greentactics.evidence.tactic import Tactic, join
from greentactics.models.bibliography import Reference
from greentactics.models.record import Claim, Record, SourceUse
from greentactics.models.vocabulary import Status
from greentactics.records.loading import Catalogue
from greentactics.text.escaping import fence_for, one_line

ADDED, CHANGED, WITHDRAWN, REMOVED = "added", "changed", "withdrawn", "removed"
KINDS = (ADDED, CHANGED, WITHDRAWN, REMOVED)
"""What can happen to a record, in the order of reports."""
_TOLD_APART = frozenset({"impact", "relations", "sources"})
"""Fields that have an aspect of their own."""


@dataclass(frozen=True)
class Aspect:
    """One side of a record that differs."""

    name: str
    """What differs, such as `verdict`."""
    before: tuple[str, ...]
    """Lines that stood there and stand there no longer."""
    after: tuple[str, ...]
    """Lines that are new."""


@dataclass(frozen=True)
class RecordChange:
    """What happened to one record."""

    id: str
    """The record."""
    kind: str
    """One of `KINDS`."""
    aspects: tuple[Aspect, ...]
    """What differs and is told line by line."""
    fields: tuple[str, ...]
    """Other fields of the record that differ."""


@dataclass(frozen=True)
class CatalogueDiff:
    """What differs between two states of the catalogue."""

    records: tuple[RecordChange, ...]
    """Records that differ, by kind of change, then by identifier."""
    recipes: tuple[str, ...]
    """Tactics whose recipe computes something else than before, or is new."""
    recipes_removed: tuple[str, ...]
    """Tactics whose recipe is gone."""
    unreadable: tuple[str, ...] = ()
    """Files of the earlier state that could not be read by the rules of today."""


def compare_catalogues(before: Catalogue, after: Catalogue, unreadable: Sequence[str] = ()) -> CatalogueDiff:
    """Compare two states of a catalogue.

    Args:
        before: The earlier state.
        after: The later state.
        unreadable: Files of the earlier state that are missing in `before`.
    """
    earlier, later = _sides(before), _sides(after)
    changes = [
        change
        for tactic in sorted({*earlier, *later})
        if f"tactics/{tactic}.yaml" not in unreadable
        and (change := _change(tactic, earlier.get(tactic), later.get(tactic)))
    ]
    recipes = tuple(
        tactic
        for tactic, source in after.recipes.items()
        if tactic not in before.recipes or before.recipes[tactic].sha256 != source.sha256
    )
    return CatalogueDiff(
        tuple(sorted(changes, key=lambda change: (KINDS.index(change.kind), change.id))),
        recipes,
        tuple(sorted(before.recipes.keys() - after.recipes.keys())),
        tuple(unreadable),
    )


@dataclass(frozen=True)
class _Side:
    """A record in one state, and its aspects in words."""

    record: Record
    lines: Mapping[str, tuple[str, ...]]


def _sides(catalogue: Catalogue) -> dict[str, _Side]:
    return {
        identifier: _Side(tactic.record, dict(_aspects(tactic, catalogue)))
        for identifier, tactic in join(catalogue, {}).items()
    }


def _aspects(tactic: Tactic, catalogue: Catalogue) -> Iterator[tuple[str, tuple[str, ...]]]:
    record, evidence = tactic.record, tactic.evidence
    source = catalogue.recipes.get(record.id)
    yield "verdict", tactic.verdict.parts
    yield "evidence", (f"{evidence.text}: {'; '.join(evidence.reasons)}",)
    yield "claims", tuple(map(_claim_line, record.impact.claims))
    yield (
        "relations",
        tuple(f"{entry.type.value} {entry.target}: {entry.reason}" for entry in record.relations),
    )
    yield "sources", tuple(_source_line(use, catalogue.bibliography) for use in record.sources)
    yield "recipe", (f"code {source.sha256[:12]}",) if source else ()
    yield "results", tuple(map(_results_line, tactic.committed))
    effects = (effect for entry in tactic.replays for effect in entry.effects)
    yield "replays", tuple(":".join(effect_lines(effect)) for effect in effects)


def _change(tactic: str, earlier: _Side | None, later: _Side | None) -> RecordChange | None:
    if later is None:
        return RecordChange(tactic, REMOVED, _differing(earlier, None), ())
    if earlier is None:
        return RecordChange(tactic, ADDED, _differing(None, later), ())
    aspects, fields = _differing(earlier, later), _fields(earlier.record, later.record)
    if not aspects and not fields:
        return None
    withdrawn = later.record.status is Status.WITHDRAWN is not earlier.record.status
    return RecordChange(tactic, WITHDRAWN if withdrawn else CHANGED, aspects, fields)


def _differing(earlier: _Side | None, later: _Side | None) -> tuple[Aspect, ...]:
    """Return the aspects that differ; of a new or removed record all that say something."""
    old, new = (side.lines if side else {} for side in (earlier, later))
    found = []
    for name in old or new:
        before, after = old.get(name, ()), new.get(name, ())
        gone = tuple(line for line in before if line not in after)
        come = tuple(line for line in after if line not in before)
        if gone or come:
            found.append(Aspect(name, gone, come))
        elif before != after:  # nothing but the order, which says what comes first
            found.append(Aspect(f"{name}, in another order", before, after))
    title = tuple(side.record.title if side else None for side in (earlier, later))
    if title[0] != title[1]:
        found.insert(0, Aspect("title", *(((text,) if text else ()) for text in title)))
    return tuple(found)


def _fields(earlier: Record, later: Record) -> tuple[str, ...]:
    return tuple(
        name
        for name in Record.model_fields
        if name not in _TOLD_APART and name != "title" and getattr(earlier, name) != getattr(later, name)
    )


def _claim_line(claim: Claim) -> str:
    figure = f"{claim_figure(claim)} " if has_figure(claim) else ""
    return (
        f"{claim.quantity.value} {figure}{direction_word(claim)} against {claim.baseline}; {claim.setting} "
        f"({claim.kind.value}; {claim.source}, {claim.read_in.value})"
    )


def _source_line(use: SourceUse, bibliography: Mapping[str, Reference]) -> str:
    reference = bibliography.get(use.key)
    if reference is None:
        return f"{use.key}: not in the bibliography"
    identifier = reference.doi or reference.arxiv or reference.link or "no identifier"
    return f"{use.key}: {reference.title}, {reference.year}, {identifier}; for: {use.supports}"


def _results_line(run: TacticRun) -> str:
    results, against = run.results, ", ".join(run.against) or "counts as evidence"
    last = max(repeat.started for repeat in results.repeats)
    return (
        f"{results.device.name}, preset {results.preset}, {results.data.name}, {len(results.seeds)} seeds, "
        f"measured {last:%Y-%m-%d %H:%M} UTC: {against}"
    )


FORMATS = ("text", "markdown", "recipes")
"""Forms a difference can be written in."""
_WIDTH = 100
_LONGEST_COMMENT = 60_000
"""Characters; a comment on GitHub may have 65,536."""


def render_diff(diff: CatalogueDiff, base: str, format: str) -> str:  # noqa: A002 - the word users type
    """Return a difference as text without a line end.

    Args:
        diff: The difference.
        base: The earlier state, as it is called in the text.
        format: `text`: for a terminal; `markdown`: for a comment on a pull request; `recipes`: the tactics
            whose recipe computes something else, one a line.
    """
    if format == "recipes":
        return "\n".join(diff.recipes)
    if format == "markdown":
        return _markdown(diff, base)
    return "\n\n".join([_summary(diff, base), *map(_block, diff.records), *_remarks(diff)])


def _summary(diff: CatalogueDiff, base: str) -> str:
    if not diff.records and not diff.recipes and not diff.recipes_removed:
        return f"No record, result or recipe differs from {base}."
    counts = [(sum(change.kind == kind for change in diff.records), kind) for kind in KINDS]
    listed = ", ".join(f"{count} {kind}" for count, kind in counts if count) or "none"
    return f"Records that differ from {base}: {listed}."


def _remarks(diff: CatalogueDiff) -> Iterator[str]:
    for words, names in (
        ("Recipes that are new or compute something else", diff.recipes),
        ("Recipes that are gone", diff.recipes_removed),
        ("Not compared, as the earlier file breaks the rules of today", diff.unreadable),
    ):
        if names:
            yield f"{words}: {', '.join(map(one_line, names))}"


def _block(change: RecordChange, heading: str = "  ", indent: str = "    ") -> str:
    lines = [f"{change.kind}: {change.id}"]
    for aspect in change.aspects:
        lines += [f"{heading}{aspect.name}", *(f"{indent}{line}" for line in _lines(aspect))]
    if change.fields:
        lines.append(f"{heading}other fields: {', '.join(change.fields)}")
    return "\n".join(lines)


def _lines(aspect: Aspect) -> Iterator[str]:
    for sign, texts in (("-", aspect.before), ("+", aspect.after)):
        for text in texts:
            # A line that is broken keeps its sign, so that it keeps its colour.
            parts = textwrap.wrap(one_line(text), _WIDTH, break_on_hyphens=False) or [""]
            yield f"{sign} {parts[0]}"
            yield from (f"{sign}   {part}" for part in parts[1:])


def _markdown(diff: CatalogueDiff, base: str) -> str:
    """Return Markdown in which all text of records stands in listings, where nothing is interpreted."""
    parts, length = [f"### {_summary(diff, base)}"], 0
    for number, change in enumerate(diff.records):
        block = _fenced(_block(change, heading="# ", indent=""), "diff")
        length += len(block)
        if length > _LONGEST_COMMENT:
            left = len(diff.records) - number
            parts.append(f"{left} more, left out here for their length; `greentactics diff` shows all.")
            break
        parts.append(block)
    remarks = "\n".join(_remarks(diff))
    if remarks:
        parts.append(_fenced(remarks, "text"))
    return "\n\n".join(parts)


def _fenced(text: str, language: str) -> str:
    fence = fence_for(text)
    return f"{fence}{language}\n{text}\n{fence}"
