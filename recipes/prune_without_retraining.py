"""Weights removed from a trained net, and those left fitted again in closed form: no labels, no gradients.

The setting is that of SparseGPT (Frantar, Alistarh, ICML 2023, arXiv 2301.00774): layer after layer, each
held to its former outputs on a few inputs. Which weights stay, and their least squares, are those of Yang,
Chen, Sze (CVPR 2017, arXiv 1611.05128). Simplified: squared error in the choice, one pass over the layers.

All arms keep as many weights of each layer, by one threshold on magnitudes, where the papers on language
models keep equal shares. The rivals choose by magnitude, with and without the fit; by chance, with it; as
Wanda does (Sun et al., arXiv 2306.11695); and as SparseGPT does.

    python -m recipes.prune_without_retraining --seed 0 --preset smoke
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.nets.checks import fault, imprecise, label, unfit_to_mask, unusable
from recipes.common.pruning.weights import (
    Masks,
    PrunableLayer,
    fit_least_squares,
    magnitude_threshold,
    prunable_layers,
    restore_by_joint_influence,
    rows_of,
)
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets
from recipes.common.trial.study import Study

TACTIC = "prune-without-retraining"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "vit_fashion"}
COST = "nonzero_weights"
RETRAINS = False
KEPT = (0.6, 0.35, 0.2, 0.12, 0.07)  # shares of the weights: the nets of a curve

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
REMOVED_PAST_TARGET = 0.05  # share of the weights to keep that first goes too, and comes back by influence

Choice = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""From weights, (filters, inputs), how many a filter keeps, (filters,), X'X and B'X to the mask of those."""


@dataclass
class Part:
    """The filters of a layer that share their inputs: all of them, or those of one group of a convolution."""

    weights: Tensor
    """Of the dense net, (filters, inputs)."""
    kept: Tensor
    """True where a weight is above the threshold, (filters, inputs); says how many weights stay."""
    X: Tensor
    """Inputs in the net as pruned so far, (rows, inputs): so a layer repairs what earlier ones lost."""
    B: Tensor
    """Outputs in the dense net, (rows, filters)."""
    bias: Tensor | None
    """(filters,)."""


PrunePart = Callable[[Part], tuple[Tensor, Tensor | None]]
"""To weights, (filters, inputs), and bias, (filters,), of the pruned net."""


@torch.no_grad()
def prune_without_retraining(
    model: nn.Module, calibration_inputs: Tensor, *, kept_fraction: float, choose: Choice | None = None
) -> Masks:
    """Prune a trained net in place, and fit the weights left to the outputs that each layer had.

    Convolutions and linear layers are pruned that `forward` calls, frozen ones too. A net with batch
    normalisation may gain from statistics computed anew: `recalibrate` of `recipes.common.pruning.channels`.

    Args:
        model: Net in evaluation mode.
        calibration_inputs: Inputs like those of training, (examples, ...); no labels needed.
        kept_fraction: Share of the weights of these layers that stays, above 0 and below 1.
        choose: Says which weights of a filter stay; `by_joint_influence` where None.

    Returns:
        Masks by layer name, True where a weight is kept.

    Raises:
        ValueError: The net cannot be pruned so, or no weight can go; it is then as it was.
    """
    return prune_layer_by_layer(
        model, calibration_inputs, kept_fraction, partial(refitted, choose=choose or by_joint_influence)
    )


def refitted(part: Part, choose: Choice) -> tuple[Tensor, Tensor | None]:
    """Choose the weights that stay, and solve for those that give the outputs of the dense net best."""
    X, B = part.X, part.B
    input_mean, output_mean = X.mean(0), B.mean(0)  # (inputs,), (filters,)
    if part.bias is not None:  # it takes up any difference of the means, and the weights fit the rest
        X, B = X - input_mean, B - output_mean
    gram, correlation = X.T @ X, B.T @ X  # (inputs, inputs), (filters, inputs): all that rows are needed for
    kept = choose(part.weights, part.kept.sum(1), gram, correlation)
    weights = fit_least_squares(kept, gram, correlation)
    return weights, None if part.bias is None else output_mean - weights @ input_mean


def by_joint_influence(weights: Tensor, counts: Tensor, gram: Tensor, correlation: Tensor) -> Tensor:
    """Remove small weights past the target, then bring back, one at a time, what lowers the error most."""
    kept = largest(weights.abs(), (counts * (1 - REMOVED_PAST_TARGET)).long())
    return restore_by_joint_influence(weights, kept, counts, gram, correlation)


def largest(scores: Tensor, counts: Tensor) -> Tensor:
    """Return where the largest scores of each row are, as many as it keeps, (rows, columns)."""
    ranks = scores.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    return ranks < counts[:, None]


