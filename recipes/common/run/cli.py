"""The command line that every recipe shares: one arm, one seed, one JSON file."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import math
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from greentactics.models.datasets import absent_folder
from greentactics.models.results import BASELINE, RATIO_OF_MEANS, TACTIC
from recipes.common.meters.choice import choose_meter, peak_memory_bytes
from recipes.common.run import environment, net_files
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
from recipes.common.run.contract import CannotRun, Json, Meter, Metric, Outcome, Recipe, UserError, Window

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PRESETS = ("smoke", "default", "full")


def main(recipe: Recipe, arguments: Sequence[str] | None = None) -> int:
    """Run one arm of a recipe with one seed, print its metrics and write them as JSON.

    Args:
        recipe: The recipe's module.
        arguments: Command-line arguments; those of the process when None.

    Returns:
        Exit code: 0, also where a rival cannot run here and the file says why; 1 after an error the user can
        put right. Wrong usage exits with 2.
    """
    open_streams()
    options = _parser(recipe).parse_args(arguments)
    recipe = _under_its_own_name(recipe)
    try:
        config = _config(recipe, options)
        if options.out is not None:
            require_writable("--out", options.out)
        if options.save_net is not None:
            require_writable(net_files.OPTION, options.save_net)
        if absent := absent_folder(options.data_dir):
            print(absent, file=sys.stderr)  # noqa: T201
        try:
            record = run_once(recipe, config, options)
        except CannotRun as reason:
            if options.arm in (BASELINE, TACTIC):
                raise
            record = {"arm": options.arm, "seed": options.seed, "left_out": str(reason)}
        if options.out is not None:
            write_json("--out", options.out, record)
        show(f"left out: {options.arm}: {record['left_out']}" if "left_out" in record else _table(record))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing written", file=sys.stderr)  # noqa: T201
        return 130
    return 0


def run_once(recipe: Recipe, config: DataclassInstance, options: argparse.Namespace) -> dict[str, Any]:
    """Run the recipe, save its net where that is wanted, and return the record of the run for JSON."""
    torch.set_num_threads(options.threads)
    device = environment.device()
    meter = choose_meter(device_kind=str(device["kind"]))
    started, load_before = datetime.now(UTC), environment.load_average()
    with meter.window("run") as window:
        outcome = recipe.run(config, arm=options.arm, seed=options.seed, meter=meter)
    record = {
        "tactic": recipe.TACTIC,
        "arm": options.arm,
        "seed": options.seed,
        "preset": options.preset,
        "config": _plain(config) | _of_means(recipe),
        "data": dataclasses.asdict(outcome.data),
        "metrics": _metrics(recipe, outcome),
        "details": outcome.details,
        "started": started.isoformat(timespec="seconds"),
        "duration_s": window.duration_s,
        "cpu_s": window.cpu_s,
        "peak_memory_bytes": peak_memory_bytes(),
        "threads": options.threads,
        "load_before": load_before,
        "load_after": environment.load_average(),
        "versions": environment.versions(),
        "device": device,
        "meter": {"name": meter.name, "energy": meter.energy},
        "energy": energy_record(window, meter),
    }
    if options.save_net is not None and outcome.deployable is not None:
        net_files.save_net(options.save_net, outcome.deployable)
    return record


def _under_its_own_name(recipe: Recipe) -> Recipe:
    """Return the recipe as a module that another process can import.

    What runs as a program is called `__main__`, and so would the classes be in a saved net; the process that
    loads it has another `__main__`.
    """
    if recipe is not sys.modules["__main__"]:
        return recipe
    module = importlib.import_module(f"recipes.{recipe.TACTIC.replace('-', '_')}")
    return cast("Recipe", module)


def energy_record(window: Window, meter: Meter) -> dict[str, Json] | None:
    """Return the metered energy of the run; None where none was metered."""
    if window.energy_j is None:
        return None
    return {
        "gross_j": window.energy_j,
        "above_idle_j": window.energy_above_idle_j,
        "idle_power_w": meter.idle_power_w,
        "by_domain_j": dict(window.energy_by_domain_j),
    }


def _parser(recipe: Recipe) -> argparse.ArgumentParser:
    module = recipe.TACTIC.replace("-", "_")
    parser = OneLineParser(
        prog=f"python -m recipes.{module}",
        description=(recipe.__doc__ or recipe.TACTIC).strip().splitlines()[0],
        epilog=f"example: python -m recipes.{module} --arm tactic --seed 3 --preset smoke --out result.json",
    )
    parser.add_argument(
        "--arm", default="tactic", help=f"one of {', '.join(recipe.ARMS)} (default: %(default)s)"
    )
    parser.add_argument(
        "--seed",
        type=whole_number(0, MOST_SEED),
        default=0,
        help="seed of this repeat (default: %(default)s)",
    )
    parser.add_argument(
        "--preset", default="default", help=f"one of {', '.join(PRESETS)} (default: %(default)s)"
    )
    parser.add_argument("--data-dir", type=Path, help="folder that holds the data, such as fashion-mnist/")
    parser.add_argument(
        "--threads",
        type=whole_number(1, MOST_THREADS),
        default=1,
        help="processor threads (default: %(default)s)",
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the result there as JSON")
    parser.add_argument(
        net_files.OPTION, type=Path, metavar="FILE", help="write the net there, for recipes.common.timing"
    )
    return parser


def _config(recipe: Recipe, options: argparse.Namespace) -> DataclassInstance:
    """Return the preset the options name, with the user's data folder in it."""
    for value, known, what in ((options.arm, recipe.ARMS, "arm"), (options.preset, PRESETS, "preset")):
        if value not in known:
            raise UserError(f"--{what}: expected one of {', '.join(known)}, got {value!r}")
    config: DataclassInstance = getattr(recipe, options.preset.upper())
    if options.data_dir is None:
        return config
    if not options.data_dir.is_dir():
        raise UserError(f"--data-dir {options.data_dir}: expected a folder that can be read")
    changed: DataclassInstance = dataclasses.replace(config, data_dir=options.data_dir)
    return changed


