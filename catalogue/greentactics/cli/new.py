"""The command `new`: record, recipe and test of a tactic to be, ready to run and to be filled in."""

from __future__ import annotations

import datetime
import sys
from dataclasses import replace
from typing import Any

import click

from greentactics.cli.group import example, root_of
from greentactics.contribute.new import (
    Draft,
    completed,
    draft_problems,
    scaffold,
    similar_records,
    with_words,
    write_new,
)
from greentactics.models.vocabulary import Group, Quality, Term
from greentactics.records.loading import Files, read_files
from greentactics.text.problems import UserError


@click.command(
    epilog=example(
        'greentactics new "Cache answers to repeated requests" --group deployment',
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
    draft = Draft(title or "", datetime.datetime.now(datetime.UTC).date(), **options)
    if title is None:
        if not _on_terminal():
            raise click.UsageError("Missing argument 'TITLE'.")
        draft = _ask(draft)
    draft = completed(draft)
    problems = draft_problems(draft, files)
    if problems:
        raise UserError("\n".join(problems))
    if _warn(draft, files) and title is None:
        click.confirm("Write a new record all the same?", abort=True)
    written = scaffold(with_words(draft, files))
    write_new(files.root, written)
    _say_what_next(draft.id, *written)


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


def _warn(draft: Draft, files: Files) -> bool:
    """Name records that are like the new one; tell whether there are any."""
    found = similar_records(
        files.readable_records, title=draft.title, intent=draft.intent, sources=draft.sources
    )
    for similar in found:
        record, reasons = similar.record, ", ".join(similar.reasons)
        click.echo(f'tactics/{record.id}.yaml: "{record.title}": {reasons}; is it the same tactic?', err=True)
    return bool(found)


def _say_what_next(identifier: str, record: str, recipe: str, test: str) -> None:
    click.echo(f"{record}\n{recipe}\n{test}\n")
    click.echo(f"The recipe runs as it is:\n  greentactics run {identifier} --preset smoke")
    click.echo(f"What is left to write:\n  greentactics check {record} {recipe}")
    click.echo(f"The test of the recipe:\n  python -m pytest {test}")
    style = f"python -m pytest tests/records/test_record_style.py -k {identifier}"
    click.echo(f"Spelling and style of the record, which the command check does not know:\n  {style}")
