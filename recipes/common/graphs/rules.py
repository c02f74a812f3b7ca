"""Rules that replace a piece of a net's graph by another one that computes the same, for nets in use.

A rule looks at a node and returns what rewrites the graph there, or None. New layers are added to the module
that holds those of the graph; none is changed, so that graphs of one net can share them. The rules are those
of Jia et al., "MetaFlow", MLSys 2019, and of Ding et al., "RepVGG", CVPR 2021, for convolutions of one group.
"""

from __future__ import annotations

import copy
import itertools
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

Edit = Callable[[], None]
Rule = Callable[[nn.Module, fx.Node], Edit | None]
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.SiLU, nn.GELU)
"""Functions of each number by itself, which may come before slices as well as behind them."""


class Channels(nn.Module):
    """Some channels of maps, (batch, channels, height, width)."""

    def __init__(self, start: int, stop: int, of: int) -> None:
        """Take those from start to stop, of so many."""
        super().__init__()
        self.start, self.stop, self.of = start, stop, of

    def forward(self, maps: Tensor) -> Tensor:
        """Return a view of them."""
        return maps[:, self.start : self.stop]

    def extra_repr(self) -> str:
        """Tell which: layers that print alike do alike."""
        return f"{self.start}, {self.stop}, {self.of}"


class Product(nn.Module):
    """A 1x1 convolution as a product of matrices."""

    def __init__(self, layer: nn.Conv2d) -> None:
        """Take over weights and biases."""
        super().__init__()
        self.weight = nn.Parameter(layer.weight.detach().flatten(1))  # (outputs, inputs)
        self.bias = nn.Parameter(biases_of(layer)[:, None])

    def forward(self, maps: Tensor) -> Tensor:
        """Map (batch, inputs, height, width) to (batch, outputs, height, width)."""
        weight = self.weight.expand(len(maps), -1, -1)
        return torch.baddbmm(self.bias, weight, maps.flatten(2)).view(len(maps), -1, *maps.shape[2:])


# --- What rules ask and do -------------------------------------------------------------------------------


def layer_at(root: nn.Module, node: object, kind: type | tuple[type, ...] = nn.Conv2d) -> Any:  # noqa: ANN401
    """Return the layer that a node calls, if it is of a kind, else None."""
    if not isinstance(node, fx.Node) or node.op != "call_module":
        return None
    layer = root.get_submodule(str(node.target))
    return layer if isinstance(layer, kind) else None


def plain(root: nn.Module, node: object) -> nn.Conv2d | None:
    """Return the convolution that a node calls, if it can become one with others.

    A normalisation behind it has to be folded first: behind slices or a pooling it could not be any more.
    """
    layer = layer_at(root, node)
    if layer and any(layer_at(root, user, nn.BatchNorm2d) for user in node.users):  # type: ignore[attr-defined]
        return None
    is_plain = layer and layer.groups == 1 and layer.dilation == (1, 1) and layer.padding_mode == "zeros"
    return layer if is_plain and not isinstance(layer.padding, str) else None


def form_of(layer: nn.Conv2d) -> tuple[object, ...]:
    """Return what two layers must share to become one."""
    return layer.kernel_size, layer.stride, layer.padding


def source_of(node: fx.Node) -> fx.Node:
    """Return what a layer reads."""
    return node.all_input_nodes[0]


def beside(root: nn.Module, node: fx.Node) -> list[tuple[fx.Node, nn.Conv2d]]:
    """Return the convolutions that read what a node reads, in their order, itself among them."""
    return [(user, layer) for user in sorted(source_of(node).users) if (layer := plain(root, user))]


def biases_of(layer: nn.Conv2d) -> Tensor:
    """Return the biases, (outputs,), zeros where there are none."""
    return layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach()


def convolution(weight: Tensor, bias: Tensor, like: nn.Conv2d, margin: int = 0) -> nn.Conv2d:
    """Return a layer of these weights that has the stride of another one, and pads by so much more."""
    padding = tuple(int(side) + margin for side in like.padding)
    layer = nn.Conv2d(weight.shape[1], len(weight), tuple(weight.shape[2:]), like.stride, padding)  # type: ignore[arg-type]
    layer.weight, layer.bias = nn.Parameter(weight.detach()), nn.Parameter(bias)
    return layer.eval()


def place(root: nn.Module, layer: nn.Module, source: fx.Node) -> fx.Node:
    """Add the call of a new layer where the graph inserts."""
    name = f"new{len(root._modules)}"
    root.add_module(name, layer)
    return source.graph.call_module(name, (source,))


def swap(root: nn.Module, node: fx.Node, layer: nn.Module, source: fx.Node) -> None:
    """Put a new layer in place of a node."""
    with node.graph.inserting_before(node):
        node.replace_all_uses_with(place(root, layer, source))


# --- Rules -----------------------------------------------------------------------------------------------


def fold_norm(root: nn.Module, node: fx.Node) -> Edit | None:
    """Fold a normalisation into the convolution before it."""
    norm = layer_at(root, node, nn.BatchNorm2d)
    layer = layer_at(root, source_of(node)) if norm else None
    if layer is None or len(source_of(node).users) > 1:
        return None
    return lambda: swap(root, node, fuse_conv_bn_eval(layer, norm), source_of(source_of(node)))


def norm_as_convolution(root: nn.Module, node: fx.Node) -> Edit | None:
    """Write any other normalisation as a 1x1 convolution: dearer, but it may become one with others."""
    norm = layer_at(root, node, nn.BatchNorm2d)
    if norm is None or layer_at(root, source_of(node)):
        return None
    same = nn.Conv2d(norm.num_features, norm.num_features, 1, bias=False).eval()
    nn.init.dirac_(same.weight)
    return lambda: swap(root, node, fuse_conv_bn_eval(same, norm), source_of(node))


