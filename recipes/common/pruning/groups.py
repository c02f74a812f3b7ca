"""Groups of weights: the channels of a net, each with all weights that write it or read it.

A channel that leaves one layer enters others, so it goes only with its weights in all of them.
torch-pruning finds which belong together (Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural
Pruning", CVPR 2023). Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recipes.common.nets.checks import depthwise, fault, label, outputs_of, unfit_to_trace
from recipes.common.pruning.channels import SIZES, broken, torch_pruning

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
