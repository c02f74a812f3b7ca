"""Steps of training a language model: batches, their loss, and what it keeps in memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.language.llama import Llama, rotary_turns, visible

Tokens = list[int]
Example = TypeVar("Example")


def steps_of(examples: Sequence[Example], size: int) -> list[Sequence[Example]]:
    """Return the examples of each step, in the order given."""
    return [examples[start : start + size] for start in range(0, len(examples), size)]


@dataclass(frozen=True)
class Batch:
    """Texts as a net passes over them."""

    tokens: Tensor
    """(rows, length)"""
    targets: Tensor
    """The token to guess behind each, (rows, length); -100 where there is none."""
    positions: Tensor
    """(rows or 1, length)"""
    mask: Tensor
    """Whether a token may look at another, (rows or 1, 1, length, length)."""


def padded(texts: Sequence[Tokens]) -> Batch:
    """Lay each text into a row of its own, filled up behind its end, where none of its tokens looks."""
    longest = max(map(len, texts))
    tokens = [text + [0] * (longest - len(text)) for text in texts]
    targets = [text[1:] + [-100] * (longest - len(text) + 1) for text in texts]
    mask = visible(0, longest, None, torch.device("cpu"))
    return Batch(torch.tensor(tokens), torch.tensor(targets), torch.arange(longest)[None], mask)


def loss_of(net: Llama, batch: Batch) -> Tensor:
    """Return the mean negative log likelihood of the tokens to guess; tokens count alike in all layouts."""
    turns = rotary_turns(batch.positions, net.config)
    x = net.embedding(batch.tokens)  # (rows, length, width)
    for number, layer in enumerate(net.layers):
        x = layer(x, turns, batch.mask, number, None)
    logits = F.linear(net.norm(x), net.embedding.weight)  # (rows, length, vocabulary)
    return F.cross_entropy(logits.flatten(0, 1), batch.targets.flatten())


def fine_tune(net: Llama, batches: Sequence[Batch], optimiser: torch.optim.Optimizer) -> list[float]:
    """Train for one pass over batches, a step each; return losses by step."""
    losses = list[float]()
    for batch in batches:
        loss = loss_of(net, batch)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        optimiser.zero_grad()
        losses.append(loss.item())
    return losses


def gradient_error(net: Llama, batch: Batch, texts: Sequence[Tokens]) -> float:
    """Compare the gradient of a batch with that of its texts one by one, in the first layer.

    All that goes wrong in later layers comes down to it.
    """
    weights = list(net.layers[0].parameters())
    guesses = sum(len(text) - 1 for text in texts)
    alone = sum((loss_of(net, padded([text])) * (len(text) - 1) / guesses for text in texts), torch.zeros(()))
    found, right = (
        torch.cat([each.flatten() for each in torch.autograd.grad(loss, weights)])
        for loss in (loss_of(net, batch), alone)
    )
    return float((found - right).norm() / right.norm())


def bytes_of(tensor: Tensor) -> int:
    """Return the bytes of all numbers."""
    return tensor.numel() * tensor.element_size()


def bytes_for_gradients(net: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Return the bytes that computing a loss keeps until its gradient is known, the weights aside."""
    kept = dict[int, int]()  # bytes by address: several operations keep the same numbers

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # the output itself would hold its graph, and that its memory

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        graph = loss()  # held here, so that no address is used twice
    weights = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
    del graph
    return sum(size for address, size in kept.items() if address not in weights)
