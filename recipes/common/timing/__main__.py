"""Time the nets of all arms in turns, in one process, in each engine they may be shipped with.

    python -m recipes.common.timing --net baseline=b.pt --net tactic=t.pt --seed 3 --out timing.json

The nets are the files that `--save-net` of a recipe writes. Each engine first has to reproduce the outputs of
eager PyTorch on the test inputs; only then is it timed, as `recipes/common/timing/protocol.py` says.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch
from torch import Tensor

from greentactics.models.timings import CONTROL, Engine, Timing
from recipes.common.meters.choice import choose_meter
from recipes.common.nets.report import bytes_allocated, flops
from recipes.common.run import environment
from recipes.common.run.command_line import (
    LONGEST_S,
    MOST_EXAMPLES,
    MOST_ROUNDS,
    MOST_SEED,
    MOST_THREADS,
    OneLineParser,
    require_writable,
    run_program,
    whole_number,
    write_json,
)
from recipes.common.run.contract import Deployable, Meter, UserError
from recipes.common.run.net_files import load_net
from recipes.common.timing.engines import (
    ENGINES,
    Agreement,
    CannotRunError,
    Form,
    agreement,
    build,
    missing_extra,
    outputs_of,
    require_usable,
)
from recipes.common.timing.protocol import BASELINE, interleave, interleave_energy, ratios

WARM_UP_CALLS = 5


@dataclass(frozen=True)
class Settings:
    """How the nets are timed."""

    seed: int
    """Seed of the nets."""
    order_seed: int
    """Seed of the order of the readings."""
    threads: int = 1
    """Threads of each engine."""
    batch_size: int = 1
    """Examples in one call."""
    least_rounds: int = 20
    """Rounds before the precision may end a pass."""
    cap_s: float = 30.0
    """Time after which no further round of an engine starts."""


def time_all(
    nets: Mapping[str, Deployable], engines: Sequence[Engine], settings: Settings, meter: Meter
) -> tuple[list[Timing], dict[str, str]]:
    """Return a pass for each engine that could run all nets, and by engine why another could not."""
    torch.set_num_threads(settings.threads)
    timings, not_timed = list[Timing](), dict[str, str]()
    wanted = eager_outputs(nets, settings)
    with tempfile.TemporaryDirectory() as folder:
        for engine in engines:
            try:
                timings.append(time_engine(engine, nets, wanted, settings, meter, Path(folder)))
                print(_table(timings[-1]))  # noqa: T201
            except CannotRunError as error:
                not_timed[engine] = str(error)
                print(f"{engine}: not timed; {error}")  # noqa: T201
    return timings, not_timed


def eager_outputs(nets: Mapping[str, Deployable], settings: Settings) -> dict[str, Tensor]:
    """Return what eager PyTorch gives for the test inputs of each net, (examples, ...).

    Raises:
        UserError: A net has too few inputs for a batch, or does not return one finite tensor.
    """
    outputs = {}
    for arm, net in nets.items():
        form = build("pytorch", net, Path(), batch_size=settings.batch_size, threads=settings.threads)
        require_usable(arm, net, form, settings.batch_size)
        outputs[arm] = outputs_of(form, net, settings.batch_size)
    return outputs


def time_engine(
    engine: Engine,
    nets: Mapping[str, Deployable],
    wanted: Mapping[str, Tensor],
    settings: Settings,
    meter: Meter,
    folder: Path,
) -> Timing:
    """Make a pass with one engine.

    Args:
        engine: What executes the nets.
        nets: Nets by arm, `baseline` among them.
        wanted: Outputs by arm, from `eager_outputs`.
        settings: Threads, batch size, precision.
        meter: Meter of this machine, for energy readings where it has them.
        folder: Folder for exported nets, the same for all engines.

    Raises:
        CannotRunError: The engine is not installed or does not take a net.
        UserError: The engine gives other outputs than eager PyTorch.
    """
    forms = _forms(engine, nets, settings, folder)
    agreements = {}
    for arm, net in nets.items():
        found = outputs_of(forms[arm], net, settings.batch_size)
        agreements[arm] = agreement(arm, engine, found, wanted[arm], net.test_labels)
    timing = _time_forms(engine, forms, agreements, settings, meter)
    return timing.model_copy(update=_counted(forms, nets, settings)) if engine == "pytorch" else timing


def _counted(
    forms: Mapping[str, Form], nets: Mapping[str, Deployable], settings: Settings
) -> dict[str, dict[str, int]]:
    """Count what one call computes and allocates, which an exported net does not tell."""
    batches = {arm: net.calibration_inputs[: settings.batch_size] for arm, net in nets.items()}
    return {
        "flops": {arm: flops(net.model, batches[arm]) for arm, net in nets.items()},
        "allocated_bytes": {arm: bytes_allocated(form.call) for arm, form in forms.items()},
    }


def _forms(
    engine: Engine, nets: Mapping[str, Deployable], settings: Settings, folder: Path
) -> dict[str, Form]:
    """Make the form of each net, in a folder of its own."""
    if (reason := missing_extra(engine)) is not None:
        raise CannotRunError(reason)
    forms = {}
    for index, (arm, net) in enumerate(nets.items()):
        own = folder / str(index)
        own.mkdir(exist_ok=True)
        try:
            forms[arm] = build(engine, net, own, batch_size=settings.batch_size, threads=settings.threads)
        except CannotRunError as error:
            raise CannotRunError(f"arm {arm}: {error}") from error
    return forms


def _time_forms(
    engine: Engine,
    forms: Mapping[str, Form],
    agreements: Mapping[str, Agreement],
    settings: Settings,
    meter: Meter,
) -> Timing:
    """Time the forms, then read their energy where there is a meter."""
    started, load_before = datetime.now(UTC).replace(microsecond=0), environment.load_average()
    cells = {arm: form.call for arm, form in forms.items()}
    readings = interleave(
        cells,
        order_seed=settings.order_seed,
        warm_up_calls=WARM_UP_CALLS,
        least_rounds=settings.least_rounds,
        cap_s=settings.cap_s,
    )
    load_after = environment.load_average()
    energy = interleave_energy(cells, readings.calls, meter, order_seed=settings.order_seed)
    accuracies = {arm: found.accuracy_fraction for arm, found in agreements.items()}
    return Timing(
        engine=engine,
        seed=settings.seed,
        batch_size=settings.batch_size,
        threads=settings.threads,
        started=started,
        order_seed=settings.order_seed,
        warm_up_calls=WARM_UP_CALLS,
        precise=readings.precise,
        load_before=load_before,
        load_after=load_after,
        calls=dict(readings.calls),
        wall_ms=_rounded(readings.wall_ms),
        cpu_ms=_rounded(readings.cpu_ms),
        energy_j=energy.energy_j and _rounded(energy.energy_j),
        energy_above_idle_j=energy.energy_above_idle_j and _rounded(energy.energy_above_idle_j),
        output_difference={arm: found.difference for arm, found in agreements.items()},
        accuracy_fraction={arm: value for arm, value in accuracies.items() if value is not None} or None,
        test_count=min(found.count for found in agreements.values()),
        stored_bytes={arm: form.stored_bytes for arm, form in forms.items()},
    )


def _rounded(readings: Mapping[str, Sequence[float]]) -> dict[str, tuple[float, ...]]:
    """Return the readings with 6 significant digits, which is more than any of them carries."""
    return {arm: tuple(float(f"{value:.6g}") for value in values) for arm, values in readings.items()}


def _table(timing: Timing) -> str:
    """Return the medians and ratios of a pass as a plain-text table."""
    found = ratios(timing.wall_ms)
    rounds = found[CONTROL].rounds
    ended = "intervals narrow enough" if timing.precise else "ended by the time cap"
    lines = [
        f"{timing.engine}: batch {timing.batch_size}, threads {timing.threads}, rounds {rounds}, {ended}",
        f"  {'arm':16} {'ms per call':>12}   {'baseline / arm, 95 % interval':30} accuracy",
    ]
    for arm, wall_ms in sorted(timing.wall_ms.items(), key=lambda entry: entry[0] not in (BASELINE, CONTROL)):
        ratio = found.get(arm)
        compared = f"{ratio.value:.3f} [{ratio.low:.3f}, {ratio.high:.3f}]" if ratio else ""
        accuracy = (timing.accuracy_fraction or {}).get(arm)
        shown = "" if accuracy is None else f"{accuracy:.2%}"
        lines.append(f"  {arm:16} {statistics.median(wall_ms):12.4g}   {compared:30} {shown}".rstrip())
    return "\n".join(lines)


def _named_nets(named: Sequence[str]) -> dict[str, Deployable]:
    """Load the nets of `--net ARM=FILE`.

    Raises:
        UserError: An argument that is not ARM=FILE, an arm twice, no baseline, or a file that holds no net.
    """
    paths: dict[str, Path] = {}
    for text in named:
        arm, _, path = text.partition("=")
        if not arm or not path or arm == CONTROL:
            raise UserError(f"--net: expected ARM=FILE, with an arm other than {CONTROL}, got {text!r}")
        if arm in paths:
            raise UserError(f"--net: expected each arm once, got {arm} twice")
        paths[arm] = Path(path)
    if BASELINE not in paths:
        raise UserError(f"--net: expected {BASELINE}=FILE among the arms, got {', '.join(paths)}")
    nets = {arm: load_net(path, "--net") for arm, path in paths.items()}
    counts = {arm: len(net.test_inputs) for arm, net in nets.items()}
    if len(set(counts.values())) > 1:
        got = ", ".join(f"{arm}: {count}" for arm, count in counts.items())
        raise UserError(f"--net: expected as many test inputs in each file, got {got}")
    return nets


def seconds(text: str) -> float:
    """Parse a time cap."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= LONGEST_S:
        raise argparse.ArgumentTypeError(f"expected seconds from 0 to {LONGEST_S:g}, got {text!r}")
    return value


