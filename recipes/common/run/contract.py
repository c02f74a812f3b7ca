"""What a recipe module offers and what one run of it returns.

A recipe is a plain module that satisfies the `Recipe` protocol. Nothing is inherited and nothing is
registered: the command line, the tests and the runner use only the names below.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from torch import Tensor, nn

Better = Literal["lower", "higher", "neither"]
Provenance = Literal["measured", "metered", "modelled", "counted"]
Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


class UserError(Exception):
    """Raised for what the user can put right; the message says what is wrong, where, and the cure."""


class CannotRun(UserError):  # noqa: N818 - read as a sentence where it is raised
    """Raised where an arm does not fit what it is tried on, or this machine; a rival is then left out."""


@dataclass(frozen=True)
class Metric:
    """One number with everything needed to read it."""

    value: float
    """The number, in `unit`."""
    unit: str
    """`fraction`, `percentage points`, `ratio`, `times lower`, `count`, `s`, `ms`, `bytes`, `nats`,
    `J`, or `MAC energy`: multiples of one 16-bit MAC."""
    better: Better
    """Which direction is an improvement."""
    provenance: Provenance
    """`measured` by running, `metered` by an energy meter, `modelled` analytically, or `counted` exactly."""
    description: str
    """What the number is, in one sentence; names the analytical model where one is used."""


MetricTable = Mapping[str, tuple[str, Better, Provenance, str]]
"""Unit, direction, provenance and description of each metric by name: `METRICS` of a recipe."""


@dataclass(frozen=True)
class DataUsed:
    """The data a run was made with."""

    name: str
    """Name a reader would look up, such as `Fashion-MNIST` or `digits`."""
    sha256: str
    """Checksum of the arrays or files that were read, lower-case hexadecimal."""
    train_count: int
    """Examples used for training."""
    validation_count: int
    """Examples used for every choice the recipe makes."""
    test_count: int
    """Examples used once, for the reported quality."""


@dataclass(frozen=True)
class Deployable:
    """The net an arm yields, with what is needed to time, quantise and check it."""

    model: nn.Module
    """Net in evaluation mode, on the CPU; takes one batch and returns one tensor."""
    calibration_inputs: Tensor
    """Training inputs, (examples, ...); at least 1. For timing, and the ranges of static quantisation."""
    test_inputs: Tensor
    """Held-out inputs, (examples, ...), on which the outputs of each form of the net are compared."""
    test_labels: Tensor | None = None
    """Their classes, (examples,), for the accuracy of each form; None where the net does not classify."""


@dataclass(frozen=True)
class Outcome:
    """What one run of one arm with one seed returns."""

    metrics: Mapping[str, float]
    """Values by the names in the recipe's `METRICS`."""
    data: DataUsed
    """The data the run was made with."""
    details: Mapping[str, Json] = field(default_factory=dict)
    """Anything a page may show beside the metrics: per-layer tables, curves. Plain JSON values."""
    deployable: Deployable | None = None
    """The net to be timed beside those of the other arms; None where the arm is a whole workload."""


class Window(Protocol):
    """A reading; its numbers are set when the window has been closed."""

    @property
    def duration_s(self) -> float:
        """Wall-clock time, from a monotonic clock."""

    @property
    def cpu_s(self) -> float:
        """Processor time of this process, user and system, all threads."""

    @property
    def energy_j(self) -> float | None:
        """Gross metered energy, or None where no energy meter covers the window."""

    @property
    def energy_above_idle_j(self) -> float | None:
        """Gross energy less idle power times duration; None without a meter or without an idle reading."""

    @property
    def energy_by_domain_j(self) -> Mapping[str, float]:
        """Gross energy by domain of the meter, such as `package-0`; empty without a meter."""


class Meter(Protocol):
    """Measures what happens between two moments."""

    @property
    def name(self) -> str:
        """What it is, such as `process clocks` or `RAPL (package-0, dram-0)`."""

    @property
    def energy(self) -> str:
        """Source of its energy figures, such as `RAPL`; `none` where it has none."""

    @property
    def idle_power_w(self) -> float | None:
        """Power of the metered domains at rest, read before the work; None where it was not read."""

    def window(self, name: str) -> AbstractContextManager[Window]:
        """Open a named window; its numbers can be read after the block."""


class Recipe(Protocol):
    """The names a recipe module has at its top level."""

    TACTIC: str
    """Identifier of the record, in kebab-case; the module's name with hyphens."""
    ARMS: tuple[str, ...]
    """Arms that can be run: `baseline` first, `tactic` second, then rivals."""
    METRICS: MetricTable
    """What the values of an outcome are; the command line joins the two."""
    SMOKE: Any
    """Settings for tests: at most 5 s an arm."""
    DEFAULT: Any
    """Settings for published results: at most 60 s an arm on two processor cores."""
    FULL: Any
    """Settings with larger data, and a GPU where there is one."""

    def run(self, config: Any, *, arm: str, seed: int, meter: Meter) -> Outcome:  # noqa: ANN401 - its Config
        """Run one arm with one seed."""
