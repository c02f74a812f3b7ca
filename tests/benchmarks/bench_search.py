"""How soon the site's search shows a result in a browser."""

from __future__ import annotations

import gzip
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.benchmarks.generated_catalogue import write_catalogue
from tests.browser.chromium import chromium
from tests.browser.serving import served

RECORDS = 300
RESULT_LIMIT_S = 1
ROUNDS = 5
KEY = "e"
"""Begins more words than any other letter would, so no search has more to find."""

ROOT = Path(__file__).resolve().parents[2]


def test_first_result_of_the_search(report, tmp_path):
    site = _built(tmp_path)
    index = (site / "search" / "search_index.json").read_bytes()
    report(f"index of the search at {RECORDS} records, compressed", len(gzip.compress(index)) / 1e6, "MB")
    with served(site) as address, chromium() as browser:
        rounds = [_search(browser, address) for _ in range(ROUNDS)]
    ready_s, result_s, wall_s = (statistics.median(durations_s) for durations_s in zip(*rounds, strict=True))
    report(f"search at {RECORDS} records: opening to ready, CPU", ready_s, "s")
    report(f"search at {RECORDS} records: key to result, CPU", result_s, "s", RESULT_LIMIT_S)
    report(f"search at {RECORDS} records: key to result, wall", wall_s, "s")


def _built(folder: Path) -> Path:
    """Build the site of a large catalogue with the settings of this one."""
    write_catalogue(folder, RECORDS)
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in ("catalogue/pages", "catalogue/theme", "catalogue/greentactics/mkdocs_hook.py"):
        settings = settings.replace(path, str(ROOT / path))
    settings = re.sub(r"^watch:\n(?:  - .*\n)+", "", settings, flags=re.MULTILINE)
    (folder / "mkdocs.yml").write_text(settings, encoding="utf-8")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "catalogue")}
    # Not strict: hand-written pages link to tactics that are not generated.
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet"]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return folder / "site"


def _search(browser, address: str) -> tuple[float, float, float]:
    """Return, in s, processor time until the index is read, that from key to result, and what a clock says.

    The index is read while the page stands open, by a thread of its own, which belongs to the same process.
    """
    context = browser.new_context()
    page = context.new_page()
    session = browser.new_browser_cdp_session()
    opened_s = _renderers_s(session)
    page.goto(f"{address}/index.html")
    page.locator(".md-search__input").click()
    page.locator(".md-search-result__meta", has_text="Type to start searching").wait_for()
    ready_s, began_s = _renderers_s(session), time.perf_counter()
    page.keyboard.type(KEY)
    page.locator(".md-search-result__item").first.wait_for()
    wall_s = time.perf_counter() - began_s
    found_s = _renderers_s(session)
    context.close()
    return ready_s - opened_s, found_s - ready_s, wall_s


def _renderers_s(session) -> float:
    processes = session.send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(process["cpuTime"] for process in processes if process["type"] == "renderer")
