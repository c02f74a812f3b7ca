"""The commands `import`: entries of other catalogues become drafts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from greentactics.citing.entries import read_bibliography
from greentactics.citing.raw_entries import loss
from greentactics.cli.group import example, root_of
from greentactics.contribute.draft_files import write_draft
from greentactics.contribute.importing import aadt as archive
from greentactics.contribute.importing import gsf as patterns
from greentactics.contribute.importing.drafts import ReadDraft, draft_text
from greentactics.models.record import DRAFTS
from greentactics.records.ids import taken_ids
from greentactics.records.loading import read_files
from greentactics.text.files import display_name
from greentactics.text.problems import CatalogueError, UserError

MAX_FILES = 2_000
_SUFFIXES = frozenset({".md", ".markdown", ".html", ".htm", ".txt"})
_PATHS = click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
_REPLACE = click.option("--replace", is_flag=True, help="Overwrite drafts that differ, such as edited ones.")


@click.group("import", epilog=example("greentactics import aadt AwesomeAndDarkTactics/docs/_posts"))
def import_() -> None:
    """Turn entries of another catalogue into drafts of records.

    A draft stands in drafts/, which is not committed. It holds what follows from the entry in our terms,
    and the entry's own wording in quarantine, to be rewritten. Words without a field in it are named.
    """


@import_.command(
    epilog=example("greentactics import aadt _posts/edge-computing", "greentactics import aadt page.html")
)
@_PATHS
@_REPLACE
@click.pass_context
def aadt(context: click.Context, paths: tuple[Path, ...], replace: bool) -> None:
    """Import from the Archive of Awesome and Dark Tactics.

    PATH is a file or a folder: Markdown with front matter, a page as HTML, or the text of a page.
    """
    _import(context, paths, archive.read_draft, replace=replace)


@import_.command(epilog=example("greentactics import gsf patterns/docs/development"))
@_PATHS
@_REPLACE
@click.pass_context
def gsf(context: click.Context, paths: tuple[Path, ...], replace: bool) -> None:
    """Import patterns of the Green Software Foundation.

    PATH is a Markdown file of a pattern, or a folder of them.
    """
    _import(context, paths, patterns.read_draft, replace=replace)


def _import(context: click.Context, paths: tuple[Path, ...], read_draft: ReadDraft, *, replace: bool) -> None:
    """Write a draft for each file; what goes wrong with one does not stop the others."""
    root = root_of(context)
    known = read_bibliography(root)
    taken = taken_ids(root, read_files(root).readable_records)
    origins: dict[str, str] = {}
    done = mistakes = 0
    for path, folder in _files(paths):
        name = display_name(path, None)
        try:
            draft = read_draft(path, folder, known)
            if draft.id in origins:
                other = origins[draft.id]
                raise UserError(f"{name}: expected an id of its own, got {draft.id}, which {other} has too")
            origins[draft.id] = name
            text = draft_text(draft, path.name)
            written = write_draft(root, draft.id, text, replace=replace, cure="--replace overwrites it")
        except (UserError, CatalogueError) as error:
            click.echo(str(error), err=True)
            mistakes += 1
            continue
        done += 1
        count = len(draft.to_clarify)
        points = f"; {count} point{'s' * (count != 1)} to clarify" if count else ""
        holder = taken.get(draft.id)
        clash = f"; its id is taken: {holder}; choose another, or take over what is new" if holder else ""
        name = written.path.as_posix()
        click.echo(f"{name}: {written.state}{points}{clash}")
        if lost := loss(draft.left_out):
            click.echo(f"{name}: {lost}", err=True)
    click.echo(f"{done} in {DRAFTS}/, {mistakes} not imported")
    context.exit(1 if mistakes else 0)


def _files(paths: tuple[Path, ...]) -> Iterator[tuple[Path, Path | None]]:
    """Yield the files, each with the folder it must not leave through a link.

    Raises:
        UserError: A path does not exist, or a folder holds no files or too many.
    """
    for path in paths:
        if not path.is_dir():
            yield path, None
            continue
        folder = path.resolve()
        found = sorted(
            Path(parent, name)
            for parent, _, names in os.walk(folder)
            for name in names
            if Path(name).suffix.lower() in _SUFFIXES and not name.startswith(".")
        )
        if not found or len(found) > MAX_FILES:
            raise UserError(f"{path}: expected 1 to {MAX_FILES:,} files of text in it, got {len(found):,}")
        yield from ((file, folder) for file in found)
