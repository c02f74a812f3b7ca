"""A net of the Llama family whose products with weights can be exchanged, with little else beside them.

It gives what `Llama` gives. For one new token of one request nearly all time should go into reading weights,
so that formats of weights can be told apart: queries, keys and values are one product, both upper parts of
the gated unit another, pairs are turned as complex numbers, and a lone token attends without a mask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.language.llama import Cache, Layer, Llama, visible


@dataclass(frozen=True)
class Product:
    """Multiplies by weights (outputs, inputs) in a form of its own."""

    multiply: Callable[[Tensor], Tensor]
    """Takes (rows, inputs), returns (rows, outputs), both float32."""
    held: tuple[Tensor, ...]
    """All that it keeps."""


class NetOfProducts(nn.Module):
    """The net; `pack` makes a product of weights (outputs, inputs), `pack_read_out` that of the embedding."""

    def __init__(
        self, net: Llama, pack: Callable[[Tensor], Product], pack_read_out: Callable[[Tensor], Product]
    ) -> None:
        super().__init__()
        self.config, self.embedding = net.config, net.embedding.weight
        self.norm, self.read_out = _scaled(net.norm), pack_read_out(net.embedding.weight)
        self.layers = [_packed(layer, pack) for layer in net.layers if isinstance(layer, Layer)]

    @property
    def held_bytes(self) -> int:
        """Bytes that the products hold; the table that tokens are looked up in is not among them."""
        products = [each for _, *attention, _, gate, down in self.layers for each in (*attention, gate, down)]
        held = [tensor for product in (*products, self.read_out) for tensor in product.held]
        return sum(tensor.nbytes for tensor in held)

    def forward(
        self,
        tokens: Tensor,
        *,
        cache: Cache | None = None,
        padding: Tensor | None = None,
        last_only: bool = False,
    ) -> Tensor:
        """Return what `Llama.forward` does, from the same arguments."""
        config, (batch, count) = self.config, tokens.shape
        size, asking = config.head_size, config.heads
        turned_heads = asking + config.key_value_heads
        start = 0 if cache is None else cache.length
        positions = torch.arange(start, start + count)[None]  # (1, count)
        if padding is not None:
            positions = (positions - padding[:, None]).clamp(min=0)  # (batch, count)
        pairs = torch.arange(0, size, 2)
        angles = positions[..., None, None] * config.rotary_base ** (-pairs / size)
        turns = torch.polar(torch.ones_like(angles), angles)  # (batch or 1, count, 1, pairs)
        mask = None if count == 1 and padding is None else visible(start, count, padding, tokens.device)
        least = torch.tensor(sqrt(config.width * config.norm_epsilon))

        def normed(x: Tensor, scale: Tensor) -> Tensor:
            length = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
            return (x * scale).div_(torch.hypot(length, least))

        x = F.embedding(tokens, self.embedding).flatten(0, 1)  # (rows, width); a row is a token of a text
        for number, (norm, project, output, unit_norm, gate_and_up, down) in enumerate(self.layers):
            heads = project.multiply(normed(x, norm)).view(batch, count, -1, size)
            complex_pairs = torch.view_as_complex(
                heads[:, :, :turned_heads].view(batch, count, turned_heads, -1, 2)
            )
            turned = torch.view_as_real(complex_pairs * turns).flatten(-2).transpose(1, 2)
            query, key = turned[:, :asking], turned[:, asking:]  # (batch, heads, count, size)
            value = heads[:, :, turned_heads:].transpose(1, 2)
            if cache is not None:
                key, value = cache.extended(number, key, value)
            if mask is None:
                # heads that share a key ask as its rows; the fused attention is slow for one token
                grouped = query.reshape(batch, config.key_value_heads, -1, size) * size**-0.5
                mixed = (grouped @ key.mT).softmax(-1) @ value
            else:
                mixed = F.scaled_dot_product_attention(query, key, value, mask, enable_gqa=True)
                mixed = mixed.transpose(1, 2)
            x = x + output.multiply(mixed.reshape(batch * count, -1))
            gate, up = gate_and_up.multiply(normed(x, unit_norm)).chunk(2, dim=-1)
            x = x + down.multiply(F.silu(gate) * up)
        if cache is not None:
            cache.length += count
        rows = x.view(batch, count, -1)[:, -1 if last_only else 0 :]
        return self.read_out.multiply(normed(rows.flatten(0, 1), self.norm)).view(*rows.shape[:2], -1)


def _packed(
    layer: Layer, pack: Callable[[Tensor], Product]
) -> tuple[Tensor, Product, Product, Tensor, Product, Product]:
    """Return a layer's norms and products in the order of their use."""
    attention = layer.attention
    projections = attention.query.weight, attention.key.weight, attention.value.weight
    return (
        _scaled(layer.attention_norm),
        pack(torch.cat(projections)),
        pack(attention.output.weight),
        _scaled(layer.unit_norm),
        pack(torch.cat((layer.gate.weight, layer.up.weight))),
        pack(layer.down.weight),
    )


def _scaled(norm: nn.RMSNorm) -> Tensor:
    """Return weights for a division by the length, which is the root of the mean square times this root."""
    return norm.weight * sqrt(norm.weight.numel())
