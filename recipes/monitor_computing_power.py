"""Processor time of a training, part by part, beside the record of the last version: what rose is put back.

Record: tactics/monitor-computing-power.yaml. A small net learns to sort images. In each of six versions of
the training one part has become slow, in a way met in practice, and gives the same as before: all images are
widened to take a batch, images are augmented one by one, each batch is run again for a log, singular values
are logged, the net is judged or saved too often. The baseline does not look. The tactic watches some steps,
compares each part with the record of the sound training, and puts back the one that rose most. Arms with
other numbers of steps, or that go on watching, are the same with another setting. Rivals: a profiler of all
calls; samples of the stack; the record of the whole alone, after which parts are put back in turn; and
whoever trusts counts of operations, and so looks at the net. Records and watching are charged.

A meter of energy does not tell parts of milliseconds apart: processor time does, and stands in its place.

    python -m recipes.monitor_computing_power --arm tactic --seed 0 --preset default

On one processor core an arm takes a quarter of a minute with DEFAULT, which needs Fashion-MNIST, and a second
with SMOKE. Seeds below 1000 answer validation images.
"""

from __future__ import annotations

import cProfile
import io
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean
from types import CodeType, FrameType

import torch
from torch import Tensor
from torch.nn import functional as F

from recipes.common.nets.data import Images, load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.use_early_stopping import judged, small_net

