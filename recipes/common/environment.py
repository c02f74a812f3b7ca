"""The conditions of a run: versions, processor, load. Never a host, user or folder name."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
from pathlib import Path

from recipes.common.contract import Json

PACKAGES = ("torch", "numpy", "scikit-learn")
OPTIONAL_PACKAGES = ("onnx", "onnxruntime", "onnxscript", "nvidia-ml-py", "zeus")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that the numbers depend on, where installed."""
    found = {"python": platform.python_version()}
    found |= {name: importlib.metadata.version(name) for name in PACKAGES}
    for name in OPTIONAL_PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def device() -> dict[str, Json]:
    """Describe the processor that runs this process."""
    return {
        "kind": "cpu",
        "name": _processor_name(),
        "cores": _usable_cores(),
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
    """Count the cores this process may use, which a container may have cut."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor_name() -> str:
    """Return the processor's model name, or the machine type where the system does not tell."""
    try:
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()
