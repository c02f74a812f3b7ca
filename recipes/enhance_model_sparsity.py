"""Sparsity by groups: a log-sum penalty drives whole filters and units to zero, and they are cut out.

The reweighted log-sum penalty on groups comes from Yang, Hua, Shi, Wang, Zhang, Letaief, "Sparse
Optimization for Green Edge AI Inference", JCIN 5(1), 2020 (arXiv 2002.10080), of which the abstract was
read. That paper selects inference tasks and prunes no network; here the groups are the channels of a
network, as in Wen et al. 2016 (arXiv 1608.03665). The reweighting is that of Candès, Wakin, Boyd 2008
(arXiv 0711.1612), simplified: anew in each step. The strength of the penalty is the knob. Rivals: the
penalty without the logarithm (group lasso); channels cut at once, by norm (torch-pruning) or by chance; the
found architecture from random weights; all layers thinner alike.

    python -m recipes.enhance_model_sparsity --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recipes.common.nets.checks import depthwise, fault, label, outputs_of, unfit_to_trace
from recipes.common.pruning.channels import SIZES, broken, cut_channels, torch_pruning
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, distillation, found_from_random, thin_distilled
from recipes.common.trial.study import StopTraining, Study, life_of

TACTIC = "enhance-model-sparsity"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "mobilenet_fashion"}
COST = "parameters"
TAUGHT = True
STRENGTHS = (5.0, 8.0, 20.0)  # of the log-sum penalty, over all steps
LASSO_STRENGTHS = (0.8, 1.0, 2.0)  # of the group lasso, which needs less to leave as few weights
NETS = 2  # of a curve: from the first strengths that remove anything
EPSILON = 0.1  # norm at which the logarithm bends, in typical norms
SHRINK_FRACTION = 0.2  # of the budget, under the penalty; the rest trains what is left
SHARES = (0.4, 0.3)  # of the parameters, left by the cut at once

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
@torch.no_grad()
def shrink_groups(groups: Sequence[ChannelGroups], strength: float, epsilon: float) -> None:
    """Take a step down a log-sum penalty on the groups, in place: call it after each step of the optimiser.

    The penalty is epsilon log(1 + r / epsilon), r being a norm over the root mean square of all norms above
    zero in the net: the smaller a group, the harder it is pushed. The step is not part of the gradient,
    because an optimiser that rescales gradients, such as Adam, would rescale the penalty. The largest group
    of a layer is spared, so that no layer vanishes. After the training, `remove_zero_groups` returns the
    net without the others that are zero, and raises where none is.

    Args:
        groups: From `find_groups`.
        strength: What a step takes from a group near zero, in such typical norms.
        epsilon: Norm at which the logarithm bends, in typical norms; infinity gives the group lasso.

    Raises:
        ValueError: No norm is above zero, or one is not finite.
    """
    norms = [group.norms() for group in groups]
    every = torch.cat(norms)
    if not every.any() or not every.isfinite().all():
        raise ValueError(
            "groups: expected finite norms and one above zero, got zeros only, NaN or infinity; lower the "
            "strength or the learning rate, and begin again with the net from before"
        )
    typical = every[every > 0].square().mean().sqrt()
    for group, norm in zip(groups, norms, strict=True):
        slope = typical / (1 + norm / typical / epsilon)  # (groups,)
        factors = (1 - strength * slope / norm.clamp_min(1e-12)).clamp_min(0)
        factors[norm.argmax()] = 1
        group.scale(factors)


def remove_zero_groups(model: nn.Module, example_inputs: Tensor) -> nn.Module:
    """Return a smaller net without the groups that are zero, which has the same outputs.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: Inputs on which the outputs of both nets are compared, (inputs, ...).

    Raises:
        ValueError: The net is not one that `find_groups` takes; no group is zero, or all of a layer are; or
            the outputs differ.
    """
    groups = find_groups(model, example_inputs)
    zero = [group.norms() == 0 for group in groups]
    if not torch.cat(zero).any():
        raise ValueError("no group is zero, so nothing can be removed; raise the strength of the penalty")
    for group, gone in zip(groups, zero, strict=True):
        if gone.all():
            cure = "lower the strength of the penalty, or take the layer out of the net"
            where = label(group.layer, model.get_submodule(group.layer))
            raise ValueError(fault(where, "channels that are not zero", "none", cure))
    return without_groups(model, groups, zero, example_inputs)


# --8<-- [end:tactic]
# --- Groups of weights -----------------------------------------------------------------------------------
# A channel that leaves one layer enters others, so it goes only with its weights in all of them.
# torch-pruning finds which belong together (Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural
# Pruning", CVPR 2023).

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LAYERS = (*_CONVOLUTIONS, nn.Linear)
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_MIXING = ("LayerNorm", "GroupNorm", "InstanceNorm", "RmsNorm")
"""Parts of names of backward functions of normalisations that see how many channels there are."""


@dataclass(frozen=True)
class Slice:
    """The places of one parameter that belong to the groups of one `ChannelGroups`."""

    weight: Tensor
    """A parameter of any shape."""
    dim: int
    """The dimension along which the places lie."""
    places: Tensor
    """Positions along `dim`, (places,)."""
    groups: Tensor
    """The group that each place belongs to, (places,)."""

    def shape(self) -> list[int]:
        """Return the shape that broadcasts one number for each position along `dim` over the parameter."""
        return [size if dim == self.dim else 1 for dim, size in enumerate(self.weight.shape)]


@dataclass(frozen=True)
class ChannelGroups:
    """The channels of one layer, or of several that are tied, each in a group of weights."""

    layer: str
    """Name of a layer that has these channels as its outputs."""
    channels: int
    """Number of channels."""
    count: int
    """Number of groups; channel i belongs to group i modulo this."""
    slices: tuple[Slice, ...]
    """Where the weights are."""

    @torch.no_grad()
    def norms(self) -> Tensor:
        """Return the Euclidean norm of each group, (groups,), in float32 at least."""
        first = self.slices[0].weight
        squares = first.new_zeros(self.count, dtype=torch.promote_types(first.dtype, torch.float32))
        for part in self.slices:
            by_place = part.weight.to(squares).square().sum_to_size(part.shape()).flatten()
            squares.index_add_(0, part.groups, by_place[part.places])
        return squares.sqrt()

    @torch.no_grad()
    def scale(self, factors: Tensor) -> None:
        """Multiply the weights of each group by its factor, (groups,), in place."""
        for part in self.slices:
            by_place = part.weight.new_ones(part.weight.shape[part.dim])
            by_place[part.places] = factors[part.groups].to(by_place)
            part.weight.mul_(by_place.view(part.shape()))


def find_groups(model: nn.Module, example_inputs: Tensor) -> list[ChannelGroups]:
    """Find the filters and hidden units of a net, each with the weights into and out of it.

    Where a convolution has groups of its own, channels go together, one from each. In front of a batch
    normalisation the size of filters is free: such a group is the scale and offset of the normalisation and
    the weights that read the channel. Left out are the outputs of the net; channels with frozen weights;
    and those that zeros do not switch off, because attention, a recurrent layer, a parameter of its own or
    a normalisation other than that of a batch takes part.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: At least one input, (inputs, ...), to trace the net with.

    Raises:
        ValueError: The channels of the net cannot be followed from layer to layer; no group is left; or the
            net without the first group of each layer fails, or has other outputs than with zeros there.
    """
    if reason := unfit_to_trace(model, example_inputs):
        raise ValueError(reason)
    groups = _traced(model, example_inputs)
    if not groups:
        cure = "pass a net with a hidden layer whose weights are not frozen"
        raise ValueError(fault(label("", model), "channels that can go one by one", "none", cure))
    trial = copy.deepcopy(model)  # a net that cannot do without channels is refused before it is trained
    on_trial = _traced(trial, example_inputs)
    first = [torch.arange(each.count) == 0 for each in on_trial]
    for each, gone in zip(on_trial, first, strict=True):
        each.scale(1 - gone.float())
    without_groups(trial, on_trial, first, example_inputs)
    return groups


def _traced(model: nn.Module, example_inputs: Tensor) -> list[ChannelGroups]:
    """Return the groups of weights that can go as far as the layers that touch them tell."""
    graph = torch_pruning().DependencyGraph().build_dependency(model, [example_inputs[:1]])
    names = {module: name for name, module in model.named_modules()}
    found = []
    for coupled in graph.get_all_groups(root_module_types=_LAYERS):
        parts = [(item, item.dep.target.module) for item in coupled]
        if not all(_switched_off_by_zeros(item.dep.target) for item, _ in parts):
            continue
        channels, blocks = len(parts[0][0].idxs), 1
        for item, module in parts:
            if isinstance(module, _CONVOLUTIONS) and module.groups > 1 and not depthwise(module):
                reads = graph.is_in_channel_pruning_fn(item.dep.handler)
                in_order = item.idxs == list(range(module.in_channels if reads else channels))
                # Where its blocks also hold channels of other layers, none of these can go.
                blocks = math.lcm(blocks, module.groups if in_order else channels)
        count = channels // math.gcd(blocks, channels)
        normalised = any(isinstance(module, _NORMALISATIONS) for _, module in parts)
        slices, is_read = list[Slice](), False
        for item, module in parts:
            reads = graph.is_in_channel_pruning_fn(item.dep.handler)
            own: list[tuple[Tensor | None, int]] = []
            if isinstance(module, _LAYERS) and reads and not _is_depthwise(module):
                own, is_read = [(module.weight, 1)], True
            elif isinstance(module, _NORMALISATIONS) or (isinstance(module, _LAYERS) and not normalised):
                own = [(module.weight, 0), (module.bias, 0)]
            for weight, dim in own:
                if weight is not None:
                    size = weight.shape[dim]  # of a grouped convolution, the inputs of one block
                    places = torch.tensor(item.idxs[:size], device=weight.device)
                    roots = torch.tensor(item.root_idxs[:size], device=weight.device)
                    slices.append(Slice(weight, dim, places, roots % count))
        if is_read and count > 1:
            found.append(ChannelGroups(names[parts[0][1]], channels, count, tuple(slices)))
    return found


def _switched_off_by_zeros(node: Any) -> bool:  # noqa: ANN401 - the package has no types
    """Whether zeros switch off channels of a node of torch-pruning's graph."""
    module = node.module
    if not isinstance(module, nn.Module) or not all(weight.requires_grad for weight in module.parameters()):
        return False  # a parameter of its own, or a layer with frozen weights
    if isinstance(module, (*_LAYERS, nn.PReLU, *_NORMALISATIONS)):
        return True
    is_function = type(module).__module__.startswith("torch_pruning.")
    return is_function and not any(kind in str(node.grad_fn) for kind in _MIXING)


