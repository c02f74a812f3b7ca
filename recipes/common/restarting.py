"""Work that is killed at random and started again until it is done, each attempt in a process of its own.

Lifetimes are counted in steps of the work, not in seconds: an attempt kills itself with SIGKILL, which no
process can catch, so the same seed fails at the same steps on any machine.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice

from recipes.common.errors import UserError


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
