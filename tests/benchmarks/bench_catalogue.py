"""What checking and rendering a catalogue costs."""

from __future__ import annotations

import gc
import json
import re
import subprocess
import sys
import time
from pathlib import Path

from greentactics.records.loading import load_catalogue
from greentactics.site.pages import render_site

RECORDS = 3_000
CHECK_LIMIT_S = 3
CHECK_LIMIT_MB = 300
RENDER_LIMITS_S = {300: 2, RECORDS: 15}
RENDER_LIMIT_MB = 400
GROWTH_LIMIT = 1.25
ROUNDS = 3

ROOT = Path(__file__).resolve().parents[2]
PATTERN = ROOT / "tactics" / "enhance-model-sparsity.yaml"
OWN_TIES = re.compile(r"^(?:relations|recipe):.*?^(?=\w)", re.MULTILINE | re.DOTALL)
RELATION = (
    "relations:\n  - {{type: specialises, target: tactic-n{parent}, reason: A narrower way to the end.}}\n"
)

# What a process says of its peak memory includes that of its parent before exec, and this one may be large.
LAUNCHER = """
import json, resource, subprocess, sys
subprocess.call(sys.argv[1:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
peak_bytes = used.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
print(json.dumps([used.ru_utime + used.ru_stime, peak_bytes]))
"""


def test_check_and_rendering_of_a_large_catalogue(report, tmp_path):
    root = write_catalogue(tmp_path / "large", RECORDS)
    runs = [run(root, "check") for _ in range(ROUNDS)]
    assert all(summary.startswith(f"{RECORDS:,} records") for *_, summary in runs)
    assert all(summary.endswith("no problems") for *_, summary in runs)
    report(f"check of {RECORDS:,} records: CPU, best of {ROUNDS}", min(runs)[0], "s", CHECK_LIMIT_S)
    report(f"check of {RECORDS:,} records: peak memory", max(runs)[1] / 1e6, "MB", CHECK_LIMIT_MB)
    _, peak_bytes, _ = run(root, "render", "--out", str(tmp_path / "pages"))
    report(f"rendering of {RECORDS:,} records: peak memory", peak_bytes / 1e6, "MB", RENDER_LIMIT_MB)


def test_rendering_grows_with_the_number_of_records(report, tmp_path):
    gc.set_threshold(200_000)  # as the command line does
    record_s = []
    for count, limit_s in RENDER_LIMITS_S.items():
        catalogue = load_catalogue(write_catalogue(tmp_path / str(count), count))
        began_s = time.process_time()
        assert len(render_site(catalogue, {})) > 5 * count
        rendering_s = time.process_time() - began_s
        report(f"rendering of {count:,} records: CPU", rendering_s, "s", limit_s)
        record_s.append(rendering_s / count)
    report("a record of many against one of few: CPU", record_s[1] / record_s[0], "x", GROWTH_LIMIT)


def write_catalogue(root: Path, count: int) -> Path:
    """Write copies of a real record that relate to each other, with the references they cite."""
    (root / "tactics").mkdir(parents=True)
    (root / "recipes").mkdir()
    pattern = OWN_TIES.sub("", PATTERN.read_text(encoding="utf-8"))
    for number in range(count):
        text = pattern.replace(PATTERN.stem, f"tactic-n{number}", 1)
        relation = RELATION.format(parent=number // 2) if number else ""
        text = text.replace("\nsources:", f"\n{relation}sources:")
        (root / "tactics" / f"tactic-n{number}.yaml").write_text(text, encoding="utf-8")
    references = (ROOT / "tactics" / "references.yaml").read_text(encoding="utf-8")
    cited = {f"{key}:" for key in re.findall(r"\bkey: (\S+)", pattern)}
    kept = [text for text in re.split(r"^(?=\w)", references, flags=re.M) if text.split("\n")[0] in cited]
    (root / "tactics" / "references.yaml").write_text("".join(kept), encoding="utf-8")
    return root


def run(root: Path, *arguments: str) -> tuple[float, float, str]:
    """Run a command in a fresh process; return its CPU time in s, peak memory in bytes and last line."""
    command = [sys.executable, "-c", LAUNCHER, sys.executable, "-m", "greentactics", "--root", str(root)]
    finished = subprocess.run([*command, *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    *_, summary, numbers = finished.stdout.splitlines()
    cpu_s, peak_bytes = json.loads(numbers)
    return cpu_s, peak_bytes, summary
