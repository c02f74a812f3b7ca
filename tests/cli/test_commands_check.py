"""The command `check`: what it puts in order, what it leaves alone, and the forms of its report."""

from __future__ import annotations

import json
from pathlib import Path

from greentactics.cli.check import render
from greentactics.records.checks import CheckReport
from greentactics.text.problems import Problem
from tests.examples.command_line import call
from tests.examples.example_files import record_text


def disorder(root: Path, name: str) -> Path:
    path = root / "tactics" / f"{name}.yaml"
    lines = record_text(name).splitlines(keepends=True)
    path.write_text("".join([lines[1], lines[0], *lines[2:]]) + "\n\n", encoding="utf-8")
    return path


def test_fix_puts_files_in_order_and_then_checks(root: Path) -> None:
    assert call(root, "check", "--fix").exit_code == 0
    path = disorder(root, "base-dark")
    result = call(root, "check", "--fix")
    assert (result.exit_code, result.stderr) == (0, "tactics/base-dark.yaml: put in order\n")
    assert result.stdout == "3 records, 1 reference, 1 result file: no problems\n"
    assert path.read_text(encoding="utf-8").splitlines()[1] == "id: base-dark"
    assert call(root, "check", "--fix").stderr == ""


def test_fix_changes_only_what_is_named_and_leaves_what_it_cannot_read(root: Path) -> None:
    named, other = disorder(root, "base-dark"), disorder(root, "base-awesome")
    before = other.read_bytes()
    assert "base-dark" in call(root, "check", "--fix", named).stderr
    assert other.read_bytes() == before
    named.write_text("id: [", encoding="utf-8")
    result = call(root, "check", "--fix", named, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["summary"]["problems"] > 0
    assert named.read_text(encoding="utf-8") == "id: ["


def test_fix_of_a_file_outside_the_catalogue(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("id: a")
    result = call(root, "check", "--fix", outside)
    assert result.exit_code == 1
    assert "lies outside the catalogue" in result.stderr


PROBLEM = Problem(
    "tactics/a,b:c.yaml", 3, 7, "impact.claims.0.unit", "vocabulary", "100 %\nof it", '"pct"', "do: it"
)
CLEAN = CheckReport((), 3, 5, 1)
WRONG = CheckReport((PROBLEM,), 3, 5, 1)


def test_text() -> None:
    assert render(CLEAN, "text") == "3 records, 5 references, 1 result file: no problems"
    assert (
        render(WRONG, "text")
        .splitlines()[0]
        .startswith("tactics/a,b:c.yaml:3:7: impact.claims.0.unit: expected")
    )
    assert render(WRONG, "text").endswith("1 result file: 1 problem")


def test_github_escapes_what_would_end_a_command() -> None:
    first, *_, last = render(WRONG, "github").splitlines()
    assert first == (
        "::error file=tactics/a%2Cb%3Ac.yaml,line=3,col=7,title=vocabulary::"
        'impact.claims.0.unit: expected 100 %25%0Aof it, got "pct"; do: it'
    )
    assert last == "3 records, 5 references, 1 result file: 1 problem"
    assert render(CLEAN, "github") == CLEAN.summary


def test_json() -> None:
    found = json.loads(render(WRONG, "json"))
    assert found["summary"] == {
        "records": 3, "references": 5, "result_files": 1, "problems": 1, "text": WRONG.summary
    }  # fmt: skip
    (problem,) = found["problems"]
    assert problem["line"] == 3
    assert problem["rule"] == "vocabulary"
    assert problem["message"] == str(PROBLEM)
    assert json.loads(render(CLEAN, "json"))["problems"] == []