def enlarge(root: nn.Module, node: fx.Node) -> Edit | None:
    """Surround a kernel with zeros where a larger one reads the same: dearer, but both may become one."""
    layer = plain(root, node)
    if layer is None:
        return None
    for _, other in beside(root, node):
        margin = (other.kernel_size[0] - layer.kernel_size[0]) // 2
        if margin > 0:
            grown = convolution(F.pad(layer.weight, (margin,) * 4), biases_of(layer), layer, margin)
            if form_of(grown) == form_of(other):
                return lambda: swap(root, node, grown, source_of(node))
    return None


def add_parallel(root: nn.Module, node: fx.Node) -> Edit | None:
    """Make one of two convolutions of the same input whose maps are added."""
    ends = node.all_input_nodes if node.target in (operator.add, torch.add) and len(node.args) == 2 else []
    layers = [layer for end in ends if (layer := plain(root, end)) and len(end.users) == 1]
    if len(layers) < 2 or source_of(ends[0]) is not source_of(ends[1]):
        return None
    one, other = layers
    if form_of(one) != form_of(other):
        return None
    weight, bias = one.weight + other.weight, biases_of(one) + biases_of(other)
    return lambda: swap(root, node, convolution(weight, bias, one), source_of(ends[0]))


def merge_parallel(root: nn.Module, node: fx.Node) -> Edit | None:
    """Make one of convolutions of the same input, and of their activation functions, and slice its maps."""
    layer = plain(root, node)
    group = [each for each in beside(root, node) if form_of(each[1]) == form_of(layer)] if layer else []
    if len(group) < 2 or group[0][0] is not node:
        return None
    ends = [next(iter(user.users)) if len(user.users) == 1 else user for user, _ in group]
    acts = [layer_at(root, end, ACTIVATIONS) for end in ends]
    if acts[0] is None or len({repr(act) for act in acts}) > 1:
        ends, acts = [user for user, _ in group], []

    def edit() -> None:
        weight = torch.cat([each.weight for _, each in group])
        merged = convolution(weight, torch.cat([biases_of(each) for _, each in group]), group[0][1])
        whole, start = source_of(node), 0
        for step in (merged, *acts[:1]):
            with node.graph.inserting_after(whole):
                whole = place(root, step, whole)
        for end, (_, each) in zip(ends, group, strict=True):
            with node.graph.inserting_after(whole):
                part = place(root, Channels(start, start + len(each.weight), len(weight)), whole)
            end.replace_all_uses_with(part)
            start += len(each.weight)

    return edit


def join_slices(root: nn.Module, node: fx.Node) -> Edit | None:
    """Take neighbouring slices of the same maps at once, instead of joining them."""
    if node.target is not torch.cat or (*node.args[1:], *node.kwargs.values()) != (1,):
        return None
    parts: list[fx.Node] = list(node.args[0])  # type: ignore[arg-type]
    for index, (left, right) in enumerate(itertools.pairwise(parts)):
        one, other = (layer_at(root, part, Channels) for part in (left, right))
        if one and other and source_of(left) is source_of(right) and one.stop == other.start:
            both = Channels(one.start, other.stop, one.of)

            def edit(index: int = index, both: Channels = both, left: fx.Node = left) -> None:
                joined = source_of(left)
                if both.stop - both.start < both.of:
                    with node.graph.inserting_before(node):
                        joined = place(root, both, joined)
                rest = [*parts[:index], joined, *parts[index + 2 :]]
                node.update_arg(0, rest)
                if len(rest) == 1:
                    node.replace_all_uses_with(joined)

            return edit
    return None


def pool_later(root: nn.Module, node: fx.Node) -> Edit | None:
    """Put a 1x1 convolution before a mean over windows, where it reads what others read."""
    layer = plain(root, node)
    pool = layer_at(root, source_of(node), nn.AvgPool2d) if layer else None
    if pool is None or form_of(layer) != ((1, 1), (1, 1), (0, 0)) or len(source_of(node).users) > 1:  # type: ignore[arg-type]
        return None
    if pool.divisor_override or (pool.count_include_pad and pool.padding):  # it would shrink the bias
        return None

    def edit() -> None:
        before = source_of(node)
        with node.graph.inserting_before(node):
            first = node.graph.call_module(str(node.target), (source_of(before),))
            node.replace_all_uses_with(node.graph.call_module(str(before.target), (first,)))

    return edit


RULES: tuple[Rule, ...] = (
    fold_norm, norm_as_convolution, enlarge, add_parallel, merge_parallel, join_slices, pool_later,
)  # fmt: skip


def as_product(root: nn.Module, node: fx.Node) -> Edit | None:
    """Choose the product of matrices for a convolution."""
    layer = plain(root, node)
    if layer is None or form_of(layer) != ((1, 1), (1, 1), (0, 0)):
        return None
    return lambda: swap(root, node, Product(layer), source_of(node))


def channels_last(root: nn.Module, node: fx.Node) -> Edit | None:
    """Choose the kernel for maps whose channels lie side by side in memory."""
    layer = layer_at(root, node)
    if layer is None or layer.weight.is_contiguous(memory_format=torch.channels_last):
        return None
    moved = copy.deepcopy(layer).to(memory_format=torch.channels_last)
    return lambda: swap(root, node, moved, source_of(node))


KERNELS: tuple[Rule, ...] = (as_product, channels_last)