def _parser() -> OneLineParser:
    parser = OneLineParser(
        prog="python -m recipes.common.timing",
        description="Time the nets of all arms in turns, in one process.",
        epilog="example: python -m recipes.common.timing --net baseline=b.pt --net tactic=t.pt --out t.json",
    )
    add = parser.add_argument
    add(
        "--net",
        action="append",
        required=True,
        metavar="ARM=FILE",
        help="net of an arm; repeat; baseline too",
    )
    add("--seed", type=whole_number(0, MOST_SEED), default=0, help="seed of the nets (default: %(default)s)")
    add(
        "--order-seed",
        type=whole_number(0, MOST_SEED),
        help="seed of the order of readings (default: that of the nets)",
    )
    add(
        "--threads",
        type=whole_number(1, MOST_THREADS),
        default=1,
        help="threads of each engine (default: %(default)s)",
    )
    add(
        "--batch-size",
        type=whole_number(1, MOST_EXAMPLES),
        default=1,
        help="examples in a call (default: %(default)s)",
    )
    add("--engine", action="append", choices=ENGINES, help="what executes the nets; repeat (default: all)")
    add("--cap-s", type=seconds, default=30.0, help="longest time of the rounds, s (default: %(default)s)")
    add(
        "--least-rounds",
        type=whole_number(3, MOST_ROUNDS),
        default=20,
        help="fewest rounds (default: %(default)s)",
    )
    add("--out", type=Path, metavar="FILE", help="write the readings there as JSON")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Time nets from the command line.

    Args:
        arguments: Command-line arguments; those of the process when None.

    Returns:
        Exit code: 0, or 1 after an error the user can put right. Wrong usage exits with 2.
    """
    options = _parser().parse_args(arguments)
    settings = Settings(
        seed=options.seed,
        order_seed=options.seed if options.order_seed is None else options.order_seed,
        threads=options.threads,
        batch_size=options.batch_size,
        least_rounds=options.least_rounds,
        cap_s=options.cap_s,
    )
    try:
        if options.out is not None:
            require_writable("--out", options.out)
        nets = _named_nets(options.net)
        engines = [engine for engine in ENGINES if engine in (options.engine or ENGINES)]
        timings, not_timed = time_all(nets, engines, settings, choose_meter())
        if options.out is not None:
            entries = [timing.model_dump(mode="json") for timing in timings]
            conditions = {"device": environment.device(), "versions": environment.versions()}
            passes = {"timings": entries, "not_timed": not_timed, **conditions}
            write_json("--out", options.out, passes)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    except KeyboardInterrupt:
        print("interrupted: nothing written", file=sys.stderr)  # noqa: T201
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run_program(main))
