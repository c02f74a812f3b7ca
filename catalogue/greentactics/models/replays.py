"""A replay: pairs of runs that others metered and published, alike in all but the tactic.

Written by `greentactics replay`. As with results, summaries are computed when pages are made.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from greentactics.models.bibliography import StrictModel, Text
from greentactics.models.record import TacticId
from greentactics.models.results import DeviceSlug, Sha256
from greentactics.text.problems import Rule

REPLAYS = "replays"
"""Folder of the replays of a tactic, below its results; also the package of the programs."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Reading(StrictModel):
    """What was published of one run."""

    file: Text
    """Its file, from the folder of the data set."""
    energy_j: Positive
    """Metered energy."""
    seconds: Positive
    """Time that belongs to it."""


class ReplayedPair(StrictModel):
    """Two runs that are alike in all but the tactic."""

    cluster: Text
    """What pairs share that are not independent of each other, such as a model."""
    baseline: Reading
    """The run without the tactic."""
    tactic: Reading
    """The run with it."""


class Replayed(StrictModel):
    """Pairs of one kind."""

    name: DeviceSlug
    """Name among those of the tactic."""
    tactic: Text
    """What the runs with the tactic are."""
    baseline: Text
    """What they are compared with."""
    alike: Text
    """What the two runs of a pair have in common."""
    clusters: Text
    """What the clusters are, such as `models`."""
    energy: Text
    """Which energy was metered."""
    time: Text
    """Which time was measured."""
    note: str
    """What else a reader has to know, such as which runs gave no pair; may be empty."""
    pairs: Annotated[tuple[ReplayedPair, ...], Field(min_length=1)]
    """The pairs."""


class Replay(StrictModel):
    """What was recomputed for a tactic from a data set: `recipes/results/<tactic>/replays/<data>.json`."""

    format: Literal[1] = 1
    """Version of this format."""
    tactic: TacticId
    """The tactic."""
    data: Literal["ml-energy"]
    """The data set, as the data command calls it."""
    data_sha256: Sha256
    """Checksum of the data."""
    code_sha256: Sha256
    """Checksum of what computes the pairs."""
    provenance: Literal["metered, published data"] = "metered, published data"
    """How the values came about."""
    comparisons: Annotated[tuple[Replayed, ...], Field(min_length=1)]
    """What was compared, the most telling first."""

    @model_validator(mode="after")
    def _one_of_each_name(self) -> Replay:
        names = [comparison.name for comparison in self.comparisons]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise PydanticCustomError(
                Rule.REPEATED_RUN, "one comparison of each name", {"found": f"two of {twice}"}
            )
        return self
