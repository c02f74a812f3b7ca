"""The command `new`: record, recipe and test of a tactic to be, ready to run and to be filled in."""

from __future__ import annotations

import datetime
import keyword
import sys
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import click
from pydantic import TypeAdapter, ValidationError

from greentactics.command_group import example, root_of
from greentactics.diagnosis import did_you_mean
from greentactics.errors import UserError
from greentactics.loading import BIBLIOGRAPHY, Files, read_files
from greentactics.repository import was_ever_committed
from greentactics.scaffold_files import Draft, identifier_of, scaffold, scaffold_names, write_new
from greentactics.schema import Record, TacticId
from greentactics.similar import similar_records
from greentactics.vocabulary import Group, Quality, Term

LONGEST_TITLE = 80


@click.command(
    epilog=example(
        'greentactics new "Answer easy inputs from an early exit" --group model-optimization',
        "greentactics new",
    )
)
@click.argument("title", required=False)
@click.option("--id", metavar="ID", help="Identifier, for ever.  [default: from the title]")
@click.option("--group", type=click.Choice([term.value for term in Group]), help="What it acts on.")
@click.option("--quality", type=click.Choice([term.value for term in Quality]), help="What it improves.")
@click.option("--intent", metavar="TEXT", default="", help="What it is for, in one sentence.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    metavar="KEY",
    help="Key of a source in the bibliography; may be given again.",
)
@click.option("--like", metavar="ID", help="Take group, tags, stages, roles and artefacts of this tactic.")
@click.pass_context
def new(context: click.Context, /, title: str | None, **options: Any) -> None:  # noqa: ANN401 - click's options
    """Write record, recipe and test of a new tactic; on a terminal, without TITLE, ask for what is needed.

    TITLE says what is done, verb first. The recipe runs as it is; hints say what to put in its place, and
    `greentactics check` names those that are left. Nothing that exists is changed.
    """
    files = read_files(root_of(context))
    today = datetime.datetime.now(datetime.UTC).date()
    draft = Draft(title or "", today, **options)
    if title is None:
        if not _on_terminal():
            raise click.UsageError("Missing argument 'TITLE'.")
        draft = _ask(draft)
    draft = replace(draft, title=_plain(draft.title), intent=_plain(draft.intent))
    draft = replace(draft, id=draft.id or identifier_of(draft.title))
    problems = [*_title(draft.title), *_identifier(draft.id, files), *_known(draft, files)]
    if problems:
        raise UserError("\n".join(problems))
    if _warn(draft, files) and title is None:
        click.confirm("Write a new record all the same?", abort=True)
    write_new(files.root, scaffold(_with_words(draft, files)))
    _say_what_next(draft.id)


def _on_terminal() -> bool:
    return sys.stdin.isatty()


def _ask(draft: Draft) -> Draft:
    """Ask for the title and for what the options do not say."""
    title = click.prompt("Title, verb first")
    group = draft.group or _choose("Part of the system it acts on", Group)
    quality = draft.quality or _choose("Quality it is meant to improve", Quality)
    intent = draft.intent or _ask_freely("What it is for, in one sentence (empty: later)")
    like = draft.like or _ask_freely("Identifier of a tactic of its kind (empty: none)")
    return replace(draft, title=title, group=group, quality=quality, intent=intent, like=like)


def _ask_freely(question: str) -> str:
    answer: str = click.prompt(question, default="", show_default=False)
    return answer


def _choose(question: str, terms: type[Term]) -> str:
    for term in terms:
        click.echo(f"  {term.value}: {term.definition}")
    answer: str = click.prompt(
        question, type=click.Choice([term.value for term in terms]), show_choices=False
    )
    return answer


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", " ".join(text.split()))


def _title(title: str) -> Iterator[str]:
    if not title or len(title) > LONGEST_TITLE or not title.isprintable() or set(title) & set('"\\'):
        expected = f'1 to {LONGEST_TITLE} letters without " and \\'
        yield f"title: expected {expected}, got {len(title)}: {title!a}; shorten or reword it"


def _identifier(identifier: str, files: Files) -> Iterator[str]:
    """Yield why an identifier cannot be that of a new tactic."""
    cure = "name another one with --id"
    try:
        TypeAdapter(TacticId).validate_python(identifier)
    except ValidationError:
        expected = "small letters, digits and single hyphens, a letter first, such as early-exit"
        yield f"id: expected {expected}, got {identifier!a}; {cure}"
        return
    if keyword.iskeyword(identifier):
        yield f"id: expected a name that is no word of Python, got {identifier!a}; {cure}"
    expected = "id: expected an identifier that no tactic has or had"
    record = f"tactics/{identifier}.yaml"
    holders = [other for other in _models(files) if identifier in other.former_ids]
    places = [*scaffold_names(identifier), f"recipes/{identifier.replace('-', '_')}"]
    existing = [name for name in places if (files.root / name).exists()]
    if holders:
        yield f"{expected}, got {identifier}, which {holders[0].id} had before; {cure}"
    elif existing:
        yield f"{expected}, got that of {existing[0]}; {cure}"
    elif was_ever_committed(files.root, record):
        yield f"{expected}, got that of {record}, which was committed and is gone; {cure}"


def _known(draft: Draft, files: Files) -> Iterator[str]:
    """Yield which sources and which tactic of the options there are not."""
    keys = files.bibliography.keys
    for key in draft.sources:
        if key not in keys:
            cure = did_you_mean(key, sorted(keys)) or "add it there first, or leave --source out"
            yield f"--source: expected a key of {BIBLIOGRAPHY}, got {key!a}; {cure}"
    known = sorted(record.id for record in _models(files))
    if draft.like and draft.like not in known:
        cure = did_you_mean(draft.like, known) or "see `tactics/` for the identifiers there are"
        yield f"--like: expected the identifier of a record without mistakes, got {draft.like!a}; {cure}"


def _models(files: Files) -> list[Record]:
    return [document.model for document in files.records.values() if document.model]


def _with_words(draft: Draft, files: Files) -> Draft:
    """Return the draft with the words of the vocabularies that a tactic of its kind has."""
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


def _words(terms: Iterable[Term]) -> tuple[str, ...]:
    return tuple(term.value for term in terms)


def _warn(draft: Draft, files: Files) -> bool:
    """Name records that are like the new one; tell whether there are any."""
    found = similar_records(_models(files), title=draft.title, intent=draft.intent, sources=draft.sources)
    for similar in found:
        record, reasons = similar.record, ", ".join(similar.reasons)
        click.echo(f'tactics/{record.id}.yaml: "{record.title}": {reasons}; is it the same tactic?', err=True)
    return bool(found)


def _say_what_next(identifier: str) -> None:
    record, recipe, test = scaffold_names(identifier)
    click.echo(f"{record}\n{recipe}\n{test}\n")
    click.echo(f"The recipe runs as it is:\n  greentactics run {identifier} --preset smoke")
    click.echo(f"What is left to write, while you write it:\n  greentactics check {record} {recipe} --watch")
    click.echo(f"The test of the recipe:\n  python -m pytest {test}")
