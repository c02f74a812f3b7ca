"""The command line of a model recipe: all arms on one subject with one seed, one JSON file."""

from __future__ import annotations

import argparse
import base64
import dataclasses
import os
import sys
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from greentactics.models.datasets import ENVIRONMENT_VARIABLE
from greentactics.models.results import BASELINE, FIRST_PUBLISHED_SEED
from greentactics.models.timings import CONTROL
from recipes.common.meters.choice import choose_meter, peak_memory_bytes
from recipes.common.run import environment
from recipes.common.run.cli import PRESETS, energy_record
from recipes.common.run.command_line import (
    MOST_SEED,
    MOST_THREADS,
    OneLineParser,
    open_streams,
    require_writable,
    show,
    whole_number,
    write_json,
)
from recipes.common.run.contract import Deployable, Meter, UserError
from recipes.common.timing.__main__ import Settings, seconds, time_all
from recipes.common.timing.engines import ENGINES
from recipes.common.trial.harness import TOLERANCE_OF_GAIN, Arrived, Trial, arms_of, curve_of, run_trial
from recipes.common.trial.subject import Subject, first_line, keeps_apart, load_subject, refuse_unfit, told_in

STREAM_COUNT = 16
"""Inputs that are answered one after the other in one timed call, where the work depends on the input."""
OF_GAIN = f"{TOLERANCE_OF_GAIN:.0%} of what training gains"
"""Tolerance of a subject that does not say; the number differs between seeds."""
CALIBRATION_COUNT = 256
"""Training inputs for the ranges of static quantisation."""
AGREEMENT_COUNT = 2_000
"""Test inputs on which the engines have to agree with eager PyTorch."""


