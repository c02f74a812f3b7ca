"""Memory: find the batch that fits before a training starts, in place of a run that dies and is paid twice.

Record: tactics/design-for-memory-constraints.yaml. A small language model learns from paragraphs in batches
of like lengths, in random order, so that the longest come at any time. A real limit on the memory of the
process stands a little above what most batches need. The baseline starts, dies at the first batch that does
not fit, and starts again with parts of half the size, whose gradients it adds up; all arms take the same
steps, whatever the size of parts. The tactic tries the longest batch beforehand and takes the largest part
that fits. Rivals: the batch that failed is tried again in halves, in the same process; one paragraph at a
time from the start; and the whole batch with activations computed again (Chen et al., "Training Deep Nets
with Sublinear Memory Cost", 2016, arXiv 1604.06174).

    python -m recipes.design_for_memory_constraints --arm tactic --seed 0 --preset default

On one processor core the baseline takes up to a minute with DEFAULT, which needs nothing, and SMOKE some
seconds. The limit needs Linux. Published seeds, from 1000, learn from other texts than those below.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import re
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from recipes.common.run import cli
from recipes.common.run.contract import CannotRun, Json, Meter, MetricTable, Outcome
from recipes.language import llama
from recipes.language.llama import Llama
from recipes.language.quality import surprises
from recipes.language.texts import language_reference
from recipes.language.training import Tokens, loss_of, padded, steps_of

TACTIC = "design-for-memory-constraints"
ARMS = ("baseline", "tactic", "halved_in_place", "one_by_one", "recomputed")
METRICS: MetricTable = {
    "training_cpu_s": ("s", "lower", "measured", "Processor time of all attempts, and of trying beforehand."),
    "wasted_cpu_s": ("s", "lower", "measured", "Of it, what led to no step that counts."),
    "attempts": ("count", "lower", "counted", "Processes until one came to the end."),
    "part_rows": ("count", "higher", "counted", "Paragraphs of a part at the end."),
    "peak_bytes": ("bytes", "lower", "measured", "Most memory of a process that trained, all it holds."),
    "held_out_nats": ("nats", "lower", "measured", "Loss of a byte of held-out paragraphs at the end."),
}
NET = llama.Config(vocabulary=257, width=128, layers=4, heads=4, key_value_heads=2, hidden=256)


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    paragraphs: int = 640
    """Paragraphs to learn from, each once."""
    rows: int = 32
    """Paragraphs of one step."""
    longest: int = 1_024
    """Bytes of a paragraph that count."""
    limit_bytes: int = 1_200_000_000
    """Memory for training, on top of what a process holds that has the net and the texts."""
    reserve: float = 0.2
    """Share of it that the tactic leaves free."""
    rate: float = 2e-3
    """Learning rate of Adam."""
    held_out: int = 40
    """Paragraphs that judge."""


SMOKE = Config(paragraphs=32, rows=8, longest=256, limit_bytes=60_000_000, held_out=4)
DEFAULT = Config()
FULL = Config(paragraphs=1_000, rows=64, longest=2_048, limit_bytes=1_600_000_000)

# --- The tactic ------------------------------------------------------------------------------------------

Step = Callable[[Sequence[Tokens]], Tensor]
"""Computes the loss of some texts, a mean over their tokens."""


# --8<-- [start:tactic]
def add_up(step: Step, texts: Sequence[Tokens], part_rows: int) -> None:
    """Compute the gradients of a batch part by part; they add up to those of the whole."""
    guessed = sum(len(text) - 1 for text in texts)
    for start in range(0, len(texts), part_rows):
        part = texts[start : start + part_rows]
        share = sum(len(text) - 1 for text in part) / guessed
        (step(part) * share).backward()  # type: ignore[no-untyped-call]


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error says that memory could not be had."""
    return isinstance(error, MemoryError) or bool(re.search(r"allocate|bad_alloc|out of memory", str(error)))


def largest_that_fits(net: nn.Module, step: Step, longest: Sequence[Tokens], reserve_bytes: int) -> int:
    """Return how many texts a part may have: the most whose gradients can be had under the limit.

    Tried are the texts of the batch that takes most, then half of them, and so on.

    Args:
        net: Its gradients are cleared again.
        step: As for `add_up`.
        longest: Texts of the batch that takes most.
        reserve_bytes: What is held while it is tried, for what comes later: the state of the optimiser, a
            validation, and gaps between blocks that are freed and taken again.

    Raises:
        RuntimeError: Not even one text fits.
    """
    rows = len(longest)
    while True:
        held = torch.empty(reserve_bytes, dtype=torch.uint8)
        try:
            step(longest[:rows]).backward()  # type: ignore[no-untyped-call]
        except (RuntimeError, MemoryError) as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
            rows = (rows + 1) // 2
        else:
            return rows
        finally:
            net.zero_grad()
            del held


# --8<-- [end:tactic]
# --- A training under a limit ------------------------------------------------------------------------------


