"""Pruning of single weights: masks, magnitude, joint-influence restore, the closed-form refit, one threshold.

Restore and refit work on second moments, which all filters of a layer share (all of a group, in a grouped
convolution): of the sampled inputs X, (rows, inputs), and the outputs B of the dense layer, (rows, filters),
they need only X'X and B'X. Pruning by one threshold for the whole net, with and without repair, is the rival
of layer-by-layer methods.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.energy.model import estimate
from recipes.common.nets.checks import (
    computed_weights,
    no_quality,
    unfit_to_mask,
    unfit_to_refit,
    unprunable,
    unsampled_padding,
    wrapped,
)

PrunableLayer = nn.Conv2d | nn.Linear
Masks = dict[str, Tensor]
"""True where a weight is kept, by layer name, in the weight's shape."""

RIDGE_FRACTION = 1e-3
"""Added to the diagonal of the least-squares system, as a fraction of its mean; unused inputs need it."""

REMOVED_PAST_TARGET = 0.2
"""Share of the weights aimed at that is removed in excess, then restored by joint influence."""

SOLVE_ELEMENTS = 16_000_000
"""Largest stack of systems solved at once, in elements; bounds memory."""


@dataclass(frozen=True)
class LayerMoments:
    """Second moments of a layer's inputs and target outputs, one matrix a group.

    Taken about the means where the layer has a bias, which then takes up any difference of the means; about
    zero, with means of zero, where it has none.
    """

    gram: Tensor
    """X'X, (groups, inputs, inputs); X from the pruned net."""
    correlation: Tensor
    """B'X, (groups, filters, inputs); B from the dense net."""
    input_mean: Tensor
    """(groups, inputs)."""
    output_mean: Tensor
    """(groups, filters); the dense layer's bias is part of it."""


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
def prune_global_magnitude(
    model: nn.Module, kept_fraction: float, factors: Mapping[str, float] | None = None
) -> None:
    """Zero the smallest weights over all layers together, in place: one threshold for the whole net.

    Args:
        model: Net, possibly with zeros already.
        kept_fraction: Share of the non-zero weights that stay, 0 to 1.
        factors: What the magnitudes of a layer are multiplied with before all are compared; 1 unless told.

    Raises:
        ValueError: Zeros would not last: the net is compiled or wrapped, or computes a weight from others.
    """
    if wrapped(model) or computed_weights(model):
        raise ValueError(wrapped(model) or computed_weights(model))
    layers = prunable_layers(model)
    scaled = {name: layer.weight * (factors or {}).get(name, 1.0) for name, layer in layers.items()}
    threshold = magnitude_threshold(
        torch.cat([weight.flatten() for weight in scaled.values()]), kept_fraction
    )
    for name, layer in layers.items():
        layer.weight.mul_(scaled[name].abs() > threshold)


def prune_magnitude_while(
    model: nn.Module, acceptable: Callable[[nn.Module], bool], *, least_kept: float = 0.005, steps: int = 8
) -> Masks:
    """Prune in place by one global threshold, as far as the net stays acceptable; bisects the kept fraction.

    Args:
        model: Net to prune.
        acceptable: Judges a pruned net; expected to turn from true to false as weights go.
        least_kept: Smallest share of the non-zero weights to try.
        steps: Bisections; 8 find the share to 2 %.

    Returns:
        Masks by layer name, True where a weight is kept.

    Raises:
        ValueError: Not even the mildest pruning was acceptable.
    """
    original = copy.deepcopy(model.state_dict())
    good, bad = 0.0, 1.0  # exponents of least_kept
    for _ in range(steps):
        middle = (good + bad) / 2
        prune_global_magnitude(model, least_kept**middle)
        if acceptable(model):
            good = middle
        else:
            bad = middle
        model.load_state_dict(original)
    if good == 0.0:
        raise ValueError("no weight could be removed by magnitude within what is acceptable; allow more")
    prune_global_magnitude(model, least_kept**good)
    return masks_of(model)