class OneByOne(nn.Module):
    """Answers the inputs of a batch one after the other, as a stream would bring them."""

    def __init__(self, net: nn.Module) -> None:
        """Hold a net in evaluation mode."""
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the net gives, (inputs, ...)."""
        return torch.cat([self.net(one) for one in torch.split(inputs, 1)])


class OnDevice(nn.Module):
    """Answers on an accelerator what comes from main memory, and brings the answer back there."""

    def __init__(self, net: nn.Module, device: torch.device) -> None:
        """Hold a net in evaluation mode that is on the device."""
        super().__init__()
        self.net, self.device = net, device

    def forward(self, inputs: Tensor) -> Tensor:
        """Return what the net gives, (inputs, ...), when it is there: the way back waits for it."""
        outputs: Tensor = self.net(inputs.to(self.device))
        return outputs.cpu()


def main(recipe: ModuleType, arguments: Sequence[str] | None = None) -> int:
    """Run all arms of a model recipe with one seed, print what came out and write it as JSON.

    Args:
        recipe: The recipe's module.
        arguments: Command-line arguments; those of the process when None.

    Returns:
        Exit code: 0, or 1 after an error the user can put right. Wrong usage exits with 2.
    """
    open_streams()
    options = _parser(recipe).parse_args(arguments)
    try:
        if options.out is not None:
            require_writable("--out", options.out)
        record = run_once(recipe, options)
        if options.out is not None:
            write_json("--out", options.out, record)
        show(_table(record))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing written", file=sys.stderr)  # noqa: T201
        return 130
    except (Exception, SystemExit) as error:
        told = told_in(options.subject, error) if _is_file(options.subject) else None
        if isinstance(error, PermissionError) and "sealed" in str(error):
            told = told or first_line(error)
        if told is None:
            raise
        print(f"error: {told}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def run_once(recipe: ModuleType, options: argparse.Namespace) -> dict[str, Any]:
    """Run the trial, time its nets, and return the record for JSON: one run for each arm, and the passes."""
    torch.set_num_threads(options.threads)
    if options.data_dir is not None:
        if not options.data_dir.is_dir():
            raise UserError(f"--data-dir {options.data_dir}: expected a folder that can be read")
        os.environ[ENVIRONMENT_VARIABLE] = str(options.data_dir)
    if options.preset not in PRESETS:
        raise UserError(f"--preset: expected one of {', '.join(PRESETS)}, got {options.preset!r}")
    name = options.subject or recipe.SUBJECTS[options.preset]
    kind = environment.where_to_train(options.device)
    subject = load_subject(name, kind)
    if _is_file(options.subject):
        refuse_unfit(subject)
    if getattr(recipe, "RETRAINS", True) and not subject.epochs[options.preset][0]:
        raise UserError(
            f"{subject.name}: expected a subject with epochs, as {recipe.TACTIC} trains nets, got one that "
            "comes trained; take another"
        )
    if options.seed >= FIRST_PUBLISHED_SEED and not keeps_apart(subject):
        raise UserError(
            f"{subject.name}: expected a score for each of 4 held-out examples or more, got "
            f"{subject.count('test')}, so that arms would search with what they are tested on; return one an "
            f"example, or stay below seed {FIRST_PUBLISHED_SEED}"
        )
    device = environment.device(kind=kind)
    meter = choose_meter(device_kind=kind)
    started, load_before = datetime.now(UTC), environment.load_average()
    trial = run_trial(recipe, subject, options.seed, options.preset, meter)
    timings, not_timed = time_nets(recipe, trial, subject, options, meter)
    conditions = {
        "tactic": recipe.TACTIC,
        "preset": options.preset,
        "subject": subject.name,
        "config": {
            "epochs": list(subject.epochs[options.preset]),
            "cost": recipe.COST,
            "tolerance": OF_GAIN if subject.tolerance is None else trial.tolerance,
        },
        "data": dataclasses.asdict(subject.data_used()),
        "threads": options.threads,
        "versions": environment.versions(),
        "device": device,
        "meter": {"name": meter.name, "energy": meter.energy},
    }
    shared = {
        "seed": trial.seed,
        "started": started.isoformat(timespec="seconds"),
        "peak_memory_bytes": peak_memory_bytes(),
        "load_before": load_before,
        "load_after": environment.load_average(),
    }
    runs = [
        {**conditions, **shared, "arm": name, "duration_s": arrived.window.duration_s,
         "cpu_s": arrived.ledger.cpu_s, "energy": energy_record(arrived.window, meter),
         **arm_record(arrived, recipe.COST, subject, trial.tolerance)}
        for name, arrived in trial.arms.items()
    ]  # fmt: skip
    return {
        "runs": runs,
        "left_out": trial.left_out,
        "timings": [timing.model_dump(mode="json") for timing in timings],
        "not_timed": not_timed,
        "device": device,
        "versions": conditions["versions"],
    }


def arm_record(arrived: Arrived, cost: str, subject: Subject, tolerance: float) -> dict[str, Any]:
    """Return metrics, scores, curve and ledger of an arm, and the tolerance where each seed has its own."""
    point, ledger = arrived.chosen, arrived.ledger
    return {
        "metrics": {name: dataclasses.asdict(metric) for name, metric in arrived.metrics.items()},
        "scores": None if arrived.test_scores is None else compact(arrived.test_scores, subject),
        "details": {
            "net": point.label,
            "is_within": arrived.is_within,
            "curve": curve_of(arrived, cost, subject.sign),
            "ledger": [
                {
                    "examples": ledger.examples,
                    "steps": ledger.steps,
                    "judged": ledger.judged,
                    "cpu_s": ledger.cpu_s,
                }
            ],
            "missing": dict(point.missing),
            **({"tolerance": tolerance} if subject.tolerance is None else {}),
        },
    }


def compact(scores: Tensor, subject: Subject) -> dict[str, Any]:
    """Return scores, (examples,), as packed text: a bit each where all are 0 or 1, else 16-bit floats.

    Raises:
        UserError: One is beyond 16-bit floats.
    """
    array = subject.sign * scores.numpy() + 0.0  # as the file gave them: turned over where less is better
    if np.abs(array).max() > np.finfo(np.float16).max:
        raise UserError(
            f"{subject.name}: expected scores up to {np.finfo(np.float16).max:,.0f}, got "
            f"{np.abs(array).max():,.4g}; scale them in evaluate"
        )
    is_binary = bool(np.isin(array, (0.0, 1.0)).all())
    content = np.packbits(array.astype(bool)) if is_binary else array.astype(np.float16)
    packed = base64.b64encode(zlib.compress(content.tobytes(), 9)).decode()
    return {"kind": "bits" if is_binary else "float16", "count": len(array), "packed": packed}


def time_nets(
    recipe: ModuleType, trial: Trial, subject: Subject, options: argparse.Namespace, meter: Meter
) -> tuple[list[Any], dict[str, str]]:
    """Time the chosen nets of all arms in turns, in each engine that takes them all.

    On an accelerator a call takes its inputs from main memory and brings its answer back: what a caller waits
    for. The other engines are for processors.
    """
    if options.cap_s == 0 or getattr(recipe, "STARTS_FROM_NOTHING", False):
        return [], {}
    if subject.not_timed:
        return [], dict.fromkeys(options.engine or ENGINES, subject.not_timed)
    routed, on_accelerator = getattr(recipe, "INPUT_DEPENDENT", False), subject.device.type != "cpu"
    inputs, labels = trial.inputs[:CALIBRATION_COUNT].cpu(), None
    test = subject.labelled_test_examples() if trial.arms[BASELINE].test_scores is not None else None
    if test is not None:
        count = min(AGREEMENT_COUNT, len(test[0]))
        count -= count % STREAM_COUNT
        checked, labels = test[0][:count], test[1][:count]
    else:
        checked = inputs
    nets = {}
    for name, arrived in trial.arms.items():
        if name != CONTROL:
            net = OneByOne(arrived.chosen.net).eval() if routed else arrived.chosen.net
            if on_accelerator:
                net = OnDevice(net, subject.device).eval()
            nets[name] = Deployable(net, inputs, checked, labels)
    settings = Settings(
        seed=trial.seed,
        order_seed=trial.seed,
        threads=options.threads,
        batch_size=STREAM_COUNT if routed else 1,
        cap_s=options.cap_s,
    )
    engines = options.engine or (ENGINES[:1] if routed else ENGINES)
    timed = [engine for engine in engines if engine == "pytorch" or not on_accelerator]
    timings, not_timed = time_all(nets, timed, settings, meter) if timed else ([], {})
    return timings, not_timed | dict.fromkeys(set(engines) - set(timed), "it runs on the processor alone")


def _is_file(name: str | None) -> bool:
    """Return whether a subject is a reader's file."""
    return name is not None and name.endswith(".py")


