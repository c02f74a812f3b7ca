"""What loading, checking and rendering a catalogue costs."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from greentactics.records.loading import load_catalogue
from greentactics.site.pages import render_site
from tests.benchmarks.generated_catalogue import write_catalogue

RECORDS = 3_000
CHECK_LIMIT_S = 3
CHECK_LIMIT_MB = 300
RENDER_LIMITS_S = {300: 4, 3_000: 30}
RENDER_LIMIT_MB = 400
GROWTH_LIMIT = 1.25
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
    runs = [_run(tmp_path / "large", "check") for _ in range(ROUNDS)]
    assert {summary for *_, summary in runs} == {
        f"{RECORDS:,} records, 1,000 references, 0 result files: no problems"
    }
    report(f"size of a record, mean of {RECORDS:,}", size / RECORDS, "B")
    report(f"check of {RECORDS:,} records: peak memory", max(runs)[1] / 1e6, "MB", CHECK_LIMIT_MB)
    report(f"check of {RECORDS:,} records: CPU, best of {ROUNDS}", min(runs)[0], "s", CHECK_LIMIT_S)


def test_check_of_the_catalogue(report):
    report("check of the catalogue: CPU", min(_run(ROOT, "check")[0] for _ in range(ROUNDS)), "s")


@pytest.mark.benchmark(timer=time.process_time)
def test_rendering_of_the_catalogue(benchmark, report):
    catalogue = load_catalogue(ROOT)
    files = benchmark(render_site, catalogue, {})
    report(f"rendering of {len(files)} files: CPU", benchmark.stats.stats.median, "s")


def test_rendering_of_large_catalogues(report, tmp_path):
    """Ten times as many records cost ten times as much: the time for one hardly grows with their number."""
    record_s = []
    for count, limit_s in RENDER_LIMITS_S.items():
        write_catalogue(tmp_path / str(count), count)
        catalogue = load_catalogue(tmp_path / str(count))
        began_s = time.process_time()
        files = render_site(catalogue, {})
        rendering_s = time.process_time() - began_s
        report(f"rendering of {count:,} records: CPU", rendering_s, "s", limit_s)
        assert len(files) > 5 * count
        record_s.append(rendering_s / count)
    few, many = RENDER_LIMITS_S
    report(f"a record of {many:,} against one of {few:,}: CPU", record_s[1] / record_s[0], "x", GROWTH_LIMIT)


def test_memory_of_rendering_a_large_catalogue(report, tmp_path):
    write_catalogue(tmp_path / "large", RECORDS)
    _, peak_bytes, _ = _run(tmp_path / "large", "render", "--out", str(tmp_path / "pages"))
    report(f"rendering of {RECORDS:,} records: peak memory", peak_bytes / 1e6, "MB", RENDER_LIMIT_MB)


def _run(root: Path, *arguments: str) -> tuple[float, float, str]:
    """Run a command in a fresh process; return its CPU time in s, peak memory in bytes and last line."""
    command = [sys.executable, "-m", "greentactics", "--root", str(root), *arguments]
    finished = subprocess.run(
        [sys.executable, "-c", LAUNCHER, *command], cwd=ROOT, check=True, capture_output=True, text=True
    )
    *_, summary, numbers = finished.stdout.splitlines()
    cpu_s, peak_bytes = json.loads(numbers)
    return cpu_s, peak_bytes, summary