TACTIC = "monitor-computing-power"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_5_steps",
    "tactic_with_all_steps",
    "profiler",
    "sampled_stacks",
    "total_alone",
    "by_operations",
)
METRICS: MetricTable = {
    "training_cpu_s": (
        "s",
        "lower",
        "measured",
        "Processor time of all versions, record and watching included.",
    ),
    "found_fraction": ("fraction", "higher", "counted", "Versions whose slow part was the one put back."),
    "overhead_fraction": ("fraction", "lower", "measured", "Processor time that watching adds to a step."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images sorted rightly, over all versions."),
}
PARTS = ("read", "augment", "forward", "update", "judge", "save")
"""What a step is made of, apart from the backward pass; each has a slow form."""


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 20_000
    """Training images, at most; they are stored in 8 bits."""
    steps: int = 150
    """Steps of each version."""
    batch: int = 64
    """Images of a step."""
    rate: float = 3e-3
    """Learning rate of Adam."""
    every: int = 20
    """Steps from one judgement to the next, and from one copy of the net to the next."""
    too_often: int = 5
    """Steps between judgements where that is the slow part; copies are made at each step then."""
    judged_images: int = 500
    """Validation images of a judgement."""
    watched: int = 20
    """Steps that are watched."""


SMOKE = Config(data="digits", images=400, steps=30, every=4, too_often=1, judged_images=100, watched=4)
DEFAULT = Config()
FULL = Config(images=55_000, steps=2_000)

Part = Callable[[str], AbstractContextManager[None]]
"""Stands around a part of a step, which it is told the name of."""

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
class PartMeter:
    """Adds up processor time by part, of all threads of the process."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.cpu_s = dict[str, float]()

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add what happens inside to a part."""
        started_s = time.process_time()
        try:
            yield
        finally:
            self.cpu_s[name] = self.cpu_s.get(name, 0.0) + time.process_time() - started_s


def risen_most(before: dict[str, float], now: dict[str, float]) -> str:
    """Return the part that takes most more than in the record of as much work before."""
    return max(now, key=lambda name: now[name] - before.get(name, 0.0))


# --8<-- [end:tactic]
# --- A training whose parts can be slow --------------------------------------------------------------------


def unwatched(_: str) -> AbstractContextManager[None]:
    """Stand around a part without watching it."""
    return nullcontext()


class TrainingInParts:
    """A training, of which one part is slow or none; what it computes does not hang on that."""

    def __init__(self, config: Config, data: Images, seed: int, slow: str) -> None:
        """Begin with random weights."""
        torch.manual_seed(seed)
        self.config, self.slow, self.taken = config, slow, 0
        chosen = torch.randperm(len(data.train_images))[: config.images]
        images, self.labels = data.train_images[chosen], data.train_labels[chosen]
        self.low, self.step_of_code = float(images.min()), float(images.max() - images.min()) / 255
        self.codes = ((images - self.low) / self.step_of_code).round().byte()  # (images, 1, side, side)
        few = slice(0, config.judged_images)
        self.validation = data.validation_images[few], data.validation_labels[few]
        self.net = small_net(images.shape[-1])
        self.optimiser = torch.optim.Adam(self.net.parameters(), config.rate)

    def step(self, part: Part = unwatched) -> None:
        """Take one step, each part of it inside `part`."""
        self.taken += 1
        with part("read"):
            images, labels = self.read()
        with part("augment"):
            images = self.augment(images)
        with part("forward"):
            loss = self.forward(images, labels)
        with part("backward"):
            self.optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
        with part("update"):
            self.update()
        with part("judge"):
            self.judge()
        with part("save"):
            self.save()

    def read(self) -> tuple[Tensor, Tensor]:
        """Draw images, (batch, 1, side, side), and widen them, or all there are."""
        chosen = torch.randint(len(self.codes), (self.config.batch,))
        if self.slow == "read":
            return (self.codes.float() * self.step_of_code + self.low)[chosen], self.labels[chosen]
        return self.codes[chosen].float() * self.step_of_code + self.low, self.labels[chosen]

    def augment(self, images: Tensor) -> Tensor:
        """Mirror half of the images, all at once or each by itself."""
        mirrored = torch.rand(len(images)) < 0.5
        if self.slow == "augment":
            pairs = zip(images, mirrored, strict=True)
            return torch.stack([image.flip(2) if is_mirrored else image for image, is_mirrored in pairs])
        return torch.where(mirrored[:, None, None, None], images.flip(3), images)

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Return the loss; where it is slow, run the batch again for the accuracy of a log."""
        if self.slow == "forward":
            judged(self.net, (images, labels))
        return F.cross_entropy(self.net(images), labels)

    def update(self) -> None:
        """Change the weights; where it is slow, compute their largest singular values for a log."""
        self.optimiser.step()
        if self.slow == "update":
            for weight in self.net.parameters():
                torch.linalg.matrix_norm(weight.detach().flatten(1), 2) if weight.ndim > 1 else None

    def judge(self) -> None:
        """Judge the net on validation images now and then."""
        if self.taken % (self.config.too_often if self.slow == "judge" else self.config.every) == 0:
            judged(self.net, self.validation)

    def save(self) -> None:
        """Copy the net and the state of the optimiser now and then."""
        if self.taken % (1 if self.slow == "save" else self.config.every) == 0:
            torch.save((self.net.state_dict(), self.optimiser.state_dict()), io.BytesIO())


# --- Arms: ways of watching steps, and of finding the slow part ---------------------------------------------

Watched = Callable[[TrainingInParts, int], dict[str, float]]
"""Takes so many steps of a training, and returns the processor time of its parts, s."""


def parts_by_clock(training: TrainingInParts, steps: int) -> dict[str, float]:
    """Read the clock around each part."""
    meter = PartMeter()
    for _ in range(steps):
        training.step(meter.part)
    return meter.cpu_s


def is_part(code: CodeType) -> bool:
    """Tell whether code is that of a part of a step."""
    return code.co_filename == TrainingInParts.step.__code__.co_filename and code.co_name in PARTS


def parts_by_profiler(training: TrainingInParts, steps: int) -> dict[str, float]:
    """Note each call and its time."""
    profile = cProfile.Profile(time.process_time)
    with profile:
        for _ in range(steps):
            training.step()
    spent_s = dict.fromkeys(PARTS, 0.0)
    for entry in profile.getstats():
        if isinstance(entry.code, CodeType) and is_part(entry.code):
            spent_s[entry.code.co_name] += entry.totaltime
    return spent_s


def parts_by_samples(training: TrainingInParts, steps: int, interval_s: float = 0.002) -> dict[str, float]:
    """Look at the stack each time the process has used some processor time."""
    spent_s = dict.fromkeys(PARTS, 0.0)

    def look(_: int, frame: FrameType | None) -> None:
        while frame and not is_part(frame.f_code):
            frame = frame.f_back
        if frame:
            spent_s[frame.f_code.co_name] += interval_s

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, interval_s, interval_s)
    try:
        for _ in range(steps):
            training.step()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    return spent_s


def whole_by_clock(training: TrainingInParts, steps: int) -> dict[str, float]:
    """Read the clock around all steps."""
    meter = PartMeter()
    with meter.part("whole"):
        for _ in range(steps):
            training.step()
    return meter.cpu_s


def found_by_total(training: TrainingInParts, steps: int, before_s: float) -> str:
    """Put back one part after another until most of what the whole rose by is gone."""
    slow = training.slow
    now_s = whole_by_clock(training, steps)["whole"]
    for name in PARTS:
        training.slow = "" if name == slow else slow
        if whole_by_clock(training, steps)["whole"] < (before_s + now_s) / 2:
            return name
    return ""


WATCHES: dict[str, Watched] = {
    "profiler": parts_by_profiler,
    "sampled_stacks": parts_by_samples,
    "total_alone": whole_by_clock,
}
"""Ways of watching by arm, where it is not the tactic's."""


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train in each version to the end; let an arm look for its slow part, and put that back."""
    data = load_images((config.data,), config.data_dir)
    held_out = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    steps = min(config.watched, 5) if arm == "tactic_with_5_steps" else config.watched
    watch = WATCHES.get(arm, parts_by_clock)
    looks = arm not in ("baseline", "by_operations")
    whole_by_clock(TrainingInParts(config, data, seed, ""), config.every)  # memory and threads are set up
    nets, found = [], 0
    with meter.window("training") as training_window:
        before = watch(TrainingInParts(config, data, seed, ""), steps) if looks else {}
        for slow in PARTS:
            training = TrainingInParts(config, data, seed, slow)
            if arm == "by_operations":
                blamed = "forward"
            elif arm == "total_alone":
                blamed = found_by_total(training, steps, before["whole"])
            else:
                blamed = risen_most(before, watch(training, steps)) if looks else ""
            found += blamed == slow
            training.slow = "" if blamed == slow else slow
            part = PartMeter().part if arm == "tactic_with_all_steps" else unwatched
            while training.taken < config.steps:
                training.step(part)
            nets.append(training.net)
    overheads = list[float]()
    for _ in range(3 if looks else 0):
        with meter.window("steps") as alone:
            whole_by_clock(TrainingInParts(config, data, seed, ""), steps)
        with meter.window("watched steps") as watched:
            watch(TrainingInParts(config, data, seed, ""), steps)
        overheads.append(watched.cpu_s / alone.cpu_s - 1)
    metrics = {
        "training_cpu_s": training_window.cpu_s,
        "found_fraction": found / len(PARTS),
        "overhead_fraction": sorted(overheads)[1] if looks else 0.0,
        "test_accuracy": mean(judged(net, held_out)[0] for net in nets),
    }
    count = min(config.images, len(data.train_images))
    return Outcome(metrics, replace(data.used, train_count=count, test_count=len(held_out[1])))


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
