"""Problems as a log in SARIF 2.1.0, the Static Analysis Results Interchange Format of OASIS."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from greentactics import __version__
from greentactics.errors import Problem

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
