"""Channels that leave a net together, found with torch-pruning's dependency graph.

Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural Pruning", CVPR 2023 (arXiv 2301.12900). Layers
whose outputs are added to each other lose the same channels, and so do those that read the sum. Such a group
is named after one of the layers that write it. Needs the extra `prune`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from recipes.common.errors import UserError

Scores = dict[str, Tensor]
"""Importance of each channel, (channels,), by the name of its group."""
Widths = tuple[int, int, int]
CUT_STEPS = 100
"""Steps of `cut_channels` on the way to no channels at all."""


def without_channels(
    model: nn.Module, group: str, channels: Sequence[int], example_inputs: Tensor
) -> nn.Module:
    """Return a copy of the net without some channels, in all layers that write or read them.

    Args:
        model: Net in evaluation mode; not changed.
        group: Name of the group, which is a layer's name in `model.named_modules()`.
        channels: Indices into the outputs of that layer; not all of them.
        example_inputs: At least one input, (inputs, ...), to trace the net with.
    """
    pruned = copy.deepcopy(model)
    graph = _graph(pruned, example_inputs)
    layer = pruned.get_submodule(group)
    remove = graph.get_pruner_of_module(layer).prune_out_channels
    graph.get_pruning_group(layer, remove, list(channels)).prune()
    return pruned


def group_norms(model: nn.Module, example_inputs: Tensor) -> Scores:
    """Score channels by the squared norm of all weights of a group that touch them, over its mean.

    Groups that no layer reads, such as the logits, are left out, here and in `gate_importance`.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: At least one input, (inputs, ...).
    """
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
        ValueError: A group has no batch normalisation.
    """
    norms = {name: norm for name, norm in model.named_modules() if isinstance(norm, _BatchNorm)}
    changes: dict[str, list[Tensor]] = {name: [] for name in norms}
    parameters = [parameter for norm in norms.values() for parameter in (norm.weight, norm.bias)]
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters)
        for name, scale, shift in zip(norms, gradients[::2], gradients[1::2], strict=True):
            changes[name].append((norms[name].weight * scale + norms[name].bias * shift).detach())
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

    Outputs that no layer reads stay.

    Args:
        model: Trained net; not changed.
        example_inputs: At least one input, (inputs, ...), to trace the net with.
        cost: Cost of a net, which falls with its channels.
        limit: Largest cost allowed.
        by_norm: Channels of least squared norm over the mean of their group go first, else random ones.
        in_each: Remove the same share of every group, instead of the least channels of the whole net.
        multiple: Numbers of channels are multiples of this.
        seed: Of the random order.

    Raises:
        ValueError: The limit cannot be met; a tenth of each group stays.
    """
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
    for _ in range(CUT_STEPS):
        if cost(smaller) <= limit:
            return smaller
        pruner.step()
    raise ValueError("the limit cannot be met with a tenth of each group of channels left; allow more")


def narrow_net(
    build: Callable[[Widths], nn.Module], widths: Widths, cost: Callable[[nn.Module], float], limit: float
) -> nn.Module:
    """Return the widest net within a cost, all widths scaled alike: the plainest of smaller nets.

    Args:
        build: Returns a net of given widths.
        widths: Of the largest net.
        cost: Cost of a net in evaluation mode.
        limit: Largest cost allowed, in the unit of `cost`.

    Raises:
        ValueError: Even one channel in each layer is too many.
    """
    for width in range(max(widths), 0, -1):
        first, second, third = (max(1, round(width * each / max(widths))) for each in widths)
        net = build((first, second, third))
        if cost(net.eval()) <= limit:
            return net
    raise ValueError(f"one channel in each layer costs more than {limit:g}; allow more")


@torch.no_grad()
def recalibrate(model: nn.Module, inputs: Tensor) -> None:
    """Set the running statistics of the batch normalisations to those of `inputs`, in place."""
    norms = {norm: norm.momentum for norm in model.modules() if isinstance(norm, _BatchNorm)}
    for norm in norms:
        norm.momentum = 1.0
    model.train()(inputs)
    model.eval()
    for norm, momentum in norms.items():
        norm.momentum = momentum


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
