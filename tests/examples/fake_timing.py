"""A timing protocol without torch, for tests of the commands: it reads the nets and writes made-up times."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

DEVICE = {
    "kind": "cpu",
    "name": "AMD EPYC",
    "cores": 2,
    "memory_bytes": 1,
    "system": "Linux",
    "machine": "x86_64",
}


def time_all() -> int:
    """What the checksum covers."""
    return 1


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", action="append")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--cap-s", type=float)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--engine", action="append")
    options = parser.parse_args()
    told = Path("told") / f"latency-{options.seed}"
    settings = json.loads(told.read_text()) if told.exists() else {}
    with Path("timed").open("a") as log:
        log.write(" ".join([f"{options.seed} {options.cap_s:g}", *(options.engine or [])]) + "\n")
    if "exit" in settings:
        sys.stderr.write("error: tactic: the outputs differ\n")
        sys.exit(settings["exit"])
    nets = dict(entry.split("=", 1) for entry in options.net)
    assert all(Path(path).read_text() == f"net of {arm}" for arm, path in nets.items())
    arms = [*nets, "baseline_again"]
    times = {arm: [2.0 if arm.startswith("baseline") else 1.0] * 6 for arm in arms}
    timing = {
        "engine": "pytorch",
        "seed": settings.get("seed", options.seed),
        "batch_size": 1,
        "threads": options.threads,
        "started": "2026-11-21T10:00:00Z",
        "order_seed": 0,
        "warm_up_calls": 5,
        "precise": True,
        "load_before": None,
        "load_after": None,
        "calls": dict.fromkeys(arms, 3),
        "wall_ms": times,
        "cpu_ms": times,
        "output_difference": dict.fromkeys(nets, 0.0),
        "test_count": 4,
        "stored_bytes": dict.fromkeys(nets, 100),
    }
    passes = {
        "timings": [timing],
        "not_timed": {"onnxruntime": "not installed", "onnxruntime_int8": "not installed"},
        "device": DEVICE | settings.get("device", {}),
        "versions": {"python": sys.version.split()[0]},
    }
    options.out.write_text(json.dumps(passes))


if __name__ == "__main__":
    main()