def _is_depthwise(module: nn.Module) -> bool:
    return isinstance(module, _CONVOLUTIONS) and module.groups > 1 and depthwise(module)


def without_groups(
    model: nn.Module, groups: Sequence[ChannelGroups], zero: Sequence[Tensor], example_inputs: Tensor
) -> nn.Module:
    """Return a copy without groups of zeros, which are True, (groups,) for each of `groups`.

    Raises:
        ValueError: The copy does not work, or has other outputs.
    """
    smaller = copy.deepcopy(model)
    # One graph for all: a grouped convolution that has lost outputs could be taken for a depthwise one.
    graph = torch_pruning().DependencyGraph().build_dependency(smaller, [example_inputs[:1]])
    for each, gone in zip(groups, zero, strict=True):
        lost = [channel for channel in range(each.channels) if gone[channel % each.count]]
        if lost:
            layer = smaller.get_submodule(each.layer)
            remove = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, remove, lost).prune()
    if got := broken(smaller, example_inputs):
        raise ValueError(fault(label("", model), "a net that works without one channel a group", got, SIZES))
    pairs = zip(outputs_of(model, example_inputs), outputs_of(smaller, example_inputs), strict=True)
    for before, after in pairs:
        allowed = max(1e-5, 2 * torch.finfo(before.dtype).eps) if before.is_floating_point() else 0.0
        difference = float((before - after).abs().max() / before.abs().max().clamp_min(1))
        if not difference <= allowed:
            raise ValueError(
                f"removing groups of zeros changed the outputs by {difference:.1e} of the largest; look for "
                "what else in forward reads the channels"
            )
    return smaller


