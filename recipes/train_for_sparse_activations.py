"""Energy-aware training: add a smooth count of non-zero activations to the loss, so that fewer neurons fire.

After Lazzaro, Cinà, Pintor, Demontis, Biggio, Roli, Pelillo, "Minimizing Energy Consumption of Deep Learning
Models by Energy-Aware Training", ICIAP 2023 (arXiv 2307.00368). The penalty is added, as in equation 3; line
6 of Algorithm 1 subtracts it. Simplified: small nets; the penalty enters while a trained net is trained on,
at one sigma; it counts the outputs of ReLU only, as a mean over elements and layers, where the paper divides
a sum by the number of parameters. Energy is that of a chip with a memory hierarchy that skips zeros, at batch
48, where weights do not hide what activations cost; the paper's simulator has no hierarchy, and batches of
512. Dense kernels on a processor skip nothing: nothing is saved there.

Rivals: the mean activation as penalty; a ReLU that drops small positive values too, while the net is trained
on or after that; all try as many values of their knob.

    python -m recipes.train_for_sparse_activations --seed 0 --preset smoke
"""

from __future__ import annotations

import copy
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from recipes.common.nets.checks import fault, label, wrapped
from recipes.common.run.contract import Metric
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets
from recipes.common.trial.study import Study

TACTIC = "train-for-sparse-activations"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "resnet8_fashion"}
COST = "energy_batch_48"
SIGMA = 0.01  # square of the activation that the penalty counts as one half
L0_WEIGHTS = (0.3, 0.45, 0.6)  # of the smooth count
L1_WEIGHTS = (0.75, 1.0, 1.25)  # of the mean activation
DROPPED = (0.4, 0.5, 0.6)  # shares of a layer's positive outputs below the thresholds
DROPPED_AFTERWARDS = (0.15, 0.25, 0.35)  # the same where no training follows

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
@contextmanager
def record_activations(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of all nn.ReLU and nn.ReLU6 modules, in the forward pass that computes the loss.

    What is not collected is named in a warning: other modules of activation functions, and calls such as
    `F.relu`. The penalty has no gradient where layers are frozen; that is named too.

    Yields:
        The outputs of the last forward pass, (batch, ...) each.

    Raises:
        ValueError: The model has no such module, or is compiled; in a forward pass: none is called, an output
            is changed in place by what follows, or none has a gradient.
    """
    if wrapped(model):
        raise ValueError(wrapped(model))
    rectifiers = {name: module for name, module in model.named_modules() if isinstance(module, RECTIFIERS)}
    if not rectifiers:
        got = _other_activations(model) or "no module of an activation function"
        raise ValueError(
            f"{label('', model)}: expected nn.ReLU or nn.ReLU6 modules, whose outputs can be recorded, got "
            f"{got}; write each call of F.relu as a module of its own; {_NEVER_ZERO}"
        )
    if _other_activations(model):
        warnings.warn(f"not recorded: {_other_activations(model)}; {_NEVER_ZERO}", stacklevel=3)
    activations: list[Tensor] = []
    calls: list[Call] = []
    passes = itertools.count()

    def begin(*_: object) -> None:  # a loop may also evaluate: what that leaves would dilute the penalty
        activations.clear()
        calls.clear()

    def note(name: str, _module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        activations.append(outputs)
        calls.append((name, outputs, _changes(outputs)))

    def check(_module: nn.Module, _inputs: object, outputs: object) -> None:
        if not calls:
            cure = "call these modules in place of F.relu"
            raise ValueError(fault(", ".join(rectifiers), "a call in forward", "none", cure))
        if _overwritten(calls) or _without_gradient(calls):
            raise ValueError(_overwritten(calls) or _without_gradient(calls))
        if torch.is_grad_enabled() and next(passes) == 0 and _missed(calls, outputs):
            warnings.warn(_missed(calls, outputs), stacklevel=2)

    hooks = [module.register_forward_hook(partial(note, name)) for name, module in rectifiers.items()]
    hooks += [model.register_forward_pre_hook(begin), model.register_forward_hook(check)]
    try:
        yield activations
        if _overwritten(calls):
            raise ValueError(_overwritten(calls))
    finally:
        for hook in hooks:
            hook.remove()


def activation_l0(activations: Sequence[Tensor], sigma: float) -> Tensor:
    """Return a smooth fraction of non-zero activations: the mean of x**2 / (x**2 + sigma), 0 to 1.

    Lazzaro et al. 2023, equation 1. Add λ times this to the loss. The mean is over the elements of a layer,
    then over layers, so that a small layer weighs as much as a large one.

    Args:
        activations: Outputs of hidden layers, of any shapes; not changed.
        sigma: Above 0. The smaller, the closer to a count and the steeper near zero.

    Raises:
        ValueError: No activations, or sigma not above 0.
    """
    if isinstance(activations, Tensor):
        raise ValueError(
            "activations: expected a list of tensors, one a layer, got one tensor; put it in a list"
        )
    if not activations or not sigma > 0:
        raise ValueError(f"expected activations and sigma above 0, got {len(activations)} and {sigma:g}")
    return torch.stack([_SmoothCount.apply(outputs, sigma) for outputs in activations]).mean()  # type: ignore[no-untyped-call]


class _SmoothCount(torch.autograd.Function):
    """`(x**2 / (x**2 + sigma)).mean()`; autograd of that expression takes several times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, sigma: float) -> Tensor:  # noqa: ANN401 - torch has no type for it
        rest = outputs.float().square().add_(sigma).reciprocal_().mul_(sigma)
        ctx.save_for_backward(outputs, rest)
        ctx.sigma = sigma
        return 1 - rest.mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        outputs, rest = ctx.saved_tensors
        slope = rest.square().mul_(outputs).mul_(2 * gradient / (ctx.sigma * outputs.numel()))
        return slope.to(outputs.dtype), None


