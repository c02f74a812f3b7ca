"""Single weights, removed from the layers first that use most modelled energy; each layer is then refitted.

After Yang, Chen, Sze, "Designing Energy-Efficient Convolutional Neural Networks using Energy-Aware Pruning",
CVPR 2017 (arXiv 1611.05128). Simplified: small nets; squared error in the choice; the bias is refitted too;
each layer may lose half of the quality that is left to lose; one pass over the layers, then one training.

Chosen by energy at batch 1, which is what a device does that answers as inputs come; fetching weights is most
of it there. Batch 48 stands beside it, as 48 inputs that share a reading make the same zeros worth less.

Rivals: the layers in the order of their weights, or of chance; the smallest weights of the whole net, at once
or little by little while it trains; and the zeros that the tactic found, in a net of random weights.

    python -m recipes.consider_energy_aware_pruning --seed 0 --preset smoke
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.energy.model import estimate
from recipes.common.nets.checks import no_quality, unfit_to_mask, unfit_to_refit
from recipes.common.pruning.weights import (
    Masks,
    apply_masks,
    fit_least_squares,
    magnitude_threshold,
    masks_of,
    prunable_layers,
    prune_global_magnitude,
    restore_by_joint_influence,
    rows_of,
)
from recipes.common.run.contract import CannotRun
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets
from recipes.common.trial.study import Study, life_of

TACTIC = "consider-energy-aware-pruning"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "resnet8_fashion"}
COST = "energy_batch_1"
LOSSES = (0.5, 1.0)  # that a cut may cost before the net is trained again, in tolerances: the nets
AIMS = (1.0, 0.67)  # of the energy of the tactic's net: what the rivals without a search are cut to
RAMP, CUT_EVERY = 0.5, 10  # the gradual rival: share of the training until its aim, and steps between cuts

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
KEPT_STEP = 0.9  # ratio of the weights kept at neighbouring depths of the search
LEAST_KEPT = 0.01  # share of a layer's weights that no search goes below
REMOVED_PAST_TARGET = 0.2  # share of the weights to keep that first goes too, and comes back by influence

Evaluate = Callable[[nn.Module], float]


@torch.no_grad()
def prune_energy_aware(
    model: nn.Module,
    calibration_inputs: Tensor,
    *,
    evaluate: Evaluate,
    largest_loss: float,
    batch_size: int = 1,
    cost_by_layer: Mapping[str, float] | None = None,
) -> Masks:
    """Prune a trained net in place, dearest layer first, without any gradient step.

    Each layer gets the largest removal that costs at most half of what may still be lost, so that the layers
    which use the most energy are cut hardest.

    Args:
        model: Net in evaluation mode; its `nn.Conv2d` and `nn.Linear` layers are pruned, frozen ones too.
        calibration_inputs: Inputs like those of training, (images, ...); no labels needed.
        evaluate: Returns the quality of a net on held-out data; higher is better.
        largest_loss: Quality that may be lost in all, in the unit of `evaluate`.
        batch_size: Images that share one reading of the weights; decides which layers are dear.
        cost_by_layer: Orders the layers instead of their modelled energy.

    Returns:
        Masks by layer name, True where a weight is kept: hold them in any fine-tuning.

    Raises:
        ValueError: The net cannot be pruned so (it is in training mode, in half precision, holds a layer that
            `forward` does not call, ...), or its quality is no finite number; both are seen before it is
            changed. Or nothing could be removed within `largest_loss`; the net is then as it was.
    """
    if refusal := unfit_to_mask(model):
        raise ValueError(refusal)
    dense, costs = copy.deepcopy(model), dict(cost_by_layer or {})
    if not costs:
        for layer in estimate(model, calibration_inputs[:256], batch_size=batch_size).layers:
            costs[layer.name] = costs.get(layer.name, 0.0) + layer.energy  # one entry for each call
    if refusal := unfit_to_refit(model, calibration_inputs):
        raise ValueError(refusal)
    if missing := prunable_layers(model).keys() - costs.keys():
        raise ValueError(
            "cost_by_layer: expected a cost of every nn.Conv2d and nn.Linear, got none for "
            f"{', '.join(missing)}; add them"
        )
    quality = evaluate(model)
    floor = quality - largest_loss
    if refusal := no_quality(floor, largest_loss):
        raise ValueError(refusal)
    for name in sorted(prunable_layers(model), key=costs.__getitem__, reverse=True):
        quality = prune_layer(
            model, dense, name, calibration_inputs, evaluate, (quality + floor) / 2, quality
        )
    masks = masks_of(model)
    if all(torch.equal(masks[name], mask) for name, mask in masks_of(dense).items()):
        raise ValueError(f"nothing could be removed within a loss of {largest_loss:g}; allow a larger one")
    return masks


def prune_layer(
    model: nn.Module,
    dense: nn.Module,
    name: str,
    inputs: Tensor,
    evaluate: Evaluate,
    least_quality: float,
    quality: float,
) -> float:
    """Bisect for the largest removal from a layer that keeps the least quality; return the quality then."""
    layer, before = prunable_layers(model)[name], prunable_layers(dense)[name]
    # Inputs come from the pruned net, outputs from the dense one: so a layer repairs what earlier ones lost.
    X, B = rows_of(model, layer, inputs)[0], rows_of(dense, before, inputs)[1]
    input_mean, output_mean = X.mean(1), B.mean(1)  # (groups, inputs), (groups, filters)
    if layer.bias is not None:  # it takes up any difference of the means, and the weights fit the rest
        X, B = X - input_mean[:, None], B - output_mean[:, None]
    gram, correlation = X.mT @ X, B.mT @ X  # (groups, inputs, inputs), (groups, filters, inputs)
    best = copy.deepcopy(layer.state_dict())
    depth, too_deep = 0, math.ceil(math.log(LEAST_KEPT, KEPT_STEP))
    while too_deep - depth > 1:
        middle = (depth + too_deep) // 2
        weights = cut_and_refitted(before.weight, KEPT_STEP**middle, gram, correlation)
        layer.weight.copy_(weights.reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_((output_mean - (weights @ input_mean[:, :, None])[:, :, 0]).flatten())
        if (found := evaluate(model)) >= least_quality:
            depth, quality, best = middle, found, copy.deepcopy(layer.state_dict())
        else:
            too_deep = middle
    layer.load_state_dict(best)
    return quality


def cut_and_refitted(weight: Tensor, kept_fraction: float, gram: Tensor, correlation: Tensor) -> Tensor:
    """Remove small weights past the target, restore by joint influence up to it, and solve for the rest.

    Returns:
        (groups, filters, inputs), like `correlation`.
    """
    past_target = magnitude_threshold(weight, kept_fraction * (1 - REMOVED_PAST_TARGET))
    target, fitted = magnitude_threshold(weight, kept_fraction), torch.empty_like(correlation)
    for g, weights in enumerate(weight.reshape(correlation.shape)):  # (filters, inputs)
        counts = (weights.abs() > target).sum(1)
        kept = weights.abs() > past_target
        kept = restore_by_joint_influence(weights, kept, counts, gram[g], correlation[g])
        fitted[g] = fit_least_squares(kept, gram[g], correlation[g])
    return fitted


# --8<-- [end:tactic]
# --- Arms: each net is a copy of the one given, cut, and trained as long as the baseline with zeros held ---


def trained(study: Study, net: nn.Module) -> nn.Module:
    """Train a pruned net for what is left of its life."""
    study.train(net, study.epochs_left(net), after_step=partial(apply_masks, net, masks_of(net)))
    return net


def layer_by_layer(study: Study, cost_by_layer: Mapping[str, float] | None = None) -> Nets:
    """Cut to each loss, and train."""
    for loss in LOSSES:
        net = study.copy()
        prune_energy_aware(
            net,
            study.inputs,
            evaluate=study.quality,
            largest_loss=loss * study.tolerance,
            cost_by_layer=cost_by_layer,
        )
        yield f"loss of {loss:g} tolerances", trained(study, net)


def tactic(study: Study) -> Nets:
    """Cut first the layer that uses most energy."""
    yield from layer_by_layer(study)


def most_weights_first(study: Study) -> Nets:
    """Cut first the layer that has most weights."""
    layers = prunable_layers(study.copy())
    yield from layer_by_layer(study, {name: layer.weight.numel() for name, layer in layers.items()})


def random_order(study: Study) -> Nets:
    """Cut the layers in an order of chance: the tactic's choice replaced by none."""
    yield from layer_by_layer(study, {name: float(torch.rand(())) for name in prunable_layers(study.copy())})


