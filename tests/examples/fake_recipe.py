"""A recipe without torch, for tests of the commands: it writes a valid run, or misbehaves as told by files.

Behaviour is set by JSON files in the folder `told/` of the checkout, so that a test can change it between
runs: `all` is for every repeat, `<arm>-<seed>` for one.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TACTIC = "fake-tactic"
ARMS = ("baseline", "tactic", "magnitude")
SMOKE = DEFAULT = FULL = None


def read_told(arm: str, seed: int) -> dict:
    told: dict = {}
    for name in ("all", f"{arm}-{seed}"):
        path = Path("told") / name
        if path.exists():
            told |= json.loads(path.read_text())
    return told


def document(options: argparse.Namespace, told: dict) -> dict:
    cost = {"baseline": 10.0, "tactic": 2.0, "magnitude": 4.0}[options.arm] + options.seed / 10
    measured = {"better": "lower", "provenance": "modelled", "description": "Energy of one inference."}
    accuracy = {"better": "higher", "provenance": "measured", "description": "Correct of all test images."}
    return {
        "tactic": TACTIC,
        "preset": options.preset,
        "config": {"epochs": told.get("epochs", 3)},
        "data": {
            "name": told.get("data", "digits"),
            "sha256": "a" * 64,
            "train_count": 10,
            "validation_count": 5,
            "test_count": 5,
        },
        "device": {
            "kind": "cpu",
            "name": "AMD EPYC",
            "cores": 2,
            "memory_bytes": 1,
            "system": "Linux",
            "machine": "x86_64",
        },
        "threads": options.threads,
        "versions": {"python": told.get("python", sys.version.split()[0])},
        "meter": {"name": "process clocks", "energy": "none"},
        "arm": told.get("arm", options.arm),
        "seed": options.seed,
        "metrics": {
            "energy": {"value": told.get("energy", cost), "unit": told.get("unit", "MAC energy"), **measured},
            "accuracy": {"value": 0.9, "unit": "fraction", **accuracy},
        },
        "details": {},
        "started": datetime.datetime.now(datetime.UTC).isoformat(),
        "duration_s": 0.1,
        "cpu_s": 0.1,
        "peak_memory_bytes": 1,
        "load_before": 0.5,
        "load_after": None,
    }


def run() -> int:
    """What the checksum covers."""
    return 1


def misbehave(told: dict) -> None:
    if "wait_s" in told:
        time.sleep(told["wait_s"])
    if "child" in told:
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        Path(told["child"]).write_text(str(child.pid))
        time.sleep(60)
    if "edit" in told:
        recipe = Path("recipes/fake_tactic.py")
        recipe.write_text(recipe.read_text() + "\n\ndef run():\n    return 2\n")
    if "killed" in told:
        os.kill(os.getpid(), signal.SIGKILL)
    if "print" in told:
        sys.stderr.write(told["print"] + "\n")
    if "exit" in told:
        sys.exit(told["exit"])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--arm")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--preset")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--save-net", type=Path)
    options = parser.parse_args()
    threads = f"{os.environ['OMP_NUM_THREADS']} {os.environ['OMP_WAIT_POLICY']}"
    sys.stdout.write(f"data: digits, threads {threads}\n")
    with Path("started").open("a") as log:
        log.write(f"{options.arm} {options.seed} {options.data_dir}\n")
    with Path("meters").open("a") as log:
        log.write(f"{os.environ.get('GREENTACTICS_METER')}\n")
    told = read_told(options.arm, options.seed)
    misbehave(told)
    if "raw" in told:
        options.out.write_text(told["raw"])
    elif "nothing" not in told:
        options.out.write_text(json.dumps(document(options, told)))
    if options.save_net and not told.get("no_net"):
        options.save_net.write_text(f"net of {options.arm}")


if __name__ == "__main__":
    main()
