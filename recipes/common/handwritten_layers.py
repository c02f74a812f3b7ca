"""A small vision transformer with its convolution, layer norm and attention written by hand, in two ways.

The layers named `Hand` work on whole batches, as a competent developer writes them. Those named `Loop` go
through pixels, tokens, images and heads in Python; they are the straw man that such layers are often
compared with.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class HandConvolution(nn.Module):
    """Convolution as one matrix product: (batch, channels, height, width) to the same, by im2col."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter, stride: int, padding: int) -> None:
        super().__init__()
        self.weight, self.bias, self.stride, self.padding = weight, bias, stride, padding

    def forward(self, images: Tensor) -> Tensor:
        """Unfold the windows into columns and multiply; the kernel is square."""
        kernel = self.weight.shape[-1]
        height, width = ((side + 2 * self.padding - kernel) // self.stride + 1 for side in images.shape[2:])
        columns = F.unfold(images, kernel, padding=self.padding, stride=self.stride)
        outputs = self.weight.flatten(1) @ columns + self.bias[:, None]
        return outputs.view(*outputs.shape[:2], height, width)


class LoopConvolution(HandConvolution):
    """The same with a product for each output pixel."""

    def forward(self, images: Tensor) -> Tensor:
        """Multiply window by window."""
        kernel, stride = self.weight.shape[-1], self.stride
        padded, weights = F.pad(images, (self.padding,) * 4), self.weight.flatten(1).T
        lines = []
        for top in range(0, padded.shape[2] - kernel + 1, stride):
            lefts = range(0, padded.shape[3] - kernel + 1, stride)
            windows = [padded[:, :, top : top + kernel, left : left + kernel].flatten(1) for left in lefts]
            lines.append(torch.stack([window @ weights + self.bias for window in windows], 2))
        return torch.stack(lines, 2)


class HandLayerNorm(nn.Module):
    """Layer norm over the last dimension, (..., width) to the same."""

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight, self.bias, self.epsilon = weight, bias, epsilon

    def forward(self, inputs: Tensor) -> Tensor:
        """Subtract the mean and divide by the standard deviation."""
        mean = inputs.mean(-1, keepdim=True)
        variance = inputs.var(-1, correction=0, keepdim=True)
        return (inputs - mean) / torch.sqrt(variance + self.epsilon) * self.weight + self.bias


class LoopLayerNorm(HandLayerNorm):
    """The same token by token, (batch, tokens, width) to the same."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Normalise one token of all images after the other."""
        return torch.stack([super(LoopLayerNorm, self).forward(token) for token in inputs.unbind(1)], 1)


class HandAttention(nn.Module):
    """Self-attention with several heads: (batch, tokens, width) to the same."""

    def __init__(self, projection: nn.Linear, output: nn.Linear, heads: int) -> None:
        super().__init__()
        self.projection, self.output, self.heads = projection, output, heads

    def forward(self, tokens: Tensor) -> Tensor:
        """Project to queries, keys and values, attend within each head, and project back."""
        parts = self.projection(tokens).chunk(3, -1)
        query, key, value = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.output(self.attend(query, key, value).transpose(1, 2).flatten(2))  # type: ignore[no-any-return]

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend, (batch, heads, tokens, channels) to the same."""
        scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
        return scores.softmax(-1) @ value


class LoopAttention(HandAttention):
    """The same image by image and head by head."""

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend in one head of one image after the other."""
        pairs = zip(*(part.flatten(0, 1) for part in (query, key, value)), strict=True)
        return torch.stack([super(LoopAttention, self).attend(*pair) for pair in pairs]).view_as(query)


class Block(nn.Module):
    """Transformer block with normalisation first: (batch, tokens, width) to the same."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attention_norm, self.perceptron_norm = hand_layer_norm(width), hand_layer_norm(width)
        self.attention = HandAttention(nn.Linear(width, 3 * width), nn.Linear(width, width), heads)
        self.perceptron = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))

    def forward(self, tokens: Tensor) -> Tensor:
        """Add what attention and the perceptron find."""
        tokens = tokens + self.attention(self.attention_norm(tokens))
        return tokens + self.perceptron(self.perceptron_norm(tokens))  # type: ignore[no-any-return]


class HandVisionTransformer(nn.Module):
    """Vision transformer on grey images: (batch, 1, side, side) to (batch, 10) logits.

    Weights are drawn from torch's global random state: seed it first.

    Args:
        side: Height and width of the images.
        second_stride: Stride of the second convolution; the first has 2.
        blocks: Transformer blocks.
        width: Channels of a token.
        heads: Heads of each attention.
    """

    def __init__(self, side: int, second_stride: int, blocks: int, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.stem1 = hand_convolution(1, width // 2, stride=2)
        self.stem2 = hand_convolution(width // 2, width, stride=second_stride)
        tokens = math.ceil(math.ceil(side / 2) / second_stride) ** 2
        self.positions = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(blocks)))
        self.norm, self.head = hand_layer_norm(width), nn.Linear(width, 10)

    def forward(self, images: Tensor) -> Tensor:
        """Make tokens by two convolutions, transform them, and classify their mean."""
        tokens = self.stem2(self.stem1(images).relu()).flatten(2).transpose(1, 2) + self.positions
        return self.head(self.norm(self.blocks(tokens)).mean(1))  # type: ignore[no-any-return]


def hand_convolution(inputs: int, outputs: int, stride: int) -> HandConvolution:
    """Return a 3x3 convolution with a border of 1 and random weights."""
    weight = nn.init.kaiming_uniform_(torch.empty(outputs, inputs, 3, 3), nonlinearity="relu")
    return HandConvolution(nn.Parameter(weight), nn.Parameter(torch.zeros(outputs)), stride, padding=1)


def hand_layer_norm(width: int) -> HandLayerNorm:
    """Return a layer norm that scales by 1 and shifts by 0."""
    return HandLayerNorm(nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width)))


PYTHON_LOOPS: dict[type[nn.Module], Callable[[Any], nn.Module]] = {
    HandConvolution: lambda hand: LoopConvolution(hand.weight, hand.bias, hand.stride, hand.padding),
    HandLayerNorm: lambda hand: LoopLayerNorm(hand.weight, hand.bias, hand.epsilon),
    HandAttention: lambda hand: LoopAttention(hand.projection, hand.output, hand.heads),
}
