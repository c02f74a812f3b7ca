"""The results of a measuring run: raw repeats with their conditions, written by a machine.

Summaries are not stored; they are computed when pages are made, so that a better statistic needs no new run.
"""

from __future__ import annotations

import base64
import binascii
import datetime
import re
import zlib
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

from greentactics.models.bibliography import StrictModel, Text
from greentactics.models.record import MetricName, TacticId, storable
from greentactics.models.timings import CONTROL, Timing
from greentactics.text.problems import Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SMOKE_PRESET = "smoke"
"""Preset of tests; never published."""

DEFAULT_PRESET = "default"
"""Preset of published results; those of another one stand beside them."""

BASELINE = "baseline"
TACTIC = "tactic"
AS_GIVEN = "as_given"
"""The trained net untouched, beside the baseline that is trained on."""
COMBINED = "tactic_and_"
"""How the name of an arm begins that joins the tactic with another arm, whose name follows."""
VARIED = "tactic_with_"
"""How the name of an arm begins that is the tactic with another setting of its own, which follows."""
NO_METER = "none"
"""Source of energy of a run without a meter."""

TEST, CHOICE = "test_", "choice_"
"""How metrics of a quality begin: on test examples, read once; and on those that nets are chosen by."""

_CLOCK_RATE = re.compile(r"@.*$")
RATIO_OF_MEANS = "ratio_of_means"
"""Where the settings name the metrics, if any, that are compared by the ratio of their means."""

FIRST_PUBLISHED_SEED = 1000
"""Settings of a recipe that is tried on a subject are chosen with seeds below, and published with these."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
DeviceSlug = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80), AfterValidator(storable)
]
Better = Literal["lower", "higher", "neither"]
Provenance = Literal["measured", "metered", "modelled", "counted"]


class MetricInfo(StrictModel):
    """What a metric is; the numbers stand in the repeats."""

    unit: Text
    """Unit of the values."""
    better: Better
    """Which direction is an improvement."""
    provenance: Provenance
    """How the values came about."""
    description: Text
    """What the metric is, in one sentence."""


class Measurement(MetricInfo):
    """One metric of one run, as the recipe's process writes it."""

    value: float
    """The number."""


class DataInfo(StrictModel):
    """The data the run was made with."""

    name: Text
    """Name of the data set."""
    sha256: Sha256
    """Checksum of what was read."""
    train_count: Annotated[int, Field(ge=0)]
    """Training examples."""
    validation_count: Annotated[int, Field(ge=0)]
    """Examples used for choices."""
    test_count: Annotated[int, Field(ge=0)]
    """Examples used for the reported quality."""


class DeviceInfo(StrictModel):
    """The machine, without anything that identifies its owner."""

    kind: Literal["cpu", "cuda", "mps", "xpu"]
    """What did the work."""
    name: Text
    """Model name of the processor or accelerator."""
    model: Text | None = None
    """What tells apart devices of one name: family and model number, the chip, or an accelerator's memory;
    None if unknown."""
    cores: Annotated[int, Field(ge=1)]
    """Processor cores the process may use."""
    quota_cores: Annotated[float, Field(gt=0)] | None = None
    """Processor time a second that a container may take, in cores; None where it is not less than `cores`."""
    memory_bytes: Annotated[int, Field(ge=0)]
    """Main memory; of an accelerator its own."""
    system: Text
    """Operating system and release."""
    machine: Text
    """Instruction set, such as `x86_64`."""

    @property
    def is_named_vaguely(self) -> bool:
        """Whether the name hides what it names: hypervisors tell the brand and no number of a model."""
        return self.kind == "cpu" and not re.search(r"\d", _CLOCK_RATE.sub("", self.name))

    @property
    def label(self) -> str:
        """The name, and what tells the device apart where the name hides it."""
        return f"{self.name} ({self.model})" if self.model and self.is_named_vaguely else self.name

    @property
    def share(self) -> str:
        """The cores, and how much of their time a container may take."""
        quota = "" if self.quota_cores is None else f" (quota {self.quota_cores:g})"
        return f"{self.cores} core{'s' * (self.cores != 1)}{quota}"


class MeterInfo(StrictModel):
    """What was measured with."""

    name: Text
    """Name of the meter."""
    energy: Text
    """Source of energy figures, or `none`."""


