"""The commands `render` and `schema`: files that are made from the catalogue and from its models."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import click

from greentactics.api.schemas import write_schema_files
from greentactics.cli.group import RESULTS_OPTION, example, root_of
from greentactics.records.loading import load_catalogue, load_results_folder
from greentactics.site.pages import rendered_files, write_site
from greentactics.site.recipe_files import recipe_archives


@click.command(epilog=example("greentactics render --out build/pages"))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write to; made when missing.",
)
@RESULTS_OPTION
@click.option(
    "--site-url",
    metavar="URL",
    envvar="SITE_URL",
    help="Where the site will stand, for absolute addresses.  [default: $SITE_URL, else relative ones]",
)
@click.option(
    "--edit-url",
    metavar="URL",
    envvar="EDIT_URL",
    help="Where files of the repository are edited, up to their path.  [default: $EDIT_URL, else no links]",
)
@click.option("--replace", is_flag=True, help="Write into a folder that is not empty; nothing is removed.")
@click.pass_context
def render(
    context: click.Context,
    out: Path,
    folder: Path | None,
    site_url: str | None,
    edit_url: str | None,
    *,
    replace: bool,
) -> None:
    """Write the pages, generated and hand-written, as Markdown, JSON and SVG for any site generator."""
    root = root_of(context)
    local = load_results_folder(folder or root / "build" / "results")
    catalogue = load_catalogue(root)
    commands = context.find_root().command
    assert isinstance(commands, click.Group)  # noqa: S101 - this command is one of them
    rendered = rendered_files(catalogue, local, site_url, edit_url, commands=commands)
    files = chain[tuple[str, str | bytes]](rendered, recipe_archives(catalogue))
    count = write_site(out, files, root / "catalogue" / "pages", replace=replace)
    click.echo(f"{count} generated files written to {out}")


@click.command(epilog=example("greentactics schema"))
@click.pass_context
def schema(context: click.Context) -> None:
    """Write the JSON Schemas of records, bibliography and results to catalogue/schema/, for editors."""
    changed = write_schema_files(root_of(context))
    click.echo("\n".join(f"{path.as_posix()}: written" for path in changed) or "the schemas are up to date")
