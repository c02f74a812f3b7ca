"""The command `check`: all mistakes, once or after each change, and files put in order."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import quote

import click

from greentactics import __version__
from greentactics.cli.group import example, root_of
from greentactics.records.checks import CheckReport, selection
from greentactics.records.checks import check as check_catalogue
from greentactics.records.formatting import format_files
from greentactics.records.loading import catalogue_root
from greentactics.text.files import display_name
from greentactics.text.problems import Problem, UserError

ReportFormat = Literal["text", "github", "json", "sarif"]


def render(report: CheckReport, format: str) -> str:  # noqa: A002 - the word users type
    """Return a report as text without a line end.

    Args:
        report: The report.
        format: `text`: one line a problem, then a summary; `github`: workflow commands that annotate the
            files of a pull request, then a summary; `json`: an object for programs; `sarif`: a log that code
            scanners and editors read.

    Raises:
        UserError: The format is unknown.
    """
    if format == "json":
        return _json(report)
    if format == "sarif":
        return json.dumps(sarif_log(report.problems), indent=2, ensure_ascii=False)
    if format == "github":
        return "\n".join([*map(_annotation, report.problems), report.summary])
    if format == "text":
        return "\n".join([*map(str, report.problems), report.summary])
    raise UserError(f"{format}: no such format; expected one of {', '.join(get_args(ReportFormat))}")


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


SARIF_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def sarif_log(problems: Sequence[Problem]) -> dict[str, Any]:
    """Return the log of one run: each problem as a result of level `error`, each broken rule once."""
    rules = sorted({str(problem.rule) for problem in problems})
    driver = {
        "name": "greentactics",
        "version": __version__,
        "rules": [
            {"id": rule, "shortDescription": {"text": rule.replace("-", " ").capitalize()}} for rule in rules
        ],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, rules.index(str(problem.rule))) for problem in problems],
    }
    return {"$schema": SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _result(problem: Problem, rule_index: int) -> dict[str, Any]:
    place = f"{problem.file}:{problem.line}:{problem.column}: "
    region = {"startLine": problem.line, "startColumn": problem.column}
    artifact = {"uri": quote(problem.file)}
    return {
        "ruleId": str(problem.rule),
        "ruleIndex": rule_index,
        "level": "error",
        "message": {"text": str(problem).removeprefix(place)},
        "locations": [{"physicalLocation": {"artifactLocation": artifact, "region": region}}],
    }


INTERVAL_S = 0.5
"""Time between two looks at the files; a look at a thousand of them takes some milliseconds."""

_PATTERNS = ("tactics/*", "recipes/**/*.py", "recipes/results/*/*.json")

States = dict[Path, tuple[int, int]]


def changes(root: Path) -> Iterator[None]:
    """Yield at once, and then each time that a file has been changed, added or removed; never end."""
    before: States | None = None
    while True:
        now = _states(root)
        if now != before:
            before = now
            yield
        time.sleep(INTERVAL_S)


def _states(root: Path) -> States:
    found: States = {}
    for pattern in _PATTERNS:
        for path in root.glob(pattern):
            try:
                status = path.lstat()
            except OSError:  # gone since it was listed
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found


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
    root = catalogue_root(root)
    is_wanted = selection(root, paths)
    files = [path for path in (root / "tactics").glob("*.yaml") if is_wanted(display_name(path, root))]
    for file in format_files(root, sorted(files)):
        click.echo(f"{file}: put in order", err=True)


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
