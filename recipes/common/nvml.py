"""Energy of NVIDIA GPUs from NVML, through the package `nvidia-ml-py`.

`nvmlDeviceGetTotalEnergyConsumption` counts the millijoules a GPU has taken since its driver was loaded. GPUs
have it from Volta on. It steps about ten times a second, so that windows of several seconds are needed. It
covers the whole board: what other programs do on the GPU is in it.

The GPUs are those CUDA may use, which `CUDA_VISIBLE_DEVICES` can limit; `gpu-0` is the first of them.

Source: NVML API reference, device queries; CUDA C++ programming guide, CUDA environment variables.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from recipes.common.energy_source import EnergySource, Unavailable
from recipes.common.errors import UserError

UPDATE_S = 0.1
QUIET_S = 5.0
VISIBLE = "CUDA_VISIBLE_DEVICES"


def find_source(environment: Mapping[str, str], library: Any = None) -> EnergySource:  # noqa: ANN401 - pynvml
    """Return the energy counters of the GPUs that CUDA may use.

    Args:
        environment: Environment variables.
        library: What stands for the module `pynvml`; that module when None.

    Raises:
        Unavailable: There is none, or a GPU has no counter.
    """
    nvml = _library() if library is None else library
    try:
        nvml.nvmlInit()
        every = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]
        handles = [every[index] for index in _visible(nvml, every, environment)]
    except nvml.NVMLError as error:
        raise Unavailable(
            f"NVML does not answer ({error})",
            "on a machine with an NVIDIA GPU, install its driver, or start the container with the GPU in it",
        ) from None
    if not handles:
        hidden = environment.get(VISIBLE)
        reason = "there is no GPU" if hidden is None or not every else f"{VISIBLE}={hidden!r} hides all GPUs"
        raise Unavailable(reason, "measure on a machine with an NVIDIA GPU, in an environment that shows it")
    for handle in handles:
        try:
            nvml.nvmlDeviceGetTotalEnergyConsumption(handle)
        except nvml.NVMLError as error:
            raise Unavailable(
                f"{nvml.nvmlDeviceGetName(handle)} does not tell its energy ({error}); GPUs do from Volta on",
                "zeus adds up the power of older GPUs (GREENTACTICS_METER=zeus)",
            ) from None

    @contextmanager
    def measure() -> Iterator[Mapping[str, float]]:
        energy_j: dict[str, float] = {}
        before_mj = _read_mj(nvml, handles)
        yield energy_j
        after_mj = _read_mj(nvml, handles)
        if any(after < before for before, after in zip(before_mj, after_mj, strict=True)):
            raise UserError(_lost("a counter went backwards, as when the driver is loaded again"))
        for index, (before, after) in enumerate(zip(before_mj, after_mj, strict=True)):
            energy_j[f"gpu-{index}"] = (after - before) / 1000

    domains = tuple(f"gpu-{index}" for index in range(len(handles)))
    return EnergySource("NVML", domains, (), UPDATE_S, QUIET_S, measure)


def _library() -> Any:  # noqa: ANN401 - a module without types
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        raise Unavailable(
            "the package nvidia-ml-py is not installed", "install it with `pip install nvidia-ml-py`"
        ) from None


def _visible(nvml: Any, every: Sequence[Any], environment: Mapping[str, str]) -> list[int]:  # noqa: ANN401
    """Return the numbers of the GPUs CUDA may use; as with CUDA, an entry that names none ends the list."""
    if VISIBLE not in environment:
        return list(range(len(every)))
    found: list[int] = []
    for entry in environment[VISIBLE].split(","):
        number = _number(nvml, every, entry.strip())
        if number is None or number in found:
            break
        found.append(number)
    by_number = not environment[VISIBLE].lstrip().startswith("GPU-")
    in_bus_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    models = {nvml.nvmlDeviceGetName(handle) for handle in every}
    if by_number and 0 < len(found) < len(every) and len(models) > 1 and not in_bus_order:
        raise Unavailable(
            f"{VISIBLE}={environment[VISIBLE]} picks from several models of GPU, which CUDA numbers by speed "
            "and NVML by place, so it is not certain which are meant",
            f"set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs in {VISIBLE} by their UUID",
        )
    return found


def _number(nvml: Any, every: Sequence[Any], entry: str) -> int | None:  # noqa: ANN401
    """Return the number of the GPU that an entry of `CUDA_VISIBLE_DEVICES` names."""
    if entry.startswith("MIG-"):
        raise Unavailable(
            f"{VISIBLE} names a part of a GPU (MIG), and the counter covers the whole of it",
            "measure on a whole GPU",
        )
    if entry.isdecimal():
        return int(entry) if int(entry) < len(every) else None
    if not entry.startswith("GPU-"):
        return None
    named = [index for index, handle in enumerate(every) if nvml.nvmlDeviceGetUUID(handle).startswith(entry)]
    return named[0] if len(named) == 1 else None


def _read_mj(nvml: Any, handles: Sequence[Any]) -> list[int]:  # noqa: ANN401
    try:
        return [nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles]
    except nvml.NVMLError as error:
        raise UserError(_lost(f"a counter could no longer be read ({error})")) from None


def _lost(what: str) -> str:
    return (
        f"NVML: {what}, so the energy of this window is not known; run it again, or without energy figures "
        "with GREENTACTICS_METER=none"
    )
