"""What loading, checking and rendering a catalogue costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from greentactics.loading import load_catalogue
from greentactics.pages import render_site
from tests.benchmarks.generated_catalogue import write_catalogue

RECORDS = 3_000
CHECK_LIMIT_S = 3
CHECK_LIMIT_MB = 300
RENDER_LIMITS_S = {300: 4, 3_000: 30}
ROUNDS = 3

ROOT = Path(__file__).resolve().parents[2]

# What a process says of its peak memory includes that of its parent before exec, and this one may be large.
LAUNCHER = """
import json, resource, subprocess, sys
subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([used.ru_utime + used.ru_stime, peak_bytes]))
"""


def test_check_of_a_large_catalogue(report, tmp_path):
    size = write_catalogue(tmp_path / "large", RECORDS)
    runs = [_check(tmp_path / "large") for _ in range(ROUNDS)]
    assert {summary for *_, summary in runs} == {
        f"{RECORDS:,} records, 1,000 references, 0 result files: no problems"
    }
    report(f"size of a record, mean of {RECORDS:,}", size / RECORDS, "B")
    report(f"check of {RECORDS:,} records: peak memory", max(runs)[1] / 1e6, "MB", CHECK_LIMIT_MB)
    report(f"check of {RECORDS:,} records: CPU, best of {ROUNDS}", min(runs)[0], "s", CHECK_LIMIT_S)


def test_check_of_the_catalogue(report):
    report("check of the catalogue: CPU", min(_check(ROOT)[0] for _ in range(ROUNDS)), "s")


@pytest.mark.benchmark(timer=time.process_time)
def test_rendering_of_the_catalogue(benchmark, report):
    catalogue = load_catalogue(ROOT)
    files = benchmark(render_site, catalogue, {})
    report(f"rendering of {len(files)} files: CPU", benchmark.stats.stats.median, "s")


@pytest.mark.parametrize(("count", "limit_s"), RENDER_LIMITS_S.items())
def test_rendering_of_large_catalogues(report, tmp_path, count, limit_s):
    write_catalogue(tmp_path / "large", count)
    catalogue = load_catalogue(tmp_path / "large")
    began_s = time.process_time()
    files = render_site(catalogue, {})
    report(f"rendering of {count:,} records: CPU", time.process_time() - began_s, "s", limit_s)
    assert len(files) > 5 * count


def _check(root: Path) -> tuple[float, float, str]:
    """Check a catalogue in a fresh process; return its CPU time in s, peak memory in bytes and summary."""
    command = [sys.executable, "-m", "greentactics", "--root", str(root), "check"]
    finished = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command], cwd=ROOT, check=True, capture_output=True, text=True
    )
    summary, numbers = finished.stdout.splitlines()[-2:]
    cpu_s, peak_bytes = json.loads(numbers)
    return cpu_s, peak_bytes, summary
