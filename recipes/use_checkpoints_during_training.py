"""Checkpoints: after a failure, go on where the training stood, and write as often as pays.

Record: tactics/use-checkpoints-during-training.yaml. Interval: Young, "A first order approximation to the
optimum checkpoint interval", CACM 1974; Daly, "A higher order estimate of the optimum checkpoint interval for
restart dumps", FGCS 2006.

The baseline writes a checkpoint at the end of each epoch, the tactic at the interval of the measured cost;
`starting_anew` begins with the first step after each failure. Each attempt to train is a process of its own,
killed by SIGKILL and started again until training is done. Times between failures are exponential, drawn from
the seed and counted in steps, so that a run on a busier machine dies at the same places. Simplified: a
failure strikes between two steps, never while a process starts or writes, and a new machine is there at once.
Charged is what an attempt does after its imports, which are little in trainings of hours and most of it here.

    python -m recipes.use_checkpoints_during_training --arm tactic --seed 0 --preset default

On one processor core an arm takes about 10 s with DEFAULT, `starting_anew` more; 10 s with SMOKE.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import multiprocessing
import os
import pickle
import random
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome, UserError

TACTIC = "use-checkpoints-during-training"
ARMS = ("baseline", "tactic", "starting_anew")
METRICS: MetricTable = {
    "test_accuracy": ("fraction", "higher", "measured", "Fraction of the test images classified correctly."),
    "training_cpu_s": ("s", "lower", "measured", "Processor time of all attempts, and to find the interval."),
    "training_s": ("s", "lower", "measured", "Wall-clock time of all attempts, with imports and disk."),
    "wasted_steps": ("count", "lower", "counted", "Training steps lost in failures."),
    "attempts": ("count", "lower", "counted", "Processes started until training was done."),
    "interval_steps": ("count", "neither", "counted", "Training steps between two checkpoints."),
    "written_bytes": ("bytes", "lower", "counted", "Checkpoints times the size of one."),
    "differing_bytes": ("bytes", "lower", "counted", "Bytes of the state unlike those without failures."),
    "uninterrupted_cpu_s": ("s", "lower", "measured", "Processor time without failures, with checkpoints."),
    "expected_training_cpu_s": ("s", "lower", "modelled", "Mean over failures, from the measured costs."),
    "expected_wasted_steps": ("count", "lower", "modelled", "Steps lost, mean over failures."),
    "step_cpu_ms": ("ms", "lower", "measured", "Processor time of one step."),
    "checkpoint_cpu_ms": ("ms", "lower", "measured", "Processor time of writing one checkpoint."),
    "start_cpu_s": ("s", "lower", "measured", "Processor time to build net and data, after the imports."),
}
RATIO_OF_MEANS = ("training_cpu_s", "training_s", "wasted_steps", "attempts")
"""Costs with heavy tails, compared by what is paid on average; set before seeds of 1000 and more were run."""


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    epochs: int = 3
    """Epochs of the whole training; the last batch of an epoch is left out where it is short."""
    hidden: int = 256
    """Units of the hidden layer."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 0.05
    """Peak; it rises over a fifth of the steps, then falls to zero."""
    mean_between_failures: float = 0.5
    """Mean of the exponential times between failures, as a multiple of the whole training's steps."""
    most_attempts: int = 100
    """Attempts after which a training counts as hopeless."""


SMOKE = Config(data=("digits",), epochs=10, hidden=64, batch_size=32)
DEFAULT = Config()
FULL = Config(epochs=20, hidden=2_000)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def checkpoint_interval(write_cost: float, mean_between_failures: float) -> float:
    """Return the work between two checkpoints that costs least in the long run.

    Young (1974) has the leading factor, sqrt(2CM); Daly (2006) adds the rest, for a dear checkpoint.

    Args:
        write_cost: Cost C of writing one checkpoint, such as seconds, or steps of training.
        mean_between_failures: Mean M of exponential times between failures, in the same unit.

    Raises:
        ValueError: One of them is not positive.
    """
    if not (write_cost > 0 and mean_between_failures > 0):
        raise ValueError(f"expected two positive numbers, got {write_cost} and {mean_between_failures}")
    ratio = write_cost / (2 * mean_between_failures)
    if ratio >= 1:
        return mean_between_failures
    first_order = math.sqrt(2 * write_cost * mean_between_failures)
    return first_order * (1 + math.sqrt(ratio) / 3 + ratio / 9) - write_cost


