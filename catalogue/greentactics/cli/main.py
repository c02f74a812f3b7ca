"""The command `greentactics`: arguments in, exit code out."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import click

from greentactics import __version__
from greentactics.cli.check import check
from greentactics.cli.cite import bibliography, cite
from greentactics.cli.coverage import coverage
from greentactics.cli.data import data
from greentactics.cli.evidence import evidence
from greentactics.cli.group import CatalogueGroup, example, root_of
from greentactics.cli.import_ import import_
from greentactics.cli.measure import measure, run
from greentactics.cli.meters import meters, sci
from greentactics.cli.new import new
from greentactics.cli.review import accept, diff, from_issue


@click.group(
    cls=CatalogueGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("greentactics run consider-energy-aware-pruning --preset smoke"),
)
@click.version_option(__version__, prog_name="greentactics", message="%(prog)s %(version)s")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with tactics/ and recipes/; found from the current folder upwards when not given.",
)
@click.pass_context
def main(context: click.Context, root: Path | None) -> None:
    """Check, run and measure tactics for energy-efficient machine learning."""
    context.obj = root


main.add_command(new)
main.add_command(check)
main.add_command(run)
main.add_command(measure)
main.add_command(data)
main.add_command(evidence)
main.add_command(coverage)
main.add_command(meters)
main.add_command(sci)
main.add_command(diff)
main.add_command(accept)
main.add_command(from_issue)
main.add_command(cite)
main.add_command(bibliography)
main.add_command(import_)


@main.command(epilog=example("greentactics verdict consider-energy-aware-pruning"))
@click.argument("tactic", metavar="ID")
@click.option(
    "--results",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Results of this machine.  [default: build/results]",
)
@click.pass_context
def verdict(context: click.Context, tactic: str, folder: Path | None) -> None:
    """Print what is claimed of a tactic beside what was measured."""
    from greentactics.evidence.verdict import verdict_output
    from greentactics.records.loading import load_catalogue, load_results_folder

    root = root_of(context)
    catalogue = load_catalogue(root)
    if tactic not in catalogue.records:
        raise click.UsageError(f"{tactic}: no such tactic; there are {', '.join(catalogue.records)}")
    record, recipe = catalogue.records[tactic], catalogue.recipes.get(tactic)
    committed = catalogue.results.get(tactic, ())
    local = load_results_folder(folder or root / "build" / "results").get(tactic, ())
    for line in verdict_output(record, committed, local, recipe.checksum if recipe else None):
        click.echo(line)


@main.command(epilog=example("greentactics render --out build/pages"))
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder to write to; made when missing.",
)
@click.option(
    "--results",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Results of this machine.  [default: build/results]",
)
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
    from greentactics.records.loading import load_catalogue, load_results_folder
    from greentactics.site.pages import rendered_files, write_site
    from greentactics.site.recipe_files import recipe_archives

    root = root_of(context)
    local = load_results_folder(folder or root / "build" / "results")
    catalogue = load_catalogue(root)
    rendered = rendered_files(catalogue, local, site_url, edit_url, commands=main)
    files = chain[tuple[str, str | bytes]](rendered, recipe_archives(catalogue))
    count = write_site(out, files, root / "catalogue" / "pages", replace=replace)
    click.echo(f"{count} generated files written to {out}")


@main.command(epilog=example("greentactics schema"))
@click.pass_context
def schema(context: click.Context) -> None:
    """Write the JSON Schemas of records, bibliography and results to catalogue/schema/, for editors."""
    from greentactics.api.schemas import write_schema_files

    changed = write_schema_files(root_of(context))
    click.echo("\n".join(f"{path.as_posix()}: written" for path in changed) or "the schemas are up to date")
