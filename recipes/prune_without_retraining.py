"""Weights removed from a trained net, and those left fitted again in closed form: no labels, no gradients.

The setting is that of SparseGPT (Frantar, Alistarh, ICML 2023, arXiv 2301.00774): layer after layer, each
held to its former outputs on a few inputs. Which weights stay, and their least squares, are those of Yang,
Chen, Sze (CVPR 2017, arXiv 1611.05128). Simplified: squared error in the choice, one pass over the layers.

All arms keep as many weights of each layer: by one threshold on magnitudes, or equal shares of a large net,
as in the papers on language models. The rivals choose by magnitude, with and without the fit;
by chance, with it; as Wanda does (Sun et al., arXiv 2306.11695); and as SparseGPT does.

    python -m recipes.prune_without_retraining --seed 0 --preset smoke
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.nets.checks import fault, imprecise, label, unfit_to_mask, unusable
from recipes.common.pruning.weights import (
    Masks,
    PrunableLayer,
    fit_in_steps,
    fit_least_squares,
    input_rows,
    magnitude_threshold,
    output_rows,
    prunable_layers,
    restore_by_joint_influence,
)
from recipes.common.run.contract import CannotRun
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets
from recipes.common.trial.study import Study

TACTIC = "prune-without-retraining"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "vit_fashion"}
COST = "nonzero_weights"
RETRAINS = False
KEPT = (0.6, 0.35, 0.2, 0.12, 0.07)  # shares of the weights: the nets of a curve
LARGE_PARAMETERS = 10_000_000  # from here on a net is pruned as language models are
KEPT_OF_LARGE = (0.8, 0.7)  # of a large net, which takes a minute for each share
STEPS_OF_LARGE = 6  # of the fit there: an exact one takes many times as long, and fits few inputs too well

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
REMOVED_PAST_TARGET = 0.05  # share of the weights to keep that first goes too, and comes back by influence
RIDGE_OF_STEPS = 0.1  # of the mean square of an input: how strongly a fit in steps holds to the weights

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
    B: Tensor | None
    """Outputs in the dense net, (rows, filters), where they are asked for."""
    bias: Tensor | None
    """(filters,)."""


PrunePart = Callable[[Part], tuple[Tensor, Tensor | None]]
"""To weights, (filters, inputs), and bias, (filters,), of the pruned net."""


@torch.no_grad()
def prune_without_retraining(
    model: nn.Module,
    calibration_inputs: Tensor,
    *,
    kept_fraction: float,
    choose: Choice | None = None,
    steps: int | None = None,
    in_each: bool = False,
) -> Masks:
    """Prune a trained net in place, and fit the weights left to the outputs that each layer had.

    Convolutions and linear layers are pruned that `forward` calls, frozen ones too. A net with batch
    normalisation may gain from statistics computed anew: `recalibrate` of `recipes.common.pruning.channels`.

    Args:
        model: Net in evaluation mode.
        calibration_inputs: Inputs like those of training, (examples, ...); no labels needed.
        kept_fraction: Share of the weights of these layers that stays, above 0 and below 1.
        choose: Says which weights of a filter stay; `by_joint_influence` where None.
        steps: Steps of conjugate gradients in place of the exact fit, for layers of many hundred inputs.
        in_each: Whether each layer keeps that share, in place of what one threshold for all leaves it.

    Returns:
        Masks by layer name, True where a weight is kept.

    Raises:
        ValueError: The net cannot be pruned so, or no weight can go; it is then as it was.
    """
    prune_part = partial(refitted, choose=choose or by_joint_influence, steps=steps)
    return prune_layer_by_layer(
        model, calibration_inputs, kept_fraction, prune_part, to_outputs=True, in_each=in_each
    )


def refitted(part: Part, choose: Choice, steps: int | None) -> tuple[Tensor, Tensor | None]:
    """Choose the weights that stay, and solve for those that give the outputs of the dense net best."""
    X, B = part.X, part.B
    assert B is not None
    input_mean, output_mean = X.mean(0), B.mean(0)  # (inputs,), (filters,)
    if part.bias is not None:  # it takes up any difference of the means, and the weights fit the rest
        X, B = X - input_mean, B - output_mean
    gram, correlation = X.T @ X, B.T @ X  # (inputs, inputs), (filters, inputs): all that rows are needed for
    kept = choose(part.weights, part.kept.sum(1), gram, correlation)
    if steps is None:
        weights = fit_least_squares(kept, gram, correlation)
    else:
        started = part.weights, kept, gram, correlation
        weights = fit_in_steps(*started, steps=steps, ridge_fraction=RIDGE_OF_STEPS)
    return weights, None if part.bias is None else output_mean - weights @ input_mean


def by_joint_influence(weights: Tensor, counts: Tensor, gram: Tensor, correlation: Tensor) -> Tensor:
    """Remove small weights past the target, then bring back, one at a time, what lowers the error most."""
    kept = largest(weights.abs(), (counts * (1 - REMOVED_PAST_TARGET)).long())
    return restore_by_joint_influence(weights, kept, counts, gram, correlation)


def largest(scores: Tensor, counts: Tensor) -> Tensor:
    """Return where the largest scores of each row are, as many as it keeps, (rows, columns)."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    stays = torch.arange(scores.shape[1], device=scores.device) < counts[:, None]  # of the first in order
    return torch.empty_like(stays).scatter_(1, order, stays)


