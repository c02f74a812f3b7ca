"""One timing pass: the nets of all arms in one engine, checked against eager PyTorch, then timed in turns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from torch import Tensor

from greentactics.models.timings import Engine, Timing
from recipes.common.nets.report import bytes_allocated, flops
from recipes.common.run import environment
from recipes.common.run.contract import Deployable, Meter
from recipes.common.timing.engines import (
    Agreement,
    CannotRunError,
    Form,
    agreement,
    build,
    missing_extra,
    outputs_of,
    require_usable,
)
from recipes.common.timing.protocol import interleave, interleave_energy

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
