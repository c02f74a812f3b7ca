"""The commands `coverage`: what our records hold of other catalogues."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from greentactics.cli.console import print_table
from greentactics.cli.group import example, root_of
from greentactics.contribute.importing.archive_coverage import Entry, cover
from greentactics.contribute.importing.archive_posts import read_posts
from greentactics.models.vocabulary import Category
from greentactics.records.loading import load_catalogue
from greentactics.text.json_source import json_text

ARCHIVE_VARIABLE = "GREENTACTICS_ARCHIVE"
ARCHIVE_REPOSITORY = "https://github.com/S2-group/AwesomeAndDarkTactics"


@click.group(epilog=example("greentactics coverage aadt --dir AwesomeAndDarkTactics"))
def coverage() -> None:
    """Compare our records with other catalogues."""


@coverage.command(
    epilog=example(
        "greentactics coverage aadt --dir AwesomeAndDarkTactics", "greentactics coverage aadt --json"
    )
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help=f"A copy of the archive.  [default: ${ARCHIVE_VARIABLE}]",
    envvar=ARCHIVE_VARIABLE,
)
@click.option(
    "--category",
    default=Category.GREEN_ML_ENABLED_SYSTEMS.value,
    show_default=True,
    help="Folder of the archive's posts to compare.",
)
@click.option("--json", "as_json", is_flag=True, help="For tools: one entry a post.")
@click.pass_context
def aadt(context: click.Context, folder: Path | None, category: str, as_json: bool) -> None:
    """Show which entries of the Archive of Awesome and Dark Tactics our records hold, field by field.

    Exits with 1 when an entry or a field is missing, or a word is in none of our tables.
    """
    if folder is None:
        raise click.UsageError(
            f"the archive's folder is not known; name it with --dir or ${ARCHIVE_VARIABLE}, after "
            f"`git clone {ARCHIVE_REPOSITORY}`"
        )
    entries = cover(read_posts(folder, category), load_catalogue(root_of(context)))
    if as_json:
        click.echo(json_text([_as_json(entry) for entry in entries]), nl=False)
    else:
        _print(entries)
    whole = all(entry.held_by and not entry.missing and not entry.not_understood for entry in entries)
    context.exit(0 if whole else 1)


def _print(entries: Sequence[Entry]) -> None:
    table = Table()
    for column in ("entry", "ours", "missing"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        missing = ", ".join(entry.missing) if entry.held_by else "the whole entry"
        table.add_row(entry.post.name, ", ".join(entry.held_by), missing)
    print_table(table)
    for entry in entries:
        for word in entry.not_understood:
            click.echo(f"not understood: {word}")
    held = sum(1 for entry in entries if entry.held_by)
    missing_count = sum(len(entry.missing) for entry in entries)
    click.echo(f"{held} of {len(entries)} entries held, {missing_count} fields missing")


def _as_json(entry: Entry) -> dict[str, Any]:
    return {
        "entry": entry.post.name,
        "title": entry.post.title,
        "ours": list(entry.held_by),
        "missing": list(entry.missing),
        "not_understood": list(entry.not_understood),
    }
