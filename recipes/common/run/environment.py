"""The conditions of a run: versions, processor, load. Never a host, user or folder name."""

from __future__ import annotations

import contextlib
import importlib.metadata
import itertools
import os
import platform
import re
import subprocess
from pathlib import Path, PurePosixPath

from recipes.common.run.contract import Json

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


def device(root: Path = Path("/")) -> dict[str, Json]:
    """Describe the processor that runs this process, and how much of it the process may use.

    Args:
        root: Root of the file system.
    """
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
