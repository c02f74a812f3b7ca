"""Reports of a check: for people, for GitHub's annotations, for code scanners and for other programs."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Literal, get_args

from greentactics.checks import CheckReport
from greentactics.errors import Problem, UserError
from greentactics.sarif import sarif_log

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
