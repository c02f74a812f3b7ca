"""Pruning by one threshold for the whole net, with and without repair: rivals of layer-by-layer methods."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from recipes.common.energy_model import estimate
from recipes.common.model_checks import no_quality, unfit_to_mask, unfit_to_refit, unprunable
from recipes.common.pruning import (
    Masks,
    cut_and_repair,
    masks_of,
    prunable_layers,
    prune_global_magnitude,
    sample_moments,
)

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
