"""The real site, built by mkdocs as a user builds it, once for all tests that look at it."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BUILD_LIMIT_S = 600


@pytest.fixture(scope="session")
def real_site(tmp_path_factory) -> Path:
    """Folder of the built site; with several workers the first to ask builds it for all of them."""
    pytest.importorskip("material", reason="the site extra is not installed")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    out = folder / "real-site"
    with (folder / "real-site.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            _build(folder / "unfinished-site")
            (folder / "unfinished-site").rename(out)
    return out


def _build(out: Path) -> None:
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONPATH": str(ROOT / "catalogue"),
        "SITE_URL": "",
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