def _plain(config: DataclassInstance) -> dict[str, Json]:
    """Return the settings as JSON values, without folders: they may hold a user's name."""
    settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {name: value for name, value in settings.items() if name != "data_dir"}


def _of_means(recipe: Recipe) -> dict[str, Json]:
    """Return as a setting which metrics the recipe wants compared by the ratio of their means, if any.

    Raises:
        ValueError: One is not in the recipe's table.
    """
    names: tuple[str, ...] = getattr(recipe, RATIO_OF_MEANS.upper(), ())
    if unknown := set(names) - set(recipe.METRICS):
        raise ValueError(f"RATIO_OF_MEANS: expected names in METRICS, got {', '.join(sorted(unknown))}")
    return {RATIO_OF_MEANS: list(names)} if names else {}


def _metrics(recipe: Recipe, outcome: Outcome) -> dict[str, dict[str, Json]]:
    """Return the metrics as JSON values, each described by the recipe's table and checked to be a number."""
    described = {}
    for name, value in outcome.metrics.items():
        if name not in recipe.METRICS:
            raise ValueError(f"metric {name}: expected an entry in METRICS, got {sorted(recipe.METRICS)}")
        if not math.isfinite(value):
            raise ValueError(f"metric {name}: expected a finite number, got {value}")
        described[name] = dataclasses.asdict(Metric(float(value), *recipe.METRICS[name]))
    return described


def _table(record: Mapping[str, Any]) -> str:
    """Return the metrics as a plain-text table."""
    lines = [f"{record['tactic']}: arm {record['arm']}, seed {record['seed']}, preset {record['preset']}"]
    metrics = {name: Metric(**fields) for name, fields in record["metrics"].items()}
    width = max(len(name) for name in metrics)
    lines += [f"  {n:{width}}  {m.value:>14,.6g} {m.unit:11} {m.provenance}" for n, m in metrics.items()]
    lines.append(f"  took {record['duration_s']:.1f} s, {record['cpu_s']:.1f} CPU-seconds")
    return "\n".join(lines)
