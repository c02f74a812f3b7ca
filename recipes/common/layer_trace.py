"""The layers that a forward pass really runs, with what each of them stores.

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
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from recipes.common.layer_shapes import LAYER_TYPES, LayerShape, describe_call, images_nonzero
from recipes.common.model_checks import wrapped

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
