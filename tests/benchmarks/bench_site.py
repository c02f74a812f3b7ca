"""What a build after a change costs, what the first visit loads, and what a step of the selector costs."""

from __future__ import annotations

import gzip
import os
import resource
import shutil
import statistics
import subprocess
import sys
from urllib.parse import unquote, urlsplit

from tests.browser.chromium import chromium
from tests.browser.large_page import write_large_page
from tests.browser.serving import served
from tests.examples.records import REAL

CHANGE_LIMIT_S = 2
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


def test_the_site_after_one_changed_record(report, tmp_path):
    for name in ("catalogue", "recipes", "tactics"):
        shutil.copytree(REAL.root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("mkdocs.yml", "LICENSE"):
        shutil.copy(REAL.root / name, tmp_path)
    record = tmp_path / "tactics" / "enhance-model-sparsity.yaml"
    used_s = []
    for _ in range(1 + ROUNDS):
        text = record.read_text(encoding="utf-8")
        record.write_text(text.replace("summary: >-\n", "summary: >-\n  Changed.\n"), encoding="utf-8")
        before_s = used_by_children_s()
        command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
        environment = os.environ | {"PYTHONPATH": str(tmp_path / "catalogue"), "KEPT": "build/kept"}
        subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True)
        used_s.append(used_by_children_s() - before_s)
    report("site anew: CPU", used_s[0], "s")
    report("site after one changed record: CPU, best", min(used_s[1:]), "s", CHANGE_LIMIT_S)


def used_by_children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


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
