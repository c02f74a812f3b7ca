"""Checkpoints: after a failure, go on where the training stood, and write as often as pays.

Record: tactics/use-checkpoints-during-training.yaml. Interval: Young, "A first order approximation to the
optimum checkpoint interval", CACM 1974; Daly, "A higher order estimate of the optimum checkpoint interval for
restart dumps", FGCS 2006.

Each attempt to train is a process of its own, killed by SIGKILL and started again until training is done; the
imports of each are charged. Times between failures are exponential, drawn from the seed and counted in steps,
so that a run on a busier machine dies at the same places. Simplified: a failure strikes between two steps,
never while a process starts or writes, and a new machine is there at once. The baseline starts from the first
step after each failure; `every_ten_steps` and `each_epoch` write at these moments.

    python -m recipes.use_checkpoints_during_training --arm tactic --seed 0 --preset default

On one processor core an arm takes about 20 s with DEFAULT, a minute after a dozen failures; 10 s with SMOKE.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import math
import multiprocessing
import os
import pickle
import random
import resource
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, Metric, Outcome, Provenance, UserError

TACTIC = "use-checkpoints-during-training"
ARMS = ("baseline", "tactic", "every_ten_steps", "each_epoch")


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    train_examples: int = 32_000
    """Training images used; all where there are fewer."""
    hidden: int = 256
    """Units of the hidden layer."""
    steps: int = 2_500
    """Steps of the whole training."""
    batch_size: int = 64
    """Images a step."""
    learning_rate: float = 0.05
    """Peak; it rises over a fifth of the steps, then falls to zero."""
    mean_between_failures: float = 0.5
    """Mean of the exponential times between failures, as a multiple of the whole training's steps."""
    most_attempts: int = 100
    """Attempts after which a training counts as hopeless."""


SMOKE = Config(data=("digits",), hidden=64, steps=280, batch_size=32)
DEFAULT = Config()
FULL = Config(train_examples=55_000, hidden=2_000, steps=17_000)

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
            if (
                step < first + interval
            ):  # at the first one: some optimisers have no state before the first step
                require_restorable(parts)
            save_checkpoint(folder, step + 1, snapshot(parts))
    return first


# --8<-- [end:tactic]
# --- Checkpoint files ------------------------------------------------------------------------------------
# The state of a training on disk: written whole or not at all, checked when it is read.
#
# Needs torch and nothing else of this project: copy this section together with `train_with_checkpoints`.

_UNREADABLE = (pickle.PickleError, AttributeError, EOFError, KeyError, RuntimeError, ValueError)
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


def require_restorable(parts: Mapping[str, Part]) -> None:
    """Check that the state of each part can be written and read back, while nothing is lost yet.

    Raises:
        ValueError: There are no parts, or one has no state or such that could not be read back.
    """
    if not parts:
        raise ValueError(
            "parts: expected all that changes while training, such as net and optimiser, got none"
        )
    for name, part in parts.items():
        if not (hasattr(part, "state_dict") and hasattr(part, "load_state_dict")):
            raise ValueError(
                f"part {name!r}: expected state_dict and load_state_dict, got {type(part).__name__} without; "
                "wrap it in a class that has both"
            )
        buffer = io.BytesIO()
        try:
            torch.save(part.state_dict(), buffer)
            buffer.seek(0)
            torch.load(buffer, weights_only=True)
        except (*_UNREADABLE, TypeError) as error:
            raise ValueError(
                f"part {name!r}: its state could not be read back after a failure ({_first_line(error)}); "
                "let state_dict return tensors, numbers, texts, lists and dictionaries only: an array as "
                "torch.as_tensor(array), a generator of numpy as generator.bit_generator.state"
            ) from None


def restore(parts: Mapping[str, Part], state: Mapping[str, Any]) -> None:
    """Put back what `snapshot` returned.

    Raises:
        ValueError: It holds other parts, does not fit one of them, in which case those before it have been
            put back, or is of a machine with more GPUs.
    """
    if not {"parts", "random", "random_cuda"} <= set(state) or set(parts) != set(state["parts"]):
        raise ValueError(f"expected a checkpoint of {sorted(parts)}, got {sorted(state.get('parts', state))}")
    if len(state["random_cuda"]) > torch.cuda.device_count():
        got = f"{len(state['random_cuda'])} GPUs in the checkpoint and {torch.cuda.device_count()} here"
        raise ValueError(f"expected as many GPUs as the training began with, got {got}; go on where they are")
    for name, part in parts.items():
        try:
            part.load_state_dict(state["parts"][name])
        except (RuntimeError, ValueError, KeyError, TypeError) as error:
            raise ValueError(
                f"part {name!r}: the checkpoint does not fit it ({_first_line(error)}); build it as in the "
                "training that wrote the checkpoint, or name another folder"
            ) from None
    torch.set_rng_state(state["random"])
    torch.cuda.set_rng_state_all(state["random_cuda"])


