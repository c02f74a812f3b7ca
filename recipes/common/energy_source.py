"""What counts energy on a machine, whoever made it: the form in which RAPL, NVML and zeus reach the meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass


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
    """Parts that have a counter which is not read, as they overlap with a part in `domains`."""
    update_s: float
    """Time between two steps of the slowest counter."""
    quiet_s: float
    """Time over which idle power is to be read."""
    measure: Callable[[], AbstractContextManager[Mapping[str, float]]]
    """Measures a block. The mapping is empty inside it; after it, it holds the energy of each domain in J,
    0 where a counter did not move. Leaving the block raises `UserError` when a counter is lost."""
