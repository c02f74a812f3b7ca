"""What a net must be like for the functions that readers lift out of the recipes: one condition each.

A condition returns what is wrong (which module, what was expected, what came, the cure), or an empty text, so
that a caller can refuse a net before anything is changed:

    if in_training(model):
        raise ValueError(in_training(model))

None of them changes the net, its mode or torch's random state.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize
from torch.utils._pytree import tree_leaves

_WRAPPERS = {"OptimizedModule": "_orig_mod", "DataParallel": "module", "DistributedDataParallel": "module"}
"""Where the wrappers of torch.compile and of training on several devices keep the net, by class name."""
_EQUALLY_MANY = (
    "use cut_channels of recipes.common.pruning.channels, which takes equally many from each group"
)


def unfit_to_mask(model: nn.Module) -> str:
    """Return why setting weights of a net to zero would not do, or an empty text."""
    return wrapped(model) or in_training(model) or computed_weights(model)


def unfit_to_refit(model: nn.Module, inputs: Tensor) -> str:
    """Return why weights of a net cannot be set to zero and the others refitted, or an empty text.

    Args:
        model: The net.
        inputs: A calibration batch, (images, ...).
    """
    return (
        unfit_to_mask(model)
        or imprecise(model)
        or unsampled_padding(model)
        or unusable(inputs)
        or uncalled(model, inputs)
        or overwritten(model, inputs)
    )


def unfit_to_trace(model: nn.Module, inputs: Tensor) -> str:
    """Return why channels cannot be followed from layer to layer and removed, or an empty text.

    Args:
        model: The net.
        inputs: At least one input, (inputs, ...).
    """
    return unfit_to_mask(model) or tied(model) or without_gradients(model, inputs)


def wrapped(model: nn.Module) -> str:
    """Return which module is compiled, scripted or spread over devices, so that its layers cannot be seen."""
    for name, module in model.named_modules():
        where, expected = label(name, module), "a net whose layers can be watched"
        if type(module).__name__ in _WRAPPERS:
            return fault(where, expected, "a wrapper", f"pass its .{_WRAPPERS[type(module).__name__]}")
        if isinstance(module, torch.jit.ScriptModule):
            return fault(where, expected, "TorchScript", "pass the net from before torch.jit")
        if module._compiled_call_impl is not None:
            return fault(where, expected, "one after .compile()", "pass a deep copy, which is not compiled")
    return ""


def in_training(model: nn.Module) -> str:
    """Return which module is in training mode."""
    for name, module in model.named_modules():
        if module.training:
            got = "training mode, in which dropout and the statistics of a batch change the outputs"
            return fault(label(name, module), "evaluation mode", got, "call .eval() on the net first")
    return ""


def computed_weights(model: nn.Module) -> str:
    """Return which layer has a weight or bias that is computed anew, so that changing it changes nothing."""
    for name, module in model.named_modules():
        for part in ("weight", "bias") if isinstance(module, _ConvNd | nn.Linear | _NormBase) else ():
            if isinstance(getattr(module, part), nn.Parameter | None):
                continue
            got = "one computed from others, as weight normalisation, a parametrisation or a mask does"
            cure = "remove_weight_norm, remove_spectral_norm or prune.remove of torch.nn.utils"
            if parametrize.is_parametrized(module, part):
                cure = f'torch.nn.utils.parametrize.remove_parametrizations(layer, "{part}")'
            return fault(
                label(name, module), f"a {part} that is a parameter", got, f"make it one with {cure}"
            )
    return ""


def tied(model: nn.Module) -> str:
    """Return which modules share a parameter; a module that is called several times shares nothing."""
    owners: dict[int, str] = {}
    for name, module in model.named_modules():
        for part, parameter in module.named_parameters(recurse=False):
            place = f"{name}.{part}".removeprefix(".")
            if id(parameter) in owners:
                got = f"that of {owners[id(parameter)]}, and the tie would be lost"
                cure = f"untie them first: {place} = nn.Parameter({place}.detach().clone())"
                return fault(place, "a parameter of its own", got, cure)
            owners[id(parameter)] = place
    return ""


def registered_twice(model: nn.Module, blocks: Container[nn.Module]) -> str:
    """Return which of the blocks the net holds under two names, of which only one would be replaced."""
    names: dict[nn.Module, str] = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if module in blocks and module in names:
            got = f"the block of {names[module]} again"
            return fault(
                label(name, module), "a block of its own", got, "put a copy there, or call the first"
            )
        names[module] = name
    return ""


def imprecise(model: nn.Module, purpose: str = "least squares") -> str:
    """Return which layer's weights are too coarse for the purpose."""
    for name, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.dtype not in (
            torch.float32,
            torch.float64,
        ):
            got = f"{layer.weight.dtype}, which is too coarse for {purpose}"
            cure = "pass a copy of net and inputs as .float(), and convert the net back afterwards"
            return fault(label(name, layer), "weights in float32 or float64", got, cure)
    return ""