def save_checkpoint(folder: Path, step: int, state: Mapping[str, Any], *, keep: int = 2) -> None:
    """Write a checkpoint so that a failure at any moment leaves the one before whole.

    It gets its name only when all of it is on the disk, behind its own checksum; older ones than the newest
    `keep` are removed last.
    """
    buffer = io.BytesIO()
    torch.save(state, buffer)
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "checkpoint.partial"
    with partial.open("wb") as file:
        file.write(hashlib.sha256(buffer.getbuffer()).digest())
        file.write(buffer.getbuffer())
        file.flush()
        os.fsync(file.fileno())
    partial.replace(folder / f"step-{step:010d}.pt")
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
        raise ValueError(
            f"{folder}: none of {len(paths)} checkpoints can be read, as the warnings say; move them away to "
            "start anew"
        )
    return None


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
        state: dict[str, Any] = torch.load(io.BytesIO(content[32:]), weights_only=True)
    except _UNREADABLE as error:
        raise ValueError(f"{path}: whole, but cannot be read ({_first_line(error)})") from None
    return state


def list_checkpoints(folder: Path) -> list[Path]:
    """Return the checkpoints in a folder, the oldest first."""
    return sorted(path for path in folder.glob("step-*.pt") if path.stem.removeprefix("step-").isdecimal())


def newest_step(folder: Path) -> int:
    """Return how many steps had been done when the newest checkpoint was written; 0 where there is none."""
    return max(map(step_of, list_checkpoints(folder)), default=0)


def step_of(path: Path) -> int:
    """Return how many steps had been done when a checkpoint was written."""
    return int(path.stem.removeprefix("step-"))


def _first_line(error: BaseException) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


# --- Data and model --------------------------------------------------------------------------------------


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


# --- Attempts that are killed ----------------------------------------------------------------------------
# Work that is killed at random and started again until it is done, each attempt in a process of its own.
#
# Lifetimes are counted in steps of the work, not in seconds: an attempt kills itself with SIGKILL, which no
# process can catch, so the same seed fails at the same steps on any machine.


@dataclass(frozen=True)
class Attempt:
    """What one attempt did."""

    first_step: int
    """Step it began with."""
    steps_done: int
    """Steps it finished."""
    killed: bool
    """Whether it was killed; the last attempt is not."""
    cpu_s: float
    """Processor time of its process, from the start of the interpreter to the end, in s."""


def lifetimes(mean_steps: float, seed: int) -> Iterator[int]:
    """Draw how many whole steps each attempt lives: exponential times, rounded down, without end."""
    generator = random.Random(f"lifetimes {seed}")  # noqa: S311 - not for secrets
    while True:
        yield int(generator.expovariate(1 / mean_steps))


def dying(step: Callable[[int], object], lifetime: int) -> Callable[[int], None]:
    """Return the step, which kills this process when it is called once more than `lifetime` times."""
    done = count()

    def live_or_die(number: int) -> None:
        if next(done) == lifetime:
            os.kill(os.getpid(), signal.SIGKILL)
        step(number)

    return live_or_die


def run_until_done(
    attempt: Callable[[int], None],
    *,
    steps: int,
    mean_steps: float,
    seed: int,
    most_attempts: int,
    first_step: Callable[[], int],
) -> list[Attempt]:
    """Start an attempt, again after each kill, until one comes to its end.

    Args:
        attempt: Called in a new process with its lifetime in steps; must be picklable.
        steps: Steps of the whole work.
        mean_steps: Mean of the lifetimes, in steps.
        seed: Decides the lifetimes.
        most_attempts: Attempts after which the work counts as hopeless.
        first_step: Returns the step that the next attempt will begin with.

    Raises:
        UserError: No attempt came to its end.
        RuntimeError: An attempt failed by itself.
    """
    attempts: list[Attempt] = []
    for lifetime in islice(lifetimes(mean_steps, seed), most_attempts):
        first, before_s = first_step(), children_cpu_s()
        process = multiprocessing.get_context("spawn").Process(target=attempt, args=(lifetime,))
        process.start()
        process.join()
        if process.exitcode not in (0, -signal.SIGKILL):
            raise RuntimeError(f"an attempt ended with exit code {process.exitcode}; its error stands above")
        killed = process.exitcode != 0
        done = lifetime if killed else steps - first
        attempts.append(Attempt(first, done, killed, children_cpu_s() - before_s))
        if not killed:
            return attempts
    raise UserError(
        f"most_attempts: all {most_attempts} attempts were killed, after {mean_steps:g} steps on average; "
        "allow more of them or make failures rarer"
    )


