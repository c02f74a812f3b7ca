"""What is measured with, and the choice of it. `python -m recipes.common.meters` lists what a machine has.

The clocks of this process need no rights and no hardware. Energy comes from RAPL for processor and memory and
from NVML for NVIDIA GPUs, or from zeus where these do not meter the device that works and zeus is installed.
Where there is no energy meter there is no energy figure: nothing here estimates one.

The environment variable `GREENTACTICS_METER` overrides the choice: `auto`, `none`, `rapl`, `nvml` or `zeus`.
"""

from __future__ import annotations

import os
import resource
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from recipes.common.meters import nvml, rapl, zeus
from recipes.common.meters.source import EnergySource, Unavailable
from recipes.common.run.contract import Meter, UserError, Window

CHOICE = "GREENTACTICS_METER"
CHOICES = ("auto", "none", "rapl", "nvml", "zeus")
SHORTEST_UPDATES = 10
"""A window shorter than this many steps of a counter has no energy figure: it could be wrong by a tenth."""


@dataclass
class ClockWindow:
    """A reading; its numbers are set when the window has been closed."""

    name: str
    """What was measured."""
    duration_s: float = float("nan")
    """Wall-clock time, from a monotonic clock."""
    cpu_s: float = float("nan")
    """Processor time of this process, user and system, all threads."""
    energy_j: float | None = None
    """Gross energy of all domains; None where no energy meter covers the window."""
    energy_above_idle_j: float | None = None
    """The same less idle power times duration; None without a meter or an idle reading."""
    energy_by_domain_j: Mapping[str, float] = field(default_factory=dict)
    """Gross energy by domain; empty without a meter."""


class ProcessMeter:
    """Measures wall and processor time of this process, and no energy."""

    name = "process clocks"
    energy = "none"
    idle_power_w: float | None = None

    @contextmanager
    def window(self, name: str) -> Iterator[ClockWindow]:
        """Open a window; its numbers can be read after the block."""
        reading = ClockWindow(name)
        wait_for_gpu()
        started_s, started_cpu_s = time.perf_counter(), time.process_time()
        try:
            yield reading
            wait_for_gpu()
        finally:
            reading.duration_s = time.perf_counter() - started_s
            reading.cpu_s = time.process_time() - started_cpu_s


@dataclass(frozen=True)
class EnergyMeter:
    """Measures the energy of the machine's parts beside wall and processor time; windows may be nested.

    A window has no energy figure when it is too short for the counters, when one of them did not move, or
    when the block raised. A counter that is lost inside a window raises `UserError` at its end.
    """

    sources: tuple[EnergySource, ...]
    """Sources, at least one, whose domains do not overlap."""
    idle_power_w: float | None = None
    """Power of all domains at rest, read before the work."""

    @property
    def name(self) -> str:
        """The sources and their domains, such as `RAPL (package-0, dram-0)`."""
        return " + ".join(f"{source.name} ({', '.join(source.domains)})" for source in self.sources)

    @property
    def energy(self) -> str:
        """The sources, such as `RAPL + NVML`."""
        return " + ".join(source.name for source in self.sources)

    @contextmanager
    def window(self, name: str) -> Iterator[ClockWindow]:
        """Open a window; its numbers can be read after the block.

        Raises:
            UserError: A counter could no longer be read, or may have started again unseen.
        """
        wait_for_gpu()
        with _measuring(self.sources) as energy_j, ProcessMeter().window(name) as reading:
            yield reading
        shortest_s = SHORTEST_UPDATES * max(source.update_s for source in self.sources)
        if reading.duration_s < shortest_s or min(energy_j.values()) <= 0:
            return
        reading.energy_by_domain_j = energy_j
        reading.energy_j = sum(energy_j.values())
        if self.idle_power_w is not None:
            reading.energy_above_idle_j = reading.energy_j - self.idle_power_w * reading.duration_s


def choose_meter(
    root: Path = Path("/"), environment: Mapping[str, str] = os.environ, *, device_kind: str = "cpu"
) -> Meter:
    """Return the best meter of this machine, or the one the user asked for.

    Where there is an energy meter, its idle power is read first, over 2 s (RAPL) or 5 s (NVML, zeus) in which
    this process sleeps; counters that stand still in them are left out. Without one no time is lost.

    Args:
        root: Root of the file system.
        environment: Environment variables.
        device_kind: What does the work, as results name it: `cpu`, `cuda`, `mps` or `xpu`. A GPU that does
            not work is not metered; where the device that works cannot be metered, nothing is.

    Raises:
        UserError: The meter the user asked for is not available, or there is none of that name.
    """
    sources = find_sources(root, environment, device_kind)
    meter = _after_rest(sources) if sources else None
    if _asked(environment) == "auto":
        return meter if meter is not None and _covers(meter.sources, device_kind) else ProcessMeter()
    if sources and meter is None:
        raise _not_there(environment, Unavailable("its counters stand still", "measure on another machine"))
    return meter or ProcessMeter()