def unsampled_padding(model: nn.Module) -> str:
    """Return which convolution pads in a way whose receptive fields cannot be sampled with `F.unfold`."""
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if layer.padding_mode != "zeros":
            cure = "put a module such as nn.ReflectionPad2d in front of it, and set padding to 0"
            got = f"padding_mode={layer.padding_mode!r}, which cannot be sampled"
            return fault(label(name, layer), "padding with zeros", got, cure)
        if isinstance(layer.padding, str):
            same = "dilation * (kernel_size - 1) // 2 along each axis, for filters of odd size"
            cure = f"set padding to {same if layer.padding == 'same' else 0}"
            got = f"padding={layer.padding!r}, which cannot be sampled"
            return fault(label(name, layer), "padding in numbers", got, cure)
    return ""


def unusable(inputs: object) -> str:
    """Return whether a calibration batch is no tensor, or holds NaN or infinity."""
    if not isinstance(inputs, Tensor):
        got = type(inputs).__name__
        return fault("inputs", "a tensor (images, ...)", got, "pass one batch of inputs, without labels")
    if not bool(inputs.isfinite().all()):
        return fault("inputs", "finite numbers", "NaN or infinity", "leave out the examples that hold them")
    return ""


def no_quality(floor: float, largest_loss: float) -> str:
    """Return whether the loss allowed is no number, or the quality of the net as given, less that loss."""
    if not math.isfinite(largest_loss):
        return fault(
            "largest_loss", "a finite number", f"{largest_loss}", "pass the quality that may be lost"
        )
    if not math.isfinite(floor):
        cure = "look for NaN in labels, inputs and weights"
        return fault("evaluate", "a finite quality of the net as given", f"{float(floor)}", cure)
    return ""


def uncalled(model: nn.Module, inputs: Tensor) -> str:
    """Return which convolutions and linear layers `forward` does not call, so that none can be refitted."""
    layers = {n: layer for n, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)}
    if not layers:
        expected = "nn.Conv2d or nn.Linear modules to prune"
        return fault(label("", model), expected, "none", "pass the net that holds the layers")
    with _watched(layers.values()) as calls:
        outputs_of(model, inputs[:1])
    called = {layer for layer, _, _ in calls}
    missed = [label(name, layer) for name, layer in layers.items() if layer not in called]
    if not missed:
        return ""
    cure = "put nn.Identity() in place of what is not used, in the net that is pruned"
    return fault(", ".join(missed), "a call in forward", "none", cure)


def overwritten(model: nn.Module, inputs: Tensor) -> str:
    """Return which layer's inputs or outputs are changed in place after the call, so that they mislead."""
    layers: dict[nn.Module, str] = {
        layer: name for name, layer in model.named_modules() if isinstance(layer, nn.Conv2d | nn.Linear)
    }
    with _watched(layers) as calls:
        outputs_of(model, inputs[:1])
    for layer, seen, version in calls:
        if seen._version != version:
            got = "a change in place, such as nn.ReLU(inplace=True) or +="
            cure = "set inplace=False on such modules, and write y = y + x for y += x"
            return fault(label(layers[layer], layer), "inputs and outputs that stay as they are", got, cure)
    return ""


