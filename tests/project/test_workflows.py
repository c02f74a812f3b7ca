"""Workflows can be read, grant little, and hand no text of a stranger to a shell."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.examples.example_files import REPOSITORY

WORKFLOWS = {
    path.name: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
}
EVENTS = True
"""What YAML 1.1 makes of the key `on`."""


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_is_whole_and_safe(name: str) -> None:
    workflow: dict[Any, Any] = WORKFLOWS[name]
    assert workflow[EVENTS]
    assert workflow["permissions"] == {"contents": "read"}, "more is granted to a single job"
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        assert job["timeout-minutes"] <= 60
        assert {job["needs"]} <= workflow["jobs"].keys() if "needs" in job else True
        writes = "write" in job.get("permissions", {}).values()
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w./-]+@v\d+(\.\d+)*", step.get("uses", "a/b@v1"))
            assert "${{ github" not in step.get("run", ""), "hand it over as a variable of the environment"
            checks_out = step.get("uses", "").startswith("actions/checkout")
            assert not (writes and checks_out), "a job that may write runs nothing of the change"
