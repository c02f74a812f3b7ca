"""The conditions of a run: versions, device, load. Never a host, user or folder name.

`python -m recipes.common.run.environment --device auto` prints the device that would train nets, as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import itertools
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from recipes.common.run.contract import Json, UserError

DEVICES = ("auto", "cpu", "cuda")
"""Where nets can be trained; `auto` is the accelerator where torch sees one."""

PACKAGES = ("torch", "numpy", "scikit-learn")
OPTIONAL_PACKAGES = ("onnx", "onnxruntime", "onnxscript", "nvidia-ml-py", "zeus")
_CONTROL_GROUPS = tuple(Path("sys/fs/cgroup", name) for name in ("", "unified", "cpu", "cpu,cpuacct"))


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on, where installed."""
    found = {"python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
    for name in OPTIONAL_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def where_to_train(wanted: str, cuda: Any = None) -> str:  # noqa: ANN401 - torch.cuda
    """Return `cpu` or `cuda` for one of `DEVICES`.

    Args:
        wanted: What the user asks for.
        cuda: What stands for the module `torch.cuda`; that module when None.

    Raises:
        UserError: It is not there.
    """
    if wanted == "cpu":
        return wanted
    if (_cuda() if cuda is None else cuda).is_available():
        return "cuda"
    if wanted == "cuda":
        raise UserError("--device cuda: expected an accelerator that torch can use, found none; take cpu")
    return "cpu"


def device(root: Path = Path("/"), *, kind: str = "cpu", cuda: Any = None) -> dict[str, Json]:  # noqa: ANN401
    """Describe what does the work, and how much of the processor this process may use.

    Args:
        root: Root of the file system.
        kind: `cpu` for the processor that runs this process, `cuda` for the accelerator that torch takes.
        cuda: What stands for the module `torch.cuda`; that module when None.
    """
    if kind == "cuda":
        return _processor(root) | _accelerator(_cuda() if cuda is None else cuda)
    return _processor(root)


def _accelerator(cuda: Any) -> dict[str, Json]:  # noqa: ANN401
    """Describe the accelerator that torch takes. Models are sold with more memory or less, or in parts."""
    found = cuda.get_device_properties(cuda.current_device())
    memory_gib = found.total_memory // 2**30
    return {
        "kind": "cuda",
        "name": found.name,
        "model": f"{memory_gib} GiB, compute capability {found.major}.{found.minor}",
        "memory_bytes": found.total_memory,
    }


def _cuda() -> Any:  # noqa: ANN401
    import torch  # takes seconds, which nobody needs to wait for who asks for the processor

    return torch.cuda


def _processor(root: Path) -> dict[str, Json]:
    information, cores, quota_cores = _text(root / "proc/cpuinfo"), _usable_cores(), _quota_cores(root)
    return {
        "kind": "cpu",
        "name": _processor_name(information),
        "model": _processor_model(information, root),
        "cores": cores,
        "quota_cores": quota_cores if quota_cores is not None and quota_cores < cores else None,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.system(),
        "machine": platform.machine(),
    }


def load_average() -> float | None:
    """Return the load of the last minute (runnable processes), or None where the system keeps none."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def _usable_cores() -> int:
    """Count the cores this process may run on, which a container may have cut (`--cpuset-cpus`)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota_cores(root: Path) -> float | None:
    """Return the processor time a second that control groups allow, in cores; None without a limit.

    A group is bound by those around it too, so the least limit counts. What a container sees as the root of
    its groups may be its own group, whatever path it is told.

    Source: Linux, Documentation/admin-guide/cgroup-v2.rst and scheduler/sched-bwc.rst (version 1).
    """
    quotas = []
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if controllers and "cpu" not in controllers.split(","):
            continue
        group = PurePosixPath(path.lstrip("/"))
        for mount, folder in itertools.product(_CONTROL_GROUPS, (group, *group.parents)):
            quota = _quota_of(root / mount / folder)
            if quota is not None:
                quotas.append(quota)
    return min(quotas, default=None)


def _quota_of(group: Path) -> float | None:
    """Return the limit that one control group sets, in cores."""
    quota_us, _, period_us = _text(group / "cpu.max").partition(" ")  # version 2
    if not quota_us:
        quota_us, period_us = (_text(group / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    try:
        cores = round(int(quota_us) / int(period_us), 3)
    except (ValueError, ZeroDivisionError):  # "max", or no such group
        return None
    return cores if cores > 0 else None  # version 1 says -1 for none


def _processor_name(information: str) -> str:
    """Return the processor's model name, or what else tells it from others.

    An ARM processor tells the maker and the numbers of its cores. Other words of `/proc/cpuinfo` are serial
    numbers or name the board.
    """
    if platform.system() == "Darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            told = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
            if told.strip():
                return told.strip()
    named = re.search(r"^(?:model name|cpu model|uarch|cpu)\s*:\s*(.+)$", information, re.M | re.I)
    name = named.group(1).strip() if named else ""
    cores = re.findall(r"^CPU implementer\s*:\s*(\w+)$.*?^CPU part\s*:\s*(\w+)$", information, re.M | re.S)
    if cores:
        name = "" if name.startswith("ARMv") else name  # the instruction set, not the processor
        parts = "; ".join(f"implementer {maker}, part {part}" for maker, part in sorted(set(cores)))
        return f"{name or platform.machine()} ({parts})"
    return name or platform.processor() or platform.machine()


def _processor_model(information: str, root: Path) -> str | None:
    """Return what tells apart processors of one name: numbers of x86, or the chip that a device tree names.

    It is kept out of the name, as containers may hide a device tree.
    """
    numbers = re.search(r"^cpu family\s*:\s*(\d+)$.*?^model\s*:\s*(\d+)$", information, re.M | re.S)
    if numbers:
        return f"family {numbers.group(1)}, model {numbers.group(2)}"
    boards_then_chip = _text(root / "proc/device-tree/compatible").strip("\0\n").split("\0")
    return boards_then_chip[-1] or None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the device that would train nets; return 1 where it is not there."""
    parser = argparse.ArgumentParser(prog="python -m recipes.common.run.environment")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    try:
        kind = where_to_train(parser.parse_args(arguments).device)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    print(json.dumps(device(kind=kind)))  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
