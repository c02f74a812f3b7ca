"""What is known of a tactic before its record is written, and whether it can become one."""

from __future__ import annotations

import datetime
import keyword
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from pydantic import TypeAdapter, ValidationError

from greentactics.models.record import DEVICE_NAMES, Record, TacticId
from greentactics.models.vocabulary import Artifact, Group, Participant, Quality, Stage, Term
from greentactics.records.checks import PLACEHOLDER_KEY
from greentactics.records.diagnosis import did_you_mean
from greentactics.records.ids import slug, taken_ids
from greentactics.records.loading import BIBLIOGRAPHY, Files
from greentactics.text.files import errors_name
from greentactics.text.problems import UserError
from greentactics.text.yaml_text import scalar_text

TITLE_THRESHOLD = 0.5
"""Share of common words from which titles count as similar, found by hand.

"Remove duplicates from training data" has 0.5 with the record on redundant data, and "Distil a big network
into a smaller one" 0.5 with that on distillation. "Quantise weights to 8 bits after training" has 0.33 with
quantisation-aware training, which is another tactic.
"""
INTENT_THRESHOLD = 0.3
"""The same of intents; those of the first 42 records have at most 0.27 in common."""
RARE_AT_MOST = 3
"""Records that cite a source, up to which a common source says something."""

_STEM_LENGTH = 4
_COMMON = (
    "and are can cost costs does energy for from has have into less model models more network networks not "
    "one same than that the their them this too use used uses using what when where which while with"
)


@dataclass(frozen=True)
class Similar:
    """A record that resembles a new one."""

    record: Record
    """The record."""
    reasons: tuple[str, ...]
    """In what they are alike."""


def similar_records(
    records: Sequence[Record], *, title: str, intent: str = "", sources: Iterable[str] = ()
) -> list[Similar]:
    """Return the records that are like a new one in title, intent or a source few others cite.

    Args:
        records: All records.
        title: Title of the new one.
        intent: Its intent; empty where it is not known yet.
        sources: Keys of its sources.
    """
    found = []
    for record in records:
        names = [record.title, record.id, *(alias.title for alias in record.aliases)]
        reasons = []
        if max(_overlap(title, name) for name in names) >= TITLE_THRESHOLD:
            reasons.append("similar title")
        if _overlap(intent, record.intent) >= INTENT_THRESHOLD:
            reasons.append("similar intent")
        cited = {use.key for use in record.sources}
        reasons += [f"cites {key} too" for key in sources if key in cited and _is_rare(key, records)]
        if reasons:
            found.append(Similar(record, tuple(reasons)))
    return found


def _is_rare(key: str, records: Iterable[Record]) -> bool:
    return sum(any(use.key == key for use in record.sources) for record in records) <= RARE_AT_MOST


def _overlap(one: str, other: str) -> float:
    """Return the words two texts have in common as a share of all their words."""
    first, second = _stems(one), _stems(other)
    return len(first & second) / len(first | second) if first and second else 0.0


def _stems(text: str) -> set[str]:
    common = set(_COMMON.split())
    words = re.findall(r"\w{3,}", text.lower().replace("_", " "))
    return {word[:_STEM_LENGTH] for word in words if word not in common}


def scaffold(draft: Draft) -> dict[str, str]:
    """Return the text of each file of a new tactic, by its path from the root of the repository."""
    environment = Environment(
        loader=PackageLoader("greentactics.contribute", "scaffold"),
        undefined=StrictUndefined,
        autoescape=False,  # noqa: S701 - YAML and Python; the title has been checked, the rest is quoted
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["scalar"] = scalar_text
    return {
        file: environment.get_template(template).render(
            draft=draft,
            group=draft.group or Group.MODEL_OPTIMIZATION.value,
            quality=draft.quality or Quality.ENERGY_EFFICIENCY.value,
            sources=draft.sources or (PLACEHOLDER_KEY,),
        )
        for file, template in scaffold_names(draft.id).items()
    }


def write_new(root: Path, files: Mapping[str, str]) -> None:
    """Write files that do not exist yet: all of them, or none.

    Raises:
        UserError: One exists.
        OSError: One cannot be written.
    """
    written: list[Path] = []
    try:
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            with errors_name(path), path.open("x", encoding="utf-8", newline="\n") as stream:
                written.append(path)
                stream.write(text)
    except BaseException as error:
        for path in written:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            message = f"{error.filename}: expected no such file yet; nothing was written"
            raise UserError(message) from None
        raise


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
