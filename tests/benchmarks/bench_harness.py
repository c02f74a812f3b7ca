"""What measuring adds to what is measured."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from recipes.common.meters.choice import ProcessMeter
from tests.benchmarks.busy_recipe import WORK_S

NULL_WINDOW_LIMIT_US = 50
HARNESS_LIMIT_PERCENT = 1
ROUNDS = 3
WINDOWS = 1_000

ROOT = Path(__file__).resolve().parents[2]


def test_null_window(report):
    assert not torch.cuda.is_initialized()  # A window asks this, and waits for a GPU in use.
    meter = ProcessMeter()
    durations_us = []
    for _ in range(WINDOWS):
        began_s = time.process_time()
        with meter.window("nothing"):
            pass
        durations_us.append(1e6 * (time.process_time() - began_s))
    report("window of the process meter", statistics.median(durations_us), "us", NULL_WINDOW_LIMIT_US)


def test_harness_around_a_recipe(report, tmp_path):
    """All that `python -m recipes.<id>` does, start of Python and import of torch apart."""
    runs = [_run(tmp_path / f"{number}.json") for number in range(ROUNDS)]
    start_cpu_s, harness_s, harness_cpu_s = (
        statistics.median(run[name] for run in runs) for name in ("start_cpu_s", "harness_s", "harness_cpu_s")
    )
    report("start of Python, import of torch: CPU", start_cpu_s, "s")
    report("harness around a recipe: wall, idle reading included", harness_s, "s")
    name = f"harness around a recipe: CPU, of {WORK_S:g} s of work"
    report(name, 100 * harness_cpu_s / WORK_S, "%", HARNESS_LIMIT_PERCENT)


def _run(out: Path) -> dict[str, float]:
    program = f"from tests.benchmarks.busy_recipe import measure; measure({str(out)!r})"
    finished = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert out.exists()
    run: dict[str, float] = json.loads(finished.stdout.splitlines()[-1])
    return run
