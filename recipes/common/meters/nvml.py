"""Energy of NVIDIA GPUs from NVML, through the package `nvidia-ml-py`.

`nvmlDeviceGetTotalEnergyConsumption` counts the millijoules a GPU has taken since its driver was loaded. GPUs
have it from Volta on. It steps about ten times a second, so that windows of several seconds are needed. It
covers the whole board: what other programs do on the GPU is in it.

The GPUs are those CUDA may use, which `CUDA_VISIBLE_DEVICES` can limit; `gpu-0` is the first of them.

Source: NVML API reference, device queries; CUDA C++ programming guide, CUDA environment variables.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from recipes.common.meters.source import EnergySource, Unavailable, lost

UPDATE_S = 0.1
QUIET_S = 5.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
_PART = "a part of a GPU (MIG), and the counter covers the whole of it"


@dataclass(frozen=True)
class _Gpu:
    """One GPU as NVML numbers it."""

    number: int
    handle: Any
    name: str
    """Model, or a name with the number where it is not told."""
    uuid: str
    """Identifier; empty where it is not told."""
    fault: str = ""
    """Why it does not answer; empty where it does."""


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
        gpus = [_gpu(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
    except nvml.NVMLError as error:
        raise Unavailable(
            f"NVML does not answer ({error})",
            "on a machine with an NVIDIA GPU, install its driver, or start the container with the GPU in it",
        ) from None
    visible = _visible(gpus, environment)
    if not visible:
        hidden = environment.get(VISIBLE)
        reason = "there is no GPU" if hidden is None or not gpus else f"{VISIBLE}={hidden!r} hides all GPUs"
        raise Unavailable(reason, "measure on a machine with an NVIDIA GPU, in an environment that shows it")
    for gpu in visible:
        _require_counter(nvml, gpu)

    @contextmanager
    def count() -> Iterator[Mapping[str, float]]:
        energy_j: dict[str, float] = {}
        before_mj = _read_mj(nvml, visible)
        yield energy_j
        after_mj = _read_mj(nvml, visible)
        for index, (before, after) in enumerate(zip(before_mj, after_mj, strict=True)):
            energy_j[f"gpu-{index}"] = (after - before) / 1000

    domains = tuple(f"gpu-{index}" for index in range(len(visible)))
    return EnergySource("NVML", domains, (), UPDATE_S, QUIET_S, count)


def _library() -> Any:  # noqa: ANN401 - a module without types
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        raise Unavailable(
            "the package nvidia-ml-py is not installed", "install it with `pip install nvidia-ml-py`"
        ) from None


def _gpu(nvml: Any, number: int) -> _Gpu:  # noqa: ANN401
    """Return a GPU, also one that does not answer."""
    try:
        handle = nvml.nvmlDeviceGetHandleByIndex(number)
    except nvml.NVMLError as error:
        return _Gpu(number, None, f"GPU {number}", "", str(error))

    def told(ask: Callable[[Any], str]) -> str:
        try:
            return ask(handle)
        except (nvml.NVMLError, UnicodeDecodeError):  # drivers have told names that are no text
            return ""

    name = told(nvml.nvmlDeviceGetName) or f"GPU {number}"
    return _Gpu(number, handle, name, told(nvml.nvmlDeviceGetUUID))


def _visible(gpus: Sequence[_Gpu], environment: Mapping[str, str]) -> list[_Gpu]:
    """Return the GPUs CUDA may use; as with CUDA, an entry that names none ends the list."""
    entries = environment.get(VISIBLE, ",".join(str(gpu.number) for gpu in gpus)).split(",")
    found: list[_Gpu] = []
    for entry in entries:
        gpu = _named(gpus, entry.strip())
        if gpu is None or gpu in found:
            break
        found.append(gpu)
    by_number = bool(found) and not entries[0].lstrip().startswith("GPU-")
    # What number a GPU has for CUDA also hangs on whether those before it answer.
    needed = gpus[: max(gpu.number for gpu in found) + 1] if by_number else found
    for gpu in needed:
        if gpu.fault:
            raise Unavailable(
                f"{gpu.name} does not answer ({gpu.fault})",
                f"start the machine again, or name the GPUs that do answer in {VISIBLE} by their UUID",
            )
    in_bus_order = environment.get("CUDA_DEVICE_ORDER") == "PCI_BUS_ID"
    answering = [gpu for gpu in gpus if not gpu.fault]
    models = {gpu.name for gpu in answering}
    if by_number and len(found) < len(answering) and len(models) > 1 and not in_bus_order:
        raise Unavailable(
            f"{VISIBLE}={environment[VISIBLE]} picks from several models of GPU, which CUDA numbers by speed "
            "and NVML by place, so it is not certain which are meant",
            f"set CUDA_DEVICE_ORDER=PCI_BUS_ID, or name the GPUs in {VISIBLE} by their UUID",
        )
    return found


def _named(gpus: Sequence[_Gpu], entry: str) -> _Gpu | None:
    """Return the GPU that an entry of `CUDA_VISIBLE_DEVICES` names."""
    if entry.startswith("MIG-"):
        raise Unavailable(f"{VISIBLE} names {_PART}", "measure on a whole GPU")
    if entry.isdecimal():
        return gpus[int(entry)] if int(entry) < len(gpus) else None
    if not entry.startswith("GPU-"):
        return None
    named = [gpu for gpu in gpus if gpu.uuid.startswith(entry)]
    return named[0] if len(named) == 1 else None


def _require_counter(nvml: Any, gpu: _Gpu) -> None:  # noqa: ANN401
    """Refuse a GPU that has no counter, or one that others may be working on part of."""
    try:
        nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle)
    except nvml.NVMLError as error:
        raise Unavailable(
            f"{gpu.name} does not tell its energy ({error}); GPUs do from Volta on",
            "zeus adds up the power of older GPUs (GREENTACTICS_METER=zeus)",
        ) from None
    try:
        is_divided = nvml.nvmlDeviceGetMigMode(gpu.handle)[0] == 1
    except (nvml.NVMLError, AttributeError):  # not a GPU that can be divided
        is_divided = False
    if is_divided:
        raise Unavailable(f"CUDA uses {_PART}", "measure on a GPU that is not divided (`nvidia-smi -mig 0`)")


def _read_mj(nvml: Any, gpus: Sequence[_Gpu]) -> list[int]:  # noqa: ANN401
    try:
        return [nvml.nvmlDeviceGetTotalEnergyConsumption(gpu.handle) for gpu in gpus]
    except nvml.NVMLError as error:
        raise lost("NVML", f"a counter could no longer be read ({error})") from None
