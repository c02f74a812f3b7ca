"""Pruning of single weights: masks, magnitude, joint-influence restore, the closed-form refit.

Restore and refit work on second moments, which all filters of a layer share (all of a group, in a grouped
convolution): of the sampled inputs X, (rows, inputs), and the outputs B of the dense layer, (rows, filters),
they need only X'X and B'X.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.checks import computed_weights, wrapped

PrunableLayer = nn.Conv2d | nn.Linear
Masks = dict[str, Tensor]
"""True where a weight is kept, by layer name, in the weight's shape."""

RIDGE_FRACTION = 1e-3
"""Added to the diagonal of the least-squares system, as a fraction of its mean; unused inputs need it."""

SOLVE_ELEMENTS = 16_000_000
"""Largest stack of systems solved at once, in elements; bounds memory."""

ROWS = 20_000
"""Output positions of a layer that it is fitted on, over all inputs."""


def prunable_layers(model: nn.Module) -> dict[str, PrunableLayer]:
    """Return the convolutions and linear layers by name, in the order they are registered."""
    return {name: layer for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}


def masks_of(model: nn.Module) -> Masks:
    """Return where the weights of the prunable layers are not zero."""
    return {name: layer.weight.detach() != 0 for name, layer in prunable_layers(model).items()}


@torch.no_grad()
def apply_masks(model: nn.Module, masks: Masks) -> None:
    """Set the weights to zero where a mask is False, in place."""
    layers = prunable_layers(model)
    for name, mask in masks.items():
        layers[name].weight.mul_(mask)


def magnitude_threshold(weight: Tensor, kept_fraction: float) -> float:
    """Return the magnitude above which that fraction of the non-zero weights lies."""
    magnitudes = weight.detach().abs().flatten()
    kept = round(kept_fraction * int(magnitudes.count_nonzero()))
    return float(magnitudes.kthvalue(len(magnitudes) - kept).values) if kept < len(magnitudes) else 0.0


@torch.no_grad()
def prune_global_magnitude(model: nn.Module, kept_fraction: float) -> None:
    """Zero the smallest weights over all layers together, in place: one threshold for the whole net.

    Args:
        model: Net, possibly with zeros already.
        kept_fraction: Share of the non-zero weights that stay, 0 to 1.

    Raises:
        ValueError: Zeros would not last: the net is compiled or wrapped, or computes a weight from others.
    """
    if wrapped(model) or computed_weights(model):
        raise ValueError(wrapped(model) or computed_weights(model))
    layers = prunable_layers(model).values()
    threshold = magnitude_threshold(torch.cat([layer.weight.flatten() for layer in layers]), kept_fraction)
    for layer in layers:
        layer.weight.mul_(layer.weight.abs() > threshold)


def restore_by_joint_influence(
    weights: Tensor, kept: Tensor, kept_counts: Tensor, gram: Tensor, correlation: Tensor
) -> Tensor:
    """Bring back, one at a time, the removed weight that lowers the squared output error most.

    With s = X'(B - X a_S), bringing back weight j lowers the squared error by 2 a_j s_j - a_j^2 G_jj.
    Updating s after each weight is what makes the influence joint. All filters take their steps together.

    Args:
        weights: Weights before removal, (filters, inputs).
        kept: True where a weight was not removed, (filters, inputs).
        kept_counts: Weights each filter has in the end, (filters,); at most its non-zero weights.
        gram: G, (inputs, inputs).
        correlation: B'X, (filters, inputs).

    Returns:
        The mask with the restored weights, (filters, inputs).
    """
    kept = kept.clone()
    every_filter = torch.arange(len(weights), device=weights.device)
    s = correlation - (weights * kept) @ gram  # (filters, inputs)
    cost = weights.square() * gram.diagonal()
    missing = kept_counts - kept.sum(1)
    for step in range(int(missing.max())):
        gain = (2 * weights * s - cost).masked_fill_(kept | (weights == 0), -torch.inf)
        best = gain.argmax(1)
        active = missing > step
        kept[every_filter[active], best[active]] = True
        s -= (active * weights[every_filter, best])[:, None] * gram[best]
    return kept


def fit_least_squares(
    kept: Tensor, gram: Tensor, correlation: Tensor, *, ridge_fraction: float = RIDGE_FRACTION
) -> Tensor:
    """Return the kept weights that reproduce the dense outputs best, in closed form.

    Solves (G_SS + ridge) a_S = (X'B)_S for each filter with its own support S.

    Args:
        kept: True where a weight may differ from zero, (filters, inputs).
        gram: G, (inputs, inputs).
        correlation: B'X, (filters, inputs).
        ridge_fraction: Ridge as a fraction of the mean diagonal of G.

    Returns:
        Weights, (filters, inputs), zero where `kept` is False.
    """
    fitted = torch.zeros_like(correlation)
    width = max(1, int(kept.sum(1).max()))
    ridge = ridge_fraction * gram.diagonal().mean().clamp_min(torch.finfo(gram.dtype).eps)
    ridged = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    identity = torch.eye(width, dtype=gram.dtype, device=gram.device)
    chunk = max(1, SOLVE_ELEMENTS // width**2)
    for first, last in pairwise([*range(0, len(kept), chunk), len(kept)]):
        # (chunk, width) each; supports shorter than the longest are padded with rows of the identity.
        support, index = kept[first:last].int().topk(width, dim=1)
        real = support.bool()
        system = ridged[index[:, :, None], index[:, None, :]]
        system = torch.where(real[:, :, None] & real[:, None, :], system, identity)
        target = correlation[first:last].gather(1, index) * real
        solution = torch.cholesky_solve(target[:, :, None], torch.linalg.cholesky(system))[:, :, 0]
        fitted[first:last].scatter_(1, index, solution * real)
    return fitted


@torch.no_grad()
def rows_of(model: nn.Module, layer: PrunableLayer, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what goes into a layer at sampled output positions, and what comes out.

    Returns:
        (groups, rows, inputs) and (groups, rows, filters); of all calls, where `forward` has several.
    """
    calls = list[tuple[Tensor, Tensor]]()

    def keep(_: nn.Module, arguments: tuple[Tensor, ...], outputs: Tensor) -> None:
        fields, groups = arguments[0], 1
        if isinstance(layer, nn.Conv2d):  # the receptive field of each output position is a row
            mode, groups = layer.padding_mode.replace("zeros", "constant"), layer.groups
            padded = F.pad(fields, layer._reversed_padding_repeated_twice, mode)
            fields = F.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)
            outputs = outputs.flatten(2)  # (images, filters, positions)
        else:
            fields, outputs = (each.reshape(len(each), -1, each.shape[-1]).mT for each in (fields, outputs))
        shuffled = torch.randperm(fields.shape[2], generator=torch.Generator().manual_seed(0))
        chosen = shuffled[: max(1, ROWS // len(inputs))]  # the same in the dense net and in the pruned one
        X, B = (
            each[:, :, chosen].reshape(len(each), groups, -1, len(chosen)).permute(1, 0, 3, 2).flatten(1, 2)
            for each in (fields, outputs)
        )
        calls.append((X, B))

    handle = layer.register_forward_hook(keep)
    try:
        model(inputs)
    finally:
        handle.remove()
    return torch.cat([X for X, _ in calls], 1), torch.cat([B for _, B in calls], 1)