# --- Arms: all but the one from random weights learn from the net as given, too ---------------------------


def in_two_parts(study: Study, strengths: Sequence[float], epsilon: float) -> Nets:
    """Train under a penalty, cut out what it has driven to zero, train what is left; for each strength."""
    first = life_of(study.copy())
    steps = max(1, round(SHRINK_FRACTION * study.budget_epochs / study.dense_epochs * first.steps))
    taught, yielded = distillation(study.dense), 0
    for strength in strengths:
        if yielded == NETS:
            return
        net = study.copy()
        groups = find_groups(net, study.inputs[:64])

        def shrink(
            net: nn.Module = net, groups: Sequence[ChannelGroups] = groups, all_in_all: float = strength
        ) -> None:
            # Each step takes a share of the strength, so that more of them press no harder in all.
            shrink_groups(groups, all_in_all / steps, epsilon)
            # Stopped in its stride: a schedule that ended here would let the net settle once for nothing.
            if life_of(net).steps >= first.steps + steps:
                raise StopTraining

        study.train(net, study.budget_epochs, after_step=shrink, **taught)
        if strength < max(strengths) and all(bool(group.norms().all()) for group in groups):
            continue  # too weak for this net; where the strongest removes nothing, that is an error
        net = remove_zero_groups(net, study.inputs[:64])
        study.train(net, study.epochs_left(net), **taught)
        yielded += 1
        yield f"strength {strength:g}", net


def tactic(study: Study) -> Nets:
    """Drive groups to zero with the log-sum penalty."""
    yield from in_two_parts(study, STRENGTHS, EPSILON)


def group_lasso(study: Study) -> Nets:
    """Drive groups to zero with the sum of their norms: the penalty without the logarithm."""
    yield from in_two_parts(study, LASSO_STRENGTHS, math.inf)


def group_norm(study: Study) -> Nets:
    """Cut at once by the norm of a group, wherever it is least in the net, as torch-pruning does."""
    for share in SHARES:
        net = cut_channels(study.copy(), study.inputs, study.cost, share * study.cost(study.copy()))
        study.train(net, study.budget_epochs, **distillation(study.dense))
        yield f"{share:.0%} of the parameters", net


def random_channels(study: Study) -> Nets:
    """Cut by chance to the cost of the net that the tactic found: its choice replaced by none."""
    assert study.found is not None
    limit = study.cost(study.found)
    net = cut_channels(study.copy(), study.inputs, study.cost, limit, by_norm=False, seed=study.seed)
    study.train(net, study.budget_epochs, **distillation(study.dense))
    yield "as few parameters", net


ARMS = (tactic, group_lasso, group_norm, random_channels, found_from_random, thin_distilled)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