@torch.no_grad()
def sample_moments(
    dense: nn.Module, pruned: nn.Module, name: str, inputs: Tensor, *, rows: int, generator: torch.Generator
) -> LayerMoments:
    """Sample output positions of a layer and return the moments that restore and refit need.

    Args:
        dense: Net whose outputs are to be kept; not changed.
        pruned: Net whose layer is to be pruned next; the inputs come from it, so that the refit also repairs
            what earlier layers lost.
        name: Name of the layer, the same in both nets.
        inputs: Calibration batch, (images, ...).
        rows: Output positions to sample, shared evenly between the images.
        generator: Draws the positions.

    Raises:
        ValueError: The layer pads by other means than zeros, or their number is not written out.
    """
    if unsampled_padding(prunable_layers(pruned)[name]):
        raise ValueError(f"{name}: {unsampled_padding(prunable_layers(pruned)[name])}")
    with _captured(pruned, name) as seen, _captured(dense, name) as wanted:
        pruned(inputs)
        dense(inputs)
    layer = prunable_layers(pruned)[name]
    X, B = _rows(layer, seen.inputs, wanted.outputs, max(1, rows // len(inputs)), generator)
    input_mean, output_mean = X.mean(1), B.mean(1)
    if layer.bias is None:
        input_mean, output_mean = torch.zeros_like(input_mean), torch.zeros_like(output_mean)
    X, B = X - input_mean[:, None], B - output_mean[:, None]
    return LayerMoments(X.mT @ X, B.mT @ X, input_mean, output_mean)


@torch.no_grad()
def cut_and_repair(layer: PrunableLayer, before: Tensor, moments: LayerMoments, kept_fraction: float) -> None:
    """Remove small weights past the target, restore by joint influence up to it, and refit, in place.

    Args:
        layer: Layer whose weight and bias are overwritten.
        before: Its weights before pruning.
        moments: Its inputs, and the outputs it should have.
        kept_fraction: Share of the non-zero weights in `before` that is kept.
    """
    target = before.abs() > magnitude_threshold(before, kept_fraction)
    past_target = before.abs() > magnitude_threshold(before, kept_fraction * (1 - REMOVED_PAST_TARGET))
    groups = len(moments.gram)
    by_group = (groups, layer.weight.shape[0] // groups, -1)  # (groups, filters, inputs)
    weights, target, kept = (array.reshape(by_group) for array in (before, target, past_target))
    fitted = torch.empty_like(weights)
    for g in range(groups):
        gram, correlation = moments.gram[g], moments.correlation[g]
        restored = restore_by_joint_influence(weights[g], kept[g], target[g].sum(1), gram, correlation)
        fitted[g] = fit_least_squares(restored, gram, correlation)
    layer.weight.copy_(fitted.view_as(before))
    if layer.bias is not None:
        explained = (fitted @ moments.input_mean[:, :, None])[:, :, 0]
        layer.bias.copy_((moments.output_mean - explained).flatten())


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


@dataclass
class _Captured:
    """What went into and came out of a layer in one forward pass."""

    inputs: Tensor
    outputs: Tensor


@contextmanager
def _captured(model: nn.Module, name: str) -> Iterator[_Captured]:
    """Record inputs and outputs of a layer while the block runs the model."""
    record = _Captured(torch.empty(0), torch.empty(0))

    def keep(_: nn.Module, arguments: tuple[Tensor, ...], outputs: Tensor) -> None:
        record.inputs, record.outputs = arguments[0].detach(), outputs.detach()

    handle = prunable_layers(model)[name].register_forward_hook(keep)
    try:
        yield record
    finally:
        handle.remove()


def _rows(
    layer: PrunableLayer, inputs: Tensor, outputs: Tensor, positions: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return inputs (groups, rows, inputs) and outputs (groups, rows, filters) at sampled positions."""
    if isinstance(layer, nn.Linear):
        return inputs.flatten(0, -2)[None], outputs.flatten(0, -2)[None]
    assert not isinstance(layer.padding, str)  # refused by sample_moments
    fields = F.unfold(
        inputs, layer.kernel_size, dilation=layer.dilation, padding=layer.padding, stride=layer.stride
    )  # (images, channels * height * width of the filter, positions)
    chosen = torch.randperm(fields.shape[2], generator=generator)[:positions]
    fields, outputs = fields[:, :, chosen], outputs.flatten(2)[:, :, chosen]
    return _by_group(fields, layer.groups), _by_group(outputs, layer.groups)


def _by_group(array: Tensor, groups: int) -> Tensor:
    """Turn (images, groups * columns, positions) into (groups, images * positions, columns)."""
    images, columns, positions = array.shape
    by_group = array.reshape(images, groups, columns // groups, positions).permute(1, 0, 3, 2)
    return by_group.reshape(groups, images * positions, columns // groups)


LEAST_KEPT = 0.005
"""Smallest share of the weights that a search tries."""


@torch.no_grad()
def prune_by_threshold(
    model: nn.Module,
    evaluate: Callable[[nn.Module], float],
    largest_loss: float,
    *,
    factors: Mapping[str, float] | None = None,
    repair_inputs: Tensor | None = None,
    steps: int = 8,
) -> Masks:
    """Prune in place by one threshold for all weights, as far as the quality allows.

    Args:
        model: Trained net in evaluation mode.
        evaluate: Returns the quality of a net on held-out data; higher is better.
        largest_loss: Quality that may be lost, in the unit of `evaluate`.
        factors: What the magnitudes of a layer are multiplied with first, such as `damped_factors`.
        repair_inputs: Inputs like those of training, (images, ...). Where they are given, the threshold only
            says how many weights each layer keeps; which ones they are, and their values, comes from
            `cut_and_repair`.
        steps: Bisections of the share of weights kept; 8 find it to 2 %.

    Returns:
        Masks by layer name, True where a weight is kept.

    Raises:
        ValueError: The net cannot be pruned so, or its quality is not a finite number; both are seen before
            it is changed. Or nothing could be removed within `largest_loss`; the net is then as it was.
    """
    if unfit_to_mask(model):
        raise ValueError(unfit_to_mask(model))
    if repair_inputs is not None and unfit_to_refit(model, repair_inputs):
        raise ValueError(unfit_to_refit(model, repair_inputs))
    dense, best = copy.deepcopy(model), None
    floor = evaluate(model) - largest_loss
    if no_quality(floor, largest_loss):
        raise ValueError(no_quality(floor, largest_loss))
    good, bad = 0.0, 1.0  # exponents of LEAST_KEPT
    for _ in range(steps):
        middle = (good + bad) / 2
        prune_global_magnitude(model, LEAST_KEPT**middle, factors)
        if repair_inputs is not None:
            _repair(model, dense, repair_inputs)
        if evaluate(model) >= floor:
            good, best = middle, copy.deepcopy(model.state_dict())
        else:
            bad = middle
        model.load_state_dict(dense.state_dict())
    if best is None:
        raise ValueError(f"nothing could be removed within a loss of {largest_loss:g}; allow a larger one")
    model.load_state_dict(best)
    return masks_of(model)


def _repair(model: nn.Module, dense: nn.Module, inputs: Tensor) -> None:
    """Choose and refit as many weights as each layer has, first layer first, in place."""
    shares = {name: float(mask.double().mean()) for name, mask in masks_of(model).items()}
    model.load_state_dict(dense.state_dict())
    generator = torch.Generator().manual_seed(0)
    for name, layer in prunable_layers(model).items():
        moments = sample_moments(dense, model, name, inputs, rows=20_000, generator=generator)
        cut_and_repair(layer, layer.weight.clone(), moments, shares[name])


def damped_factors(model: nn.Module, inputs: Tensor, batch_size: int) -> dict[str, float]:
    """Return factors that rank weights by their square over the square root of the energy one of them costs.

    The fourth root of the energy, as magnitudes are ranked and not their squares. Yang, Zhu, Liu ("ECC",
    ICLR 2019) divide by the energy itself, little by little while they train; done at once, that strips the
    convolutions.

    Args:
        model: Net in evaluation mode.
        inputs: Calibration batch, (images, ...).
        batch_size: Images that share one reading of the weights.

    Raises:
        ValueError: The energy of the net cannot be modelled, or it holds layers that are not pruned.
    """
    layers = prunable_layers(model)
    energies = estimate(model, inputs, batch_size=batch_size).layers
    if unprunable(model):
        raise ValueError(unprunable(model))
    return {layer.name: (layers[layer.name].weight.numel() / layer.energy) ** 0.25 for layer in energies}