@torch.no_grad()
def prune_layer_by_layer(
    model: nn.Module, inputs: Tensor, kept_fraction: float, prune_part: PrunePart
) -> Masks:
    """Prune a net in place, first layer first; one threshold says how many weights each keeps."""
    if refusal := unfit_to_mask(model) or imprecise(model) or unusable(inputs):
        raise ValueError(refusal)
    if not 0 < kept_fraction < 1:
        got = f"expected more than 0 and less than 1, got {kept_fraction}"
        raise ValueError(f"kept_fraction: {got}; pass the share of the weights that stays")
    dense, layers = copy.deepcopy(model), called_layers(model, inputs)
    magnitudes = torch.cat([layer.weight.abs().flatten() for layer in layers.values()])
    threshold = magnitude_threshold(magnitudes, kept_fraction)
    if not (magnitudes[magnitudes > 0] <= threshold).any():
        raise ValueError(
            f"kept_fraction: expected that weights can go, got as many weights at {kept_fraction}; "
            "pass a smaller share"
        )
    for name, layer in layers.items():
        before = prunable_layers(dense)[name]
        X, B = rows_of(model, layer, inputs)[0], rows_of(dense, before, inputs)[1]
        weights = before.weight.reshape(len(X), B.shape[2], -1)  # (groups, filters, inputs)
        biases = [None] * len(X) if before.bias is None else list(before.bias.view(len(X), -1))
        fitted = [
            prune_part(Part(*part))
            for part in zip(weights, weights.abs() > threshold, X, B, biases, strict=True)
        ]
        layer.weight.copy_(torch.stack([weight for weight, _ in fitted]).reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(torch.cat([bias for _, bias in fitted if bias is not None]))
    return {name: layer.weight != 0 for name, layer in layers.items()}


def called_layers(model: nn.Module, inputs: Tensor) -> dict[str, PrunableLayer]:
    """Return convolutions and linear layers by name, in the order in which `forward` first calls them."""
    called = dict[str, PrunableLayer]()

    def note(layer: PrunableLayer, *_: object, name: str) -> None:
        called.setdefault(name, layer)

    layers = prunable_layers(model)
    handles = [layer.register_forward_hook(partial(note, name=name)) for name, layer in layers.items()]
    try:
        model(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    if not called:
        expected = "nn.Conv2d or nn.Linear modules that forward calls"
        raise ValueError(fault(label("", model), expected, "none", "pass the net that holds them"))
    return called


# --8<-- [end:tactic]
# --- Rivals: each keeps as many weights of a layer ---------------------------------------------------------


def by_magnitude(weights: Tensor, counts: Tensor, *_: Tensor) -> Tensor:
    """Keep the largest weights of a filter."""
    return largest(weights.abs(), counts)


def by_chance(weights: Tensor, counts: Tensor, *_: Tensor) -> Tensor:
    """Keep any weights of a filter."""
    return largest(torch.rand_like(weights), counts)


def above_threshold(part: Part) -> tuple[Tensor, Tensor | None]:
    """Keep the largest weights as they are."""
    return part.weights * part.kept, part.bias


def wanda_part(part: Part) -> tuple[Tensor, Tensor | None]:
    """Keep in each filter, equally many in all, what is largest times the norm of its input, as it is."""
    counts = part.kept.sum(1).double().mean().round().expand(len(part.weights))
    return part.weights * largest(part.weights.abs() * part.X.norm(dim=0), counts), part.bias


def sparsegpt_part(part: Part, *, block: int = 128, damping: float = 0.01) -> tuple[Tensor, Tensor | None]:
    """Remove weights block by block of inputs; each input's loss is made good by the inputs behind it."""
    weights, hessian = part.weights.double().clone(), (part.X.T @ part.X).double()  # (inputs, inputs)
    dead = hessian.diagonal() == 0  # inputs that never fire: any weight will do, so none
    weights[:, dead] = 0
    hessian.diagonal().add_(damping * hessian.diagonal().mean() + dead)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    U = torch.linalg.cholesky(inverse, upper=True)  # row j: of the inverse without the inputs before j
    for first in range(0, weights.shape[1], block):
        columns = slice(first, first + block)
        scores = (weights[:, columns] / U.diagonal()[columns]).square()  # error that a removal causes
        stay = (scores.numel() * part.kept.double().mean()).round().view(1)
        removed = ~largest(scores.reshape(1, -1), stay).view_as(scores)
        for j in range(first, first + removed.shape[1]):
            error = weights[:, j] * removed[:, j - first] / U[j, j]  # (filters,)
            weights[:, j:] -= error[:, None] * U[j, j:]
            weights[removed[:, j - first], j] = 0  # exactly
    return weights.to(part.weights), part.bias


# --- Arms ------------------------------------------------------------------------------------------------


def at_each_depth(study: Study, prune: Callable[..., Masks], *arguments: object, **named: object) -> Nets:
    """Prune a copy of the trained net to each share of its weights."""
    for share in KEPT:
        net = study.copy()
        prune(net, study.inputs, *arguments, kept_fraction=share, **named)
        yield f"{share:.0%} of the weights", net


def tactic(study: Study) -> Nets:
    """Choose by joint influence, and fit."""
    yield from at_each_depth(study, prune_without_retraining)


def magnitude_fitted(study: Study) -> Nets:
    """Choose by magnitude, and fit."""
    yield from at_each_depth(study, prune_without_retraining, choose=by_magnitude)


def random_fitted(study: Study) -> Nets:
    """Choose by chance, and fit."""
    yield from at_each_depth(study, prune_without_retraining, choose=by_chance)


def magnitude(study: Study) -> Nets:
    """Choose by magnitude, and leave it at that."""
    yield from at_each_depth(study, prune_layer_by_layer, prune_part=above_threshold)


def wanda(study: Study) -> Nets:
    """Choose by magnitude times norm of the input, and leave it at that."""
    yield from at_each_depth(study, prune_layer_by_layer, prune_part=wanda_part)


def sparsegpt(study: Study) -> Nets:
    """Choose and make good column by column, with the Hessian of the inputs."""
    yield from at_each_depth(study, prune_layer_by_layer, prune_part=sparsegpt_part)


ARMS = (tactic, magnitude_fitted, random_fitted, magnitude, wanda, sparsegpt)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
