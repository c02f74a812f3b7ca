"""What is known of a tactic before its record is written, and whether it can become one."""

from __future__ import annotations

import datetime
import keyword
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from pydantic import TypeAdapter, ValidationError

from greentactics.diagnosis import did_you_mean
from greentactics.file_names import DEVICE_NAMES
from greentactics.loading import BIBLIOGRAPHY, Files
from greentactics.schema import TacticId
from greentactics.tactic_ids import slug, taken_ids
from greentactics.vocabulary import Artifact, Participant, Stage, Term

LONGEST_TITLE = 80


@dataclass(frozen=True)
class Draft:
    """What is known of a tactic before its record is written."""

    title: str
    """Title."""
    created: datetime.date
    """Date of the record."""
    id: str
    """Identifier."""
    group: str | None = None
    """Part of the system it acts on; None where that is still to be chosen."""
    quality: str | None = None
    """Quality it is meant to improve; None where that is still to be chosen."""
    intent: str = ""
    """What it is for; empty where that is still to be written."""
    sources: tuple[str, ...] = ()
    """Keys of its sources; none where they are still to be found."""
    like: str | None = None
    """Identifier of a tactic of its kind."""
    tags: tuple[str, ...] = ()
    """Subjects."""
    stages: tuple[str, ...] = (Stage.TRAINING.value,)
    """When it is decided."""
    participant: tuple[str, ...] = (Participant.DATA_SCIENTIST.value,)
    """Who decides it."""
    artifact: tuple[str, ...] = (Artifact.MODEL.value,)
    """What it changes."""

    @property
    def module(self) -> str:
        """Name of the recipe's module."""
        return self.id.replace("-", "_")


def scaffold_names(identifier: str) -> dict[str, str]:
    """Return template by file, from the root of the repository, for a new tactic."""
    module = identifier.replace("-", "_")
    return {
        f"tactics/{identifier}.yaml": "record.yaml.j2",
        f"recipes/{module}.py": "recipe.py.j2",
        f"tests/recipes/test_{module}.py": "test_recipe.py.j2",
    }


def completed(draft: Draft) -> Draft:
    """Return a draft with spaces put right and an identifier made from the title where it has none."""
    title, intent = _plain(draft.title), _plain(draft.intent)
    return replace(draft, title=title, intent=intent, id=draft.id or slug(title))


def draft_problems(draft: Draft, files: Files) -> list[str]:
    """Return why a draft cannot become a record, one line for each reason."""
    return [*_title(draft), *_identifier(draft.id, files), *_known(draft, files)]


def with_words(draft: Draft, files: Files) -> Draft:
    """Return a draft with the words of the vocabularies that the tactic of its kind has."""
    model = files.records[draft.like].model if draft.like else None
    if model is None:
        return draft
    return replace(
        draft,
        group=draft.group or model.group.value,
        tags=_words(model.tags),
        stages=_words(model.stages),
        participant=_words(model.participant),
        artifact=_words(model.artifact),
    )


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _title(draft: Draft) -> Iterator[str]:
    title = draft.title
    if not title or len(title) > LONGEST_TITLE or not title.isprintable() or set(title) & set('"\\'):
        expected = f'1 to {LONGEST_TITLE} letters without " and \\'
        yield f"title: expected {expected}, got {len(title)}: {title!a}; shorten or reword it"
    if not draft.intent.isprintable():
        yield f"--intent: expected visible letters, got {draft.intent!a}; reword it"


def _identifier(identifier: str, files: Files) -> Iterator[str]:
    """Yield why an identifier cannot be that of a new tactic."""
    cure = "name another one with --id"
    if identifier in DEVICE_NAMES:
        yield f"id: expected a name that Windows does not keep for a device, got {identifier!a}; {cure}"
        return
    try:
        TypeAdapter(TacticId).validate_python(identifier)
    except ValidationError:
        expected = "small letters, digits and single hyphens, a letter first, such as early-exit"
        yield f"id: expected {expected}, got {identifier!a}; {cure}"
        return
    if keyword.iskeyword(identifier):
        yield f"id: expected a name that is no word of Python, got {identifier!a}; {cure}"
    if holder := taken_ids(files.root, files.readable_records).get(identifier):
        expected = "an identifier that no tactic has or had"
        yield f"id: expected {expected}, got {identifier}: {holder}; {cure}"


def _known(draft: Draft, files: Files) -> Iterator[str]:
    """Yield which sources and which tactic of the options there are not."""
    keys = files.bibliography.keys
    for key in draft.sources:
        if key not in keys:
            cure = did_you_mean(key, sorted(keys)) or "add it there first, or leave --source out"
            yield f"--source: expected a key of {BIBLIOGRAPHY}, got {key!a}; {cure}"
    known = sorted(record.id for record in files.readable_records)
    if draft.like and draft.like not in known:
        cure = did_you_mean(draft.like, known) or "see `tactics/` for the identifiers there are"
        yield f"--like: expected the identifier of a record without mistakes, got {draft.like!a}; {cure}"


def _words(terms: Iterable[Term]) -> tuple[str, ...]:
    return tuple(term.value for term in terms)
