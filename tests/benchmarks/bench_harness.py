"""What measuring adds to what is measured."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from recipes.common.meters import ProcessMeter
from tests.benchmarks.busy_recipe import WORK_S

NULL_WINDOW_LIMIT_US = 50
HARNESS_LIMIT_PERCENT = 1
ROUNDS = 3

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.benchmark(timer=time.process_time)
def test_null_window(benchmark, report):
    assert (
        not torch.cuda.is_initialized()
    )  # A window asks this when torch is there, and waits for a GPU in use.
    meter = ProcessMeter()

    def null_window() -> None:
        with meter.window("nothing"):
            pass

    benchmark(null_window)
    report("window of the process meter", 1e6 * benchmark.stats.stats.median, "us", NULL_WINDOW_LIMIT_US)


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
