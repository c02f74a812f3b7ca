"""`make accelerator` takes an interpreter whose torch sees an accelerator, or says that there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.examples.example_files import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(folder: Path, *, sees: bool) -> subprocess.CompletedProcess[str]:
    """Run it with an interpreter that keeps what it is given, and sees an accelerator or not."""
    python = folder / "python"
    python.write_text(f'#!/bin/sh\necho "$@" >> {folder}/given\nexit {0 if sees else 1}\n')
    python.chmod(0o755)
    shutil.copy(REPOSITORY / "Makefile", folder)
    environment = os.environ | {"PATH": "/usr/bin:/bin"}
    command = ["make", "accelerator", f"PYTHON={python}", "WITHIN=8m", "DATA_DIR=data"]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_an_interpreter_that_sees_one_is_taken_as_it_is(tmp_path: Path) -> None:
    done = make(tmp_path, sees=True)
    assert done.returncode == 0, done.stderr
    last = (tmp_path / "given").read_text().splitlines()[-1]
    assert last == (
        "-m greentactics measure --all --device auto --out-dir build/results --within 8m --data-dir data"
    )


@pytest.mark.skipif(Path("/usr/bin/nvidia-smi").exists(), reason="there is one")
def test_without_one_nothing_is_installed(tmp_path: Path) -> None:
    done = make(tmp_path, sees=False)
    assert done.returncode == 2
    assert "No accelerator that PyTorch can use" in done.stderr
    assert not (tmp_path / ".venv").exists()
