"""The precision that nets are trained in, the same for all arms of a recipe."""

from __future__ import annotations

import torch


def training_autocast() -> torch.autocast:
    """Return a context for the forward pass: bfloat16 where the processor computes in it, else float32.

    Weights, their updates and the losses stay in float32. A recipe that trains under this context names it in
    its docstring; the processor's name in the results tells which of the two it was.
    """
    supported = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.autocast("cpu", torch.bfloat16, enabled=supported)
