"""Key/value cache: a language model reads each token once, and not again for every token it writes.

Record: tactics/keep-keys-and-values.yaml. Keys and values of earlier tokens depend on these tokens alone,
so that they are the same in each pass and can be kept. The baseline puts the whole text through the net
for each new token. The rival does so with the end of the text only, which bounds the cost and forgets the
beginning: the sliding window that is computed anew, of Xiao et al., "Efficient Streaming Language Models
with Attention Sinks", 2023 (arXiv 2309.17453).

    python -m recipes.keep_keys_and_values --arm tactic --seed 0 --preset default

On one processor core an arm takes about a minute with DEFAULT, a second with SMOKE. DEFAULT needs
`greentactics data fetch smollm2`. Published seeds, from 1000, read other texts than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language import smollm2
from recipes.language.llama import Cache, Llama
from recipes.language.quality import as_likely
from recipes.language.texts import language_reference

TACTIC = "keep-keys-and-values"
ARMS = ("baseline", "tactic", "recent_tokens")
METRICS: MetricTable = {
    "token_cpu_ms": ("ms", "lower", "measured", "Processor time of a new token behind the longest text."),
    "request_cpu_s": ("s", "lower", "measured", "Processor time of reading the longest text and going on."),
    "passed_tokens": ("count", "lower", "counted", "Tokens that go through the net for one new token there."),
    "cache_bytes": ("bytes", "lower", "counted", "Keys and values held at the end of the longest text."),
    "same_tokens": (
        "fraction",
        "higher",
        "measured",
        "New tokens, behind all texts, that one pass over the whole text without a cache gives as well.",
    ),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    net: str = "smollm2"
    """`smollm2`, or `tiny`: random weights, and bytes for tokens."""
    data_dir: Path | None = None
    """Folder that holds the weights; None searches the usual places."""
    lengths: tuple[int, ...] = (32, 96, 256)
    """Tokens of the texts to go on from, ascending."""
    new_tokens: int = 16
    """Tokens written behind each."""
    window: int = 64
    """Tokens that the rival still sees."""


SMOKE = Config(net="tiny", lengths=(16, 64), window=16)
DEFAULT = Config()
FULL = Config(lengths=(32, 128, 512, 1024), new_tokens=128, window=256)

# --- The tactic, its baseline and a rival: each gives one new token (batch, 1) after the other -----------


# --8<-- [start:tactic]
@torch.inference_mode()
def keeping(net: Llama, text: Tensor, count: int) -> Iterator[Tensor]:
    """Go on from a text (batch, tokens) with keys and values kept: the net sees each token once."""
    cache = Cache(net.config, len(text), text.shape[1] + count, like=net.embedding.weight)
    new = text
    for _ in range(count):
        new = net(new, cache=cache, last_only=True).argmax(-1)  # (batch, 1)
        yield new


# --8<-- [end:tactic]


@torch.inference_mode()
def recomputing(net: Llama, text: Tensor, count: int, *, window: int | None = None) -> Iterator[Tensor]:
    """Go on from a text (batch, tokens) by a pass over it, or over its last tokens, for each new one."""
    for _ in range(count):
        seen = text if window is None else text[:, -window:]
        new = net(seen, last_only=True).argmax(-1)  # (batch, 1)
        text = torch.cat((text, new), dim=1)
        yield new


# --- Run -------------------------------------------------------------------------------------------------


def written_by(arm: str, config: Config, net: Llama, text: Tensor) -> Iterator[Tensor]:
    """Return what gives the new tokens of an arm."""
    if arm == "tactic":
        return keeping(net, text, config.new_tokens)
    window = config.window if arm == "recent_tokens" else None
    return recomputing(net, text, config.new_tokens, window=window)


def cache_bytes_per_token(net: Llama) -> int:
    """Return the bytes of keys and values that one token of one text takes."""
    config = net.config
    return 2 * config.layers * config.key_value_heads * config.head_size * net.embedding.weight.element_size()


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Go on from the beginnings of one text, each longer than the one before."""
    model = smollm2.tiny() if config.net == "tiny" else smollm2.load(config.data_dir)
    texts = language_reference()
    part = texts.test if seed >= 1000 else texts.search
    encoded = [(text.name, model.encode(text.text)) for text in part]
    name, tokens = random.Random(seed).choice(  # noqa: S311 - not for secrets
        [(name, tokens) for name, tokens in encoded if len(tokens) >= config.lengths[-1]]
    )
    list(written_by(arm, config, model.net, torch.tensor([tokens[:8]])))  # memory and threads are set up
    same, rows = list[Tensor](), list[dict[str, Json]]()
    for length in config.lengths:
        text = torch.tensor([tokens[:length]])  # (1, length)
        steps = written_by(arm, config, model.net, text)
        with meter.window(f"reading {length}") as reading:
            first = next(steps)
        with meter.window(f"writing {length}") as writing:
            new = torch.cat([first, *steps], dim=1)  # (1, new tokens)
        same.append(as_likely(model.net, tokens[:length], new[0]))
        token_cpu_ms = 1000 * writing.cpu_s / (config.new_tokens - 1)
        rows.append({"length": length, "reading_cpu_s": reading.cpu_s, "token_cpu_ms": token_cpu_ms})
    longest, others = config.lengths[-1], config.new_tokens - 1
    seen = {"tactic": 1, "recent_tokens": config.window, "baseline": longest + (others + 1) / 2}[arm]
    held = (longest + others) * cache_bytes_per_token(model.net) if arm == "tactic" else 0
    metrics = {
        "token_cpu_ms": token_cpu_ms,
        "request_cpu_s": reading.cpu_s + writing.cpu_s,
        "passed_tokens": seen,
        "cache_bytes": held,
        "same_tokens": float(torch.cat(same).double().mean()),
    }
    net = {"name": model.name, "sha256": model.sha256}
    return Outcome(metrics, texts.used, {"by_length": rows, "text": name, "net": net})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
