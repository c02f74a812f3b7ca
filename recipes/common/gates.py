"""Binary gates on the residual paths of a net, learned with its weights, and the removal of what they close.

A gate is 1 where its score is positive and 0 elsewhere; the gradient passes as if it were the score's sigmoid
(straight-through: Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons
for Conditional Computation", arXiv 1308.3432). It multiplies weights, not activations: zeroing the weights
that read a channel gives the outputs and gradients of zeroing the channel, and weights are far fewer.

A net can be gated where it has blocks with the parts `conv1`, `bn1`, `conv2`, `bn2`, `shortcut` and `relu2`
that compute `relu2(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))`, as `recipes.common.resnet.ResidualBlock`
does. The convolutions are not grouped, and the normalisations have scale and offset.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from recipes.common.model_checks import (
    computed_weights,
    fault,
    imprecise,
    label,
    registered_twice,
    several_outputs,
    tied,
    wrapped,
)

_ATTRIBUTES = ("conv1", "bn1", "conv2", "bn2", "shortcut", "relu2")
_LEAST_SCORE, _SCORE_RANGE = 0.5, 2.0  # first scores: all open, the least important nearest to closing


class Gate(nn.Module):
    """Multiplies slices of a tensor by 0 or 1, as a parametrisation of a layer's weight.

    Attributes:
        scores: Trainable, (gates,); open where positive.
    """

    def __init__(self, scores: Tensor) -> None:
        """Start from these scores, (gates,)."""
        super().__init__()
        self.scores = nn.Parameter(scores)

    def values(self) -> Tensor:
        """Return exact zeros and ones, (gates,), whose gradient is that of the scores' sigmoid."""
        soft = torch.sigmoid(self.scores)
        return (soft - soft.detach()) + (self.scores > 0).to(soft.dtype)

    def forward(self, weight: Tensor) -> Tensor:
        """Gate dimension 1 of a convolution's weight, or with one gate all of a vector."""
        values = self.values()
        return weight * (values if weight.dim() == 1 else values.view(1, -1, *[1] * (weight.dim() - 2)))