def repeat_for(
    work: Callable[[], object],
    *,
    at_least_s: float = 5.0,
    meter: Meter,
    synchronize: Callable[[], object] | None = None,
) -> tuple[Window, int]:
    """Repeat a piece of work until the window is long enough for the meter.

    Args:
        work: Done at least once.
        at_least_s: Shortest window; energy counters step up to 100 ms apart, so less than 5 s is noise.
        meter: Meter of this machine.
        synchronize: Called after each repeat, so that its work is done and not only begun; when None,
            `wait_for_gpu`.

    Returns:
        The closed window, and how often the work was done in it.
    """
    repeats, wait = 0, synchronize or wait_for_gpu
    with meter.window("repeats") as window:
        started_s = time.perf_counter()
        while repeats == 0 or time.perf_counter() - started_s < at_least_s:
            work()
            wait()
            repeats += 1
    return window, repeats


def wait_for_gpu() -> None:
    """Wait until the GPU has done what it was given, where this process has begun to use one."""
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def peak_memory_bytes() -> int:
    """Return the largest resident size this process has had."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024  # Linux counts KiB


def find_source(name: str, root: Path, environment: Mapping[str, str]) -> EnergySource:
    """Return the source `rapl`, `nvml` or `zeus`.

    Raises:
        Unavailable: It cannot be used on this machine.
    """
    if name == "rapl":
        return rapl.find_source(root)
    return nvml.find_source(environment) if name == "nvml" else zeus.find_source(root)


def find_sources(root: Path, environment: Mapping[str, str], device_kind: str) -> tuple[EnergySource, ...]:
    """Return the sources to be read; none where there is none, or the user wants none.

    Raises:
        UserError: The meter the user asked for is not available, or there is none of that name.
    """
    asked = _asked(environment)
    if asked not in CHOICES:
        raise UserError(f"{CHOICE}: expected one of {', '.join(CHOICES)}, got {asked!r}")
    if asked in ("rapl", "nvml", "zeus"):
        try:
            return (find_source(asked, root, environment),)
        except Unavailable as error:
            raise _not_there(environment, error) from None
    gpu = ("nvml",) if device_kind == "cuda" else ()
    for names in (("rapl", *gpu), ("zeus",)) if asked == "auto" else ():
        found: list[EnergySource] = []
        for name in names:
            with suppress(Unavailable):
                found.append(find_source(name, root, environment))
        if device_kind == "cpu":  # what a GPU takes beside it is no cost of the work
            found = list(_keeping(found, lambda domain: not domain.startswith("gpu")))
        if _covers(found, device_kind):
            return tuple(found)
    return ()


def _asked(environment: Mapping[str, str]) -> str:
    return environment.get(CHOICE) or "auto"


def _not_there(environment: Mapping[str, str], error: Unavailable) -> UserError:
    return UserError(
        f"{CHOICE}={_asked(environment)}: expected an energy meter of this machine, got none: {error}; "
        "`greentactics meters` lists what there is"
    )


def _covers(sources: Sequence[EnergySource], device_kind: str) -> bool:
    """Return whether what does the work is among the domains."""
    working = ("package", "psys", "soc") if device_kind == "cpu" else ("gpu", "soc")
    return any(domain.startswith(working) for source in sources for domain in source.domains)


def _keeping(sources: Sequence[EnergySource], wanted: Callable[[str], bool]) -> tuple[EnergySource, ...]:
    """Return the sources with those of their domains that are wanted, without those that have none."""
    changed = (replace(source, domains=tuple(filter(wanted, source.domains))) for source in sources)
    return tuple(source for source in changed if source.domains)


@contextmanager
def _measuring(sources: Sequence[EnergySource]) -> Iterator[dict[str, float]]:
    """Measure a block; after it, the mapping holds the energy in J of every domain of all sources."""
    energy_j: dict[str, float] = {}
    with ExitStack() as stack:
        counted = [stack.enter_context(source.measure()) for source in sources]
        yield energy_j
    for counted_j in counted:
        energy_j.update(counted_j)


def _after_rest(sources: Sequence[EnergySource]) -> EnergyMeter | None:
    """Return a meter of the domains whose counters move, with their power at rest; None where none moves."""
    started_s = time.perf_counter()
    with _measuring(sources) as energy_j:
        time.sleep(max(source.quiet_s for source in sources))
        rested_s = time.perf_counter() - started_s
    moving = _keeping(sources, lambda domain: energy_j[domain] > 0)
    return EnergyMeter(moving, sum(energy_j.values()) / rested_s) if moving else None
