"""Workflows are valid, their actions have versions, and the commands that they name exist."""

from __future__ import annotations

import os
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from greentactics.cli.main import main
from tests.examples.example_files import REPOSITORY

GITHUB = REPOSITORY / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
LYCHEE = GITHUB / "lychee.toml"
STANDARD = {"gh", "tee", "xargs"}
"""Programs that the image of the runner has."""
EVENTS = True
"""What YAML 1.1 makes of the key `on`."""


def load(workflow: Path) -> dict[Any, Any]:
    return yaml.safe_load(workflow.read_text(encoding="utf-8"))


def steps(workflow: Path) -> list[dict[str, Any]]:
    return [step for job in load(workflow)["jobs"].values() for step in job["steps"]]


def commands() -> list[tuple[str, list[str]]]:
    """Return each command line of each workflow with the workflow's name."""
    found = []
    for workflow in WORKFLOWS:
        for step in steps(workflow):
            for line in step.get("run", "").splitlines():
                lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
                lexer.whitespace_split = True
                part: list[str] = []
                for word in [*lexer, ";"]:
                    if set(word) <= set("|&;<>"):
                        found.append((workflow.name, part))
                        part = []
                    else:
                        part.append(word)
    return [(name, part) for name, part in found if part]


def calls_of(program: str) -> list[tuple[str, list[str]]]:
    """Return the arguments of each call of a program, also of one that another program starts."""
    return [
        (name, part[index + 1 :])
        for name, part in commands()
        for index, word in enumerate(part)
        if word.rpartition("/")[2] == program
    ]


def test_there_are_workflows_for_review_and_links():
    assert {"check.yml", "links.yml", "review.yml"} <= {workflow.name for workflow in WORKFLOWS}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_a_workflow_is_whole(workflow):
    document = load(workflow)
    assert {"name", EVENTS, "permissions", "jobs"} <= document.keys()
    assert document["name"] == workflow.stem
    assert document["permissions"] == {"contents": "read"}, "more is granted to a single job"
    for job in document["jobs"].values():
        assert job["timeout-minutes"] <= 60
        assert re.fullmatch(r"ubuntu-\d\d\.04", job["runs-on"])
        needs = job.get("needs", [])
        assert {needs} if isinstance(needs, str) else set(needs) <= document["jobs"].keys()
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda workflow: workflow.name)
def test_actions_have_a_version(workflow):
    for step in steps(workflow):
        assert re.fullmatch(r"[\w-]+/[\w./-]+@v\d+(\.\d+)*", step.get("uses", "a/b@v1"))


def test_a_job_that_may_write_runs_nothing_of_the_change():
    writing = [
        job
        for workflow in WORKFLOWS
        for job in load(workflow)["jobs"].values()
        if "write" in job.get("permissions", {}).values()
    ]
    assert writing
    for job in writing:
        assert not any(step.get("uses", "").startswith("actions/checkout") for step in job["steps"])


def test_text_of_a_pull_request_reaches_no_shell():
    for workflow in WORKFLOWS:
        for step in steps(workflow):
            assert "${{ github" not in step.get("run", ""), "hand it over as a variable of the environment"


def test_the_commands_of_the_catalogue_exist_with_their_options():
    calls = calls_of("greentactics")
    assert {arguments[0] for _, arguments in calls} >= {"diff", "measure"}
    for workflow, (name, *arguments) in calls:
        command = main.commands[name]
        assert isinstance(command, click.Command)
        command.make_context(name, list(arguments), resilient_parsing=False).close()
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in arguments if word.startswith("--")} <= known, workflow


def test_targets_and_scripts_exist():
    targets = re.search(r"^\.PHONY: (.*)$", (REPOSITORY / "Makefile").read_text(), re.MULTILINE)
    assert targets is not None
    calls = calls_of("make")
    assert calls
    for workflow, arguments in calls:
        assert set(arguments) <= set(targets[1].split()), workflow
    for workflow, part in commands():
        if part[0].removeprefix("./").startswith(".ci/"):
            assert os.access(REPOSITORY / part[0], os.X_OK), workflow


def test_each_command_is_one_of_the_project_or_of_every_runner():
    own = {"make", "greentactics", ".venv/bin/greentactics"} | {
        f".ci/{script.name}" for script in (REPOSITORY / ".ci").iterdir()
    }
    found = commands()
    assert {name for name, _ in found} == {workflow.name for workflow in WORKFLOWS}
    for workflow, part in found:
        if part == ["$GITHUB_STEP_SUMMARY"]:  # where the output of the command before it goes
            continue
        assert part[0] in own | STANDARD or part[:3] == ["python", "-m", "pip"], f"{workflow}: {part}"


def test_each_suppressed_link_has_its_reason():
    settings = tomllib.loads(LYCHEE.read_text(encoding="utf-8"))
    lines = LYCHEE.read_text(encoding="utf-8").split("exclude = [\n")[1].split("\n]")[0].splitlines()
    reasons, entries = lines[::2], lines[1::2]
    assert len(entries) == len(settings["exclude"]) > 0
    for reason, entry, pattern in zip(reasons, entries, settings["exclude"], strict=True):
        assert re.fullmatch(r"  # \S.{20,}\.", reason), f"{entry}: say in the line above why it is suppressed"
        assert entry.strip().strip(",").strip("'\"") == pattern
        re.compile(pattern)


def test_the_link_check_reads_its_settings():
    (step,) = [step for step in steps(GITHUB / "workflows" / "links.yml") if "lychee" in step.get("uses", "")]
    assert f"--config {LYCHEE.relative_to(REPOSITORY)} " in step["with"]["args"]
    (rule,) = tomllib.loads(LYCHEE.read_text(encoding="utf-8"))["remap"]
    pattern, target = rule.split()
    replaced = re.sub(pattern, target.replace("$1", r"\1"), "https://doi.org/10.1109/CVPR.2017.643")
    assert replaced == "https://doi.org/api/handles/10.1109/CVPR.2017.643"


def test_the_pull_request_template_is_short():
    text = (GITHUB / "pull_request_template.md").read_text(encoding="utf-8")
    assert 3 <= text.count("- [ ]") <= 6
    assert len(text.splitlines()) <= 12
