"""A net of the Llama family in plain PyTorch: grouped-query attention, rotary positions, gated linear units.

Touvron et al., "LLaMA: Open and Efficient Foundation Language Models", 2023 (arXiv 2302.13971); rotary
positions: Su et al., "RoFormer", 2021 (arXiv 2104.09864); grouped queries: Ainslie et al., "GQA", EMNLP 2023
(arXiv 2305.13245); gated units: Shazeer, "GLU Variants Improve Transformer", 2020 (arXiv 2002.05202).

Two entries of a head that are turned together stand side by side, as in GGUF files; files of `transformers`
keep them half a head apart. Needs torch and nothing else of this project.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True)
class Config:
    """Sizes of a net."""

    vocabulary: int
    """Tokens the net knows."""
    width: int
    """Entries of the vector that stands for one token between the layers."""
    layers: int
    heads: int
    """Attention heads that ask; the size of a head is width / heads, an even number."""
    key_value_heads: int
    """Heads of keys and values, each asked by heads / key_value_heads heads."""
    hidden: int
    """Units of the gated linear unit."""
    rotary_base: float = 10_000.0
    norm_epsilon: float = 1e-5

    @property
    def head_size(self) -> int:
        """Entries of a query, a key or a value."""
        return self.width // self.heads


TINY = Config(vocabulary=259, width=48, layers=2, heads=6, key_value_heads=2, hidden=96)
"""For tests: the same code in milliseconds. Its vocabulary holds the 256 bytes and three marks."""


class Cache:
    """Keys and values of the tokens that a net has seen, in memory taken beforehand; `length` are held.

    `keys` and `values` have the shape (layers, batch, key_value_heads, room, head_size).
    """

    def __init__(self, config: Config, batch: int, room: int, like: Tensor) -> None:
        shape = (config.layers, batch, config.key_value_heads, room, config.head_size)
        self.keys, self.values = like.new_zeros(shape), like.new_zeros(shape)
        self.length = 0

    def extended(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Write new ones behind those held; return all, each (batch, key_value_heads, tokens, head_size).

        Raises:
            ValueError: There is no room for them.
        """
        end = self.length + keys.shape[2]
        if end > self.keys.shape[3]:
            raise ValueError(f"the cache has room for {self.keys.shape[3]} tokens, got {end}; make it larger")
        self.keys[layer, :, :, self.length : end] = keys
        self.values[layer, :, :, self.length : end] = values
        return self.keys[layer, :, :, :end], self.values[layer, :, :, :end]


def rotary_turns(positions: Tensor, config: Config) -> tuple[Tensor, Tensor]:
    """Return cosines and sines of the angles at positions (batch or 1, tokens).

    Each is (batch or 1, 1, tokens, head_size / 2).
    """
    pairs = torch.arange(0, config.head_size, 2, device=positions.device)
    angles = positions[:, None, :, None].float() * config.rotary_base ** (-pairs / config.head_size)
    return angles.cos(), angles.sin()


def rotate(heads: Tensor, turns: tuple[Tensor, Tensor]) -> Tensor:
    """Turn neighbouring entries of (batch, heads, tokens, head_size) by the angles of their positions."""
    cosines, sines = (turn.to(heads.dtype) for turn in turns)
    even, odd = heads[..., 0::2], heads[..., 1::2]  # (batch, heads, tokens, head_size / 2) each
    return torch.stack((even * cosines - odd * sines, even * sines + odd * cosines), dim=-1).flatten(-2)


def visible(start: int, count: int, padding: Tensor | None, device: torch.device) -> Tensor:
    """Return whether each of `count` new tokens behind `start` others may look at a token.

    It looks at itself and at those before, but not at padding, of which each row of the batch has so many
    tokens at its left, (batch,). The answer is (batch or 1, 1, count, start + count).
    """
    queries = torch.arange(start, start + count, device=device)[:, None]
    keys = torch.arange(start + count, device=device)[None]
    seen = (keys <= queries)[None, None]
    if padding is None:
        return seen
    own = keys == queries  # padding looks at itself: attention over nothing is not a number
    return seen & (keys >= padding[:, None, None, None]) | own


class Attention(nn.Module):
    """Each token takes up what earlier tokens offer; several heads that ask share one that answers."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.head_size = config.head_size
        self.query = nn.Linear(config.width, config.width, bias=False)
        self.key = nn.Linear(config.width, config.key_value_heads * config.head_size, bias=False)
        self.value = nn.Linear(config.width, config.key_value_heads * config.head_size, bias=False)
        self.output = nn.Linear(config.width, config.width, bias=False)

    def forward(
        self, x: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor, layer: int, cache: Cache | None
    ) -> Tensor:
        """Return what the new tokens take up, (batch, tokens, width)."""
        batch, tokens, width = x.shape
        query, key, value = (
            project(x)
            .view(batch, tokens, -1, self.head_size)
            .transpose(1, 2)  # (batch, heads, tokens, head_size)
            for project in (self.query, self.key, self.value)
        )
        query, key = rotate(query, turns), rotate(key, turns)
        if cache is not None:
            key, value = cache.extended(layer, key, value)
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, enable_gqa=True)
        taken: Tensor = self.output(mixed.transpose(1, 2).reshape(batch, tokens, width))
        return taken


class Layer(nn.Module):
    """Attention and gated linear unit, each normed before and added to what goes past it."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.attention = Attention(config)
        self.unit_norm = nn.RMSNorm(config.width, config.norm_epsilon)
        self.gate = nn.Linear(config.width, config.hidden, bias=False)
        self.up = nn.Linear(config.width, config.hidden, bias=False)
        self.down = nn.Linear(config.hidden, config.width, bias=False)

    def forward(
        self, x: Tensor, turns: tuple[Tensor, Tensor], mask: Tensor, layer: int, cache: Cache | None
    ) -> Tensor:
        """Return (batch, tokens, width)."""
        x = x + self.attention(self.attention_norm(x), turns, mask, layer, cache)
        normed = self.unit_norm(x)
        out: Tensor = x + self.down(F.silu(self.gate(normed)) * self.up(normed))  # hidden units between
        return out


class Llama(nn.Module):
    """The whole net; the embedding of tokens also reads out the next one."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.RMSNorm(config.width, config.norm_epsilon)

    def forward(
        self,
        tokens: Tensor,
        *,
        cache: Cache | None = None,
        padding: Tensor | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Return the logits of the token after each one.

        Args:
            tokens: New tokens, int64, (batch, tokens); with a cache, those behind the ones that it holds.
            cache: Holds keys and values of earlier tokens and is extended by those of the new ones.
            padding: Tokens at the left of each row that only fill it, (batch,); the same at each call.
            last_only: Whether only the token after the last one is asked for.

        Returns:
            (batch, tokens or 1, vocabulary).
        """
        start, count = 0 if cache is None else cache.length, tokens.shape[1]
        positions = torch.arange(start, start + count, device=tokens.device)[None]  # (1, tokens)
        if padding is not None:
            positions = (positions - padding[:, None]).clamp(min=0)  # (batch, tokens)
        turns = rotary_turns(positions, self.config)
        mask = visible(start, count, padding, tokens.device)
        x = self.embedding(tokens)  # (batch, tokens, width)
        for number, layer in enumerate(self.layers):
            x = layer(x, turns, mask, number, cache)
        if cache is not None:
            cache.length += count
        x = self.norm(x[:, -1:] if last_only else x)
        return F.linear(x, self.embedding.weight)