class EnergyReading(StrictModel):
    """Metered energy of one run. Absent where no meter was there; never zero in its place."""

    gross_j: Annotated[float, Field(gt=0)]
    """Energy of the metered domains."""
    above_idle_j: float | None
    """The same less idle power times duration; None where idle power was not read."""
    idle_power_w: Annotated[float, Field(ge=0)] | None
    """Power of the metered domains at rest, read before the run."""
    by_domain_j: dict[str, float]
    """Gross energy by domain of the meter."""


class Scores(StrictModel):
    """One score for each test example, packed: zlib, then base64."""

    kind: Literal["bits", "float16"]
    """A bit each where all are 0 or 1, the first example in the highest bit; else 16-bit floats."""
    count: Annotated[int, Field(ge=1)]
    """Number of examples."""
    packed: Text
    """The scores."""

    @model_validator(mode="after")
    def _can_be_unpacked(self) -> Scores:
        length = -(-self.count // 8) if self.kind == "bits" else 2 * self.count
        if len(self._content(length + 1)) != length:
            found = {"found": f"{len(self.packed)} letters that hold something else"}
            raise PydanticCustomError(Rule.SCORES, "one packed score for each of count examples", found)
        return self

    def _content(self, most: int) -> bytes:
        """Return what is packed, of so many bytes at most; nothing where it is not packed so."""
        try:
            return zlib.decompressobj().decompress(base64.b64decode(self.packed, validate=True), most)
        except (binascii.Error, zlib.error):
            return b""

    def unpacked(self) -> NDArray[np.float64]:
        """Return the scores, (examples,)."""
        import numpy as np

        content = self._content(2 * self.count)
        if self.kind == "bits":
            return np.unpackbits(np.frombuffer(content, np.uint8))[: self.count].astype(np.float64)
        return np.frombuffer(content, np.float16).astype(np.float64)


class Conditions(StrictModel):
    """What must be equal for repeats to stand in one file."""

    tactic: TacticId
    """The tactic."""
    preset: Text
    """Name of the settings."""
    config: dict[str, Any]
    """The settings themselves."""
    subject: Text | None = None
    """What the arms were tried on, by its name; None where the recipe brings its own workload."""
    data: DataInfo
    """The data."""
    device: DeviceInfo
    """The machine."""
    threads: Annotated[int, Field(ge=1)]
    """Threads the recipe computed with."""
    versions: dict[str, str]
    """Versions of Python and of the libraries."""
    meter: MeterInfo
    """What was measured with."""

    @property
    def is_metered(self) -> bool:
        """Whether energy was read from a meter."""
        return self.meter.energy != NO_METER


class Observation(StrictModel):
    """What is recorded of one arm with one seed, wherever its values stand."""

    arm: Text
    """The arm."""
    seed: Annotated[int, Field(ge=0)]
    """The seed."""
    details: dict[str, Any]
    """Tables and curves for the page."""
    started: datetime.datetime
    """When the run began, in UTC."""
    duration_s: Annotated[float, Field(ge=0)]
    """Wall-clock time of the whole process's work."""
    cpu_s: Annotated[float, Field(ge=0)]
    """Processor time of the whole process's work."""
    peak_memory_bytes: Annotated[int, Field(ge=0)]
    """Peak resident memory of the process."""
    load_before: float | None
    """Load average over one minute before, where the system has one."""
    load_after: float | None
    """Load average over one minute after."""
    energy: EnergyReading | None = None
    """Metered energy of the run, where a meter was there."""
    scores: Scores | None = None
    """Score of each test example, where the recipe keeps them."""


class Run(Observation, Conditions):
    """One arm with one seed: the file a recipe's process writes."""

    metrics: dict[MetricName, Measurement]
    """Metrics by name."""


class Repeat(Observation):
    """One arm with one seed, inside a results file."""

    values: dict[MetricName, float]
    """Values by metric."""


class Failure(StrictModel):
    """A repeat that did not finish."""

    arm: Text
    """The arm."""
    seed: Annotated[int, Field(ge=0)]
    """The seed."""
    exit_code: int
    """Exit code of the process; negative for a signal."""
    output: str
    """Last lines of what the process printed."""


class Results(Conditions):
    """All repeats of one tactic on one device: `recipes/results/<tactic>/<device>.json`."""

    format: Literal[1] = 1
    """Version of this format."""
    device_slug: DeviceSlug
    """Name of the device in file names."""
    recipe_sha256: Sha256
    """Checksum of what the recipe's run reaches."""
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")] | None
    """Commit of the working tree, where there is one."""
    dirty: bool
    """Whether tracked files differed from that commit."""
    jobs: Annotated[int, Field(ge=1)] = 1
    """Most repeats at the same time; more than one disturb each other's times."""
    complete: bool
    """Whether every requested repeat finished."""
    metrics: dict[MetricName, MetricInfo]
    """What the metrics are."""
    repeats: Annotated[tuple[Repeat, ...], Field(min_length=1)]
    """The repeats, in the order they were run."""
    failures: tuple[Failure, ...] = ()
    """Repeats that did not finish."""
    timings: tuple[Timing, ...] = ()
    """Timing passes over the nets of the arms, one a seed and engine."""
    timing_sha256: Sha256 | None = None
    """Checksum of the timing protocol's code; None without timing passes."""
    not_timed: dict[str, str] = Field(default_factory=dict)
    """Why an engine could not be timed, by engine."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Why a rival does not fit the subject, or cannot run on the machine, by arm."""

    @model_validator(mode="after")
    def _one_repeat_each(self) -> Results:
        pairs = [(repeat.arm, repeat.seed) for repeat in self.repeats]
        if len(set(pairs)) != len(pairs):
            arm, seed = next(pair for pair in pairs if pairs.count(pair) > 1)
            found = {"found": f"two of {arm} with seed {seed}"}
            raise PydanticCustomError(Rule.REPEATED_RUN, "one repeat for each arm and seed", found)
        passes = [(timing.engine, timing.seed) for timing in self.timings]
        if len(set(passes)) != len(passes):  # a pass counted twice would narrow the interval
            engine, seed = next(entry for entry in passes if passes.count(entry) > 1)
            found = {"found": f"two of {engine} with seed {seed}"}
            raise PydanticCustomError(Rule.REPEATED_RUN, "one timing pass for each engine and seed", found)
        unknown = {name for repeat in self.repeats for name in repeat.values} - set(self.metrics)
        if unknown:
            raise PydanticCustomError(
                Rule.METRIC_DESCRIPTION,
                "a description for each metric, also for {metrics}",
                {"metrics": ", ".join(sorted(unknown)), "found": "none"},
            )
        return self

    def quality_metric(self, named: str) -> str:
        """Return the metric of the quality that must not suffer.

        Args:
            named: The one that the record names; a subject may have another, on its test examples.
        """
        own = (name for name in self.metrics if self.subject is not None and name.startswith(TEST))
        return named if named in self.metrics else next(own, named)

    @property
    def metrics_without_values(self) -> frozenset[str]:
        """Metrics of which the repeats tell why the subject has none."""
        told = (repeat.details.get("missing") for repeat in self.repeats)
        return frozenset(name for missing in told if isinstance(missing, dict) for name in missing)

    @property
    def arms(self) -> tuple[str, ...]:
        """Arms without the control: the baseline, the tactic, then rivals by name."""
        ran = {repeat.arm for repeat in self.repeats} - {CONTROL}
        leading = [arm for arm in (BASELINE, TACTIC) if arm in ran]
        return (*leading, *sorted(ran.difference(leading)))

    @property
    def seeds(self) -> tuple[int, ...]:
        """Seeds, ascending."""
        return tuple(sorted({repeat.seed for repeat in self.repeats}))

    def values(self, arm: str, metric: str) -> dict[int, float]:
        """Return the values of one metric of one arm by seed; repeats without it are left out."""
        return {
            repeat.seed: repeat.values[metric]
            for repeat in self.repeats
            if repeat.arm == arm and metric in repeat.values
        }

    def scores(self, arm: str) -> dict[int, Scores]:
        """Return the scores of the test examples of one arm by seed; repeats without them are left out."""
        return {
            repeat.seed: repeat.scores
            for repeat in self.repeats
            if repeat.arm == arm and repeat.scores is not None
        }