def children_cpu_s() -> float:
    """Return the processor time of all ended processes this one has started, killed ones included."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


# --- Train and evaluate ----------------------------------------------------------------------------------


def prepare(config: Config, job: Path, seed: int) -> tuple[dict[str, Part], Callable[[int], None]]:
    """Return the parts of the training and the function that does one step."""
    images, labels = torch.load(job / "data.pt", mmap=True)
    torch.manual_seed(seed)
    model = build_model(images[0].numel(), config.hidden)
    optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, weight_decay=5e-4)
    batches = Batches(len(images), config.batch_size)

    def train_step(step: int) -> None:
        triangle = min((step + 1) / (0.2 * config.steps), (config.steps - step) / (0.8 * config.steps))
        optimizer.param_groups[0]["lr"] = config.learning_rate * triangle
        chosen = batches.draw()
        loss = F.cross_entropy(model(images[chosen]), labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    return {"model": model, "optimizer": optimizer, "batches": batches}, train_step


def train(
    config: Config,
    parts: Mapping[str, Part],
    train_step: Callable[[int], None],
    interval: int | None,
    folder: Path,
) -> dict[str, Any]:
    """Train with or without checkpoints; return the state at the end."""
    if interval is None:
        for step in range(config.steps):
            train_step(step)
    else:
        train_with_checkpoints(parts, train_step, steps=config.steps, interval=interval, folder=folder)
    return snapshot(parts)


def attempt(config: Config, job: Path, seed: int, interval: int | None, threads: int, lifetime: int) -> None:
    """Train in a process of its own, killed after `lifetime` steps; leave the state where that is enough."""
    torch.set_num_threads(threads)
    parts, train_step = prepare(config, job, seed)
    start_cpu_s = time.process_time()
    state = train(config, parts, dying(train_step, lifetime), interval, job / "killed")
    used = {"start_cpu_s": start_cpu_s, "cpu_s": time.process_time()}
    save_checkpoint(job / "final", config.steps, {"state": state, **used})


def rehearse(config: Config, job: Path, seed: int, meter: Meter) -> tuple[float, float, float]:
    """Return the processor time of a step, of writing a checkpoint, and of finding out, in s."""
    parts, train_step = prepare(config, job, seed)
    for step in range(5):
        train_step(step)
    with meter.window("steps") as steps:
        for step in range(100):
            train_step(step)
    with meter.window("checkpoints") as writes:
        for step in range(10):
            save_checkpoint(job / "rehearsal", step, snapshot(parts))
    return steps.cpu_s / 100, writes.cpu_s / 10, 1.05 * steps.cpu_s + writes.cpu_s


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images whose label the net predicts."""
    return float((model.eval()(images).argmax(1) == labels).double().mean())


# --- What a training is judged by ------------------------------------------------------------------------
# What checkpoints cost and save: expected cost by interval, metrics, and whether two states are equal.

RARE_FAILURES = 100.0
"""Mean time between failures of the second scenario, as a multiple of the whole training."""


@dataclass(frozen=True)
class Costs:
    """Processor time of what a training with failures does, in s."""

    step_s: float
    """One training step."""
    write_s: float
    """Writing one checkpoint."""
    start_s: float
    """Starting a process, up to its first step: imports, data, net."""
    end_s: float
    """Ending the process that finishes: writing the trained net, and taking the interpreter down."""


def expected_cost(
    interval: int | None, steps: int, mean_steps: float, costs: Costs
) -> tuple[float, float, float]:
    """Return what a training costs on average over failures.

    Lifetimes are exponential and rounded down to whole steps, so that a stretch of L steps between two
    checkpoints takes exp(L / M) attempts and (exp(L / M) - 1) / (exp(1 / M) - 1) steps on average.

    Args:
        interval: Steps between two checkpoints; None for none.
        steps: Steps of the whole training.
        mean_steps: Mean time M between failures, in steps.
        costs: What a step, a checkpoint and a start cost.

    Returns:
        Steps wasted, failures, and processor time in s.
    """
    checkpoints = (steps - 1) // interval if interval else 0
    stretches = [interval or 0] * checkpoints
    stretches.append(steps - sum(stretches))
    failures = math.fsum(math.expm1(length / mean_steps) for length in stretches)
    done = failures / math.expm1(1 / mean_steps)
    cpu_s = done * costs.step_s + checkpoints * costs.write_s + (1 + failures) * costs.start_s + costs.end_s
    return done - steps, failures, cpu_s


