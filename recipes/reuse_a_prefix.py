"""Prefix caching: what many prompts begin with is read once, and its keys and values are copied for each.

Record: tactics/reuse-a-prefix.yaml. All prompts are one document and, behind it, something of their own. The
baseline reads each prompt as a whole. The tactic reads the document once, which is charged to it, and of each
prompt the rest. The rivals read the end of the document only, or several whole prompts together; one more arm
joins the tactic with these batches.

    python -m recipes.reuse_a_prefix --arm tactic --seed 0 --preset default

An arm takes up to a minute of one core with DEFAULT, which needs `greentactics data fetch smollm2`, and a
second with SMOKE. Published seeds, from 1000, read other texts than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from recipes.batch_requests import write_together
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.keep_keys_and_values import cache_bytes_per_token
from recipes.language import smollm2
from recipes.language.batches import filled_up
from recipes.language.llama import Cache, Llama
from recipes.language.quality import as_likely
from recipes.language.texts import language_reference

TACTIC = "reuse-a-prefix"
ARMS = ("baseline", "tactic", "shorter_prefix", "batches", "tactic_and_batches")
METRICS: MetricTable = {
    "request_cpu_s": ("s", "lower", "measured", "Processor time of a request, with its share of the prefix."),
    "reading_cpu_s": ("s", "lower", "measured", "The same up to the first new token."),
    "first_token_s": (
        "s",
        "lower",
        "measured",
        "Time from taking up a request to its first new token, mean.",
    ),
    "passed_tokens": ("count", "lower", "counted", "Tokens through the net for a request, with filling."),
    "cache_bytes": ("bytes", "lower", "counted", "Memory taken for keys and values at a time, at most."),
    "same_tokens": ("fraction", "higher", "measured", "New tokens that the whole prompt gives as well."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    requests: int = 10
    """Requests that follow each other."""
    prefix: int = 192
    """Tokens that all prompts begin with."""
    shorter: int = 64
    """Of these, the last ones that the rival reads."""
    rest: tuple[int, int] = (8, 32)
    """Tokens of a prompt behind the prefix, at least and at most; all numbers between are as likely."""
    batch: int = 5
    """Requests that the other rival reads together."""
    new_tokens: int = 8
    """Tokens written for each request."""


SMOKE = Config(net="tiny", requests=6, prefix=48, shorter=16, rest=(4, 8), batch=3, new_tokens=4)
DEFAULT = Config()
FULL = Config(requests=64, prefix=1024, shorter=256, rest=(16, 128), batch=16, new_tokens=32)

# --- The tactic; baseline and rivals read whole prompts, or such with a shorter prefix --------------------


# --8<-- [start:tactic]
@torch.inference_mode()
def read_once(net: Llama, prefix: Sequence[int]) -> Cache:
    """Return keys and values of what the prompts begin with."""
    kept = Cache(net.config, 1, len(prefix), like=net.embedding.weight)
    net(torch.tensor([prefix]), cache=kept, last_only=True)
    return kept


@torch.inference_mode()
def behind(net: Llama, kept: Cache, prompts: Sequence[Sequence[int]], count: int) -> Iterator[Tensor]:
    """Give the next token of prompts that begin with what is kept, (prompts, 1), one after the other.

    Shorter prompts are filled up in front, as all end together: what is kept is copied so much further to the
    right, and its last tokens, which find no room there, are read again with the rest.
    """
    filled, padding = filled_up(prompts, net.embedding.weight.device)  # (prompts, longest), (prompts,)
    cache = Cache(net.config, len(prompts), filled.shape[1] + count, like=net.embedding.weight)
    for row, fill in enumerate([0] * len(prompts) if padding is None else padding.tolist()):
        copied = max(0, kept.length - fill)
        # (layers, prompts, key_value_heads, tokens, head_size)
        cache.keys[:, row, :, fill : fill + copied] = kept.keys[:, 0, :, :copied]
        cache.values[:, row, :, fill : fill + copied] = kept.values[:, 0, :, :copied]
    cache.length, new = kept.length, filled[:, kept.length :]
    for _ in range(count):
        new = net(new, cache=cache, padding=padding, last_only=True).argmax(-1)
        yield new


# --8<-- [end:tactic]

# --- Run -------------------------------------------------------------------------------------------------


def prompts_of(config: Config, texts: Sequence[list[int]], seed: int) -> tuple[list[int], list[list[int]]]:
    """Return a prefix and what follows it in each prompt, all of them beginnings of texts."""
    draw = random.Random(seed)  # noqa: S311 - not for secrets
    document = draw.choice([text for text in texts if len(text) >= config.prefix])
    others = [text for text in texts if text is not document and len(text) >= config.rest[1]]
    rests = [draw.choice(others)[: draw.randint(*config.rest)] for _ in range(config.requests)]
    return document[: config.prefix], rests


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Answer requests whose prompts begin alike."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    net, texts, count = model.net, language_reference(), config.new_tokens
    part = texts.test if seed >= 1000 else texts.search
    prefix, rests = prompts_of(config, [model.encode(text.text) for text in part], seed)
    list(write_together(net, [prefix[:8]], count))  # memory and threads are set up
    shared = config.shorter if arm == "shorter_prefix" else config.prefix
    size = config.batch if arm.endswith("batches") else 1
    reading_cpu_s = writing_cpu_s = first_token_s = 0.0
    passed, room, same = 0, 0, list[Tensor]()  # tokens, but for the last
    kept = None
    if arm.startswith("tactic"):
        with meter.window("reading the prefix") as window:
            kept = read_once(net, prefix)
        reading_cpu_s, passed = window.cpu_s, len(prefix)
    for start in range(0, len(rests), size):
        batch = rests[start : start + size]
        prompts = [prefix[len(prefix) - shared :] + rest for rest in batch]
        steps = behind(net, kept, prompts, count) if kept else write_together(net, prompts, count)
        with meter.window(f"reading {start}") as reading:
            first = next(steps)
        with meter.window(f"writing {start}") as writing:
            new = torch.cat([first, *steps], dim=1)  # (requests, new tokens)
        reading_cpu_s, writing_cpu_s = reading_cpu_s + reading.cpu_s, writing_cpu_s + writing.cpu_s
        first_token_s += reading.duration_s * len(batch) / len(rests)
        same += [as_likely(net, prefix + rest, row) for rest, row in zip(batch, new, strict=True)]
        longest = max(map(len, prompts))
        known = kept.length if kept else 0  # tokens that are not read again
        passed += len(batch) * (longest - known + count - 1)
        room = max(room, known + len(batch) * (longest + count))
    metrics = {
        "request_cpu_s": (reading_cpu_s + writing_cpu_s) / len(rests),
        "reading_cpu_s": reading_cpu_s / len(rests),
        "first_token_s": first_token_s,
        "passed_tokens": passed / len(rests),
        "cache_bytes": room * cache_bytes_per_token(net),
        "same_tokens": float(torch.cat(same).double().mean()),
    }
    return Outcome(metrics, texts.used, {"net": {"name": model.name, "sha256": model.sha256}})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
