"""What counts energy on a machine, whoever made it: the form in which RAPL, NVML and zeus reach the meter."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from recipes.common.run.contract import UserError

PEAK_POWER_W = 1000.0
"""More than any one processor, memory or chip takes."""
PEAK_GPU_POWER_W = 5000.0
"""More than any one GPU takes."""
LAG_S = 0.2
"""Time by which a counter may be behind: it steps when it likes."""


class Unavailable(Exception):  # noqa: N818 - reads as the answer it is, not as a fault
    """A source of energy figures cannot be used on this machine.

    Args:
        reason: Why, in a sentence without a full stop.
        cure: What would help, likewise.
    """

    def __init__(self, reason: str, cure: str) -> None:
        super().__init__(f"{reason}; {cure}")
        self.reason = reason
        self.cure = cure


@dataclass(frozen=True)
class EnergySource:
    """Counters of the energy that some parts of the machine take."""

    name: str
    """What they are called, such as `RAPL`."""
    domains: tuple[str, ...]
    """The parts they cover, such as `package-0`; no two of them overlap, so their energies can be added."""
    left_out: tuple[str, ...]
    """Parts whose counter is not added: they overlap with `domains`, or the reason stands in brackets."""
    update_s: float
    """Time between two steps of the slowest counter."""
    quiet_s: float
    """Time over which idle power is to be read."""
    count: Callable[[], AbstractContextManager[Mapping[str, float]]]
    """Counts during a block. The mapping is empty inside it; after it, it holds the energy in J that each
    counter tells. Leaving the block raises `UserError` when a counter is lost."""

    @contextmanager
    def measure(self) -> Iterator[Mapping[str, float]]:
        """Measure a block, and believe no energy that cannot be.

        Yields:
            A mapping that is empty inside the block; after it, it holds the energy of each domain in J, 0
            where a counter did not move.

        Raises:
            UserError: A counter was lost, went backwards or rose more than the part can take, or the machine
                was suspended, in which counters stand still, go on or start again.
        """
        energy_j: dict[str, float] = {}
        began_awake_s, began_s = time.monotonic(), _time_with_sleep_s()
        with self.count() as counted_j:
            yield energy_j
        passed_s = _time_with_sleep_s() - began_s
        awake_s = time.monotonic() - began_awake_s
        if passed_s > awake_s + LAG_S:
            raise lost(self.name, f"the machine was suspended for {passed_s - awake_s:.1f} s")
        found_j = {domain: counted_j.get(domain, 0.0) for domain in self.domains}
        for domain, domain_j in found_j.items():
            if not 0 <= domain_j <= most_j(domain, awake_s):
                raise lost(self.name, impossible(domain, domain_j, awake_s))
        energy_j.update(found_j)


def most_j(domain: str, duration_s: float) -> float:
    """Return more energy in J than the part can take in this time."""
    power_w = PEAK_GPU_POWER_W if domain.startswith("gpu") else PEAK_POWER_W
    return power_w * (duration_s + LAG_S)


def impossible(domain: str, energy_j: float, duration_s: float) -> str:
    """Say that a counter told what cannot be."""
    return (
        f"{domain} counted {energy_j:,.6g} J in {duration_s:.1f} s, which cannot be: its counter started "
        "again or jumped, as after suspend or when a driver is loaded"
    )


def lost(source: str, what: str) -> UserError:
    """Return the error for a window whose energy is not known.

    Args:
        source: Name of the source.
        what: What happened, in a sentence without a full stop.
    """
    return UserError(
        f"{source}: {what}, so the energy of this window is not known; run it again, or without energy "
        "figures with GREENTACTICS_METER=none"
    )


def _time_with_sleep_s() -> float:
    """Return a clock that runs on in suspend, in which `time.monotonic` stands still on Linux and macOS."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
