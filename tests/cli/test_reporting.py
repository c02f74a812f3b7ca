"""The forms of a report."""

from __future__ import annotations

import json

import jsonschema
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


# What the schema of SARIF 2.1.0 requires of the objects that are written here, and no other keys.
SARIF = {
    "type": "object",
    "required": ["$schema", "version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {"type": "array", "items": {"$ref": "#/$defs/run"}, "minItems": 1, "maxItems": 1},
    },
    "$defs": {
        "message": {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}},
        "run": {
            "type": "object",
            "required": ["tool", "results"],
            "additionalProperties": False,
            "properties": {
                "tool": {
                    "type": "object",
                    "required": ["driver"],
                    "properties": {"driver": {"type": "object", "required": ["name", "rules"]}},
                },
                "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                "results": {"type": "array", "items": {"$ref": "#/$defs/result"}},
            },
        },
        "result": {
            "type": "object",
            "required": ["message", "ruleId", "ruleIndex", "locations"],
            "additionalProperties": False,
            "properties": {
                "ruleId": {"type": "string"},
                "ruleIndex": {"type": "integer", "minimum": 0},
                "level": {"enum": ["none", "note", "warning", "error"]},
                "message": {"$ref": "#/$defs/message"},
                "locations": {"type": "array", "minItems": 1, "maxItems": 1},
            },
        },
    },
}


@pytest.mark.parametrize("report", [CLEAN, WRONG], ids=["clean", "wrong"])
def test_sarif_has_what_its_schema_requires(report: CheckReport) -> None:
    jsonschema.Draft202012Validator(SARIF).validate(json.loads(render(report, "sarif")))


def test_sarif_names_place_and_rule() -> None:
    other = Problem("tactics/é.yaml", 1, 1, "", "bad-id", "small letters", '"É"')
    log = json.loads(render(CheckReport((PROBLEM, other, PROBLEM), 3, 5, 1), "sarif"))
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert [rule["id"] for rule in rules] == ["bad-id", "vocabulary"]
    assert [rules[result["ruleIndex"]]["id"] for result in run["results"]] == [
        "vocabulary", "bad-id", "vocabulary"
    ]  # fmt: skip
    first, second, _ = run["results"]
    assert first["message"]["text"] == 'impact.claims.0.unit: expected 100 %\nof it, got "pct"; do: it'
    place = first["locations"][0]["physicalLocation"]
    assert place["region"] == {"startLine": 3, "startColumn": 7}
    assert place["artifactLocation"]["uri"] == "tactics/a%2Cb%3Ac.yaml"
    assert "%C3%A9" in second["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]


def test_an_unknown_format_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="xml: no such format; expected one of text, github, json, sarif"):
        render(CLEAN, "xml")