# --8<-- [end:tactic]
# --- Layer by layer, as inputs pass -----------------------------------------------------------------------


@torch.no_grad()
def prune_layer_by_layer(
    model: nn.Module,
    inputs: Tensor,
    kept_fraction: float,
    prune_part: PrunePart,
    *,
    to_outputs: bool = False,
    in_each: bool = False,
) -> Masks:
    """Prune a net in place, first layer first; a threshold, for all or `in_each`, says how many weights stay.

    The inputs pass through once: each layer is pruned as they come to it, and hands on what it then gives.
    With `to_outputs` they pass through the dense net before, for the outputs that a part is held to.
    """
    if refusal := unfit_to_mask(model) or imprecise(model) or unusable(inputs):
        raise ValueError(refusal)
    if not 0 < kept_fraction < 1:
        got = f"expected more than 0 and less than 1, got {kept_fraction}"
        raise ValueError(f"kept_fraction: {got}; pass the share of the weights that stays")
    layers = called_layers(model, inputs)
    if in_each:
        thresholds = {
            name: magnitude_threshold(layer.weight, kept_fraction) for name, layer in layers.items()
        }
    else:
        together = torch.cat([layer.weight.flatten() for layer in layers.values()])
        thresholds = dict.fromkeys(layers, magnitude_threshold(together, kept_fraction))
    if not any(((w := layer.weight).ne(0) & (w.abs() <= thresholds[n])).any() for n, layer in layers.items()):
        raise ValueError(
            f"kept_fraction: expected that weights can go, got as many weights at {kept_fraction}; "
            "pass a smaller share"
        )
    former = outputs_of_layers(model, layers, inputs) if to_outputs else {}

    def prune(layer: PrunableLayer, arguments: tuple[Tensor, ...], *, name: str) -> None:
        X = input_rows(layer, arguments[0])
        weights = layer.weight.reshape(len(X), -1, X.shape[2])  # (groups, filters, inputs)
        outputs = former.pop(name, [None] * len(X))
        biases = [None] * len(X) if layer.bias is None else list(layer.bias.view(len(X), -1))
        fitted = [
            prune_part(Part(*part))
            for part in zip(weights, weights.abs() > thresholds[name], X, outputs, biases, strict=True)
        ]
        layer.weight.copy_(torch.stack([weight for weight, _ in fitted]).reshape(layer.weight.shape))
        if layer.bias is not None:
            layer.bias.copy_(torch.cat([bias for _, bias in fitted if bias is not None]))
        handles.pop(name).remove()  # a layer that is called again is pruned by then

    handles = {
        name: layer.register_forward_pre_hook(partial(prune, name=name)) for name, layer in layers.items()
    }
    try:
        model(inputs)
    finally:
        for handle in handles.values():
            handle.remove()
    return {name: layer.weight != 0 for name, layer in layers.items()}


