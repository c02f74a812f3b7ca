"""Texts of unlike lengths as rows of one batch."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def filled_up(texts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor | None]:
    """Return texts as rows, (batch, longest), and how many tokens fill each, (batch,); None if none do."""
    longest = max(map(len, texts))
    fill = [longest - len(text) for text in texts]
    rows = torch.tensor(
        [[0] * more + list(text) for text, more in zip(texts, fill, strict=True)], device=device
    )
    return rows, torch.tensor(fill, device=device) if any(fill) else None