def share_for(study: Study, aim: float) -> float:
    """Return the share of weights at which a cut by magnitude meets a multiple of the tactic's energy."""
    if study.found is None:
        raise CannotRun("expected a net that the tactic found, got none; list this arm behind the tactic")
    target, low, high = aim * study.cost(study.found), 0.0, 1.0
    for _ in range(10):
        middle, net = (low + high) / 2, study.copy()
        prune_global_magnitude(net, middle)
        low, high = (low, middle) if study.cost(net) > target else (middle, high)
    return low


def magnitude(study: Study) -> Nets:
    """Cut the smallest weights of the whole net at once."""
    for aim in AIMS:
        net = study.copy()
        prune_global_magnitude(net, share_for(study, aim))
        yield f"{aim:g} of the tactic's energy", trained(study, net)


def magnitude_gradually(study: Study) -> Nets:
    """Cut the smallest weights little by little while the net trains (Zhu, Gupta, arXiv 1710.01878)."""
    for aim in AIMS:
        net, share = study.copy(), share_for(study, aim)
        life, masks = life_of(net), masks_of(net)
        steps = life.steps / study.dense_epochs * study.epochs_left(net) * RAMP
        first, kept = life.steps, 1.0

        def cut(net: nn.Module = net, share: float = share) -> None:
            nonlocal kept, masks
            done = min(1.0, (life.steps - first) / steps)  # noqa: B023 - called in this round alone
            apply_masks(net, masks)
            if kept > share and (life.steps - first) % CUT_EVERY == 0:  # noqa: B023
                now = share + (1 - share) * (1 - done) ** 3  # fast at first, slowly in the end
                prune_global_magnitude(net, now / kept)  # of the weights that are left
                kept, masks = now, masks_of(net)

        study.train(net, study.epochs_left(net), after_step=cut)
        yield f"{aim:g} of the tactic's energy", net


def found_zeros_from_random(study: Study) -> Nets:
    """Train random weights with the zeros that the tactic found, for the baseline's whole life."""
    if study.found is None:
        raise CannotRun("expected a net that the tactic found, got none; list this arm behind the tactic")
    net = study.fresh()
    apply_masks(net, masks_of(study.found))
    yield "found zeros", trained(study, net)


ARMS = (tactic, most_weights_first, random_order, magnitude, magnitude_gradually, found_zeros_from_random)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