# --8<-- [end:tactic]


# --- What is not recorded --------------------------------------------------------------------------------


RECTIFIERS = (nn.ReLU, nn.ReLU6)
_GATES = (
    nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.Sigmoid, nn.Hardsigmoid,
    nn.LogSigmoid, nn.Tanh,
)  # fmt: skip
"""What stands among torch's activation functions, but gates others or ends a net."""
_NEVER_ZERO = (
    "put nn.ReLU in place of GELU, Hardswish and the like, which hardly give a zero, and train first"
)
Call = tuple[str, Tensor, int]
"""A rectifier's name, what it returned, and how often that had been changed in place."""


def _other_activations(model: nn.Module) -> str:
    """Return the first activation functions of a net that are no rectifiers, and how many there are."""
    found = [
        label(name, module)
        for name, module in model.named_modules()
        if type(module).__module__ == nn.ReLU.__module__ and not isinstance(module, (*RECTIFIERS, *_GATES))
    ]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def _changes(outputs: Tensor) -> int:
    """Return how often a tensor has been changed in place; torch does not count in inference mode."""
    return 0 if outputs.is_inference() else outputs._version


def _overwritten(calls: Sequence[Call]) -> str:
    """Return which output is changed in place once it has been recorded, so that another one is counted."""
    for name, outputs, changes in calls:
        if _changes(outputs) != changes:
            got = "a change in place behind it, after which the penalty counts something else"
            cure = "write y = y + x for y += x, and set inplace=False on the module behind it"
            return fault(name, "an output that stays as it is", got, cure)
    return ""


def _without_gradient(calls: Sequence[Call]) -> str:
    """Return that the penalty would change nothing, as no output has a gradient."""
    if not torch.is_grad_enabled() or not calls or any(outputs.requires_grad for _, outputs, _ in calls):
        return ""
    cure = "unfreeze a layer in front of one, and take torch.no_grad() out of forward"
    return fault(
        calls[0][0], "a gradient, here or in another ReLU", "none, so that the penalty does nothing", cure
    )


