"""The layers that a forward pass really runs: shape, zeros and multiply-accumulates (MACs) of each call.

One forward pass of a calibration batch is watched. Every call of a convolution or linear layer is recorded.
Everything else (normalisation, activation, pooling, dropout, additions) has no products; it is followed
only to know what each layer stores.

A layer stores its output map after all that keeps its number of elements: normalisation, activation,
residual addition, reshaping. A zero made by the ReLU behind a convolution is therefore a stored zero, as in
CNNergy's figures for AlexNet on Eyeriss. What changes the number of elements (pooling, concatenation)
happens after the store, and the next layer reads its result. The size of what a layer stores thus follows
from the layer alone, as in the input format of the estimation tool of Yang et al. (Asilomar 2017). The
second operand of a residual addition, and reading and writing around a pooling, are not charged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from recipes.common.nets.checks import wrapped

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


TRANSPOSED_TYPES = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
MULTI_AXIS_NORM_TYPES = (nn.LayerNorm, nn.RMSNorm)
PRODUCTS = frozenset(
    {"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"}
    | {"linear", "bilinear", "matmul", "__matmul__", "__rmatmul__", "mm", "bmm", "mv", "dot", "inner"}
    | {"addmm", "addmv", "addbmm", "baddbmm", "einsum", "tensordot"}
    | {"scaled_dot_product_attention", "multi_head_attention_forward"}
    | {"linear_dynamic", "linear_relu", "linear_relu_dynamic", "conv1d_relu", "conv2d_relu", "conv3d_relu"}
)
"""Names of the torch functions, quantised ones with them, whose MACs count only inside a recorded layer."""
RARE_PRODUCTS = frozenset(
    {"chain_matmul", "vdot", "cdist", "pdist", "cov", "corrcoef", "matrix_power", "matrix_exp", "inverse"}
    | {
        "addmm_",
        "addmv_",
        "addbmm_",
        "baddbmm_",
        "_sparse_mm",
        "_sparse_addmm",
        "sparse_sampled_addmm",
        "smm",
    }
    | {
        "hspmm",
        "sspaddmm",
        "_int_mm",
        "_scaled_mm",
        "conv_tbc",
        "convolution",
        "_convolution",
        "stft",
        "istft",
    }
    | {"cholesky", "cholesky_solve", "cholesky_inverse", "lu_solve", "triangular_solve", "pinverse"}
    | {"lstm", "gru", "rnn_tanh", "rnn_relu", "lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
)
"""Names of torch functions with products that no layer calls which is modelled; the first call is refused."""
LINALG_WITHOUT_PRODUCTS = frozenset(
    {"linalg_norm", "linalg_vector_norm", "linalg_cross", "linalg_diagonal", "linalg_vander"}
)


def trace_layers(model: nn.Module, example_input: Tensor) -> tuple[LayerShape, ...]:
    """Run `example_input` through `model` once and describe every call of a convolution or linear layer.

    Args:
        model: Any module whose MACs happen in `nn.Conv1d`, `nn.Conv2d` and `nn.Linear`. It is run in
            evaluation mode and left as it was found.
        example_input: Calibration batch `[images, ...]`.

    Returns:
        One shape per call, in the order of the calls.

    Raises:
        ValueError: A layer is of a kind that is not modelled, products are computed outside a layer, a
            layer's input does not have the images along its first axis, or the net is compiled or wrapped.
    """
    if wrapped(model):
        raise ValueError(wrapped(model))
    _refuse_unknown_modules(model)
    trace = _Trace(images=example_input.shape[0])
    with _evaluation_mode(model), _hooked(model, trace), torch.no_grad(), trace:
        returned = model(example_input)
    if trace.stray_products:
        raise ValueError(
            f"{type(model).__name__}: expected all products inside nn.Conv1d, nn.Conv2d or nn.Linear, got "
            f"{', '.join(sorted(trace.stray_products))} outside of them; put them in such modules"
        )
    return trace.finished(returned)


def _refuse_unknown_modules(model: nn.Module) -> None:
    """Raise one error that names every module whose work would be missed."""
    layers: tuple[str, ...] = ()
    refused: list[str] = []
    for name, module in model.named_modules():
        if name.startswith(layers):
            continue
        if isinstance(module, LAYER_TYPES):
            layers += (f"{name}.",)
        elif isinstance(module, TRANSPOSED_TYPES) or _has_matrix(module):
            refused.append(f"{name or 'the model itself'} ({type(module).__name__})")
    if refused:
        raise ValueError(
            f"{type(model).__name__}: expected weights in nn.Conv1d, nn.Conv2d and nn.Linear only, got "
            f"{', '.join(refused)}; estimate the parts without these layers, or express them as convolutions"
        )


def _has_matrix(module: nn.Module) -> bool:
    """Whether the module itself owns a parameter with several axes, so may do products and not only scale."""
    if isinstance(module, MULTI_AXIS_NORM_TYPES):
        return False
    return any(sum(size > 1 for size in p.shape) > 1 for p in module.parameters(recurse=False))


@contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    flags = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in flags:
            module.training = training


@contextmanager
def _hooked(model: nn.Module, trace: _Trace) -> Iterator[None]:
    handles = []
    for name, module in model.named_modules():
        if isinstance(module, LAYER_TYPES):
            handles.append(module.register_forward_pre_hook(trace.enter_layer, with_kwargs=True))
            handles.append(module.register_forward_hook(trace.leave_layer(name), with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Trace(TorchFunctionMode):
    """Records layer calls and follows each layer's output to the form in which it is stored.

    The maker of a tensor is the call, by index, whose output map it is.
    """

    def __init__(self, images: int) -> None:
        super().__init__()
        self.images = images
        self.shapes: list[LayerShape] = []
        self.stray_products: set[str] = set()
        self._stored: dict[int, float] = {}
        self._maker = WeakTensorKeyDictionary()
        self._depth = 0

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, object] | None = None,
    ) -> object:
        """Call `func`; outside of recorded layers also note where its result comes from."""
        if self._depth == 0 and _multiplies(getattr(func, "__name__", "")):
            raise ValueError(
                f"{getattr(func, '__name__', '')}: expected all products inside nn.Conv1d, nn.Conv2d or "
                "nn.Linear, got a call outside of them, whose MACs would be missing; put its work in such "
                "modules, or estimate the parts of the net without it"
            )
        returned = func(*args, **(kwargs or {}))
        if self._depth == 0:
            if getattr(func, "__name__", "") in PRODUCTS:
                self.stray_products.add(func.__name__)
            self._follow(_tensors((args, kwargs)), _tensors(returned))
        return returned

    def _follow(self, operands: list[Tensor], results: list[Tensor]) -> None:
        """Hand the maker on to results of the same size; the latest one wins, as in a residual addition."""
        made = [operand for operand in operands if operand in self._maker]
        for operand in made if results else []:
            if all(result.numel() != operand.numel() for result in results):
                self.store(operand)
        for result in results:
            makers = [self._maker[operand] for operand in made if operand.numel() == result.numel()]
            if makers:
                self._maker[result] = max(makers)

    def store(self, activations: Tensor) -> None:
        """Note that a layer writes these activations, unless an earlier reader has settled what it writes."""
        if activations not in self._maker:
            return
        maker = self._maker[activations]
        if maker not in self._stored:
            self._stored[maker] = float(images_nonzero(activations).sum()) / self.images

    def enter_layer(self, _: nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
        """Settle what the maker of this layer's input stores, and stop following inside the layer."""
        self._depth += 1
        for operand in _tensors((args, kwargs)):
            self.store(operand)

    def leave_layer(
        self, name: str
    ) -> Callable[[nn.Module, tuple[Tensor, ...], dict[str, Tensor], Tensor], None]:
        """Return the hook that records a call of the layer `name`."""

        def hook(
            layer: nn.Module, args: tuple[Tensor, ...], kwargs: dict[str, Tensor], output: Tensor
        ) -> None:
            assert isinstance(layer, LAYER_TYPES)
            inputs = args[0] if args else kwargs["input"]
            self._maker[output] = len(self.shapes)
            self.shapes.append(describe_call(name, layer, inputs, output, self.images))
            self._depth -= 1

        return hook

    def finished(self, returned: object) -> tuple[LayerShape, ...]:
        """Return the recorded calls, given what the model returned; an output that nobody reads is dense."""
        for leaf in _tensors(returned):
            self.store(leaf)
        return tuple(
            replace(shape, output_nonzeros=self._stored.get(index, shape.output_nonzeros))
            for index, shape in enumerate(self.shapes)
        )


def _multiplies(name: str) -> bool:
    """Whether a torch function of this name has products, beside those of `PRODUCTS`."""
    algebra = name.startswith(("linalg_", "fft_")) and name not in LINALG_WITHOUT_PRODUCTS
    return algebra or name in RARE_PRODUCTS


def _tensors(tree: object) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, Tensor)]