def train_with_checkpoints(
    parts: Mapping[str, Part], train_step: Callable[[int], object], *, steps: int, interval: int, folder: Path
) -> int:
    """Train, or go on from the newest whole checkpoint in the folder, bit for bit as if never interrupted.

    Args:
        parts: All that changes while training: net, optimiser, the place in the data and its generator,
            schedule. The random states of torch are saved besides; other generators have to be parts, with
            a state of tensors, numbers, texts, lists and dictionaries.
        train_step: Does the step of the given number, counted from 0; what it does follows from the number,
            the parts and torch's random state alone.
        steps: Steps of the whole training.
        interval: Steps between two checkpoints.
        folder: Folder of this one training's checkpoints; it should outlive the machine.

    Returns:
        Number of the step that this call began with.

    Raises:
        ValueError: No checkpoint would ever be written, or one that could not be read back, both before the
            first step; or those found cannot be read, are of another training, or of more steps.
    """
    if not 1 <= interval < steps:
        raise ValueError(f"an interval of {interval} writes no checkpoint: expected 1 to {steps - 1} steps")
    require_restorable(parts)
    first, state = load_checkpoint(folder) or (0, None)
    if first > steps:
        expected = f"expected a training of up to {steps} steps, got one of {first} so far"
        raise ValueError(f"{folder}: {expected}; name another folder")
    if state is not None:
        restore(parts, state)
    for step in range(first, steps):
        train_step(step)
        if (step + 1) % interval == 0 and step + 1 < steps:
            if step < first + interval:  # some optimisers have no state before the first step
                require_restorable(parts)
            save_checkpoint(folder, step + 1, snapshot(parts))
    return first


_UNREADABLE = (pickle.PickleError, AttributeError, EOFError, KeyError, RuntimeError, TypeError, ValueError)
"""What torch raises for what it cannot write, or does not read back without running code."""


class Part(Protocol):
    """What a training is made of: net, optimiser, schedule, order of the data."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state as tensors, numbers, lists and dictionaries."""

    def load_state_dict(self, state_dict: Any) -> object:  # noqa: ANN401 - torch's own classes differ
        """Take a state back."""


def snapshot(parts: Mapping[str, Part]) -> dict[str, Any]:
    """Return the state of all parts and of torch's random generators."""
    state = {name: part.state_dict() for name, part in parts.items()}
    return {"parts": state, "random": torch.get_rng_state(), "random_cuda": torch.cuda.get_rng_state_all()}


def restore(parts: Mapping[str, Part], state: Mapping[str, Any]) -> None:
    """Put back what `snapshot` returned.

    Raises:
        ValueError: It holds other parts, does not fit one of them, or is of a machine with more GPUs.
    """
    if set(state) != set(snapshot({})) or set(parts) != set(state["parts"]):
        raise ValueError(f"expected a checkpoint of {sorted(parts)}, got {sorted(state.get('parts', state))}")
    if len(state["random_cuda"]) > torch.cuda.device_count():
        got = f"{len(state['random_cuda'])} GPUs in the checkpoint and {torch.cuda.device_count()} here"
        raise ValueError(f"expected as many GPUs as the training began with, got {got}; go on where they are")
    for name, part in parts.items():
        try:
            part.load_state_dict(state["parts"][name])
        except _UNREADABLE as error:
            cure = "build it as in the training that wrote the checkpoint, or name another folder"
            got = f"the checkpoint does not fit it ({_first_line(error)})"
            raise ValueError(f"part {name!r}: {got}; {cure}") from None
    torch.set_rng_state(state["random"])
    torch.cuda.set_rng_state_all(state["random_cuda"])


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], *, keep: int = 2) -> None:
    """Write a checkpoint so that a failure at any moment leaves the one before whole.

    It gets its name only when all of it is on the disk, behind its own checksum; older ones than the newest
    `keep` are removed last.
    """
    content = encode(state)
    folder.mkdir(parents=True, exist_ok=True)
    partial_file = folder / "checkpoint.partial"
    with partial_file.open("wb") as file:
        file.write(hashlib.sha256(content).digest())
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial_file.replace(folder / f"step-{step:010d}.pt")
    entry = os.open(folder, os.O_RDONLY)
    os.fsync(entry)  # the new name is in the folder, which is a file of its own
    os.close(entry)
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink()


