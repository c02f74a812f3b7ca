"""The forms of a report."""

from __future__ import annotations

import json

import pytest

from greentactics.cli.check import render
from greentactics.records.checks import CheckReport
from greentactics.text.problems import Problem, UserError

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


def test_an_unknown_format_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="xml: no such format; expected one of text, github, json"):
        render(CLEAN, "xml")
