"""Counts of a campaign: inputs, outcomes, the slowest one, memory and defects."""

from __future__ import annotations

import hashlib
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.campaign.observing import ACCEPTED, Kind, Observation, observe
from tests.campaign.sandbox import Sandbox


@dataclass
class Ledger:
    """What came of the inputs of one kind."""

    kind: Kind
    """The kind."""
    outcomes: Counter[str] = field(default_factory=Counter)
    """Inputs by outcome: accepted, or the first of their rules in alphabetical order."""
    reached: Counter[str] = field(default_factory=Counter)
    """Draws by each of the rules they reached."""
    distinct: set[bytes] = field(default_factory=set)
    """Checksums of the draws."""
    defects: dict[str, Any] = field(default_factory=dict)
    """The first draw for each defect."""
    cpu_s: float = 0.0
    """Processor time of all."""
    slowest_s: float = 0.0
    """Processor time of the slowest draw."""
    slowest: Any = None
    """That draw."""
    peak_memory_bytes: int = 0
    """Largest resident memory of the process while they were fed, interpreter and modules included."""

    @property
    def inputs(self) -> int:
        """Number of inputs."""
        return sum(self.outcomes.values())

    @property
    def accepted(self) -> int:
        """Number of inputs that were accepted."""
        return self.outcomes[ACCEPTED]

    def add(self, drawn: Any, seen: Observation) -> None:
        """Count one draw."""
        self.outcomes.update(seen.outcomes)
        self.reached.update(seen.rules - {ACCEPTED})
        self.distinct.add(hashlib.sha256(repr(drawn).encode("utf-8", "surrogatepass")).digest())
        self.cpu_s += seen.cpu_s
        if seen.cpu_s > self.slowest_s:
            self.slowest_s, self.slowest = seen.cpu_s, drawn
        if seen.defect:
            self.defects.setdefault(seen.defect, drawn)


def feed(kind: Kind, sandbox: Sandbox, draws: int, first_seed: int) -> Ledger:
    """Feed a number of draws of one kind; a defect is noted and does not stop the others."""
    ledger = Ledger(kind)

    @seed(first_seed)
    @settings(
        max_examples=draws,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(kind.inputs)
    def draw(drawn: Any) -> None:
        ledger.add(drawn, observe(kind, sandbox, drawn))

    reset_peak_memory()
    draw()
    ledger.peak_memory_bytes = peak_memory_bytes()
    return ledger


def reset_peak_memory() -> None:
    """Let the kernel forget the largest memory so far, where it can (Linux)."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory_bytes() -> int:
    """Return the largest resident memory since the last reset; 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
