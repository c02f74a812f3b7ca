"""Writing texts with a language model, the most likely token each time, and what it costs.

Reading the texts to go on from (prefill) and writing (decoding) are timed apart: the first takes many tokens
through the weights at once, the second one token a text.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from recipes.language.llama import Cache, Llama


@dataclass(frozen=True)
class Phase:
    """What a phase of writing did."""

    tokens: int
    """Tokens that went in (prefill) or came out (decoding), of all texts, without filling."""
    passes: int
    """Passes through the net."""
    cpu_s: float
    """Processor time of all threads."""
    wall_s: float


@dataclass(frozen=True)
class Written:
    """Texts that were gone on from."""

    tokens: list[list[int]]
    """New tokens of each text; the mark of the end is the last one where it was reached."""
    prefill: Phase
    """Up to the first new token of each text, which counts as the prefill's."""
    decoding: Phase
    decoding_cpu_s: list[float]
    """Processor time of each pass after the first."""
    cache_bytes: int
    """Keys and values held at the end; 0 without a cache."""


@torch.inference_mode()
def write(
    net: Llama, texts: Sequence[Sequence[int]], count: int, *, end: int | None = None, keep: bool = True
) -> Written:
    """Go on from texts, all in one batch, with the most likely token each time.

    Args:
        net: In evaluation mode.
        texts: Tokens of each text; shorter ones are filled up on the left.
        count: New tokens of each text, at most; at least 1.
        end: Token after which a text is done; the batch goes on until all are. None goes on to the end.
        keep: Whether keys and values are kept; else the whole text goes through the net for each new token.

    Raises:
        ValueError: There is no text, an empty one, or no token wanted.
    """
    if not texts or not all(texts) or count < 1:
        raise ValueError(f"expected texts of one token or more and a count from 1, got {len(texts)}, {count}")
    rows, padding = filled_up(texts, net.embedding.weight.device)  # (batch, longest), (batch,) or None
    cache = Cache(net.config, len(texts), rows.shape[1] + count, net.embedding.weight) if keep else None
    done = torch.zeros(len(texts), dtype=torch.bool, device=rows.device)
    lengths = torch.zeros(len(texts), dtype=torch.int64, device=rows.device)
    new, stamps = rows, [(time.process_time(), time.perf_counter())]
    for _ in range(count):
        logits = net(new if keep else rows, cache=cache, padding=padding, last_only=True)
        best = logits[:, -1].argmax(-1, keepdim=True)  # (batch, 1)
        lengths += ~done
        if end is not None:
            done = done | (best[:, 0] == end)
        rows, new = torch.cat((rows, best), dim=1), best
        stamps.append((time.process_time(), time.perf_counter()))
        if bool(done.all()):
            break
    first = rows.shape[1] - len(stamps) + 1
    tokens = [row[first : first + int(length)].tolist() for row, length in zip(rows, lengths, strict=True)]
    (cpu_0, wall_0), (cpu_1, wall_1), (cpu_2, wall_2) = stamps[0], stamps[1], stamps[-1]
    held = 0 if cache is None else 2 * cache.keys[:, :, :, : cache.length].numel() * cache.keys.element_size()
    return Written(
        tokens,
        Phase(sum(map(len, texts)), 1, cpu_1 - cpu_0, wall_1 - wall_0),
        Phase(int(lengths.sum()) - len(texts), len(stamps) - 2, cpu_2 - cpu_1, wall_2 - wall_1),
        [after - before for (before, _), (after, _) in pairwise(stamps[1:])],
        held,
    )


def filled_up(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Return texts as rows, (batch, longest), and how many tokens fill each, (batch,); None if none do."""
    longest = max(map(len, texts))
    fill = [longest - len(text) for text in texts]
    rows = torch.tensor(
        [[0] * more + list(text) for text, more in zip(texts, fill, strict=True)], device=device
    )
    return rows, torch.tensor(fill, device=device) if any(fill) else None


def weight_bytes(net: Llama) -> int:
    """Return the bytes of weights that one pass reads: all of them once, as the embedding reads out too."""
    return sum(parameter.numel() * parameter.element_size() for parameter in net.parameters())


def cache_bytes_per_token(net: Llama) -> int:
    """Return the bytes of keys and values that one token of one text takes."""
    config = net.config
    return 2 * config.layers * config.key_value_heads * config.head_size * net.embedding.weight.element_size()
