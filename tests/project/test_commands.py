"""What README, pages and workflows have readers and machines run exists, and what the pages quote is so."""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import click
import pytest
import yaml

from greentactics.cli.main import main
from greentactics.evidence.runs import tactic_runs
from greentactics.evidence.verdict import verdict
from greentactics.evidence.wording import sentence
from greentactics.records.recipes import read_outline
from tests.examples import synthetic
from tests.examples.command_line import call
from tests.examples.example_files import REPOSITORY
from tests.examples.records import PRUNING, REAL

PAGES = REPOSITORY / "catalogue" / "pages"
TEXTS = [REPOSITORY / "README.md", REPOSITORY / "CONTRIBUTING.md", *sorted(PAGES.rglob("*.md"))]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
CI_RUN = REPOSITORY / ".ci" / "run"
WORKED_EXAMPLE = PAGES / "contributing" / "worked-example.md"
PLACEHOLDERS = ("ID", "<id>", "{}")


def shell_lines(text: str) -> list[str]:
    """Return the commands of the shell blocks, without environment variables and comments."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    return [re.sub(r"^([A-Z_]+=\S+ )+|\s+#.*$", "", line).strip() for line in lines if line.strip()]


def run_lines(workflow: Path) -> list[str]:
    """Return the command lines of a workflow."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    return [line for job in jobs for step in job["steps"] for line in step.get("run", "").splitlines()]


def calls(program: str) -> list[list[str]]:
    """Return what texts and workflows give to a program, up to a pipe or a redirection."""
    lines = {line for path in TEXTS for line in shell_lines(path.read_text(encoding="utf-8"))}
    lines |= {line for workflow in WORKFLOWS for line in run_lines(workflow)}
    named = re.compile(rf"(?:^|.* )(?:\.venv/bin/)?{program} (.*)")
    arguments = {match[1] for line in lines if (match := named.fullmatch(re.split(r" [|>]", line)[0]))}
    assert arguments
    return [shlex.split(words) for words in sorted(arguments)]


@pytest.mark.parametrize("words", calls("greentactics"), ids=" ".join)
def test_commands_take_what_they_are_given(words: list[str]) -> None:
    command, context, rest = main, click.Context(main), list(words)
    while isinstance(command, click.Group):
        command = command.get_command(context, rest.pop(0))
        assert command is not None
        context = click.Context(command, context)
    options, arguments, _ = command.make_parser(context).parse_args(rest)
    assert not arguments
    tactic = options.get("tactic")
    if not isinstance(tactic, str) or tactic in PLACEHOLDERS:
        return
    known = read_outline(REPOSITORY, tactic)
    assert tactic in REAL.records
    assert set(options.get("arms") or ()) <= set(known.arms)
    assert options.get("preset") in (None, *known.presets)


def test_targets_modules_and_scripts_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)
    assert {word for words in calls("make") for word in words if "=" not in word} <= set(targets)
    for words in calls("python"):
        assert words[0] == "-m"
        assert importlib.util.find_spec(words[1]) is not None
    for line in (line for workflow in WORKFLOWS for line in run_lines(workflow)):
        if line.startswith(".ci/"):
            assert os.access(REPOSITORY / line.split()[0], os.X_OK)


def test_the_commands_of_the_readme_are_run_for_every_change() -> None:
    first, *_ = re.findall(r"^```sh\n(.*?)^```$", TEXTS[0].read_text(encoding="utf-8"), re.M | re.S)
    script = CI_RUN.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in script
    assert set(first.splitlines()) <= set(script)
    assert ".ci/run" in run_lines(REPOSITORY / ".github" / "workflows" / "check.yml")


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("python", "said"),
    [
        (None, "python3 is missing. Debian, Ubuntu: sudo apt install python3 python3-venv"),
        ('exit 1', "Python 3.11 or newer is needed"),
        ('case "$2" in *ensurepip*) exit 1;; esac', "venv module is missing. Debian, Ubuntu: sudo"),
        ("exit 0", "git is missing. Debian, Ubuntu: sudo apt install git"),
    ],
    ids=["no Python", "an old Python", "no venv", "no git"],
)  # fmt: skip
def test_make_says_what_is_missing_and_installs_nothing(
    python: str | None, said: str, tmp_path: Path
) -> None:
    folder, programs = tmp_path / "a folder with spaces", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(REPOSITORY / name, folder)
    for name in ("sh", "make", "echo", "test", "env"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if python:
        (programs / "python3").write_text(f"#!/bin/sh\n{python}\n", encoding="utf-8")
        (programs / "python3").chmod(0o755)
    command = [str(programs / "make"), "-C", str(folder), "demo"]
    done = subprocess.run(
        command, env={"PATH": str(programs)}, text=True, capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 2
    assert said in done.stderr
    assert not (folder / ".venv").exists()


@pytest.mark.parametrize(
    ("user", "programs", "installs"),
    [(0, ["apt-get"], True), (0, ["apt-get", "chromium"], False), (0, [], False), (1000, ["apt-get"], False)],
)  # fmt: skip
def test_a_missing_browser_is_installed_where_that_is_allowed(
    user: int, programs: list[str], installs: bool, tmp_path: Path
) -> None:
    bash = str(shutil.which("bash"))
    (tmp_path / "bash").symlink_to(bash)
    (tmp_path / "dirname").symlink_to(str(shutil.which("dirname")))
    said = {name: f'{name} "$@"' for name in (*programs, "make")} | {"id": str(user)}
    for name, text in said.items():
        (tmp_path / name).write_text(f"#!/bin/sh\necho {text}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)
    done = subprocess.run(
        [bash, str(CI_RUN)],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "make test" in done.stdout.splitlines()
    assert ("apt-get install" in done.stdout) == installs


def test_the_worked_example_quotes_what_new_prints(root: Path) -> None:
    text = WORKED_EXAMPLE.read_text(encoding="utf-8")
    block = r"^(greentactics new [^\n]+)\n```\n\n```[^\n]+\n(.*?)^```$"
    quoted = re.search(block, text, re.MULTILINE | re.DOTALL)
    assert quoted
    result = call(root, *shlex.split(quoted[1])[1:])
    assert result.exit_code == 0, result.output
    assert result.stdout == quoted[2]
    named = re.findall(r"\b(?:catalogue|recipes|tactics|tests)/[\w./-]+\.(?:json|py|yaml)\b", text)
    assert [name for name in named if not (REPOSITORY / name).is_file()] == []


def test_the_verdict_line_is_explained_as_it_is_written() -> None:
    page = (PAGES / "how-to" / "read" / "index.md").read_text(encoding="utf-8")
    quoted = re.findall(r"^> (.*)$", page, re.MULTILINE)
    found = verdict(PRUNING, tactic_runs(PRUNING, (synthetic.results(),)))
    number = r"[+\N{MINUS SIGN}]?\d+(\.\d+)?"
    for part, words in zip(found.parts[:2], quoted, strict=True):
        pattern = re.sub(r"\\\*[a-z]\\\*", lambda _: number, re.escape(words))
        assert re.fullmatch(pattern, str(sentence(part)).replace("\u00a0", " ").removesuffix("."))
