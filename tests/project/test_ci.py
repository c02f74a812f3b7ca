"""What `.ci/run` does about a browser, with all programs replaced; and the workflow that looks ahead."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
INSTALL = "apt-get install -qq --yes --no-install-recommends chromium"


def run(folder: Path, *, user: int, programs: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """Run it where only these programs are on the path; each prints how it was called."""
    (folder / "bash").symlink_to(shutil.which("bash"))
    (folder / "dirname").symlink_to(shutil.which("dirname"))
    said = {name: f'{name} "$@"' for name in (*programs, "make")} | {"id": str(user)}
    for name, text in said.items():
        (folder / name).write_text(f"#!/bin/sh\necho {text}\n")
        (folder / name).chmod(0o755)
    command = [shutil.which("bash"), str(ROOT / ".ci" / "run")]
    return subprocess.run(
        command, env={"PATH": str(folder)}, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("user", "programs", "installs", "says"),
    [
        (0, ("apt-get",), True, True),
        (0, ("apt-get", "chromium"), False, False),
        (0, ("google-chrome",), False, False),
        (0, (), False, True),
        (1000, ("apt-get",), False, True),
    ],
)
def test_a_missing_browser_is_installed_where_that_is_allowed(
    tmp_path, user, programs, installs, says
) -> None:
    done = run(tmp_path, user=user, programs=programs)
    assert done.returncode == 0
    assert done.stdout.splitlines()[-4:] == ["make demo", "make test", "make demo", "make check"]
    assert (INSTALL in done.stdout) == installs
    assert ("Debian: sudo apt install chromium" in done.stderr) == says


def test_the_workflow_that_looks_ahead_may_fail() -> None:
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "insurance.yml").read_text())
    build = workflow["jobs"]["build"]
    assert build["continue-on-error"] is True
    assert build["strategy"]["matrix"]["generator"] == ["properdocs", "zensical"]
    assert ".ci/insurance ${{ matrix.generator }}" in [step.get("run") for step in build["steps"]]


@pytest.mark.parametrize(
    ("arguments", "said"), [([], "name a generator"), (["hugo"], "hugo: expected properdocs")]
)
def test_a_generator_nobody_knows_is_refused(arguments, said) -> None:
    command = [str(ROOT / ".ci" / "insurance"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert said in done.stderr
