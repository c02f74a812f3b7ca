"""Channels that leave a net together, found with torch-pruning's dependency graph, and the weights of each.

Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural Pruning", CVPR 2023 (arXiv 2301.12900). Layers
whose outputs are added to each other lose the same channels, and so do those that read the sum. Such a group
is named after one of the layers that write it. A channel goes only with all weights that write it or read
it: these are its group of weights. Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from recipes.common.nets.checks import (
    depthwise,
    fault,
    grouped_convolutions,
    grouped_norms,
    label,
    outputs_of,
    unfit_to_trace,
    widening_groups,
)
from recipes.common.run.contract import UserError

Scores = dict[str, Tensor]
"""Importance of each channel, (channels,), by the name of its group."""
SIZES = (
    "look for sizes written out in forward, for buffers as wide as the channels, for heads of attention, and "
    "for frozen layers whose outputs are added to these"
)
"""Cures of a net that stops working when it loses channels."""
CUT_STEPS = 100
"""Steps of `cut_channels` on the way to no channels at all."""
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


def without_channels(
    model: nn.Module, group: str, channels: Sequence[int], example_inputs: Tensor
) -> nn.Module:
    """Return a copy of the net without some channels, in all layers that write or read them.

    Args:
        model: Net in evaluation mode; not changed.
        group: Name of the group, which is a layer's name in `model.named_modules()`.
        channels: Indices into the outputs of that layer; not all of them.
        example_inputs: At least one input, (inputs, ...), to trace the net with.

    Raises:
        ValueError: No channel would be left.
    """
    if not set(range(len(model.get_submodule(group).weight))) - set(channels):  # type: ignore[arg-type]
        raise ValueError(
            f"{group}: expected channels that stay, got all of them to remove; keep one at least"
        )
    pruned = copy.deepcopy(model)
    graph = _graph(pruned, example_inputs)
    layer = pruned.get_submodule(group)
    remove = graph.get_pruner_of_module(layer).prune_out_channels
    graph.get_pruning_group(layer, remove, list(channels)).prune()
    return pruned


def group_norms(model: nn.Module, example_inputs: Tensor) -> Scores:
    """Score channels by the squared norm of all weights of a group that touch them, over its mean.

    Groups that no layer reads, such as the logits, are left out, here and in `gate_importance`, and so are
    channels that no gradient reaches: those of frozen layers in front of all others.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: At least one input, (inputs, ...).

    Raises:
        ValueError: The channels of the net cannot be followed from layer to layer.
    """
    if unfit_to_trace(model, example_inputs):
        raise ValueError(unfit_to_trace(model, example_inputs))
    score = torch_pruning().importance.GroupMagnitudeImportance(p=2, normalizer="mean")
    return {name: score(group) for name, group in _groups(model, example_inputs).items()}


def gate_importance(model: nn.Module, example_inputs: Tensor, losses: Iterable[Tensor]) -> Scores:
    """Score channels by the squared change of the loss, to first order, when they are switched off.

    After Molchanov, Mallya, Tyree, Frosio, Kautz, "Importance Estimation for Neural Network Pruning", CVPR
    2019: scale and shift of a normalisation act as a gate. A channel that several of them write has the sum
    of their gates. The square is averaged over minibatches, because their mean gradient is near zero.

    Args:
        model: Net in evaluation mode, with a batch normalisation behind every layer that is to be scored.
        example_inputs: At least one input, (inputs, ...).
        losses: Loss of this net on one minibatch after the other; at least one.

    Raises:
        ValueError: A group has no batch normalisation, or one without a scale and shift that are trained, or
            there is no loss.
    """
    if ungated(model):
        raise ValueError(ungated(model))
    norms = {name: norm for name, norm in model.named_modules() if isinstance(norm, _BatchNorm)}
    changes: dict[str, list[Tensor]] = {name: [] for name in norms}
    parameters = [parameter for norm in norms.values() for parameter in (norm.weight, norm.bias)]
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters)
        for name, scale, shift in zip(norms, gradients[::2], gradients[1::2], strict=True):
            changes[name].append((norms[name].weight * scale + norms[name].bias * shift).detach())
    if norms and not all(changes.values()):
        raise ValueError("losses: expected the loss of one minibatch or more, got none; pass some")
    names = {norm: name for name, norm in norms.items()}
    scores: Scores = {}
    for group_name, group in _groups(model, example_inputs).items():
        gates = [names[dep.layer] for dep, _ in group if dep.layer in names]
        if not gates:
            raise ValueError(
                f"{group_name}: expected a batch normalisation behind it, got none; use group_norms"
            )
        change = torch.stack([torch.stack(changes[gate]) for gate in gates]).sum(0)
        scores[group_name] = change.square().mean(0)
    return scores


def cut_channels(
    model: nn.Module,
    example_inputs: Tensor,
    cost: Callable[[nn.Module], float],
    limit: float,
    *,
    by_norm: bool = True,
    in_each: bool = False,
    multiple: int = 1,
    seed: int = 0,
) -> nn.Module:
    """Return a copy cut down to a cost with torch-pruning, step by step and without any training.

    Outputs that no layer reads stay, and so do channels that no gradient reaches: those of frozen layers in
    front of all others. Of a grouped convolution or normalisation equally many go from each group. Sets the
    seed of torch's global random state.

    Args:
        model: Trained net in evaluation mode; not changed.
        example_inputs: At least one input, (inputs, ...), to trace the net with.
        cost: Cost of a net, which falls with its channels.
        limit: Largest cost allowed.
        by_norm: Channels of least squared norm over the mean of their group go first, else random ones.
        in_each: Remove the same share of every group, instead of the least channels of the whole net.
        multiple: Numbers of channels are multiples of this.
        seed: Of the random order.

    Raises:
        ValueError: The channels of the net cannot be followed from layer to layer, or the limit cannot be
            met; a tenth of each group stays.
    """
    if unfit_to_trace(model, example_inputs):
        raise ValueError(unfit_to_trace(model, example_inputs))
    if by_norm and widening_groups(model):
        raise ValueError(widening_groups(model))
    tp = torch_pruning()
    torch.manual_seed(seed)
    norms, chance = (
        tp.importance.GroupMagnitudeImportance(p=2, normalizer="mean"),
        tp.importance.RandomImportance(),
    )
    smaller = copy.deepcopy(model)
    inner = {group[0].dep.layer for group in _groups(smaller, example_inputs).values()}
    heads = [group[0].dep.layer for group in _graph(smaller, example_inputs).get_all_groups()]
    pruner = tp.pruner.BasePruner(
        smaller, example_inputs[:1], importance=norms if by_norm else chance, global_pruning=not in_each,
        pruning_ratio=0.95, max_pruning_ratio=0.9, iterative_steps=CUT_STEPS, round_to=multiple,
        ignored_layers=[layer for layer in heads if layer not in inner],
    )  # fmt: skip
    reason = ""
    for _ in range(CUT_STEPS):
        # widths that the net cannot have, such as those that its heads do not divide, are stepped past
        reason = broken(smaller, example_inputs)
        if not reason and cost(smaller) <= limit:
            return smaller
        pruner.step()
    if reason:
        raise ValueError(fault(label("", model), "a net that works", reason, SIZES))
    raise ValueError("the limit cannot be met with a tenth of each group of channels left; allow more")


@torch.no_grad()
def recalibrate(model: nn.Module, inputs: Tensor) -> None:
    """Set the running statistics of the batch normalisations to those of `inputs`, in place.

    The net is in evaluation mode afterwards.
    """
    norms = {norm: norm.momentum for norm in model.modules() if isinstance(norm, _BatchNorm)}
    for norm in norms:
        norm.momentum = 1.0
    model.train()(inputs)
    model.eval()
    for norm, momentum in norms.items():
        norm.momentum = momentum


def unfit_for_removal(model: nn.Module, example_inputs: Tensor) -> str:
    """Return why single channels cannot be removed from a net, as `nets.checks` does, or an empty text.

    Where nothing else is wrong, one channel of each group is removed on trial.

    Args:
        model: The net; not changed.
        example_inputs: At least one input, (inputs, ...).
    """
    reason = unfit_to_trace(model, example_inputs) or grouped_convolutions(model) or grouped_norms(model)
    if reason:
        return reason
    groups = _groups(model, example_inputs)
    if not groups:
        cure = "pass a net with two layers or more, of which one reads what the other writes"
        return fault(label("", model), "channels that some layer reads", "none that can be followed", cure)
    for name, group in groups.items():
        if len(group[0].idxs) < 2:
            continue
        got = broken(without_channels(model, name, [0], example_inputs), example_inputs)
        if got:
            return fault(name, "a net that works without one of its channels", got, SIZES)
    return ""


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


def broken(model: nn.Module, example_inputs: Tensor) -> str:
    """Return the error that a net raises since channels were removed, or an empty text."""
    try:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            model(example_inputs[:1])
    except Exception as error:  # whatever forward raises
        return repr(error)
    return ""


def ungated(model: nn.Module) -> str:
    """Return which batch normalisation has no scale and shift with gradients."""
    for name, norm in model.named_modules():
        if isinstance(norm, _BatchNorm) and not all(
            part is not None and part.requires_grad for part in (norm.weight, norm.bias)
        ):
            cure = "use group_norms, or set affine=True and call .requires_grad_() on it"
            return fault(label(name, norm), "scale and shift with gradients", "frozen ones or none", cure)
    return ""


def torch_pruning() -> Any:  # noqa: ANN401 - the package has no types
    """Import torch-pruning, which is an extra.

    Raises:
        UserError: It is not installed.
    """
    try:
        import torch_pruning as package
    except ImportError as error:
        cure = 'pip install -e ".[prune]"'
        raise UserError(f"the extra prune is not installed ({error}); run: {cure}") from None
    return package


def _graph(model: nn.Module, example_inputs: Tensor) -> Any:  # noqa: ANN401
    return torch_pruning().DependencyGraph().build_dependency(model, example_inputs=example_inputs[:1])


def _groups(model: nn.Module, example_inputs: Tensor) -> dict[str, Any]:
    """Return torch-pruning's groups of all channels by name, those alone that some layer reads."""
    graph = _graph(model, example_inputs)
    names = {module: name for name, module in model.named_modules()}
    return {
        names[group[0].dep.layer]: group
        for group in graph.get_all_groups()
        if any(graph.is_in_channel_pruning_fn(dep.handler) for dep, _ in group)
    }


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
