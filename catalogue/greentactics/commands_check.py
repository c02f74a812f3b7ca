"""The command `check`: all mistakes, once or after each change, and files put in order."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import click

from greentactics.checks import check as check_catalogue
from greentactics.checks import selection
from greentactics.command_group import example, root_of
from greentactics.errors import UserError
from greentactics.formatting import format_files
from greentactics.loading import catalogue_root
from greentactics.reporting import ReportFormat, render
from greentactics.text_file import display_name
from greentactics.watching import changes


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
    type=click.Choice(get_args(ReportFormat)),
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
    if watch and (fix or format_ != "text"):
        raise click.UsageError("--watch goes with neither --fix nor another --format than text")
    root = root_of(context)
    if watch:
        context.exit(_watch(root, paths))
    if fix:
        root = catalogue_root(root)
        is_wanted = selection(root, paths)
        files = sorted((root / "tactics").glob("*.yaml"))
        for file in format_files(root, [path for path in files if is_wanted(display_name(path, root))]):
            click.echo(f"{file}: put in order", err=True)
    report = check_catalogue(root, paths)
    click.echo(render(report, format_))
    context.exit(1 if report.problems else 0)


def _watch(root: Path, paths: Sequence[Path]) -> int:
    """Check at once and after each change; return the exit code of the last check."""
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
