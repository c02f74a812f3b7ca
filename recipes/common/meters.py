"""Meters that need no rights and no hardware: the clocks of this process."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class ClockWindow:
    """A reading of the process clocks; the numbers are set when the window has been closed."""

    name: str
    """What was measured."""
    duration_s: float = float("nan")
    """Wall-clock time, from a monotonic clock."""
    cpu_s: float = float("nan")
    """Processor time of this process, user and system, all threads."""
    energy_j: float | None = None
    """None: process clocks do not meter energy."""
    energy_above_idle_j: float | None = None
    """None, likewise."""
    energy_by_domain_j: Mapping[str, float] = field(default_factory=dict)
    """Empty, likewise."""


class ProcessMeter:
    """Measures wall and processor time of this process, and no energy."""

    name = "process clocks"
    energy = "none"
    idle_power_w: float | None = None

    @contextmanager
    def window(self, name: str) -> Iterator[ClockWindow]:
        """Open a window; its numbers can be read after the block."""
        reading = ClockWindow(name)
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        try:
            yield reading
        finally:
            reading.duration_s = time.perf_counter() - started_s
            reading.cpu_s = time.process_time() - started_cpu_s


def peak_memory_bytes() -> int:
    """Return the largest resident size this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts KiB
