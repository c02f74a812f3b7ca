"""Nets with a given share of another's MACs by plain means: what a gated or sparsified net has to beat."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from recipes.common.errors import UserError
from recipes.common.net_report import macs_per_image

Widths = tuple[int, int, int]


def narrow_net(
    build: Callable[[Widths], nn.Module], widths: Widths, macs_fraction: float, image: Tensor
) -> nn.Module:
    """Return the widest net within a share of the MACs, all widths scaled alike.

    Args:
        build: Returns a net of given widths.
        widths: Of the net that has all MACs.
        macs_fraction: Share of its MACs that may be left, 0 to 1.
        image: One input, (1, ...).

    Raises:
        ValueError: Even one channel in each layer is too many.
    """
    largest = macs_fraction * macs_per_image(build(widths).eval(), image)
    for width in range(max(widths), 0, -1):
        first, second, third = (max(1, round(width * each / max(widths))) for each in widths)
        net = build((first, second, third))
        if macs_per_image(net.eval(), image) <= largest:
            return net
    raise ValueError(f"one channel in each layer has more than {macs_fraction:g} of the MACs")


def prune_channels(
    model: nn.Module, macs_fraction: float, image: Tensor, *, by: str, keep: str, seed: int
) -> nn.Module:
    """Cut a copy of a net down to a share of its MACs with torch-pruning, without training.

    Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural Pruning" (arXiv 2301.12900): coupled channels
    go together, the least important ones of the whole net first, until no more MACs are left than allowed.

    Args:
        model: Trained net in evaluation mode; not changed.
        macs_fraction: Share of its MACs that may be left, 0 to 1.
        image: One input, (1, ...).
        by: `group_norm`, the norm of all weights of a channel, or `random`.
        keep: Name of the layer whose outputs stay.
        seed: Of the random order.

    Raises:
        UserError: torch-pruning is not installed.
    """
    try:
        import torch_pruning as tp
    except ImportError:
        raise UserError("torch-pruning is not installed; run: pip install -e '.[prune]'") from None

    torch.manual_seed(seed)
    importance = {
        "group_norm": tp.importance.GroupMagnitudeImportance(p=2),
        "random": tp.importance.RandomImportance(),
    }[by]
    net = copy.deepcopy(model)
    pruner = tp.pruner.BasePruner(
        net, image, importance, global_pruning=True, pruning_ratio=0.95, max_pruning_ratio=0.9,
        iterative_steps=120, ignored_layers=[net.get_submodule(keep)],
    )  # fmt: skip
    largest = macs_fraction * macs_per_image(model, image)
    while macs_per_image(net, image) > largest:
        pruner.step()
    return net
