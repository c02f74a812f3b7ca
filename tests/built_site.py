"""The real site, built by mkdocs as a user builds it, once for all tests that look at it."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from greentactics.models.results import DEFAULT_PRESET

ROOT = Path(__file__).resolve().parents[1]
BUILD_LIMIT_S = 600
LOCAL_DEVICE = "AMD Ryzen Threadripper PRO 7995WX 96-Cores"
"""A name as long as processors have, with a long word."""


@pytest.fixture(scope="session")
def real_site(tmp_path_factory) -> Path:
    """Folder of the built site as it is published, whatever was measured in this working copy."""
    return _built_once(tmp_path_factory, "real-site", lambda folder: "")


@pytest.fixture(scope="session")
def site_with_local_results(tmp_path_factory) -> Path:
    """Folder of the site as built where each tactic was measured: a result beside the published ones."""
    return _built_once(tmp_path_factory, "site-with-local-results", _local_results)


def _built_once(
    tmp_path_factory: pytest.TempPathFactory, name: str, local_results: Callable[[Path], str]
) -> Path:
    """Return the built site; with several workers the first to ask builds it for all of them."""
    pytest.importorskip("material", reason="the site extra is not installed")
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    out = folder / name
    with (folder / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not out.is_dir():
            _build(folder / f"unfinished-{name}", local_results(folder / f"results-{name}"))
            (folder / f"unfinished-{name}").rename(out)
    return out


def _local_results(folder: Path) -> str:
    """Write for each tactic what was published of one device, as if measured on another one."""
    for published in sorted((ROOT / "recipes" / "results").glob("*/*.json")):
        document = json.loads(published.read_text(encoding="utf-8"))
        document["device"]["name"] = LOCAL_DEVICE
        document["device_slug"] = "cpu-amd-ryzen-threadripper-pro-7995wx-2-cores"
        path = folder / document["tactic"] / f"{document['device_slug']}.json"
        if document["preset"] == DEFAULT_PRESET and not path.exists():
            path.parent.mkdir(parents=True)
            path.write_text(json.dumps(document), encoding="utf-8")
    return str(folder)


def _build(out: Path, local_results: str) -> None:
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONPATH": str(ROOT / "catalogue"),
        "SITE_URL": "",
        "EDIT_URL": "",
        "KEPT": "",
        "LOCAL_RESULTS": local_results,
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(out)]
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=BUILD_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
