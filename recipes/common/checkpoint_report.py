"""What checkpoints cost and save: expected cost by interval, metrics, and whether two states are equal."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from recipes.common.contract import Json, Metric, Provenance
from recipes.common.restarting import Attempt

RARE = 100.0
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
class Run:
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


def interval_table(run: Run) -> list[dict[str, Json]]:
    """Return one row an interval, from every step to none, with the run's own figures in its row."""
    halves = {max(1, round(run.steps / 10 ** (half / 2))) for half in range(1, 8)}
    own = {run.interval} if run.interval else set()
    rows: list[dict[str, Json]] = []
    for at in [*sorted(halves | own | {1}), None]:
        wasted, failures, cpu_s = expected_cost(at, run.steps, run.mean_steps, run.costs)
        *_, rare_cpu_s = expected_cost(at, run.steps, RARE * run.steps, run.costs)
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


def checksum(state: Any) -> str:  # noqa: ANN401
    """Return the SHA-256 of all values of a state."""
    digest = hashlib.sha256()
    for leaf in leaves(state):
        digest.update(leaf.numpy().tobytes())
    return digest.hexdigest()


def metrics(run: Run) -> dict[str, Metric]:
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
