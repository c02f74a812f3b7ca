"""Batched decoding: a language model writes for several requests at a time, so that all share its weights.

Record: tactics/batch-requests.yaml. For one new token of one request all weights come from memory, for a few
operations on each. The baseline does that request by request. The tactic takes the next eight of the queue
together; shorter ones are filled up on the left, and that filling is computed and charged. The rival sorts
the queue by length first, so that there is less to fill, and the first to come may wait. All requests want
the same number of tokens and stand in the queue at the start: nobody waits for a batch to fill, and no place
in a batch stands empty.

    python -m recipes.batch_requests --arm tactic --seed 0 --preset default

On one processor core an arm takes about a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, read other texts than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.keep_keys_and_values import cache_bytes_per_token
from recipes.language import smollm2
from recipes.language.batches import filled_up
from recipes.language.llama import Cache, Llama
from recipes.language.quality import as_likely
from recipes.language.texts import language_reference

TACTIC = "batch-requests"
ARMS = ("baseline", "tactic", "sorted_by_length")
METRICS: MetricTable = {
    "token_cpu_ms": ("ms", "lower", "measured", "Processor time for a new token, reading included."),
    "decoding_cpu_ms": ("ms", "lower", "measured", "The same for those after the first of each request."),
    "token_wall_ms": ("ms", "lower", "measured", "Time for a new token, reading of requests included."),
    "first_answer_s": ("s", "lower", "measured", "Time until the request that came first is answered."),
    "mean_answer_s": ("s", "lower", "measured", "Time until a request is answered, mean over the queue."),
    "padded_fraction": ("fraction", "lower", "counted", "Share of the tokens read that only fill up."),
    "cache_bytes": ("bytes", "lower", "counted", "Memory taken for keys and values at a time, at most."),
    "same_tokens": ("fraction", "higher", "measured", "New tokens that one request by itself gives as well."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    requests: int = 24
    """Requests in the queue."""
    lengths: tuple[int, int] = (16, 192)
    """Tokens of the shortest and of the longest request there may be; all lengths between are as likely."""
    batch: int = 8
    """Requests that are written for together."""
    new_tokens: int = 12
    """Tokens written for each."""


SMOKE = Config(net="tiny", requests=8, lengths=(4, 32), batch=4, new_tokens=5)
DEFAULT = Config()
FULL = Config(requests=96, lengths=(16, 512), batch=16, new_tokens=64)

# --- The tactic and a rival, which put the numbers of requests into batches; batches of one are the baseline


# --8<-- [start:tactic]
def as_they_come(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Return batches in order of arrival; those of the baseline have the size 1."""
    return [list(range(start, min(start + size, len(lengths)))) for start in range(0, len(lengths), size)]


@torch.inference_mode()
def write_together(net: Llama, requests: Sequence[Sequence[int]], count: int) -> Iterator[Tensor]:
    """Give the next token of all requests, (requests, 1), one after the other; keys and values are kept."""
    new, padding = filled_up(requests, net.embedding.weight.device)  # (requests, longest), (requests,)
    cache = Cache(net.config, len(requests), new.shape[1] + count, like=net.embedding.weight)
    for _ in range(count):
        new = net(new, cache=cache, padding=padding, last_only=True).argmax(-1)
        yield new


# --8<-- [end:tactic]


def by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Return batches of requests of like lengths, the shortest first."""
    numbers = sorted(range(len(lengths)), key=lambda number: lengths[number])
    return [[numbers[place] for place in places] for places in as_they_come(lengths, size)]


# --- Run -------------------------------------------------------------------------------------------------


def queue(config: Config, texts: Sequence[Sequence[int]], seed: int) -> list[list[int]]:
    """Return requests: beginnings of texts drawn by the seed, (requests, tokens)."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    shortest, longest = config.lengths
    long_enough = [text for text in texts if len(text) >= longest]
    return [list(draw.choice(long_enough)[: draw.randint(shortest, longest)]) for _ in range(config.requests)]


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Answer all requests of a queue."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts, count = language_reference(), config.new_tokens
    part = texts.test if seed >= 1000 else texts.search
    requests = queue(config, [model.encode(text.text) for text in part], seed)
    lengths = list(map(len, requests))
    list(write_together(model.net, [requests[0][:8]], count))  # memory and threads are set up
    arrange = by_length if arm == "sorted_by_length" else as_they_come
    batches = arrange(lengths, 1 if arm == "baseline" else config.batch)
    sizes = [(len(batch), max(lengths[number] for number in batch)) for batch in batches]
    reading_cpu_s = writing_cpu_s = now_s = 0.0
    answered_s, same, rows = dict[int, float](), list[Tensor](), list[dict[str, Json]]()
    for batch in batches:
        steps = write_together(model.net, [requests[number] for number in batch], count)
        with meter.window(f"reading {batch}") as reading:
            first = next(steps)
        with meter.window(f"writing {batch}") as writing:
            new = torch.cat([first, *steps], dim=1)  # (requests, new tokens)
        reading_cpu_s, writing_cpu_s = reading_cpu_s + reading.cpu_s, writing_cpu_s + writing.cpu_s
        now_s += reading.duration_s + writing.duration_s
        answered_s.update(dict.fromkeys(batch, now_s))
        same += [as_likely(model.net, requests[number], row) for number, row in zip(batch, new, strict=True)]
        rows.append({"lengths": [lengths[number] for number in batch], "answered_s": now_s})
        rows[-1] |= {"reading_cpu_s": reading.cpu_s, "writing_cpu_s": writing.cpu_s}
    room = max(size * (longest + count) for size, longest in sizes)  # tokens
    metrics = {
        "token_cpu_ms": 1000 * (reading_cpu_s + writing_cpu_s) / (len(requests) * count),
        "decoding_cpu_ms": 1000 * writing_cpu_s / (len(requests) * (count - 1)),
        "token_wall_ms": 1000 * now_s / (len(requests) * count),
        "first_answer_s": answered_s[0],
        "mean_answer_s": sum(answered_s.values()) / len(requests),
        "padded_fraction": 1 - sum(lengths) / sum(size * longest for size, longest in sizes),
        "cache_bytes": cache_bytes_per_token(model.net) * room,
        "same_tokens": float(torch.cat(same).double().mean()),
    }
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"by_batch": rows, "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
