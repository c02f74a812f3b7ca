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

import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common import checkpoint_report as report
from recipes.common import cli
from recipes.common.contract import Meter, Outcome
from recipes.common.data import load_images
from recipes.common.restarting import dying, run_until_done
from recipes.common.training_state import (
    Part,
    list_checkpoints,
    load_checkpoint,
    newest_step,
    read_checkpoint,
    require_restorable,
    restore,
    save_checkpoint,
    snapshot,
)

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
    costs = report.Costs(step_s, write_s, final["start_cpu_s"], attempts[-1].cpu_s - final["cpu_s"])
    cpu_s = math.fsum(attempt.cpu_s for attempt in attempts) + training.cpu_s
    cpu_s += rehearsal_s if arm == "tactic" else 0.0
    done = report.Run(interval, config.steps, mean_steps, costs, attempts, size, cpu_s, training.duration_s)
    model = build_model(chosen[0][0].numel(), config.hidden)
    model.load_state_dict(final["state"]["parts"]["model"])
    metrics = {
        "test_accuracy": report.accuracy_metric(accuracy(model, images.test_images, images.test_labels)),
        "differing_bytes": report.difference_metric(reference, final["state"]),
        "uninterrupted_cpu_s": report.uninterrupted_metric(uninterrupted.cpu_s),
        **report.metrics(done),
    }
    tables = {"intervals": report.interval_table(done), "attempts": report.attempt_table(attempts)}
    return Outcome(metrics, images.used, {**tables, "final_state_sha256": report.checksum(final["state"])})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