def frozen(model: nn.Module) -> str:
    """Return whether all parameters of a net are frozen."""
    if any(parameter.requires_grad for parameter in model.parameters()):
        return ""
    cure = "call .requires_grad_() on the net first, and freeze the result again"
    return fault(label("", model), "parameters that are not frozen", "none", cure)


def without_gradients(model: nn.Module, inputs: Tensor) -> str:
    """Return why outputs have no gradients, by which torch-pruning follows channels to the layers."""
    net, followed = label("", model), "by which channels are followed"
    if not torch.is_grad_enabled():
        got = "a call under torch.no_grad() or in inference mode"
        return fault(net, f"gradients, {followed}", got, "call the function outside of it")
    if frozen(model):
        return frozen(model)
    outputs = outputs_of(model, inputs[:1], gradients=True)
    if not any(output.requires_grad for output in outputs):
        cure = "take torch.no_grad() and detach() out of forward"
        return fault(net, f"outputs with gradients, {followed}", "outputs without", cure)
    if any(output.ndim == 0 for output in outputs):
        cure = "pass the net without its loss, or the part that returns logits"
        return fault(net, "outputs with an axis of channels", "a single number", cure)
    return ""


def grouped_convolutions(model: nn.Module) -> str:
    """Return which convolution has groups of several channels, so that these cannot go one by one."""
    for name, layer in model.named_modules():
        if isinstance(layer, _ConvNd) and layer.groups > 1 and not depthwise(layer):
            got = f"{_widths(layer)}, of which single channels cannot go"
            cure = f"{_EQUALLY_MANY}, or write the layer with groups=1"
            return fault(label(name, layer), "an ordinary or depthwise convolution", got, cure)
    return ""


def widening_groups(model: nn.Module) -> str:
    """Return which convolution has groups wider out than in, which torch-pruning cannot score by norm."""
    for name, layer in model.named_modules():
        if isinstance(layer, _ConvNd) and layer.groups > 1 and layer.in_channels != layer.out_channels:
            got, cure = (
                f"{_widths(layer)}, which have no norm",
                "pass by_norm=False, or write it with groups=1",
            )
            return fault(label(name, layer), "as many channels in as out of groups", got, cure)
    return ""


def grouped_norms(model: nn.Module) -> str:
    """Return which GroupNorm has several groups, so that single channels cannot go."""
    for name, norm in model.named_modules():
        if isinstance(norm, nn.GroupNorm) and norm.num_groups > 1:
            got = f"{norm.num_channels} channels in {norm.num_groups} groups, of which single ones cannot go"
            cure = f"{_EQUALLY_MANY}, or batch normalisation"
            return fault(label(name, norm), "a normalisation without groups", got, cure)
    return ""


def fault(where: str, expected: str, got: str, cure: str) -> str:
    """Return the text of a refusal."""
    return f"{where}: expected {expected}, got {got}; {cure}"


def label(name: str, module: nn.Module) -> str:
    """Return how a refusal names a module."""
    return f"{name or 'the net itself'} ({type(module).__name__})"


def depthwise(layer: _ConvNd) -> bool:
    """Whether each channel of a convolution is computed from the one before it."""
    return layer.groups == layer.in_channels == layer.out_channels


def _widths(layer: _ConvNd) -> str:
    return f"{layer.in_channels} to {layer.out_channels} channels in {layer.groups} groups"


def outputs_of(model: nn.Module, inputs: Tensor, *, gradients: bool = False) -> list[Tensor]:
    """Return all tensors that a net in evaluation mode gives."""
    with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(gradients):
        return [leaf for leaf in tree_leaves(model(inputs)) if isinstance(leaf, Tensor)]


@contextmanager
def _watched(modules: Iterable[nn.Module]) -> Iterator[list[tuple[nn.Module, Tensor, int]]]:
    """Collect what goes into and out of the modules while the block runs, with its count of changes."""
    calls: list[tuple[nn.Module, Tensor, int]] = []

    def note(module: nn.Module, arguments: tuple[object, ...], outputs: object) -> None:
        tensors = [leaf for leaf in tree_leaves((arguments, outputs)) if isinstance(leaf, Tensor)]
        calls.extend((module, tensor, tensor._version) for tensor in tensors)

    handles = [module.register_forward_hook(note) for module in modules]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()
