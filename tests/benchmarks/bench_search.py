"""How soon the site's search shows a result, at 300 records."""

from __future__ import annotations

import functools
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.benchmarks.generated_catalogue import write_catalogue
from tests.browser.chromium import chromium

ROOT = Path(__file__).resolve().parents[2]
RECORDS = 300
FIRST_RESULT_LIMIT_S = 1.0
INDEX_LIMIT_MB = 4
ROUNDS = 5


def test_first_result_of_the_search(report, tmp_path):
    site = _built(tmp_path)
    report(
        f"index of the search at {RECORDS} records",
        (site / "search" / "search_index.json").stat().st_size / 1e6,
        "MB",
        INDEX_LIMIT_MB,
    )
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, chromium() as browser:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_address[1]}/index.html"
        durations_s = [_first_result_s(browser, address) for _ in range(ROUNDS)]
        server.shutdown()
    report(
        f"first key to first result at {RECORDS} records, median",
        statistics.median(durations_s),
        "s",
        FIRST_RESULT_LIMIT_S,
    )


def _built(folder: Path) -> Path:
    write_catalogue(folder, RECORDS)
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    for path in ("catalogue/pages", "catalogue/greentactics/mkdocs_hook.py"):
        settings = settings.replace(path, str(ROOT / path))
    settings = re.sub(r"^watch:\n(?:  - .*\n)+", "", settings, flags=re.MULTILINE)
    (folder / "mkdocs.yml").write_text(settings, encoding="utf-8")
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "catalogue")}
    # Not strict: hand-written pages link to tactics by names that are not generated.
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet"]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
    return folder / "site"


def _first_result_s(browser, address: str) -> float:
    """Return the time from the first key, on a page just opened, to the first result."""
    page = browser.new_page()
    page.goto(address)
    page.locator(".md-search__input").click()
    start = time.perf_counter()
    page.keyboard.type("e")
    page.locator(".md-search-result__item").first.wait_for()
    duration_s = time.perf_counter() - start
    page.close()
    return duration_s