def _missed(calls: Sequence[Call], outputs: object) -> str:
    """Return which rectified outputs the penalty misses, as far as the graph of the gradients tells."""
    frozen = [name for name, recorded, _ in calls if not recorded.requires_grad]
    if frozen:
        return f"the penalty has no gradient at {', '.join(frozen)}, as all in front is frozen"
    recorded = {outputs.grad_fn for _, outputs, _ in calls}
    ahead = [leaf.grad_fn for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    seen = set[object]()
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [following for following, _ in node.next_functions]
    missed = sum(type(node).__name__ == "ReluBackward0" for node in seen - recorded)
    if not missed:
        return ""
    return (
        f"recorded: {len(calls)} of {len(calls) + missed} rectified outputs; write each call of F.relu or "
        "torch.relu as an nn.ReLU module to record the others"
    )


# --- What the rivals do ------------------------------------------------------------------------------------


def activation_l1(activations: Sequence[Tensor]) -> Tensor:
    """Return the mean of rectified activations, over elements and then layers: the penalty of a rival."""
    # Rectifying once more changes nothing, but hands back a gradient in the memory format of the outputs.
    return torch.stack([outputs.relu().mean(dtype=torch.float32) for outputs in activations]).mean()


@torch.no_grad()
def use_thresholds(model: nn.Module, inputs: Tensor, removed_fraction: float) -> None:
    """Replace each ReLU by a threshold: x where it is above, else 0, so that small outputs are dropped too.

    This is the FATReLU of Kurtz et al., "Inducing and Exploiting Activation Sparsity for Fast Inference on
    Deep Neural Networks", ICML 2020.

    Args:
        model: Changed in place; an nn.ReLU that is called several times gets one threshold for all calls.
        inputs: (inputs, ...), to see how large the outputs of each ReLU are.
        removed_fraction: Fraction of a ReLU's positive outputs on these inputs to drop, at least 0 and below
            1.

    Raises:
        ValueError: The model has no nn.ReLU module with a positive output, or the fraction is out of range.
    """
    if not 0 <= removed_fraction < 1:
        raise ValueError(f"removed_fraction: expected at least 0 and below 1, got {removed_fraction:g}")
    positive: dict[str, list[Tensor]] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        positive.setdefault(name, []).append(outputs[outputs > 0])

    rectifiers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ReLU)]
    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in rectifiers]
    model(inputs)
    for hook in hooks:
        hook.remove()
    firing = {name: values for name, calls in positive.items() if len(values := torch.cat(calls))}
    if not firing:
        raise ValueError(f"{type(model).__name__}: expected an nn.ReLU module that fires, found none")
    for name, values in firing.items():
        least = float(values.kthvalue(1 + int(removed_fraction * len(values))).values)
        model.set_submodule(name, nn.Threshold(least, 0.0))


# --- Arms: each value of a knob trains a copy of the net as given for as long as the baseline --------------


def with_penalty(
    study: Study, penalty: Callable[[Sequence[Tensor]], Tensor], weights: Sequence[float]
) -> Nets:
    """Train on under a penalty on the activations, for each weight of it."""
    for weight in weights:
        net = study.copy()
        with record_activations(net) as activations:

            def add(
                _: Tensor, __: Tensor, seen: list[Tensor] = activations, weight: float = weight
            ) -> Tensor:
                return weight * penalty(seen)

            study.train(net, study.budget_epochs, add=add)
        yield f"weight {weight:g}", net


def tactic(study: Study) -> Nets:
    """Add the smooth count of non-zero activations to the loss."""
    yield from with_penalty(study, partial(activation_l0, sigma=SIGMA), L0_WEIGHTS)


def l1(study: Study) -> Nets:
    """Add the mean activation to the loss."""
    yield from with_penalty(study, activation_l1, L1_WEIGHTS)


def thresholds(study: Study) -> Nets:
    """Drop small positive activations, and train with that."""
    for share in DROPPED:
        net = study.copy()
        use_thresholds(net, study.inputs[:256], share)
        study.train(net, study.budget_epochs)
        yield f"{share:.0%} dropped", net


def thresholds_afterwards(study: Study) -> Nets:
    """Train on as the baseline does, then drop small positive activations: no training for it at all."""
    trained = study.copy()
    study.train(trained, study.budget_epochs)
    for share in DROPPED_AFTERWARDS:
        net = copy.deepcopy(trained)
        use_thresholds(net, study.inputs[:256], share)
        yield f"{share:.0%} dropped", net


ARMS = (tactic, l1, thresholds, thresholds_afterwards)


@torch.no_grad()
def extra_costs(net: nn.Module, inputs: Tensor) -> dict[str, Metric]:
    """Return the share of the outputs of rectifiers that are not zero."""
    counts = list[tuple[int, int]]()

    def count(_module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        counts.append((int(outputs.count_nonzero()), outputs.numel()))

    rectifiers = [module for module in net.modules() if isinstance(module, (*RECTIFIERS, nn.Threshold))]
    hooks = [module.register_forward_hook(count) for module in rectifiers]
    net(inputs[:256])
    for hook in hooks:
        hook.remove()
    if not counts:
        return {}
    share = sum(nonzero for nonzero, _ in counts) / sum(size for _, size in counts)
    text = (
        "Share of the outputs of ReLU, or of the threshold in its place, that are not zero; training inputs."
    )
    return {"nonzero_activations_fraction": Metric(share, "fraction", "lower", "counted", text)}


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