@dataclass(frozen=True)
class GatedPath:
    """The residual path of one block: a gate on each inner channel, and one on the whole path."""

    name: str
    """Of the block in the net."""
    channels: Gate
    """One gate for each channel between the convolutions."""
    whole: Gate
    """One gate; a closed path leaves the shortcut."""
    macs: float
    """Multiply-accumulates of both convolutions for one input, all channels open."""
    channel_multiple: int
    """Channels that are kept come in multiples of this."""

    def open_channels(self) -> int:
        """Count the channels to be kept, rounded up to the multiple; 0 where the path is closed."""
        if self.whole.scores.item() <= 0:
            return 0
        multiple, gates = self.channel_multiple, self.channels.scores
        return min(len(gates), -(-int((gates > 0).sum()) // multiple) * multiple)

    def open_fraction(self) -> Tensor:
        """Return the share of the path to be kept, with gradient; 0 to 1."""
        soft = self.whole.values()[0] * self.channels.values().mean()
        return soft - soft.detach() + self.open_channels() / len(self.channels.scores)


@dataclass(frozen=True)
class Gates:
    """All gates of a net."""

    paths: tuple[GatedPath, ...]
    """In the order of the net."""
    total_macs: float
    """Of the net with all gates open, for one input."""

    def scores(self) -> list[nn.Parameter]:
        """Return what the gates' optimiser trains; without weight decay, which would draw all to closing."""
        return [gate.scores for path in self.paths for gate in (path.channels, path.whole)]

    def macs_fraction(self) -> Tensor:
        """Return the share of the multiply-accumulates that is open, with gradient; 0 to 1."""
        closed = [path.macs * (1 - path.open_fraction()) for path in self.paths]
        return 1 - torch.stack(closed).sum() / self.total_macs


def insert_gates(model: nn.Module, example_inputs: Tensor, *, channel_multiple: int = 1) -> Gates:
    """Put gates on the residual paths of a net, in place; all are open, so the outputs stay the same.

    Channels start the nearer to closing the less they matter: by the rank of the scale of `bn1` times the
    norm of the weights in `conv2` that read them.

    Args:
        model: Net with residual blocks as the module describes them.
        example_inputs: At least one input, (inputs, ...), to count multiply-accumulates with.
        channel_multiple: Paths keep a multiple of so many channels; kernels, those of 8-bit integers above
            all, work on whole vectors of 8 or 16.

    Raises:
        ValueError: The net has no such block, or one that computes something else; it is not changed then.
    """
    if wrapped(model):
        raise ValueError(wrapped(model))
    blocks: dict[str, Any] = {
        name: block
        for name, block in model.named_modules()
        if name and all(hasattr(block, part) for part in _ATTRIBUTES)
    }
    if not blocks:
        raise ValueError(f"no block to put gates on: {_no_block(model)}")
    if unfit_for_gates(model, blocks, example_inputs):
        raise ValueError(unfit_for_gates(model, blocks, example_inputs))
    macs = _macs_by_module(model, example_inputs)
    paths = []
    for name, block in blocks.items():
        importance = block.bn1.weight.detach().abs() * torch.linalg.vector_norm(
            block.conv2.weight.detach(), dim=(0, 2, 3)
        )
        rank = importance.argsort().argsort() / max(1, len(importance) - 1)
        channels = Gate(_LEAST_SCORE + _SCORE_RANGE * rank)
        whole = Gate(rank.new_full((1,), _LEAST_SCORE + _SCORE_RANGE / 2))
        parametrize.register_parametrization(block.conv2, "weight", channels)
        for vector in ("weight", "bias"):
            parametrize.register_parametrization(block.bn2, vector, whole)
        path_macs = macs[f"{name}.conv1"] + macs[f"{name}.conv2"]
        paths.append(GatedPath(name, channels, whole, path_macs, channel_multiple))
    return Gates(tuple(paths), macs[""])


@torch.no_grad()
def settle(gates: Gates) -> None:
    """Make the net what `remove_closed` will leave of it, in place.

    The closed channels with the highest scores open, until each open path has a multiple of channels. A path
    without open channels closes: it would add the offset of `bn2` and nothing else.
    """
    for path in gates.paths:
        scores, count = path.channels.scores, path.open_channels()
        opened = scores.argsort(descending=True)[:count]
        scores[opened] = scores[opened].clamp_min(_LEAST_SCORE)
        if count == 0:
            path.whole.scores.fill_(-_LEAST_SCORE)


@torch.no_grad()
def remove_closed(model: nn.Module, gates: Gates, example_inputs: Tensor) -> None:
    """Cut closed channels and paths out of a net and take the gates off, in place, having settled the gates.

    The outputs stay those of the net with settled gates. A block whose path is closed becomes its shortcut
    and its last activation. The net is in evaluation mode then, and its new parameters need a new optimiser.

    Args:
        model: Net that `insert_gates` has gated.
        gates: Its gates.
        example_inputs: Inputs, (inputs, ...), on which the outputs are compared.

    Raises:
        ValueError: All gates are open; they are still on the net.
        AssertionError: An output has changed by more than 0.00001 of the largest one.
    """
    if all(path.open_channels() == len(path.channels.scores) for path in gates.paths):
        raise ValueError("no gate has closed: train for longer, or allow a smaller share of MACs")
    settle(gates)
    expected = model.eval()(example_inputs)
    for path in gates.paths:
        block: Any = model.get_submodule(path.name)
        for layer, name in ((block.conv2, "weight"), (block.bn2, "weight"), (block.bn2, "bias")):
            parametrize.remove_parametrizations(layer, name)
        if path.open_channels():
            kept = (path.channels.scores > 0).nonzero().flatten()
            _slice_path(block.conv1, block.bn1, block.conv2, kept)
        else:
            rest = nn.Sequential(OrderedDict(shortcut=block.shortcut, relu2=block.relu2))
            model.set_submodule(path.name, rest.eval())
    difference = (model(example_inputs) - expected).abs().max()
    if difference > 1e-5 * expected.abs().max():
        raise AssertionError(f"without the closed parts an output differs by {difference:.1e}")


def _slice_path(conv1: nn.Conv2d, bn1: nn.BatchNorm2d, conv2: nn.Conv2d, kept: Tensor) -> None:
    """Keep these channels between the convolutions, in place."""
    for layer in (conv1, bn1):
        for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
            if tensor.dim() > 0:  # all but the count of batches
                sliced = tensor[kept].clone()
                setattr(layer, name, nn.Parameter(sliced) if isinstance(tensor, nn.Parameter) else sliced)
    conv2.weight = nn.Parameter(conv2.weight[:, kept].clone())
    conv1.out_channels = bn1.num_features = conv2.in_channels = len(kept)


def unfit_for_gates(model: nn.Module, blocks: dict[str, Any], example_inputs: Tensor) -> str:
    """Return why gates on these blocks would not do, as `model_checks` does, or an empty text.

    Args:
        model: Net in any mode; not changed.
        blocks: Its residual blocks by name.
        example_inputs: At least one input, (inputs, ...).
    """
    reason = (
        computed_weights(model)
        or imprecise(model, "the gates' gradients")
        or tied(model)
        or registered_twice(model, list(blocks.values()))
        or several_outputs(model, example_inputs)
    )
    if reason:
        return reason
    for name, block in blocks.items():
        for part in ("conv1", "conv2"):
            conv = getattr(block, part)
            if not isinstance(conv, nn.Conv2d) or conv.groups > 1:
                cure = "write the layer as an nn.Conv2d with groups=1"
                return fault(label(f"{name}.{part}", conv), "a convolution without groups", f"{conv}", cure)
        for part in ("conv1", "bn1", "conv2", "bn2"):
            layer = getattr(block, part)
            if getattr(layer, "weight", None) is None or (part.startswith("bn") and layer.bias is None):
                cure = "set affine=True, which gives a normalisation its scale and offset"
                return fault(label(f"{name}.{part}", layer), "trained weights", "none", cure)
            if not layer.weight.requires_grad:
                cure = "call .requires_grad_() on the block, and freeze it again afterwards"
                return fault(
                    label(f"{name}.{part}", layer), "weights that are not frozen", "frozen ones", cure
                )
    net = copy.deepcopy(model).eval()
    for name in blocks:
        seen: list[Tensor] = []
        path: Any = net.get_submodule(name)
        handle = path.register_forward_pre_hook(lambda _, arguments, seen=seen: seen.append(arguments[0]))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            net(example_inputs)
            handle.remove()
            got = _unlike(path, seen[0]) if seen else "no call in forward"
        if got:
            expected = "relu2(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))"
            cure = (
                "compute it so, as recipes.common.resnet.ResidualBlock does, or rename the parts of the block"
            )
            return fault(label(name, path), expected, got, cure)
    return ""


def _no_block(model: nn.Module) -> str:
    """Say which module comes nearest to a residual block, and what it lacks."""
    lacks = {
        label(name, module): [part for part in _ATTRIBUTES if not hasattr(module, part)]
        for name, module in model.named_modules()
    }
    nearest = min(lacks, key=lambda name: len(lacks[name]))
    parts, cure = ", ".join(_ATTRIBUTES), "build blocks as recipes.common.resnet.ResidualBlock does"
    if len(lacks[nearest]) > 3:
        return fault(label("", model), f"modules with {parts}", "none", cure)
    if not lacks[nearest]:
        return fault(nearest, f"modules with {parts}", "one alone", "wrap it: nn.Sequential(block)")
    return fault(nearest, f"a module with {parts}", f"one without {', '.join(lacks[nearest])}", cure)


def _unlike(block: Any, inputs: Tensor) -> str:  # noqa: ANN401 - a module whose parts have no types
    """Say in what a block differs from the one described: what is closed cannot be cut out of it."""
    without_channel, smaller, without_path = (copy.deepcopy(block) for _ in range(3))
    count = len(block.bn1.weight)
    without_path.bn2.weight.zero_()
    without_path.bn2.bias.zero_()
    try:
        pairs = [(without_path(inputs), block.relu2(block.shortcut(inputs)))]
        if count > 1:
            without_channel.conv2.weight[:, 0] = 0
            _slice_path(smaller.conv1, smaller.bn1, smaller.conv2, torch.arange(1, count))
            pairs.append((without_channel(inputs), smaller(inputs)))
        if all(torch.allclose(closed, cut, rtol=1e-3, atol=1e-4) for closed, cut in pairs):
            return ""
    except Exception as error:  # whatever the block's forward raises
        return repr(error)
    return "other outputs when a channel or the path is cut out"


@torch.no_grad()
def _macs_by_module(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """Count multiply-accumulates for one input by the module's name; the empty name is the whole net."""
    counter = FlopCounterMode(display=False)
    with counter:
        copy.deepcopy(model).eval()(inputs[:1])
    root = type(model).__name__
    return {
        name.removeprefix(root).removeprefix("."): sum(flops.values()) / 2
        for name, flops in counter.get_flop_counts().items()
        if name != "Global"
    }
