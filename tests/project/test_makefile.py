from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
BEFORE_INSTALLATION = ("sh", "make", "echo", "test", "env")

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """What the Makefile looks at, without an environment."""
    folder = tmp_path / "a folder with spaces"
    folder.mkdir()
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


@pytest.fixture
def bare_path(tmp_path: Path) -> Path:
    """A folder for PATH that holds nothing but a shell and its friends."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in BEFORE_INSTALLATION:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def make(folder: Path, *arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    outer = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "PYTHON", "DATA_DIR", "MEASURE", "JOBS", "ARGS")
    environment = {name: value for name, value in os.environ.items() if name not in outer}
    environment |= {"PATH": str(path)} if path else {}
    command = [shutil.which("make") or "make", "-C", str(folder), *arguments]
    return subprocess.run(command, env=environment, text=True, capture_output=True, timeout=60, check=False)


def program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_says_what_there_is(fresh):
    shown = make(fresh).stdout
    for target in ("demo", "install", "site", "serve", "test", "check", "benchmark", "clean"):
        assert f"make {target} " in shown


def test_python_is_missing(fresh, bare_path):
    result = make(fresh, "requirements", path=bare_path)
    assert result.returncode == 2
    assert "python3 is missing. Debian, Ubuntu: sudo apt install python3 python3-venv" in result.stderr


def test_python_is_too_old(fresh, bare_path):
    program(bare_path / "python3", 'test "$1" = --version && echo "Python 3.9.2" && exit 0; exit 1')
    result = make(fresh, "requirements", path=bare_path)
    assert result.returncode == 2
    assert "Python 3.11 or newer is needed, python3 is Python 3.9.2." in result.stderr


def test_the_venv_module_is_missing(fresh, bare_path):
    program(bare_path / "python3", 'case "$2" in *ensurepip*) exit 1;; esac')
    result = make(fresh, "requirements", path=bare_path)
    assert result.returncode == 2
    assert "Python's venv module is missing. Debian, Ubuntu: sudo apt install python3-venv" in result.stderr


def test_git_is_missing(fresh, bare_path):
    program(bare_path / "python3", "exit 0")
    result = make(fresh, "requirements", path=bare_path)
    assert result.returncode == 2
    assert "git is missing. Debian, Ubuntu: sudo apt install git" in result.stderr


def test_nothing_is_installed_while_something_is_missing(fresh, bare_path):
    for target in ("demo", "test", "check", "benchmark", "serve"):
        result = make(fresh, target, path=bare_path)
        assert result.returncode == 2
        assert "python3 is missing" in result.stderr
    assert not (fresh / ".venv").exists()


@pytest.mark.parametrize("target", ["demo", "test", "check", "benchmark", "serve"])
def test_every_command_has_the_same_set_up_once(fresh, target):
    install = (
        "pip install --disable-pip-version-check -c constraints.txt "
        '-e ".[recipes,onnx,prune,solver,site,dev]"'
    )
    assert install in make(fresh, "--dry-run", target).stdout
    (fresh / ".venv").mkdir()
    (fresh / ".venv" / ".installed").touch()
    assert install not in make(fresh, "--dry-run", target).stdout
    later = (fresh / ".venv" / ".installed").stat().st_mtime + 10
    os.utime(fresh / "constraints.txt", (later, later))
    assert install in make(fresh, "--dry-run", target).stdout


def test_demo_measures_builds_and_shows(fresh):
    (fresh / ".venv").mkdir()
    (fresh / ".venv" / ".installed").touch()
    shown = make(fresh, "--dry-run", "demo").stdout
    steps = [
        "measure consider-energy-aware-pruning",
        "mkdocs build --strict",
        "verdict consider-energy-aware-pruning",
    ]
    places = [shown.index(step) for step in steps]
    assert places == sorted(places)
    assert "--preset default --seeds 5 --jobs 2" in shown
    assert "--out-dir build/results --if-needed" in shown
    assert "--data-dir" not in shown
    assert "site/tactics/consider-energy-aware-pruning/index.html" in shown


def test_demo_takes_wishes(fresh):
    (fresh / ".venv").mkdir()
    (fresh / ".venv" / ".installed").touch()
    shown = make(fresh, "--dry-run", "demo", "DATA_DIR=my data", "MEASURE=again", "JOBS=1").stdout
    assert "--jobs 1" in shown
    assert "--replace" in shown
    assert '--data-dir "my data"' in shown


def test_everything_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert pins
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)] == []
    assert "torch==2.13.0" in pins
    names = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in pins}
    wanted = re.findall(r'"([A-Za-z0-9_-]+)>=', (ROOT / "pyproject.toml").read_text())
    assert {name.lower().replace("_", "-") for name in wanted} - {"hatchling"} <= names


def test_the_workflow_calls_what_the_readme_names():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "check.yml").read_text())
    commands = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert commands == [".ci/run", "make site"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "set -euo pipefail" in script
    assert script.endswith("\n\nmake demo\nmake test\nmake demo\nmake check\n")
    assert os.access(ROOT / ".ci" / "run", os.X_OK)
    assert "```sh\nmake demo\nmake test\n```" in (ROOT / "README.md").read_text(encoding="utf-8")
