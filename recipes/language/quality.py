"""How well a language model does: surprise at texts it has not seen, and choosing between two answers.

Each seed of a recipe draws other texts, so that intervals over seeds hold the spread of texts as well.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@torch.inference_mode()
def surprises(net: nn.Module, texts: Sequence[Sequence[int]], longest: int = 512) -> Tensor:
    """Return the mean negative log likelihood of a token, in nats, of each text, (texts,), float64.

    Args:
        net: Takes tokens (batch, tokens) and returns logits (batch, tokens, vocabulary).
        texts: Tokens of each text, at least 2; only the first `longest` are read.
        longest: Tokens of a text that count.

    Raises:
        ValueError: A text has no token to guess.
    """
    means = []
    for text in texts:
        if len(text) < 2:
            raise ValueError(f"expected texts of two tokens or more, got one of {len(text)}")
        tokens = torch.tensor([text[:longest]])
        logits = net(tokens[:, :-1])[0]  # (tokens - 1, vocabulary)
        means.append(F.cross_entropy(logits.float(), tokens[0, 1:]).double())
    return torch.stack(means)


@torch.inference_mode()
def guesses(net: nn.Module, texts: Sequence[Sequence[int]]) -> tuple[float, float]:
    """Return the loss of a token of all texts in nats, and the share of tokens that the net expects most."""
    surprise, guessed, count = 0.0, 0, 0
    for text in texts:
        targets = torch.tensor(text[1:])
        logits = net(torch.tensor([text[:-1]]))[0]  # (tokens - 1, vocabulary)
        surprise += float(F.cross_entropy(logits.float(), targets, reduction="sum"))
        guessed += int((logits.argmax(1) == targets).sum())
        count += len(targets)
    return surprise / count, guessed / count


def right(preferences: Tensor, labels: Tensor, threshold: float = 0.0) -> Tensor:
    """Return whether each answer is right, (texts,) of 0 and 1: the second one above the threshold."""
    return ((preferences > threshold) == labels.bool()).double()


def best_threshold(preferences: Tensor, labels: Tensor) -> float:
    """Return the threshold with most right answers, (texts,); of several the one in the middle.

    Tried are those half-way between two neighbouring preferences.
    """
    values = torch.tensor(sorted(set(preferences.tolist())))
    between = (values[1:] + values[:-1]) / 2 if len(values) > 1 else values
    rights = torch.stack([right(preferences, labels, float(threshold)).sum() for threshold in between])
    best = between[rights == rights.max()]
    return float(best[len(best) // 2])


@torch.inference_mode()
def as_likely(net: nn.Module, text: Sequence[int], new: Tensor, tie: float = 1e-3) -> Tensor:
    """Return which new tokens (count,) behind a text one pass over both finds most likely, (count,).

    If all of them, then the net alone writes the same, each token being the best behind those before it.

    Args:
        net: Takes tokens (batch, tokens) and returns logits (batch, tokens, vocabulary).
        text: What has been read before; at least one token.
        new: What was written behind it.
        tie: Logits that differ by no more count as equal: batches and caches change the order of sums, and
            the rounding of float32 moves logits of up to 30 by about a tenth of this.
    """
    logits = net(torch.cat((torch.tensor(text, device=new.device), new))[None, :-1])[0, len(text) - 1 :]
    chosen = logits.gather(1, new[:, None])[:, 0]  # (count,), from (count, vocabulary)
    same: Tensor = logits.amax(1) - chosen <= tie
    return same
