"""Filters and hidden units as groups of weights: found by tracing, scaled together, cut out when zero.

A channel that leaves one layer enters others, so it goes only with its weights in all of them. torch-pruning
finds which belong together (Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural Pruning", CVPR 2023).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from recipes.common.channels import SIZES, broken, torch_pruning
from recipes.common.model_checks import (
    computed_weights,
    depthwise,
    fault,
    frozen,
    label,
    outputs_of,
    tied,
    unfit_to_mask,
    without_gradients,
    wrapped,
)

_MIXING = ("LayerNorm", "GroupNorm", "InstanceNorm", "RmsNorm")
"""Parts of names of backward functions of normalisations that see how many channels there are."""
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Slice:
    """The places of one parameter that belong to the channels of one `ChannelGroups`."""

    weight: Tensor
    """A parameter of any shape."""
    dim: int
    """The dimension along which the places lie."""
    places: Tensor
    """Positions along `dim`, (places,)."""
    channels: Tensor
    """The channel that each place belongs to, (places,)."""

    def shape(self) -> list[int]:
        """Return the shape that broadcasts one number for each position along `dim` over the parameter."""
        return [size if dim == self.dim else 1 for dim, size in enumerate(self.weight.shape)]


@dataclass(frozen=True)
class ChannelGroups:
    """The channels of one layer, or of several that are tied, each a group of weights."""

    layer: nn.Conv2d | nn.Linear
    """A layer that has these channels as its outputs."""
    count: int
    """Number of channels."""
    slices: tuple[Slice, ...]
    """Where their weights are."""

    @torch.no_grad()
    def norms(self) -> Tensor:
        """Return the Euclidean norm of each group, (channels,), in float32 at least."""
        weight = self.slices[0].weight
        squares = weight.new_zeros(self.count, dtype=torch.promote_types(weight.dtype, torch.float32))
        for part in self.slices:
            by_place = part.weight.to(squares).square().sum_to_size(part.shape()).flatten()
            squares.index_add_(0, part.channels, by_place[part.places])
        return squares.sqrt()

    @torch.no_grad()
    def scale(self, factors: Tensor) -> None:
        """Multiply the weights of each group by its factor, (channels,), in place."""
        for part in self.slices:
            by_place = part.weight.new_ones(part.weight.shape[part.dim])
            by_place[part.places] = factors[part.channels].to(by_place)
            part.weight.mul_(by_place.view(part.shape()))


def find_groups(model: nn.Module, example_inputs: Tensor) -> list[ChannelGroups]:
    """Find the filters and hidden units of a net, each with the weights into and out of it.

    Filters in front of a batch normalisation have a size that is free: such a group is the scale and offset
    of the normalisation and the weights that read the channel. Left out are the outputs of the net; channels
    with frozen weights; and those that zeros do not switch off, or that cannot go one by one, because a
    grouped convolution, attention, a recurrent layer, a parameter of its own or a normalisation other than
    that of a batch takes part.

    Args:
        model: Net in any mode; not changed.
        example_inputs: At least one input, (images, ...), to trace the net with.

    Raises:
        ValueError: The channels of the net cannot be followed from layer to layer, or no group is left.
    """
    for unfit in (wrapped, computed_weights, tied, frozen):
        if reason := unfit(model):
            raise ValueError(reason)
    with _traceable(model):
        if reason := without_gradients(model, example_inputs):
            raise ValueError(reason)
        graph = torch_pruning().DependencyGraph().build_dependency(model, [example_inputs])
    groups = []
    for coupled in graph.get_all_groups(root_module_types=(nn.Conv2d, nn.Linear)):
        parts = [(item, item.dep.target.module) for item in coupled]
        if not all(_goes_by_channel(item.dep.target) for item in coupled):
            continue
        normalised = any(isinstance(module, _NORMALISATIONS) for _, module in parts)
        slices: list[Slice] = []
        read = False
        for item, module in parts:
            places, channels = (
                torch.tensor(each, device=example_inputs.device) for each in (item.idxs, item.root_idxs)
            )
            layer = isinstance(module, nn.Conv2d | nn.Linear)
            reads = graph.is_in_channel_pruning_fn(item.dep.handler) and getattr(module, "groups", 1) == 1
            if layer and reads:
                slices.append(Slice(module.weight, 1, places, channels))
                read = True
            elif isinstance(module, _NORMALISATIONS) or (layer and not normalised):
                own = module.weight, module.bias
                slices += [Slice(weight, 0, places, channels) for weight in own if weight is not None]
        if read:
            groups.append(ChannelGroups(parts[0][1], len(parts[0][0].idxs), tuple(slices)))
    if not groups:
        cure = "pass a net with a hidden layer whose weights are not frozen"
        raise ValueError(fault(label("", model), "channels that can go one by one", "none", cure))
    first: dict[nn.Module, Tensor] = {
        group.layer: torch.arange(group.count) == 0 for group in groups if group.count > 1
    }
    if got := broken(_without(model, first, example_inputs).eval(), example_inputs):
        raise ValueError(fault(label("", model), "a net that works without one channel a group", got, SIZES))
    return groups


def remove_zero_groups(model: nn.Module, example_inputs: Tensor, *, tolerance: float = 1e-5) -> nn.Module:
    """Return a smaller net without the groups that are zero; its weights are copies.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: Inputs on which the outputs of both nets are compared, (images, ...).
        tolerance: Largest difference of an output allowed, in units of the largest output or 1; in half
            precision two roundings at least.

    Raises:
        ValueError: The net is not one that `find_groups` takes, or is in training mode; no group is zero, or
            all of a layer are; or the outputs differ.
    """
    if reason := unfit_to_mask(model):
        raise ValueError(reason)
    zero: dict[nn.Module, Tensor] = {
        group.layer: group.norms() == 0 for group in find_groups(model, example_inputs)
    }
    if not any(bool(channels.any()) for channels in zero.values()):
        raise ValueError("no group is zero, so nothing can be removed; raise the strength of the penalty")
    names = {module: name for name, module in model.named_modules()}
    for layer, channels in zero.items():
        if channels.all():
            cure = "lower the strength of the penalty, or take the layer out of the net"
            raise ValueError(fault(label(names[layer], layer), "channels that are not zero", "none", cure))
    smaller = _without(model, zero, example_inputs)
    pairs = zip(outputs_of(model, example_inputs), outputs_of(smaller, example_inputs), strict=True)
    for before, after in pairs:
        allowed = max(tolerance, 2 * torch.finfo(before.dtype).eps) if before.is_floating_point() else 0.0
        difference = float((before - after).abs().max() / before.abs().max().clamp_min(1))
        if not difference <= allowed:
            raise ValueError(
                f"removing the zero groups changed the outputs by {difference:.1e} of the largest; look for "
                "what else in forward reads the channels"
            )
    return smaller


def _without(model: nn.Module, lost: Mapping[nn.Module, Tensor], example_inputs: Tensor) -> nn.Module:
    """Return a copy without the channels that are True, (channels,), by the layer that writes them."""
    smaller = copy.deepcopy(model)
    names = {module: name for name, module in model.named_modules()}
    with _traceable(smaller):
        graph = torch_pruning().DependencyGraph().build_dependency(smaller, [example_inputs])
    for written_by, channels in lost.items():
        layer = smaller.get_submodule(names[written_by])
        if channels.any():
            prune = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, prune, channels.nonzero().flatten().tolist()).prune()
    return smaller


@contextmanager
def _traceable(model: nn.Module) -> Iterator[None]:
    """Let gradients reach all weights of a net in evaluation mode while the block runs."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval().requires_grad_()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in flags:
            parameter.requires_grad_(requires_grad)


def _goes_by_channel(node: Any) -> bool:  # noqa: ANN401 - the package has no types
    """Whether zeros switch off channels of a node of torch-pruning's graph, which can then go one by one."""
    module = node.module
    if not isinstance(module, nn.Module) or not all(weight.requires_grad for weight in module.parameters()):
        return False  # a parameter of its own, or a layer with frozen weights
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 or depthwise(module)
    if isinstance(module, (nn.Linear, nn.PReLU, *_NORMALISATIONS)):
        return True
    function = type(module).__module__.startswith("torch_pruning.")
    return function and not any(kind in str(node.grad_fn) for kind in _MIXING)


def count_weights(model: nn.Module) -> int:
    """Return the number of trainable numbers, zeros included."""
    return sum(parameter.numel() for parameter in model.parameters())
