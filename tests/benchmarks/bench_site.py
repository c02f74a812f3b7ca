"""What the first visit of the home page loads, and what a step of the selector costs in a browser."""

from __future__ import annotations

import gzip
import statistics
from urllib.parse import unquote, urlsplit

from tests.browser.chromium import chromium
from tests.browser.large_page import write_large_page
from tests.browser.serving import served
from tests.examples.records import REAL

VISIT_LIMIT_KB = 350
PAGE_LIMIT_KB = 350
SCRIPT_LIMIT_KB = 5
RECORDS = 3_000
STEP_LIMIT_MS = 16
ROUNDS = 5
STEPS = (
    ("improves", "energy-efficiency"), ("stages", "training"), ("stages", "serving"),
    ("keeps", "time-behaviour"), ("evidence", "E1"), ("effort", "M"), ("evidence", ""), ("improves", ""),
    ("stages", "training"), ("stages", "serving"), ("keeps", "time-behaviour"), ("effort", "M"),
)  # fmt: skip
STEP = """([name, value]) => {
  const input = document.querySelector(`[name=${name}][value="${value}"]`);
  input.checked = input.type === "radio" || !input.checked;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.offsetHeight;
}"""
WORK = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")


def compressed_kb(content: bytes) -> float:
    """Return the size as most servers send it: compressed where that makes it smaller."""
    return min(len(content), len(gzip.compress(content, mtime=0))) / 1024


def test_weight_of_the_first_visit(report, real_site):
    with served(real_site) as address, chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/index.html", wait_until="networkidle")
        page.close()
    paths = {unquote(urlsplit(url).path).lstrip("/") for url in asked}
    assert {"index.html", "search/search_index.json"} <= paths
    size_kb = sum(compressed_kb((real_site / path).read_bytes()) for path in paths)
    report(f"{len(paths)} files of the first visit, compressed", size_kb, "KiB", VISIT_LIMIT_KB)


def test_weight_of_the_selector(report, tmp_path):
    page = write_large_page(tmp_path, len(REAL.records)).read_bytes()
    report("page of the selector, compressed", compressed_kb(page), "KiB", PAGE_LIMIT_KB)
    script = REAL.root / "catalogue" / "pages" / "assets" / "selector.js"
    report("script of the selector, compressed", compressed_kb(script.read_bytes()), "KiB", SCRIPT_LIMIT_KB)


def test_a_filter_step_in_a_browser(report, tmp_path):
    page_file = write_large_page(tmp_path, RECORDS)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"file://{page_file}")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        steps_ms = [step_ms(page, session, step) for _ in range(ROUNDS) for step in STEPS]
        page.close()
    median_ms = statistics.median(steps_ms[len(STEPS) :])  # The first round compiles the script.
    report(f"filter step at {RECORDS:,} records: CPU, median", median_ms, "ms", STEP_LIMIT_MS)


def step_ms(page, session, step: tuple[str, str]) -> float:
    """Return the processor time of the page's thread for one change: script, style and layout."""
    before_s = work_s(session)
    page.evaluate(STEP, step)
    return 1000 * (work_s(session) - before_s)


def work_s(session) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return sum(metric["value"] for metric in metrics if metric["name"] in WORK)
