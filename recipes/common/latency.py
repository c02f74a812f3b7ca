"""Latency of two nets side by side on one processor thread."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class LatencyComparison:
    """Latency of two nets, timed in alternating rounds in one process."""

    first_ms: float
    """Median time of one forward pass of the first net."""
    second_ms: float
    """Median time of one forward pass of the second net."""
    ratio: float
    """Median over rounds of first time / second time: above 1 the second net is faster."""
    same_net_ratio: float
    """The same ratio for the first net against itself: its distance from 1 is the noise."""
    rounds: int
    """Rounds, each of which times every net once, in shuffled order."""


def compare_latency(
    first: nn.Module,
    second: nn.Module,
    inputs: Tensor,
    *,
    rounds: int = 15,
    cell_s: float = 0.05,
    clock_s: Callable[[], float] = time.perf_counter,
) -> LatencyComparison:
    """Time two nets on the same inputs, round by round, so that a change of load meets both.

    The first net is timed twice a round, and the ratio of the two shows what the method cannot tell apart.
    Uses as many threads as torch has been given.

    Args:
        first: Net in evaluation mode.
        second: Net in evaluation mode.
        inputs: One batch for a forward pass.
        rounds: At least 1.
        cell_s: Shortest time of one reading, which repeats the forward pass as often as that takes.
        clock_s: Monotonic clock in seconds.
    """
    nets = {"first": first, "again": first, "second": second}
    times_ms: dict[str, list[float]] = {name: [] for name in nets}
    order = list(nets)
    shuffle = random.Random(0).shuffle  # noqa: S311 - an order of readings, not a secret
    with torch.inference_mode():
        repeats = {
            name: _repeats_filling(cell_s, net, inputs, clock_s) for name, net in nets.items()
        }  # also the warm-up
        for _ in range(rounds):
            shuffle(order)
            for name in order:
                started_s = clock_s()
                for _ in range(repeats[name]):
                    nets[name](inputs)
                times_ms[name].append((clock_s() - started_s) * 1000 / repeats[name])
    return LatencyComparison(
        first_ms=statistics.median(times_ms["first"]),
        second_ms=statistics.median(times_ms["second"]),
        ratio=_median_ratio(times_ms["first"], times_ms["second"]),
        same_net_ratio=_median_ratio(times_ms["first"], times_ms["again"]),
        rounds=rounds,
    )


def _median_ratio(numerators: list[float], denominators: list[float]) -> float:
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def _repeats_filling(cell_s: float, net: nn.Module, inputs: Tensor, clock_s: Callable[[], float]) -> int:
    """Return how many forward passes fill one reading, doubling until they do."""
    repeats = 1
    while True:
        started_s = clock_s()
        for _ in range(repeats):
            net(inputs)
        if clock_s() - started_s >= cell_s:
            return repeats
        repeats *= 2