@dataclass(frozen=True)
class TrainingRun:
    """A training with failures, done at last."""

    interval: int | None
    """Steps between two checkpoints; None for none."""
    steps: int
    """Steps of the whole training."""
    mean_steps: float
    """Mean time between failures, in steps."""
    costs: Costs
    """What a step, a checkpoint and a start cost."""
    attempts: Sequence[Attempt]
    """All attempts, the last one not killed."""
    checkpoint_bytes: int
    """Size of one checkpoint; 0 where there was none."""
    cpu_s: float
    """Processor time of all attempts, and of what starts them and finds the interval."""
    duration_s: float
    """Wall-clock time of the same, without finding the interval."""

    @property
    def wasted_steps(self) -> int:
        """Steps that had to be done again."""
        return sum(attempt.steps_done for attempt in self.attempts) - self.steps


def interval_table(run: TrainingRun) -> list[dict[str, Json]]:
    """Return one row an interval, from every step to none, with the run's own figures in its row."""
    halves = {max(1, round(run.steps / 10 ** (half / 2))) for half in range(1, 8)}
    own = {run.interval} if run.interval else set()
    rows: list[dict[str, Json]] = []
    for at in [*sorted(halves | own | {1}), None]:
        wasted, failures, cpu_s = expected_cost(at, run.steps, run.mean_steps, run.costs)
        *_, rare_cpu_s = expected_cost(at, run.steps, RARE_FAILURES * run.steps, run.costs)
        rows.append(
            {
                "interval_steps": "none" if at is None else str(at),
                "expected_failures": failures,
                "expected_wasted_steps": wasted,
                "expected_cpu_s": cpu_s,
                "expected_cpu_s_with_a_failure_in_100_trainings": rare_cpu_s,
                "wasted_steps_this_run": run.wasted_steps if at == run.interval else None,
                "cpu_s_this_run": run.cpu_s if at == run.interval else None,
            }
        )
    return rows


def attempt_table(attempts: Sequence[Attempt]) -> list[dict[str, Json]]:
    """Return one row an attempt."""
    return [{"attempt": number, **dataclasses.asdict(attempt)} for number, attempt in enumerate(attempts, 1)]


def leaves(state: Any) -> Iterator[Tensor]:  # noqa: ANN401 - whatever a state dictionary holds
    """Yield all values of a state as bytes, (bytes,), in the order of their keys."""
    if isinstance(state, Mapping):
        for key in sorted(state, key=str):
            yield from leaves(state[key])
    elif isinstance(state, (list, tuple)):
        for entry in state:
            yield from leaves(entry)
    elif state is not None:
        yield torch.as_tensor(state).contiguous().reshape(-1).view(torch.uint8)


def differing_bytes(one: Any, other: Any) -> int:  # noqa: ANN401
    """Count the bytes in which two states of the same form differ.

    Raises:
        ValueError: They are not of the same form.
    """
    pairs = list(zip(leaves(one), leaves(other), strict=True))
    if any(a.shape != b.shape for a, b in pairs):
        raise ValueError("expected two states with the same tensors, got tensors of other sizes")
    return sum(int((a != b).sum()) for a, b in pairs)


def state_checksum(state: Any) -> str:  # noqa: ANN401
    """Return the SHA-256 of all values of a state."""
    digest = hashlib.sha256()
    for leaf in leaves(state):
        digest.update(leaf.numpy().tobytes())
    return digest.hexdigest()


