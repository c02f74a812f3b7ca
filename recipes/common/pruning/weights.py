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

STEP_ELEMENTS = 100_000
"""Weights that steps are taken with at once: a few arrays of them stay in a processor's cache."""

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
    Updating s after each weight is what makes the influence joint. Many filters take their steps together.

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
    s = correlation - (weights * kept) @ gram  # (filters, inputs)
    cost = (weights.square() * gram.diagonal()).masked_fill_(kept | (weights == 0), torch.inf)
    missing, some = kept_counts - kept.sum(1), max(1, STEP_ELEMENTS // weights.shape[1])
    parts = (torch.split(each, some) for each in (weights, kept, s, cost, missing))
    for of_some in zip(*parts, strict=True):
        _restore(gram, *of_some)
    return kept


def _restore(gram: Tensor, weights: Tensor, kept: Tensor, s: Tensor, cost: Tensor, missing: Tensor) -> None:
    """Bring back what filters miss, in place; `cost` is a_j^2 G_jj, and infinite where nothing can come."""
    every_filter, twice = torch.arange(len(weights), device=weights.device), 2 * weights
    for step in range(int(missing.max())):
        best = (twice * s).sub_(cost).argmax(1)
        active = missing > step
        kept[every_filter[active], best[active]] = True
        cost[every_filter[active], best[active]] = torch.inf
        s -= (active * weights[every_filter, best])[:, None] * gram[best]


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


def fit_in_steps(
    start: Tensor, kept: Tensor, gram: Tensor, correlation: Tensor, *, steps: int, ridge_fraction: float
) -> Tensor:
    """Return nearly what least squares give, by conjugate gradients, for all filters at once.

    Where filters keep hundreds of weights each, an exact solution takes as many times the work of a step. The
    ridge pulls towards the weights at the start: with few rows little else is known of most directions.

    Args:
        start: Weights before removal, (filters, inputs).
        kept: True where a weight may differ from zero, (filters, inputs).
        gram: G, (inputs, inputs).
        correlation: B'X, (filters, inputs).
        steps: Products of all filters with G.
        ridge_fraction: Ridge as a fraction of the mean diagonal of G.

    Returns:
        Weights, (filters, inputs), zero where `kept` is False.
    """
    ridge = ridge_fraction * gram.diagonal().mean().clamp_min(torch.finfo(gram.dtype).eps)
    ridged = gram + ridge * torch.eye(len(gram), dtype=gram.dtype, device=gram.device)
    scale = ridged.diagonal()  # the preconditioner: inputs differ a hundredfold in size
    wanted, fitted, tiny = correlation + ridge * start, start * kept, torch.finfo(gram.dtype).tiny
    some = max(1, STEP_ELEMENTS // start.shape[1])
    parts = (torch.split(each, some) for each in (fitted, kept, wanted))
    for a, support, target in zip(*parts, strict=True):
        left = (target - a @ ridged) * support  # of the normal equations
        direction = left / scale
        norm = (left * direction).sum(1, keepdim=True)  # (filters, 1)
        for _ in range(steps):
            image = (direction @ ridged) * support
            stride = norm / (direction * image).sum(1, keepdim=True).clamp_min(tiny)
            a += stride * direction  # in `fitted`
            left -= stride * image
            before, norm = norm, (left.square() / scale).sum(1, keepdim=True)
            direction = left / scale + norm / before.clamp_min(tiny) * direction
    return fitted


def input_rows(layer: PrunableLayer, inputs: Tensor) -> Tensor:
    """Return what goes into a layer at sampled output positions, (groups, rows, inputs)."""
    if not isinstance(layer, nn.Conv2d):
        return _sampled(inputs.reshape(len(inputs), -1, inputs.shape[-1]).mT, 1)
    mode = layer.padding_mode.replace("zeros", "constant")
    padded = F.pad(inputs, layer._reversed_padding_repeated_twice, mode)
    # the receptive field of each output position is a row
    fields = F.unfold(padded, layer.kernel_size, layer.dilation, stride=layer.stride)
    return _sampled(fields, layer.groups)


def output_rows(layer: PrunableLayer, outputs: Tensor) -> Tensor:
    """Return what comes out at the positions that `input_rows` samples, (groups, rows, filters)."""
    if isinstance(layer, nn.Conv2d):
        return _sampled(outputs.flatten(2), layer.groups)
    return _sampled(outputs.reshape(len(outputs), -1, outputs.shape[-1]).mT, 1)


def _sampled(maps: Tensor, groups: int) -> Tensor:
    """Return (groups, rows, channels) of maps (examples, groups x channels, positions)."""
    shuffled = torch.randperm(maps.shape[2], generator=torch.Generator().manual_seed(0))
    chosen = shuffled[: max(1, ROWS // len(maps))]  # the same in the dense net and in the pruned one
    taken = maps[:, :, chosen].reshape(len(maps), groups, -1, len(chosen))
    return taken.permute(1, 0, 3, 2).flatten(1, 2)


@torch.no_grad()
def rows_of(model: nn.Module, layer: PrunableLayer, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return what goes into a layer at sampled output positions, and what comes out.

    Returns:
        (groups, rows, inputs) and (groups, rows, filters); of all calls, where `forward` has several.
    """
    calls = list[tuple[Tensor, Tensor]]()

    def keep(_: nn.Module, arguments: tuple[Tensor, ...], outputs: Tensor) -> None:
        calls.append((input_rows(layer, arguments[0]), output_rows(layer, outputs)))

    handle = layer.register_forward_hook(keep)
    try:
        model(inputs)
    finally:
        handle.remove()
    return torch.cat([X for X, _ in calls], 1), torch.cat([B for _, B in calls], 1)