class Recomputed(nn.Module):
    """A layer that keeps its inputs alone, and computes the rest again for the gradients."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, *inputs: Any) -> Any:  # noqa: ANN401 - what the layer takes and gives
        """Return what the layer gives."""
        return checkpoint(self.layer, *inputs, use_reentrant=False)


def limit_memory(more_bytes: int) -> None:
    """Let this process take so many bytes more than it holds now."""
    status = Path("/proc/self/status").read_text()
    held = int(re.findall(r"VmData:\s+(\d+) kB", status)[0]) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (held + more_bytes, resource.RLIM_INFINITY))


def attempt(
    arm: str, config: Config, batches: Sequence[Sequence[Tokens]], held_out: Sequence[Tokens],
    seed: int, part_rows: int, told: Connection,
) -> None:  # fmt: skip
    """Train in this process until the end, or until memory fails, and tell what came of it."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    net = Llama(NET)
    nn.init.normal_(net.embedding.weight, std=NET.width**-0.5)  # it reads out, too
    optimiser = torch.optim.Adam(net.parameters(), config.rate)
    if arm == "recomputed":
        net.layers = nn.ModuleList(Recomputed(layer) for layer in net.layers)

    def step(texts: Sequence[Tokens]) -> Tensor:
        return loss_of(net, padded(texts))

    add_up(step, [text[:8] for text in batches[0][:2]], 1)  # kernels and their memory are set up
    optimiser.zero_grad()
    limit_memory(config.limit_bytes)
    begun, wasted_s, outcome = time.process_time(), 0.0, dict[str, float]()
    try:
        if arm == "tactic":
            longest = max(batches, key=lambda texts: max(map(len, texts)))[:part_rows]
            part_rows = largest_that_fits(net, step, longest, round(config.reserve * config.limit_bytes))
            wasted_s = time.process_time() - begun
        for texts in batches:
            while True:
                at = time.process_time()
                try:
                    add_up(step, texts, part_rows)
                    break
                except (RuntimeError, MemoryError) as error:
                    if arm != "halved_in_place" or part_rows == 1 or not is_out_of_memory(error):
                        raise
                optimiser.zero_grad()
                wasted_s += time.process_time() - at
                part_rows = (part_rows + 1) // 2
            optimiser.step()
            optimiser.zero_grad()
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        wasted_s = time.process_time() - begun
    else:
        cpu_s = time.process_time() - begun
        if arm == "recomputed":
            net.layers = nn.ModuleList(layer.layer for layer in net.layers)  # type: ignore[misc]
        outcome = {"cpu_s": cpu_s, "nats": float(surprises(net.eval(), held_out).mean())}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    told.send(outcome | {"wasted_s": wasted_s, "part_rows": part_rows, "peak_bytes": peak})


def in_own_process(*arguments: Any) -> dict[str, float]:  # noqa: ANN401 - those of `attempt`
    """Let an attempt run in a process of its own, and return what it tells."""
    spawn = multiprocessing.get_context("spawn")
    here, there = spawn.Pipe()
    child = spawn.Process(target=attempt, args=(*arguments, there))
    child.start()
    there.close()
    try:
        told: dict[str, float] = here.recv()
    except EOFError:
        raise CannotRun(
            "expected a training that ends or tells why not, got none; see the lines above"
        ) from None
    finally:
        child.join()
    return told


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train under a limit until it comes to the end."""
    if sys.platform != "linux":
        raise CannotRun(f"expected Linux, whose limit on memory holds, got {os.name}; run it there")
    texts, draw = language_reference(), random.Random(seed)  # noqa: S311 - not for secrets
    part = texts.test if seed >= 1000 else texts.search
    paragraphs = [
        list(paragraph.encode())[: config.longest]
        for text in part
        for paragraph in re.split(r"\n\s*\n", text.text)
        if len(paragraph) > 1
    ]
    draw.shuffle(paragraphs)
    held_out, learned = paragraphs[: config.held_out], paragraphs[config.held_out :][: config.paragraphs]
    batches = steps_of(sorted(learned, key=len), config.rows)
    draw.shuffle(batches)
    rows = 1 if arm == "one_by_one" else config.rows
    attempts = list[dict[str, float]]()
    with meter.window("training"):
        while not attempts or "nats" not in attempts[-1]:
            attempts.append(in_own_process(arm, config, batches, held_out, seed, rows))
            if rows == 1 and "nats" not in attempts[-1]:
                raise CannotRun(
                    f"limit_bytes: expected room for one paragraph, got {config.limit_bytes}; raise it"
                )
            rows = (rows + 1) // 2
    last = attempts[-1]
    died_s = sum(each["wasted_s"] for each in attempts[:-1])
    metrics = {
        "training_cpu_s": died_s + last["cpu_s"],
        "wasted_cpu_s": died_s + last["wasted_s"],
        "attempts": float(len(attempts)),
        "part_rows": last["part_rows"],
        "peak_bytes": max(each["peak_bytes"] for each in attempts),
        "held_out_nats": last["nats"],
    }
    details: dict[str, Json] = {"attempts": [dict(each) for each in attempts]}
    return Outcome(metrics, texts.used, details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
