"""Shape, zeros and multiply-accumulates (MACs) of one call of a convolution or linear layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Layer = nn.Conv1d | nn.Conv2d | nn.Linear
LAYER_TYPES = (nn.Conv1d, nn.Conv2d, nn.Linear)


class Geometry(TypedDict):
    """What a layer's module alone says about its shape."""

    filter_size: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[int, int, int, int]
    groups: int


@dataclass(frozen=True)
class LayerShape:
    """One call of one layer, seen as a two-dimensional convolution.

    A linear layer is a convolution with a 1 x 1 filter, of height T if it is applied to T positions. A
    one-dimensional convolution lies along the height. Counts are per image; those that depend on
    activations are means over the calibration batch. Biases are left out everywhere.
    """

    name: str
    """Name in `model.named_modules()`."""
    input_size: tuple[int, int]
    """Height and width of the input map, without padding."""
    input_channels: int
    """Channels of the input map, over all groups."""
    filter_size: tuple[int, int]
    """Height and width of the filter, not spread by dilation."""
    filters: int
    """Filters, which are the channels of the output map, over all groups."""
    output_size: tuple[int, int]
    """Height and width of the output map."""
    stride: tuple[int, int]
    """Stride along height and width."""
    dilation: tuple[int, int]
    """Dilation along height and width."""
    padding: tuple[int, int, int, int]
    """Padding above, below, left and right."""
    groups: int
    """Groups of channels that do not see each other."""
    weight_nonzeros: int
    """Weights that are not zero."""
    input_nonzeros: float
    """Input activations that are not zero."""
    output_nonzeros: float
    """Stored output activations that are not zero."""
    macs: float
    """MACs whose weight and activation are both not zero; zeros from padding are zeros."""

    @property
    def dense_macs(self) -> int:
        """MACs without looking at zeros, those with padding included, as FLOP counters count them."""
        return self.weights * self.output_size[0] * self.output_size[1]

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.filters * (self.input_channels // self.groups) * self.filter_size[0] * self.filter_size[1]

    @property
    def inputs(self) -> int:
        """Number of input activations, without padding."""
        return self.input_channels * self.input_size[0] * self.input_size[1]

    @property
    def outputs(self) -> int:
        """Number of output activations."""
        return self.filters * self.output_size[0] * self.output_size[1]


def describe_call(name: str, layer: Layer, inputs: Tensor, output: Tensor, images: int) -> LayerShape:
    """Describe one call of `layer`, with an output in which nothing is zero.

    Args:
        name: Name of the layer, for the result and for errors.
        layer: The layer, with the weights it used.
        inputs: What it read: `[images, channels, ...]`, or `[images, ..., features]` of a linear layer.
        output: What it returned.
        images: Images in the calibration batch.

    Raises:
        ValueError: The first axis of `inputs` is not the images.
    """
    axes = 2 if isinstance(layer, nn.Linear) else 2 + len(layer.kernel_size)
    if inputs.ndim < axes or inputs.shape[0] != images:
        raise ValueError(
            f"{name}: expected input of shape [{images}, ...] with the images along the first axis, got "
            f"{list(inputs.shape)}; keep the batch axis first and unmerged in forward()"
        )
    if isinstance(layer, nn.Linear):
        maps = inputs.reshape(images, -1, layer.in_features).transpose(1, 2)[..., None]
        output_size = (maps.shape[2], 1)
    else:
        maps = inputs if isinstance(layer, nn.Conv2d) else inputs[..., None]
        output_size = _pair(tuple(output.shape[2:]))
    geometry = _geometry(layer)
    present = images_nonzero(maps).cpu()
    used = _nonzero(layer.weight.detach()).reshape(geometry["groups"], -1, *layer.weight.shape[1:]).sum(1)
    used_per_tap = used.cpu().double().reshape(present.shape[0], *geometry["filter_size"])
    met_per_tap = _met_by_taps(present, geometry, output_size, getattr(layer, "padding_mode", "zeros"))
    return LayerShape(
        name=name,
        input_size=(present.shape[1], present.shape[2]),
        input_channels=present.shape[0],
        filters=layer.weight.shape[0],
        output_size=output_size,
        weight_nonzeros=int(used_per_tap.sum()),
        input_nonzeros=float(present.sum()) / images,
        output_nonzeros=float(layer.weight.shape[0] * output_size[0] * output_size[1]),
        macs=float((met_per_tap * used_per_tap).sum()) / images,
        **geometry,
    )


def images_nonzero(activations: Tensor) -> Tensor:
    """Count the images in which each activation is not zero: `[images, ...]` to `[...]`."""
    return _nonzero(activations.detach()).sum(0).double()


def _nonzero(values: Tensor) -> Tensor:
    """1 where a value is not zero, else 0; written straight to floats, which sum several times faster."""
    return torch.ne(values, 0, out=torch.empty_like(values, dtype=torch.float32))


def _met_by_taps(
    present: Tensor, geometry: Geometry, output_size: tuple[int, int], padding_mode: str
) -> Tensor:
    """Count the non-zero inputs that each filter tap meets over all output positions.

    Args:
        present: Number of images with a non-zero input, `[channels, height, width]`.
        geometry: Filter, stride, dilation and padding.
        output_size: Height and width of the output map.
        padding_mode: As in `nn.Conv2d`; only padding with zeros adds no MACs.

    Returns:
        Counts `[channels, filter height, filter width]`, summed over the images.
    """
    top, bottom, left, right = geometry["padding"]
    if any(geometry["padding"]):
        mode = "constant" if padding_mode == "zeros" else padding_mode
        present = F.pad(present[None], (left, right, top, bottom), mode=mode)[0]

    def sum_per_tap(maps: Tensor, axis: int) -> Tensor:
        """Sum the rows that each tap meets: `[channels, rows, ...]` to `[channels, ..., taps]`."""
        step, spread = geometry["stride"][axis], geometry["dilation"][axis]
        reach = (output_size[axis] - 1) * step + 1
        taps = range(geometry["filter_size"][axis])
        return torch.stack([maps[:, tap * spread :][:, :reach:step].sum(1) for tap in taps], -1)

    return sum_per_tap(sum_per_tap(present, 0), 1)


def _geometry(layer: Layer) -> Geometry:
    if isinstance(layer, nn.Linear):
        return Geometry(filter_size=(1, 1), stride=(1, 1), dilation=(1, 1), padding=(0, 0, 0, 0), groups=1)
    if layer.padding == "same":
        reaches = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        sides = [(reach // 2, reach - reach // 2) for reach in reaches]
    elif layer.padding == "valid":
        sides = [(0, 0)] * len(layer.kernel_size)
    else:
        sides = [(int(side), int(side)) for side in layer.padding]
    (top, bottom), (left, right) = sides if len(sides) == 2 else (sides[0], (0, 0))
    return Geometry(
        filter_size=_pair(layer.kernel_size),
        stride=_pair(layer.stride),
        dilation=_pair(layer.dilation),
        padding=(top, bottom, left, right),
        groups=layer.groups,
    )


def _pair(size: tuple[int, ...]) -> tuple[int, int]:
    return (size[0], size[1]) if len(size) == 2 else (size[0], 1)
