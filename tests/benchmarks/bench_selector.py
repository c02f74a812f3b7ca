"""What a step of the selector costs in a browser, and what its page weighs."""

from __future__ import annotations

import gzip
import statistics
from pathlib import Path

from tests.browser.chromium import chromium
from tests.browser.large_page import write_large_page
from tests.examples.records import REAL

RECORDS = 3_000
STEP_LIMIT_MS = 16
SCRIPT_LIMIT_KB = 5
PAGE_LIMIT_KB = 350
ROUNDS = 5

ROOT = Path(__file__).resolve().parents[2]

STEPS = (
    ("improves", "energy-efficiency"),
    ("stages", "training"),
    ("stages", "serving"),
    ("keeps", "time-behaviour"),
    ("evidence", "E1"),
    ("effort", "M"),
    ("improves", "time-behaviour"),
    ("evidence", ""),
    ("improves", ""),
    ("stages", "training"),
    ("stages", "serving"),
    ("keeps", "time-behaviour"),
    ("effort", "M"),
)
STEP = """([name, value]) => {
  const input = document.querySelector(`[name=${name}][value="${value}"]`);
  input.checked = input.type === "radio" || !input.checked;
  input.dispatchEvent(new Event("input", { bubbles: true }));
  document.body.offsetHeight;
}"""
WORK = ("ScriptDuration", "RecalcStyleDuration", "LayoutDuration")


def test_a_filter_step_in_a_browser(report, tmp_path):
    page_file = write_large_page(tmp_path, RECORDS)
    with chromium() as browser:
        page = browser.new_page()
        page.goto(f"file://{page_file}")
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        steps_ms = [_step_ms(page, session, step) for _ in range(ROUNDS) for step in STEPS]
        page.close()
    counted = steps_ms[len(STEPS) :]  # The first round compiles the script.
    report(
        f"filter step at {RECORDS:,} records: CPU, median", statistics.median(counted), "ms", STEP_LIMIT_MS
    )
    report(f"filter step at {RECORDS:,} records: CPU, slowest", max(counted), "ms")


def _step_ms(page, session, step: tuple[str, str]) -> float:
    """Return the processor time of the page's thread for one change: script, style and layout."""
    before = _work_s(session)
    page.evaluate(STEP, step)
    return 1000 * (_work_s(session) - before)


def _work_s(session) -> float:
    metrics = session.send("Performance.getMetrics")["metrics"]
    return sum(metric["value"] for metric in metrics if metric["name"] in WORK)


def test_weight_of_the_selector(report, tmp_path):
    script = (ROOT / "catalogue" / "pages" / "assets" / "selector.js").read_bytes()
    report(
        "script of the selector, compressed",
        len(gzip.compress(script, mtime=0)) / 1024,
        "KiB",
        SCRIPT_LIMIT_KB,
    )
    text = write_large_page(tmp_path, len(REAL.records)).read_bytes()
    report("page of the selector, compressed", len(gzip.compress(text, mtime=0)) / 1024, "KiB", PAGE_LIMIT_KB)
