"""A recipe that computes nothing for ten seconds; the rest of the process's time is the harness."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from recipes.common.run import cli
from recipes.common.run.contract import DataUsed, Meter, Metric, Outcome

TACTIC = "busy-recipe"
ARMS = ("baseline", "tactic")
WORK_S = 10.0
WINDOWS = 100
"""Windows the recipe opens, many more than recipes do."""


@dataclass(frozen=True)
class Config:
    work_s: float = WORK_S
    data_dir: Path | None = None


SMOKE = DEFAULT = FULL = Config()
worked_cpu_s: list[float] = []
worked_s: list[float] = []


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Keep one thread busy, in windows."""
    for number in range(WINDOWS):
        with meter.window(f"part {number}"):
            started_s, started_cpu_s = time.perf_counter(), time.thread_time()
            while (cpu_s := time.thread_time() - started_cpu_s) < config.work_s / WINDOWS:
                pass
            worked_s.append(time.perf_counter() - started_s)
            worked_cpu_s.append(cpu_s)
    metrics = {f"metric_{n}": Metric(n, "count", "lower", "counted", "A metric.") for n in range(20)}
    return Outcome(metrics, DataUsed("none", "0" * 64, 0, 0, 0))


def measure(out: str) -> None:
    """Run the recipe as its command does, and print what the harness took beside the recipe's own work."""
    start_cpu_s, started_s = time.process_time(), time.perf_counter()
    assert cli.main(sys.modules[__name__], ["--preset", "default", "--out", out]) == 0
    cpu_s, passed_s = time.process_time() - start_cpu_s, time.perf_counter() - started_s
    harness = {
        "start_cpu_s": start_cpu_s,
        "harness_cpu_s": cpu_s - sum(worked_cpu_s),
        "harness_s": passed_s - sum(worked_s),
    }
    sys.stdout.write(json.dumps(harness))