def _parser(recipe: ModuleType) -> argparse.ArgumentParser:
    module = recipe.TACTIC.replace("-", "_")
    parser = OneLineParser(
        prog=f"python -m recipes.{module}",
        description=(recipe.__doc__ or recipe.TACTIC).strip().splitlines()[0],
        epilog=f"example: python -m recipes.{module} --subject mine.py --seed 1000 --out seed-1000.json; "
        f"arms: {', '.join(arm.__name__ for arm in arms_of(recipe))}",
    )
    add = parser.add_argument
    add("--subject", help="file of yours with build_model, train and evaluate, or one of recipes/subjects "
        "(default: by preset)")  # fmt: skip
    add("--seed", type=whole_number(0, MOST_SEED), default=0,
        help="seed; below 1000 the test examples stay closed (default: %(default)s)")  # fmt: skip
    add("--preset", default="default", help=f"one of {', '.join(PRESETS)} (default: %(default)s)")
    add("--data-dir", type=Path, help="folder that holds the data, such as fashion-mnist/")
    add(
        "--device",
        choices=environment.DEVICES,
        default="cpu",
        help="where nets are trained and timed; on an accelerator in PyTorch alone (default: %(default)s)",
    )
    add(
        "--threads",
        type=whole_number(1, MOST_THREADS),
        default=1,
        help="processor threads (default: %(default)s)",
    )
    add("--engine", action="append", choices=ENGINES, help="what to time the nets in; repeat (default: all)")
    add("--cap-s", type=seconds, default=10.0, help="longest time of an engine's rounds, s; 0 times none "
        "(default: %(default)s)")  # fmt: skip
    add("--out", type=Path, metavar="FILE", help="write the result there as JSON")
    return parser


def _table(record: dict[str, Any]) -> str:
    """Return what came out as a plain-text table."""
    runs, first = record["runs"], record["runs"][0]
    cost = first["config"]["cost"]
    quality = next(name for name in (*first["metrics"],) if name.startswith(("test_", "choice_")))
    if any(name.startswith("test_") for name in first["metrics"]):
        quality = next(name for name in first["metrics"] if name.startswith("test_"))
    lines = [
        f"{first['tactic']} on {first['subject']}, seed {first['seed']}, preset {first['preset']}",
        f"  {'arm':24} {quality:>16} {cost:>16} {'examples seen':>14} {'CPU s':>7}  net",
    ]
    for run in runs:
        values = {name: entry["value"] for name, entry in run["metrics"].items()}
        within = "" if run["details"]["is_within"] else "  (not shown to be within the tolerance)"
        curve = ", ".join(
            f"{point['choice_quality']:.4f} at {point[cost]:,.4g}" for point in run["details"]["curve"]
        )
        lines.append(
            f"  {run['arm']:24} {values[quality]:16.4f} {values[cost]:16,.6g} "
            f"{values['seen_examples']:14,.0f} {run['cpu_s']:7.1f}  {run['details']['net']}{within}"
        )
        if len(run["details"]["curve"]) > 1:
            lines.append(f"  {'':24} of {curve}")
    lines += [f"  left out: {arm}: {reason}" for arm, reason in record["left_out"].items()]
    lines += [f"  not timed in {engine}: {reason}" for engine, reason in record["not_timed"].items()]
    if not any(name.startswith("test_") for name in first["metrics"]):
        lines.append(
            "  figures are of the examples to choose with: test examples stay closed below seed 1000"
        )
    return "\n".join(lines)
