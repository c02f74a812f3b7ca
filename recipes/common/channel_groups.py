"""Filters and hidden units as groups of weights: found by tracing, scaled together, cut out when zero.

A channel that leaves one layer enters others, so it goes only with its weights in all of them. torch-pruning
finds which belong together (Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural Pruning", CVPR 2023).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipes.common.channels import torch_pruning

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
        """Return the Euclidean norm of each group, (channels,)."""
        squares = torch.zeros(self.count)
        for part in self.slices:
            by_place = part.weight.square().sum_to_size(part.shape()).flatten()
            squares.index_add_(0, part.channels, by_place[part.places])
        return squares.sqrt()

    @torch.no_grad()
    def scale(self, factors: Tensor) -> None:
        """Multiply the weights of each group by its factor, (channels,), in place."""
        for part in self.slices:
            by_place = torch.ones(part.weight.shape[part.dim])
            by_place[part.places] = factors[part.channels]
            part.weight.mul_(by_place.view(part.shape()))


def find_groups(model: nn.Module, example_inputs: Tensor) -> list[ChannelGroups]:
    """Find the filters and hidden units of a net, each with the weights into and out of it.

    The outputs of the net are left out. So are filters in front of a batch normalisation, whose size is
    free: such a group is the scale and offset of the normalisation and the weights that read the channel.

    Args:
        model: Net of convolutions, linear layers, batch normalisations and functions without weights.
        example_inputs: At least one input, (images, ...), to trace the net with.
    """
    graph = torch_pruning().DependencyGraph().build_dependency(model, example_inputs)
    found = []
    for coupled in graph.get_all_groups(root_module_types=(nn.Conv2d, nn.Linear)):
        parts = [(item, item.dep.target.module) for item in coupled]
        normalised = any(isinstance(module, _NORMALISATIONS) for _, module in parts)
        slices: list[Slice] = []
        read = False
        for item, module in parts:
            places, channels = torch.tensor(item.idxs), torch.tensor(item.root_idxs)
            if isinstance(module, nn.Conv2d | nn.Linear) and graph.is_in_channel_pruning_fn(item.dep.handler):
                slices.append(Slice(module.weight, 1, places, channels))
                read = True
            elif isinstance(module, _NORMALISATIONS) or (
                isinstance(module, nn.Conv2d | nn.Linear) and not normalised
            ):
                own = module.weight, module.bias
                slices += [Slice(weight, 0, places, channels) for weight in own if weight is not None]
        if read:
            found.append(ChannelGroups(parts[0][1], len(parts[0][0].idxs), tuple(slices)))
    return found


def remove_zero_groups(model: nn.Module, example_inputs: Tensor, *, tolerance: float = 1e-5) -> nn.Module:
    """Return a smaller net without the groups that are zero; its weights are copies.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: Inputs on which the outputs of both nets are compared, (images, ...).
        tolerance: Largest difference of an output allowed, in units of the largest output or 1.

    Raises:
        ValueError: No group is zero, or the outputs differ.
    """
    smaller = copy.deepcopy(model)
    zero = [(group.layer, group.norms() == 0) for group in find_groups(smaller, example_inputs)]
    if not any(bool(channels.any()) for _, channels in zero):
        raise ValueError("no group is zero, so nothing can be removed; raise the strength of the penalty")
    graph = torch_pruning().DependencyGraph().build_dependency(smaller, example_inputs)
    for layer, channels in zero:
        if channels.any():
            prune = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, prune, channels.nonzero().flatten().tolist()).prune()
    with torch.inference_mode():
        before, after = model(example_inputs), smaller(example_inputs)
    difference = float((before - after).abs().max() / before.abs().max().clamp_min(1))
    if not difference <= tolerance:
        raise ValueError(f"removing the zero groups changed the outputs by {difference:.1e} of the largest")
    return smaller


def count_weights(model: nn.Module) -> int:
    """Return the number of trainable numbers, zeros included."""
    return sum(parameter.numel() for parameter in model.parameters())