def cost_metrics(run: TrainingRun) -> dict[str, Metric]:
    """Return the cost of a run, what its parts cost, and what the model expects on average over failures."""
    wasted, _, expected_s = expected_cost(run.interval, run.steps, run.mean_steps, run.costs)
    written = (
        (run.steps - 1) // run.interval if run.interval else 0
    )  # each is written once: none is gone behind
    on_average = "on average over exponential times between failures"
    found = {
        "training_cpu_s": _cost(
            run.cpu_s, "s", "measured", "Processor time of all attempts, starts included."
        ),
        "training_s": _cost(
            run.duration_s, "s", "measured", "Wall-clock time of all attempts, disk included."
        ),
        "wasted_steps": _cost(run.wasted_steps, "count", "counted", "Training steps lost in failures."),
        "attempts": _cost(
            len(run.attempts), "count", "counted", "Processes started until training was done."
        ),
        "written_bytes": _cost(
            written * run.checkpoint_bytes, "bytes", "counted", "Checkpoints times the size of one."
        ),
        "expected_training_cpu_s": _cost(
            expected_s, "s", "modelled", f"Processor time {on_average}, from the measured costs."
        ),
        "expected_wasted_steps": _cost(wasted, "count", "modelled", f"Steps lost {on_average}."),
        "step_cpu_ms": _cost(1e3 * run.costs.step_s, "ms", "measured", "Processor time of one step."),
        "checkpoint_cpu_ms": _cost(
            1e3 * run.costs.write_s, "ms", "measured", "Processor time of writing one checkpoint."
        ),
        "start_cpu_s": _cost(
            run.costs.start_s, "s", "measured", "Processor time of a new process up to its first step."
        ),
    }
    if run.interval:
        steps = "Training steps between two checkpoints."
        found["interval_steps"] = Metric(run.interval, "count", "neither", "counted", steps)
    return found


def accuracy_metric(value: float) -> Metric:
    """Return the test accuracy as a metric."""
    return Metric(
        value, "fraction", "higher", "measured", "Fraction of the test images classified correctly."
    )


def uninterrupted_metric(cpu_s: float) -> Metric:
    """Return the cost of the same training without failures as a metric."""
    return _cost(
        cpu_s, "s", "measured", "Processor time of the training without any failure, checkpoints included."
    )


def difference_metric(reference: Mapping[str, Any], state: Mapping[str, Any]) -> Metric:
    """Return how far the state at the end is from that of a training without failures."""
    description = (
        "Bytes of weights, momentum, random state and data order unlike those of a run without failures."
    )
    return _cost(differing_bytes(reference, state), "bytes", "counted", description)


def _cost(value: float, unit: str, provenance: Provenance, description: str) -> Metric:
    return Metric(float(value), unit, "lower", provenance, description)


# --- Run -------------------------------------------------------------------------------------------------


def choose_interval(arm: str, config: Config, examples: int, write_steps: float) -> int | None:
    """Return the arm's interval in steps; `write_steps` is what a checkpoint costs, in steps."""
    best = checkpoint_interval(write_steps, config.mean_between_failures * config.steps)
    intervals = {
        "tactic": max(1, round(best)),
        "every_ten_steps": 10,
        "each_epoch": examples // config.batch_size,
    }
    return intervals.get(arm)


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train once without failures, as the reference, and once with them."""
    images = load_images(config.data, config.data_dir)
    chosen = images.train_images[: config.train_examples], images.train_labels[: config.train_examples]
    mean_steps = config.mean_between_failures * config.steps
    with tempfile.TemporaryDirectory() as name:
        job = Path(name)
        torch.save(chosen, job / "data.pt")
        step_s, write_s, rehearsal_s = rehearse(config, job, seed, meter)
        interval = choose_interval(arm, config, len(chosen[0]), write_s / step_s)
        with meter.window("uninterrupted") as uninterrupted:
            reference = train(config, *prepare(config, job, seed), interval, job / "uninterrupted")
        with meter.window("training") as training:
            attempts = run_until_done(
                partial(attempt, config, job, seed, interval, torch.get_num_threads()),
                first_step=partial(newest_step, job / "killed"),
                mean_steps=mean_steps,
                seed=seed,
                steps=config.steps,
                most_attempts=config.most_attempts,
            )
        final = read_checkpoint(list_checkpoints(job / "final")[0])
        size = max((path.stat().st_size for path in list_checkpoints(job / "killed")), default=0)
    costs = Costs(step_s, write_s, final["start_cpu_s"], attempts[-1].cpu_s - final["cpu_s"])
    cpu_s = math.fsum(attempt.cpu_s for attempt in attempts) + training.cpu_s
    cpu_s += rehearsal_s if arm == "tactic" else 0.0
    done = TrainingRun(interval, config.steps, mean_steps, costs, attempts, size, cpu_s, training.duration_s)
    model = build_model(chosen[0][0].numel(), config.hidden)
    model.load_state_dict(final["state"]["parts"]["model"])
    metrics = {
        "test_accuracy": accuracy_metric(accuracy(model, images.test_images, images.test_labels)),
        "differing_bytes": difference_metric(reference, final["state"]),
        "uninterrupted_cpu_s": uninterrupted_metric(uninterrupted.cpu_s),
        **cost_metrics(done),
    }
    tables = {"intervals": interval_table(done), "attempts": attempt_table(attempts)}
    return Outcome(metrics, images.used, {**tables, "final_state_sha256": state_checksum(final["state"])})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
