"""Timing passes: the nets of all arms, timed in turns in one process, with every reading kept."""

from __future__ import annotations

import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from greentactics.models.bibliography import StrictModel
from greentactics.text.problems import Rule

Engine = Literal["pytorch", "onnxruntime", "onnxruntime_int8"]
CONTROL = "baseline_again"
"""The baseline a second time in each round: its distance from the baseline is what cannot be told apart."""


class Timing(StrictModel):
    """The nets of one seed, timed in turns in one fresh process, in one engine."""

    engine: Engine
    """What executed the nets."""
    seed: Annotated[int, Field(ge=0)]
    """Seed of the nets."""
    batch_size: Annotated[int, Field(ge=1)]
    """Examples in one call."""
    threads: Annotated[int, Field(ge=1)]
    """Threads of the engine."""
    started: datetime.datetime
    """When the rounds began, in UTC."""
    order_seed: Annotated[int, Field(ge=0)]
    """Seed of the order of the readings within each round."""
    warm_up_calls: Annotated[int, Field(ge=0)]
    """Untimed calls of each net before the first round."""
    precise: bool
    """Whether the rounds ended because the intervals were narrow enough; False at the time cap."""
    load_before: float | None
    """Load average over one minute before."""
    load_after: float | None
    """Load average over one minute after."""
    calls: dict[str, Annotated[int, Field(ge=1)]]
    """Calls between two looks at the clock in a reading, by arm."""
    wall_ms: dict[str, tuple[Annotated[float, Field(gt=0)], ...]]
    """Wall-clock time of one call, by arm and round; `baseline_again` is the control."""
    cpu_ms: dict[str, tuple[Annotated[float, Field(ge=0)], ...]]
    """Processor time of one call, by arm and round."""
    energy_j: dict[str, tuple[Annotated[float, Field(gt=0)], ...]] | None = None
    """Gross metered energy of one call, by arm and round of the energy readings; None without a meter."""
    energy_above_idle_j: dict[str, tuple[float, ...]] | None = None
    """The same less idle power times duration; None without a meter or an idle reading."""
    output_difference: dict[str, float]
    """Largest relative difference of the outputs from those of eager PyTorch, by arm."""
    accuracy_fraction: dict[str, float] | None = None
    """Share of the test inputs classified correctly in this engine, by arm; None without classes."""
    test_count: Annotated[int, Field(ge=0)]
    """Test inputs behind `output_difference` and `accuracy_fraction`."""
    stored_bytes: dict[str, Annotated[int, Field(ge=1)]]
    """Size of the file that would be shipped, by arm."""
    flops: dict[str, Annotated[int, Field(ge=0)]] | None = None
    """Floating-point operations of one call, by arm; only of eager PyTorch."""
    allocated_bytes: dict[str, Annotated[int, Field(ge=0)]] | None = None
    """Tensor storage that one call allocates, freed or not, by arm; only in eager PyTorch."""

    @model_validator(mode="after")
    def _same_arms_and_rounds(self) -> Timing:
        shapes = {arm: len(values) for arm, values in self.wall_ms.items()}
        expected = "the same arms and rounds in wall_ms and cpu_ms, baseline and baseline_again among them"
        right = shapes == {arm: len(values) for arm, values in self.cpu_ms.items()}
        if not right or len(set(shapes.values())) != 1 or not {CONTROL, "baseline"} <= set(shapes):
            found = {"found": ", ".join(f"{arm}: {count}" for arm, count in shapes.items()) or "none"}
            raise PydanticCustomError(Rule.TIMING_ROUNDS, expected, found)
        return self
