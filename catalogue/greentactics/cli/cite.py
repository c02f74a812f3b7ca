"""The commands `cite` and `bibliography`: entries in, entries out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from greentactics.citing.bibtex import bibtex
from greentactics.citing.csl_json import csl_json
from greentactics.citing.entries import add_references, entry_text, find_identifier, read_bibliography
from greentactics.citing.identifiers import parse_identifier
from greentactics.citing.lookup import look_up
from greentactics.citing.raw_entries import ReadReference
from greentactics.citing.reading import read_references
from greentactics.citing.ris import ris
from greentactics.cli.group import example, require_tactics, root_of
from greentactics.records.loading import load_catalogue
from greentactics.text.problems import CatalogueError, UserError

_FORMATS = ("bibtex", "csl-json", "ris")


@click.command(
    epilog=example(
        "greentactics cite 10.1109/CVPR.2017.643 arXiv:2302.10798",
        "greentactics cite --file entry.bib",
        "greentactics cite --file drafts/compress-infrequently-accessed-data.yaml",
    )
)
@click.argument("identifiers", nargs=-1, metavar="[DOI-OR-ARXIV]...")
@click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path, allow_dash=True),
    multiple=True,
    help="BibTeX, RIS, CSL-JSON or a draft; - reads standard input. Needs no network.",
)
@click.option("--dry-run", is_flag=True, help="Show the entries and change nothing.")
@click.pass_context
def cite(
    context: click.Context, identifiers: tuple[str, ...], files: tuple[Path, ...], dry_run: bool
) -> None:
    """Add works to the bibliography and print the keys to cite them by.

    Works are looked up by DOI or arXiv identifier, which needs a network, or read from a file. A work that
    is there already is named and not added again. All are added or none. What an entry holds that the
    bibliography has no place for is named.
    """
    if not identifiers and not files:
        raise click.UsageError("name a DOI, an arXiv identifier, or a file with --file")
    root = root_of(context)
    given = _references(root, identifiers, files)
    additions = add_references(root, [read.reference for _, read in given], write=not dry_run)
    for (key_in_draft, read), addition in zip(given, additions, strict=True):
        if addition.duplicate:
            click.echo(f"{addition.key}: already there, with the same {addition.duplicate.same}")
        elif dry_run:
            click.echo(entry_text(addition.key, addition.reference))
        else:
            click.echo(f"{addition.key}: added; cite it under `sources:` of a record")
        if read.loss and not addition.duplicate:
            click.echo(f"{addition.key}, {read.loss}", err=True)
        if key_in_draft not in ("", addition.key):
            click.echo(f"{addition.key}: the draft calls it {key_in_draft}; change the key there")


def _references(
    root: Path, identifiers: Sequence[str], files: Sequence[Path]
) -> list[tuple[str, ReadReference]]:
    """Return what the files hold and what the identifiers name, each with its key in a draft, if any.

    Raises:
        UserError: Something is wrong; it names all mistakes.
    """
    found: list[tuple[str, ReadReference]] = []
    mistakes: list[str] = []
    wanted = []
    for text in identifiers:
        try:
            wanted.append(parse_identifier(text))
        except UserError as error:
            mistakes.append(str(error))
    for file in files:
        try:
            found += read_references(file)
        except (UserError, CatalogueError) as error:
            mistakes.append(str(error))
    known = read_bibliography(root)
    # Nothing is asked of the network for a command that is wrong anyway, nor for a work that is there.
    for identifier in [] if mistakes else wanted:
        try:
            key = find_identifier(identifier, known)
            found.append(("", ReadReference(known[key]) if key else look_up(identifier)))
        except (UserError, CatalogueError) as error:
            mistakes.append(str(error))
    if mistakes:
        raise UserError("\n".join(mistakes))
    return found


@click.command(
    epilog=example(
        "greentactics bibliography --format ris",
        "greentactics bibliography consider-energy-aware-pruning",
    )
)
@click.argument("tactics", nargs=-1, metavar="[ID]...")
@click.option(
    "--format",
    "format_",
    type=click.Choice(_FORMATS),
    default="bibtex",
    show_default=True,
    help="csl-json: for citation processors; ris: for reference managers.",
)
@click.pass_context
def bibliography(context: click.Context, tactics: tuple[str, ...], format_: str) -> None:
    """Print the bibliography, or the sources of the tactics named."""
    catalogue = load_catalogue(root_of(context))
    require_tactics(tactics, catalogue.records)
    cited = {use.key for tactic in tactics for use in catalogue.records[tactic].sources}
    references = {
        key: reference for key, reference in catalogue.bibliography.items() if not tactics or key in cited
    }
    write = {"bibtex": bibtex, "csl-json": csl_json, "ris": ris}[format_]
    click.echo(write(references), nl=False)
