"""The command `check`: all mistakes, and files put in order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from greentactics.cli.group import example, root_of
from greentactics.records.checks import CheckReport, selection
from greentactics.records.checks import check as check_catalogue
from greentactics.records.formatting import format_files
from greentactics.records.loading import catalogue_root
from greentactics.text.files import display_name
from greentactics.text.problems import Problem


def render(report: CheckReport, format: str) -> str:  # noqa: A002 - the word users type
    """Return a report as text without a line end.

    Args:
        report: The report.
        format: `text`: one line a problem, then a summary; `github`: workflow commands that annotate the
            files of a pull request, then a summary; `json`: an object for programs.
    """
    if format == "json":
        return _json(report)
    lines = map(_annotation if format == "github" else str, report.problems)
    return "\n".join([*lines, report.summary])


def _json(report: CheckReport) -> str:
    problems = [asdict(problem) | {"message": str(problem)} for problem in report.problems]
    counts = {"records": report.records, "references": report.references, "result_files": report.results}
    summary = {**counts, "problems": len(problems), "text": report.summary}
    return json.dumps({"problems": problems, "summary": summary}, indent=2, ensure_ascii=False)


def _annotation(problem: Problem) -> str:
    """Return a workflow command, as documented under "Workflow commands for GitHub Actions"."""
    place = f"{problem.file}:{problem.line}:{problem.column}: "
    properties = {
        "file": problem.file,
        "line": str(problem.line),
        "col": str(problem.column),
        "title": str(problem.rule),
    }
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::error {listed}::{_data(str(problem).removeprefix(place))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


@click.command(
    epilog=example(
        "greentactics check tactics/consider-energy-aware-pruning.yaml",
        "greentactics check --fix",
    )
)
@click.argument("paths", nargs=-1, type=click.Path(exists=True, path_type=Path), metavar="[PATH]...")
@click.option(
    "--format",
    "format_",
    type=click.Choice(["text", "github", "json"]),
    default="text",
    show_default=True,
    help="github: annotations in a pull request; json: for other programs.",
)
@click.option(
    "--fix",
    is_flag=True,
    help="First put keys in order, and blank lines and spaces at the ends of lines right, in records and "
    "references; values and comments stay.",
)
@click.pass_context
def check(context: click.Context, paths: tuple[Path, ...], format_: str, fix: bool) -> None:
    """Report all mistakes in records, references, recipes and results.

    Without PATH everything is checked. Exits with 1 when there is a mistake.
    """
    root = root_of(context)
    if fix:
        _fix(root, paths)
    report = check_catalogue(root, paths)
    click.echo(render(report, format_))
    context.exit(1 if report.problems else 0)


def _fix(root: Path, paths: Sequence[Path]) -> None:
    """Put the files in order that are named, all of them when none is."""
    root = catalogue_root(root)
    is_wanted = selection(root, paths)
    files = [path for path in (root / "tactics").glob("*.yaml") if is_wanted(display_name(path, root))]
    for file in format_files(root, sorted(files)):
        click.echo(f"{file}: put in order", err=True)
