"""How often does the timing protocol claim a difference between two copies of one net?

    python -m recipes.validation.aa_runs --out build/aa_runs

Each run times LeNet with random weights against a deep copy of itself, in fresh processes, and joins them as
`greentactics measure` joins the passes of several seeds. A sound protocol claims a difference in few of the
runs, 5 % or fewer. Takes 10 to 30 s a process on a busy machine; what is in the folder is not timed again.
"""

from __future__ import annotations

import argparse
import copy
import json
import subprocess
import sys
from pathlib import Path

import torch

from greentactics.evidence.latency import PassesCompared, compare_passes
from greentactics.models.timings import Timing
from recipes.common.run.contract import Deployable
from recipes.common.run.net_files import save_net
from recipes.subjects.lenet_fashion import build_model


def main() -> None:
    """Make the runs and print what each would claim."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument(
        "--processes", type=int, default=3, help="fresh processes a run (default: %(default)s)"
    )
    parser.add_argument("--cap-s", type=float, default=30.0)
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder of the raw readings")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    claimed = 0
    for run in range(options.runs):
        timings = [
            time_copies(options.out, run, process, options.processes, options.cap_s)
            for process in range(options.processes)
        ]
        compared = compare_passes(timings, "pytorch", "tactic")
        claimed += compared.difference_shown
        print(f"run {run:2}: {described(compared)}", flush=True)  # noqa: T201
    print(f"a difference would be claimed in {claimed} of {options.runs} runs")  # noqa: T201


def time_copies(folder: Path, run: int, process: int, processes: int, cap_s: float) -> Timing:
    """Time the net against its copy in a fresh process, with an order of its own."""
    seed = run * processes + process
    out = folder / f"run_{run}_process_{process}.json"
    if not out.exists():
        nets = {arm: folder / f"{arm}.pt" for arm in ("baseline", "tactic")}
        if not all(path.exists() for path in nets.values()):
            save_copies(nets)
        named = [text for arm, path in nets.items() for text in ("--net", f"{arm}={path}")]
        timing = ["-m", "recipes.common.timing", *named, "--engine", "pytorch"]
        arguments = ["--order-seed", str(seed), "--cap-s", str(cap_s), "--out", str(out)]
        subprocess.run([sys.executable, *timing, *arguments], check=True, stdout=subprocess.DEVNULL)
    (entry,) = json.loads(out.read_text())["timings"]
    return Timing.model_validate_json(json.dumps(entry))


def save_copies(nets: dict[str, Path]) -> None:
    """Save a net with random weights under one name, and its deep copy under the other."""
    torch.manual_seed(0)
    net, inputs = build_model().eval(), torch.randn(8, 1, 28, 28)
    for path in nets.values():
        save_net(path, Deployable(copy.deepcopy(net), inputs, inputs))


def described(compared: PassesCompared) -> str:
    """Return the joined ratio and control, and the verdict."""
    parts = [
        f"{name} {found.value:.3f} [{found.low:.3f}, {found.high:.3f}]"
        for name, found in (("copy", compared.estimate), ("control", compared.control))
    ]
    return f"{', '.join(parts)}: {'a difference is claimed' if compared.difference_shown else 'no claim'}"


if __name__ == "__main__":
    main()