def load_checkpoint(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """Return step and state of the newest whole checkpoint; None where none was ever written.

    Raises:
        ValueError: There are checkpoints, and none of them can be read.
    """
    paths = list_checkpoints(folder)
    for path in reversed(paths):
        try:
            return step_of(path), read_checkpoint(path)
        except ValueError as error:
            warnings.warn(f"{error}; taking the one before", stacklevel=2)
    if paths:
        got = f"none of {len(paths)} checkpoints can be read, as the warnings say"
        raise ValueError(f"{folder}: {got}; move them away to start anew")
    return None


# --8<-- [end:tactic]


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the state in one checkpoint.

    Raises:
        ValueError: It is damaged, cannot be opened, or holds what torch does not read without running code.
    """
    try:
        content = memoryview(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: cannot be read ({error.strerror})") from None
    if hashlib.sha256(content[32:]).digest() != content[:32]:
        raise ValueError(f"{path}: damaged, the checksum does not match")
    try:
        return decode(content[32:])
    except _UNREADABLE as error:
        raise ValueError(f"{path}: whole, but cannot be read ({_first_line(error)})") from None


def require_restorable(parts: Mapping[str, Part]) -> None:
    """Check that the state of each part can be written and read back, while nothing is lost yet.

    Raises:
        ValueError: There are no parts, or one has no state or such that could not be read back.
    """
    if not parts:
        raise ValueError("parts: expected all that changes while training, such as the net, got none")
    for name, part in parts.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            got = f"{type(part).__name__} without; wrap it in a class that has both"
            raise ValueError(f"part {name!r}: expected state_dict and load_state_dict, got {got}")
        try:
            decode(encode(part.state_dict()))
        except _UNREADABLE as error:
            raise ValueError(
                f"part {name!r}: its state could not be read back after a failure ({_first_line(error)}); "
                "let state_dict return tensors, numbers, texts, lists and dictionaries only: an array as "
                "torch.as_tensor(array), a generator of numpy as generator.bit_generator.state"
            ) from None


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if path.stem.removeprefix("step-").isdecimal())


def step_of(path: Path) -> int:
    """Return how many steps had been done when a checkpoint was written."""
    return int(path.stem.removeprefix("step-"))


def encode(state: Mapping[str, Any]) -> memoryview:
    """Return a state as bytes."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getbuffer()


def decode(content: memoryview) -> dict[str, Any]:
    """Return the state in these bytes, without running code."""
    state: dict[str, Any] = torch.load(io.BytesIO(content), weights_only=True)
    return state


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


# --- The training ----------------------------------------------------------------------------------------


class Batches:
    """Shuffled batches without end, whose place in the data can be saved."""

    def __init__(self, count: int, batch_size: int) -> None:
        self.batch_size = batch_size
        self.order, self.place = torch.randperm(count), 0

    def draw(self) -> Tensor:
        """Return the places of the next batch's images, (batch_size,); a last short batch is left out."""
        if self.place + self.batch_size > len(self.order):
            self.order, self.place = torch.randperm(len(self.order)), 0
        self.place += self.batch_size
        return self.order[self.place - self.batch_size : self.place]

    def state_dict(self) -> dict[str, Any]:
        """Return the order of this epoch and the place in it."""
        return {"order": self.order, "place": self.place}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take them back."""
        self.order, self.place = state["order"], state["place"]


def build_model(inputs: int, hidden: int) -> nn.Module:
    """Return a perceptron with dropout, which makes the random state part of the training."""
    layers = nn.Linear(inputs, hidden), nn.ReLU(), nn.Dropout(0.2), nn.Linear(hidden, 10)
    return nn.Sequential(nn.Flatten(), *layers)


@dataclass(frozen=True)
class Job:
    """One training, whole: the same for each of its attempts."""

    config: Config
    folder: Path
    """Where the data, the checkpoints and the trained net are."""
    seed: int
    epoch: int
    """Steps of one epoch."""

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.config.epochs * self.epoch

    @property
    def mean_steps(self) -> float:
        """Mean time between failures, in steps."""
        return self.config.mean_between_failures * self.steps


def prepare(job: Job) -> tuple[dict[str, Part], Callable[[int], None]]:
    """Return the parts of the training and the function that does one step."""
    config, (images, labels) = job.config, torch.load(job.folder / "data.pt", mmap=True)
    torch.manual_seed(job.seed)
    model = build_model(images[0].numel(), config.hidden)
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, weight_decay=5e-4)
    batches = Batches(len(images), config.batch_size)

    def train_step(step: int) -> None:
        triangle = min((step + 1) / (0.2 * job.steps), (job.steps - step) / (0.8 * job.steps))
        optimizer.param_groups[0]["lr"] = config.learning_rate * triangle
        chosen = batches.draw()
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "batches": batches}, train_step


def train(
    job: Job, parts: Mapping[str, Part], train_step: Callable[[int], None], interval: int | None, folder: Path
) -> dict[str, Any]:
    """Train with or without checkpoints; return the state at the end."""
    if interval is None:
        for step in range(job.steps):
            train_step(step)
    else:
        train_with_checkpoints(parts, train_step, steps=job.steps, interval=interval, folder=folder)
    return snapshot(parts)


# --- Attempts that are killed ----------------------------------------------------------------------------
# Lifetimes are counted in steps of the work, not in seconds: an attempt kills itself with SIGKILL, which no
# process can catch, so the same seed fails at the same steps on any machine.


class Attempt(NamedTuple):
    """What one attempt did; its processor time, in s, is counted from after the imports."""

    first_step: int
    steps_done: int
    killed: bool
    start_cpu_s: float
    cpu_s: float


def lifetimes(mean_steps: float, seed: int) -> Iterator[int]:
    """Draw how many whole steps each attempt lives: exponential times, rounded down, without end."""
    generator = random.Random(f"lifetimes {seed}")  # noqa: S311 - not for secrets
    while True:
        yield int(generator.expovariate(1 / mean_steps))


def attempt(job: Job, interval: int | None, threads: int, lifetime: int) -> None:
    """Train in a process of its own that lives for `lifetime` steps; leave the state where that is enough."""
    began_s = time.process_time()
    torch.set_num_threads(threads)
    parts, train_step = prepare(job)
    start_cpu_s, lives = time.process_time() - began_s, iter(range(lifetime))

    def note_costs() -> None:
        note = {"start_cpu_s": start_cpu_s, "cpu_s": time.process_time() - began_s}
        (job.folder / "costs.json").write_text(json.dumps(note))

    def live_or_die(step: int) -> None:
        if next(lives, None) is None:
            note_costs()
            os.kill(os.getpid(), signal.SIGKILL)
        train_step(step)

    state = train(job, parts, live_or_die, interval, job.folder / "killed")
    note_costs()
    save_checkpoint(job.folder / "final", job.steps, state)


def run_until_done(job: Job, interval: int | None) -> list[Attempt]:
    """Start an attempt, again after each kill, until one comes to its end.

    Raises:
        UserError: No attempt came to its end.
        RuntimeError: An attempt failed by itself.
    """
    attempts: list[Attempt] = []
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([cli.__name__, "torch._dynamo"])  # these imports are done once
    for lifetime in islice(lifetimes(job.mean_steps, job.seed), job.config.most_attempts):
        first = max(map(step_of, list_checkpoints(job.folder / "killed")), default=0)
        process = context.Process(target=attempt, args=(job, interval, torch.get_num_threads(), lifetime))
        process.start()
        process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"an attempt ended with exit code {process.exitcode}; its error stands above")
        killed = process.exitcode != 0
        costs = json.loads((job.folder / "costs.json").read_text())
        attempts.append(Attempt(first, lifetime if killed else job.steps - first, killed, **costs))
        if not killed:
            return attempts
    got = f"all {len(attempts)} attempts were killed, after {job.mean_steps:g} steps on average"
    raise UserError(f"most_attempts: {got}; allow more of them or make failures rarer")


# --- What checkpoints cost and save ----------------------------------------------------------------------

RARE_FAILURES = 100.0  # mean time between failures of the second scenario, as a multiple of the training


class Costs(NamedTuple):
    """Processor time of a step, of writing a checkpoint, and of starting an attempt, in s."""

    step_s: float
    write_s: float
    start_s: float = 0.0


def rehearse(job: Job, meter: Meter) -> tuple[Costs, float]:
    """Return what a step and a checkpoint cost, and the processor time of finding out, in s."""
    parts, train_step = prepare(job)
    with meter.window("warm-up") as warm_up:
        for step in range(5):
            train_step(step)
    with meter.window("steps") as steps:
        for step in range(20):
            train_step(step)
    with meter.window("checkpoints") as writes:
        for step in range(4):
            save_checkpoint(job.folder / "rehearsal", step, snapshot(parts))
    return Costs(steps.cpu_s / 20, writes.cpu_s / 4), warm_up.cpu_s + steps.cpu_s + writes.cpu_s


def expected_cost(
    interval: int | None, steps: int, mean_steps: float, costs: Costs
) -> tuple[float, float, float]:
    """Return steps wasted, failures, and processor time in s of a training, on average over failures.

    Lifetimes are exponential and rounded down to whole steps, so that a stretch of L steps between two
    checkpoints takes exp(L / M) attempts and (exp(L / M) - 1) / (exp(1 / M) - 1) steps on average.
    """
    checkpoints = (steps - 1) // interval if interval else 0
    stretches = [interval or 0] * checkpoints
    stretches.append(steps - sum(stretches))
    failures = math.fsum(math.expm1(length / mean_steps) for length in stretches)
    done = failures / math.expm1(1 / mean_steps)
    cpu_s = done * costs.step_s + checkpoints * costs.write_s + (1 + failures) * costs.start_s
    return done - steps, failures, cpu_s


def interval_row(interval: int | None, job: Job, costs: Costs) -> dict[str, Json]:
    """Return what a training costs on average with checkpoints at this interval, often or rarely struck."""
    wasted, failures, cpu_s = expected_cost(interval, job.steps, job.mean_steps, costs)
    *_, rare_cpu_s = expected_cost(interval, job.steps, RARE_FAILURES * job.steps, costs)
    return {
        "interval_steps": "none" if interval is None else str(interval),
        "expected_failures": failures,
        "expected_wasted_steps": wasted,
        "expected_cpu_s": cpu_s,
        "expected_cpu_s_with_a_failure_in_100_trainings": rare_cpu_s,
    }


def differing_bytes(one: Any, other: Any) -> int:  # noqa: ANN401 - whatever a state dictionary holds
    """Count the bytes in which two states of the same form differ."""
    pairs = list(zip(tree_leaves(one), tree_leaves(other), strict=True))
    return sum(int((_bytes(a) != _bytes(b)).sum()) for a, b in pairs if a is not None)


def _bytes(leaf: Any) -> Tensor:  # noqa: ANN401
    return torch.as_tensor(leaf).contiguous().reshape(-1).view(torch.uint8)


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images whose label the net predicts."""
    return float((model.eval()(images).argmax(1) == labels).double().mean())


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train once without failures, as the reference, and once with them."""
    images = load_images(config.data, config.data_dir)
    with tempfile.TemporaryDirectory() as name:
        job = Job(config, Path(name), seed, len(images.train_images) // config.batch_size)
        torch.save((images.train_images, images.train_labels), job.folder / "data.pt")
        costs, rehearsal_s = rehearse(job, meter)
        best = checkpoint_interval(costs.write_s / costs.step_s, job.mean_steps)
        interval = {"baseline": job.epoch, "tactic": max(1, round(best)), "starting_anew": None}[arm]
        with meter.window("uninterrupted") as uninterrupted:
            reference = train(job, *prepare(job), interval, job.folder / "uninterrupted")
        with meter.window("training") as training:
            attempts = run_until_done(job, interval)
        final = read_checkpoint(list_checkpoints(job.folder / "final")[0])
        sizes = [path.stat().st_size for path in list_checkpoints(job.folder / "killed")]
    costs = Costs(costs.step_s, costs.write_s, attempts[-1].start_cpu_s)
    wasted, _, expected_s = expected_cost(interval, job.steps, job.mean_steps, costs)
    model = build_model(images.train_images[0].numel(), config.hidden)
    model.load_state_dict(final["parts"]["model"])
    values = {
        "test_accuracy": accuracy(model, images.test_images, images.test_labels),
        "training_cpu_s": sum(tried.cpu_s for tried in attempts) + (rehearsal_s if arm == "tactic" else 0),
        "training_s": training.duration_s,
        "wasted_steps": sum(tried.steps_done for tried in attempts) - job.steps,
        "attempts": len(attempts),
        # each checkpoint is written once: none is gone behind
        "written_bytes": (job.steps - 1) // interval * max(sizes) if interval else 0,
        "differing_bytes": differing_bytes(reference, final),
        "uninterrupted_cpu_s": uninterrupted.cpu_s,
        "expected_training_cpu_s": expected_s,
        "expected_wasted_steps": wasted,
        "step_cpu_ms": 1e3 * costs.step_s,
        "checkpoint_cpu_ms": 1e3 * costs.write_s,
        "start_cpu_s": costs.start_s,
    }
    if interval:
        values["interval_steps"] = interval
    tried_at = {max(1, round(job.steps / 10 ** (half / 2))) for half in range(1, 8)} | {1, interval or 1}
    rows = [interval_row(steps, job, costs) for steps in [*sorted(tried_at), None]]
    attempt_rows = [{"attempt": number, **tried._asdict()} for number, tried in enumerate(attempts, 1)]
    return Outcome(values, images.used, {"intervals": rows, "attempts": attempt_rows})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