def called_layers(model: nn.Module, inputs: Tensor) -> dict[str, PrunableLayer]:
    """Return convolutions and linear layers by name, in the order in which `forward` first calls them."""
    called = dict[str, PrunableLayer]()

    def note(layer: PrunableLayer, *_: object, name: str) -> None:
        called.setdefault(name, layer)

    watch(model, prunable_layers(model), inputs[:1], note)
    if not called:
        expected = "nn.Conv2d or nn.Linear modules that forward calls"
        raise ValueError(fault(label("", model), expected, "none", "pass the net that holds them"))
    return called


def outputs_of_layers(
    model: nn.Module, layers: Mapping[str, PrunableLayer], inputs: Tensor
) -> dict[str, Tensor]:
    """Return by name what each layer gives when it is first called, (groups, rows, filters)."""
    given = dict[str, Tensor]()

    def keep(layer: PrunableLayer, _: object, outputs: Tensor, *, name: str) -> None:
        if name not in given:
            given[name] = output_rows(layer, outputs)

    watch(model, layers, inputs, keep)
    return given


def watch(
    model: nn.Module, layers: Mapping[str, PrunableLayer], inputs: Tensor, look: Callable[..., None]
) -> None:
    """Pass inputs through a net, and have what goes through its layers looked at."""
    handles = [layer.register_forward_hook(partial(look, name=name)) for name, layer in layers.items()]
    try:
        model(inputs)
    finally:
        for handle in handles:
            handle.remove()


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
    weights = part.weights.double().T.clone(memory_format=torch.contiguous_format)  # (inputs, filters)
    hessian = (part.X.T @ part.X).double()  # (inputs, inputs)
    dead = hessian.diagonal() == 0  # inputs that never fire: any weight will do, so none
    weights[dead] = 0
    hessian.diagonal().add_(damping * hessian.diagonal().mean() + dead)
    inverse = torch.cholesky_inverse(torch.linalg.cholesky(hessian))
    U = torch.linalg.cholesky(inverse, upper=True)  # row j: of the inverse without the inputs before j
    for first in range(0, len(weights), block):
        within, behind = slice(first, first + block), slice(first + block, None)
        scores = (weights[within].T / U.diagonal()[within]).square()  # error that a removal causes
        stay = (scores.numel() * part.kept.double().mean()).round().view(1)
        removed = ~largest(scores.reshape(1, -1), stay).view_as(scores).T
        errors = weights.new_zeros(removed.shape)  # (block, filters)
        for j, gone in enumerate(removed, first):
            errors[j - first] = weights[j] * gone / U[j, j]
            weights[j : first + block] -= U[j, j : first + block, None] * errors[j - first]
            weights[j, gone] = 0  # exactly
        weights[behind] -= U[within, behind].T @ errors
    return weights.T.to(part.weights), part.bias


# --- Arms ------------------------------------------------------------------------------------------------


def at_each_depth(study: Study, prune: Callable[..., object], **named: object) -> Nets:
    """Prune a copy of the trained net to each share of its weights."""
    large = is_large(study)
    for share in KEPT_OF_LARGE if large else KEPT:
        net = study.copy()
        prune(net, study.inputs, kept_fraction=share, in_each=large, **named)
        yield f"{share:.0%} of the weights", net


def fitted(study: Study, choose: Choice) -> Nets:
    """Choose, and fit."""
    steps = STEPS_OF_LARGE if is_large(study) else None
    yield from at_each_depth(study, prune_without_retraining, choose=choose, steps=steps)


def is_large(study: Study) -> bool:
    """Return whether the trained net is a large one."""
    return sum(weight.numel() for weight in study.copy().parameters()) >= LARGE_PARAMETERS


def tactic(study: Study) -> Nets:
    """Choose by joint influence, and fit."""
    yield from fitted(study, by_joint_influence)


def magnitude_fitted(study: Study) -> Nets:
    """Choose by magnitude, and fit."""
    yield from fitted(study, by_magnitude)


def random_fitted(study: Study) -> Nets:
    """Choose by chance, and fit."""
    if is_large(study):
        raise CannotRun("a choice by chance is told on small nets; on a large one its time is spared")
    yield from fitted(study, by_chance)


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
