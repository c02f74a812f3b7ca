"""The command `check`: all mistakes, once or after each change, and files put in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from greentactics.command_group import example, root_of
from greentactics.errors import UserError


@click.command(
    epilog=example(
        "greentactics check tactics/consider-energy-aware-pruning.yaml",
        "greentactics check --fix",
        "greentactics check --watch",
    )
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "github", "json", "sarif"]),
    default="text",
    show_default=True,
    help="github: annotations in a pull request; sarif: for code scanners; json: for other programs.",
)
@click.option(
    "--fix",
    is_flag=True,
    help="First put keys in order, and blank lines and spaces at the ends of lines right, in records and "
    "references; values and comments stay.",
)
@click.option("--watch", is_flag=True, help="Check again after each change of a file; Ctrl-C ends it.")
@click.pass_context
def check(context: click.Context, paths: tuple[Path, ...], format_: str, fix: bool, watch: bool) -> None:
    """Report all mistakes in records, references, recipes and results.

    Without PATH everything is checked. Exits with 1 when there is a mistake; with --watch, when there was one
    at the end.
    """
    from greentactics.checks import check as check_catalogue
    from greentactics.reporting import render

    if watch and (fix or format_ != "text"):
        raise click.UsageError("--watch goes with neither --fix nor another --format than text")
    root = root_of(context)
    if watch:
        context.exit(_watch(root, paths))
    if fix:
        _fix(root, paths)
    report = check_catalogue(root, paths)
    click.echo(render(report, format_))
    context.exit(1 if report.problems else 0)


def _fix(root: Path, paths: Sequence[Path]) -> None:
    """Put the files in order that are named, all of them when none is."""
    from greentactics.checks import selection
    from greentactics.formatting import format_files
    from greentactics.loading import catalogue_root
    from greentactics.text_file import display_name

    root = catalogue_root(root)
    is_wanted = selection(root, paths)
    files = [path for path in (root / "tactics").glob("*.yaml") if is_wanted(display_name(path, root))]
    for file in format_files(root, sorted(files)):
        click.echo(f"{file}: put in order", err=True)


def _watch(root: Path, paths: Sequence[Path]) -> int:
    """Check at once and after each change; return the exit code of the last check."""
    from greentactics.checks import check as check_catalogue
    from greentactics.reporting import render
    from greentactics.watching import changes

    code = 0
    try:
        for _ in changes(root):
            try:
                report = check_catalogue(root, paths)
                code = 1 if report.problems else 0
                click.echo(render(report, "text"))
            except UserError as error:  # such as a file that is just being replaced
                code = 1
                click.echo(str(error), err=True)
            click.echo("Waiting for changes; Ctrl-C ends.\n", err=True)
    except KeyboardInterrupt:
        pass
    return code
