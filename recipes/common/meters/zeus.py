"""Energy through zeus, for what RAPL and NVML do not reach: AMD GPUs, Apple and Jetson chips, RAPL by zeusd.

zeus (the optional extra `meter`) brings many packages and starts slowly, so it is imported only when asked
for. Where it finds nothing it returns empty mappings or None, which become no domain here, never a zero.

Of an Apple chip, all processor cores, GPU, neural engine and memory are added up; single cores and clusters
are part of the first, and the GPU's SRAM is left out, as it may be part of the second. zeus reads a Jetson's
power and adds it up.

Written against zeus 0.16.
"""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recipes.common.meters.rapl import find_zones, mirrored, not_overlapping
from recipes.common.meters.source import EnergySource, Unavailable, lost
from recipes.common.run.contract import UserError

UPDATE_S = 0.1
QUIET_S = 5.0
_CURE = "zeus[apple] is needed on a Mac; on Linux, the daemon zeusd gives access to RAPL without root"
_APPLE_PARTS = ("cpu_total_mj", "gpu_mj", "ane_mj", "dram_mj")
_JETSON_PARTS = ("cpu_energy_mj", "gpu_energy_mj")


def find_source(root: Path = Path("/"), monitor: Any = None) -> EnergySource:  # noqa: ANN401 - ZeusMonitor
    """Return what zeus can meter on this machine.

    Args:
        root: Root of the file system; the powercap tree in it tells which zones of RAPL overlap.
        monitor: What stands for a `zeus.monitor.ZeusMonitor`; one of all devices when None.

    Raises:
        Unavailable: zeus is not installed, does not start, or finds nothing to read.
    """
    zeus = _monitor(root) if monitor is None else monitor
    numbers = itertools.count()

    @contextmanager
    def count() -> Iterator[Mapping[str, float]]:
        energy_j: dict[str, float] = {}
        key = f"window {next(numbers)}"
        _ask(zeus.begin_window, key)
        try:
            yield energy_j
        except BaseException:
            with suppress(UserError):  # what went wrong in the block is worth more
                _ask(zeus.end_window, key)
            raise
        energy_j.update(energy_by_domain_j(_ask(zeus.end_window, key)))

    try:
        with count() as first:
            pass
    except UserError as error:
        raise Unavailable(str(error), _CURE) from None
    if not first:
        raise Unavailable("zeus finds no GPU, processor counter or chip that it may read", _CURE)
    return EnergySource("zeus", tuple(first), (), UPDATE_S, QUIET_S, count)


def energy_by_domain_j(measured: Any) -> dict[str, float]:  # noqa: ANN401 - zeus.monitor.Measurement
    """Return the energy of each part that zeus measured; empty where it measured none.

    Args:
        measured: What `ZeusMonitor.end_window` returned.
    """
    parts = {"gpu": measured.gpu_energy, "package": measured.cpu_energy, "dram": measured.dram_energy}
    energy_j = {
        f"{part}-{index}": float(value)
        for part, values in parts.items()
        if values is not None
        for index, value in values.items()
    }
    if measured.soc_energy is not None:
        chip_mj = _chip_mj(measured.soc_energy)
        if chip_mj is not None:
            energy_j["soc"] = chip_mj / 1000
    return energy_j


def _chip_mj(chip: Any) -> float | None:  # noqa: ANN401 - AppleSiliconMeasurement or JetsonMeasurement
    """Return the energy of the parts that do not overlap; None where none is told."""
    total_mj = getattr(chip, "total_energy_mj", None)
    if total_mj is not None:
        return float(total_mj)
    told = [getattr(chip, part, None) for part in (*_APPLE_PARTS, *_JETSON_PARTS)]
    return sum(float(part) for part in told if part is not None) if any(p is not None for p in told) else None


def _monitor(root: Path) -> Any:  # noqa: ANN401 - ZeusMonitor
    """Start zeus; of the zones it takes for processors, those that hold or mirror others are left out."""
    try:
        module = importlib.import_module("zeus.monitor")
    except ImportError:
        raise Unavailable(
            "the package zeus is not installed", "install it with `pip install 'zeus>=0.16'`"
        ) from None
    try:
        zeus = module.ZeusMonitor()
    except Exception as error:
        raise Unavailable(f"zeus does not start ({error})", _CURE) from None
    zones = [zone for zone in find_zones(root) if zone.folder.name.count(":") == 1]
    counted = set(not_overlapping(zones)) - mirrored(zones).keys()
    left_out = [index for index, zone in enumerate(zones) if zone not in counted]
    zeus.cpu_indices = [index for index in zeus.cpu_indices if index not in left_out]
    return zeus


def _ask(call: Callable[..., Any], key: str) -> Any:  # noqa: ANN401 - what zeus returns
    """Call zeus, which raises what the library below it raises; the meter has waited for the GPU already."""
    try:
        with (
            warnings.catch_warnings()
        ):  # zeus warns of counters that did not move, which the meter sees itself
            warnings.simplefilter("ignore")
            return call(key, sync_execution=False)
    except Exception as error:
        raise lost("zeus", str(error)) from None
