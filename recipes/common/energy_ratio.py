"""The energy ratio of an accelerator that skips zeros: modelled energy with skipping over that without.

Formula and constants of the simulator behind "Sponge Examples" (Shumailov et al., EuroS&P 2021), which
energy-aware training (Lazzaro et al., ICIAP 2023) reports too. All data come from DRAM once: a module reads
its weights and inputs and writes its outputs, so that a map between two modules counts twice. Every access
costs the same, and so does every operation. There are no caches and no reuse: the ratio is not comparable
with `energy_model`, which has both. Modelled, never measured.

Differences from the simulator: groups of a convolution are respected, the statistics of a normalisation are
counted once, and modules that move nothing at inference (`UNCOUNTED`) are left out. As there, additions
between modules and functions called in `forward` are not seen.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recipes.common.contract import Json, Metric

ACCESS_ENERGY_PJ = 1950.0
OPERATION_ENERGY_PJ = 3.7
SMALLEST = torch.finfo(torch.float32).tiny  # 2**-126; the simulator takes anything smaller for zero
LARGE_BATCH = 512  # as in Lazzaro et al.; the weights, read once for it, hardly count
RECTIFIERS = (nn.ReLU, nn.Threshold)
UNCOUNTED = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d)


@dataclass(frozen=True)
class ModuleAccesses:
    """What one call of one leaf module moves and computes."""

    name: str
    """Name in `model.named_modules()`."""
    rectifies: bool
    """Whether it is one of `RECTIFIERS`."""
    weights: int
    """Parameters and buffers, read once for a batch."""
    nonzero_weights: int
    """Those that are not zero."""
    inputs: float
    """Input values per image."""
    nonzero_inputs: float
    """Those that are not zero, mean over the images."""
    outputs: float
    """Output values per image."""
    nonzero_outputs: float
    """Those that are not zero, mean over the images."""
    operations: float
    """Operations per image, zeros not regarded."""


@torch.no_grad()
def count_accesses(model: nn.Module, images: Tensor) -> tuple[ModuleAccesses, ...]:
    """Run a copy of a net once and count what its leaf modules move, call by call.

    Args:
        model: Net in evaluation mode; each module takes and returns one tensor. Not changed.
        images: (images, ...), in one forward pass; the counts are means over them.

    Raises:
        ValueError: The net has no module of `RECTIFIERS`, or a module is not modelled.
    """
    traced = copy.deepcopy(model)
    calls: list[ModuleAccesses] = []

    def recorder(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls.append(_accesses(name, module, inputs[0], output))

        return hook

    for name, module in traced.named_modules():
        if isinstance(module, RECTIFIERS):
            module.inplace = False  # the input is counted as it arrives; `energy_ratio` decides how it counts
        if not any(module.children()) and not isinstance(module, UNCOUNTED):
            module.register_forward_hook(recorder(name))
    traced(images)
    if not any(call.rectifies for call in calls):
        raise ValueError(f"{type(model).__name__}: expected an nn.ReLU or nn.Threshold module, found none")
    return tuple(calls)


def energy_ratio(calls: Sequence[ModuleAccesses], *, batch_size: int, in_place: bool) -> float:
    """Return the energy with zeros skipped over that of the same work without, 0 to 1.

    Args:
        calls: What `count_accesses` found.
        batch_size: Images that share one reading of the weights. At 1 the weights usually dominate, and they
            are hardly ever zero; in the large batches of the papers they vanish.
        in_place: Whether a rectifier overwrites its input. The simulator looks at a module's input after the
            call, so that an in-place rectifier's input is counted as rectified already.

    Raises:
        ValueError: The batch size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    weights = sum(call.weights for call in calls)
    nonzero_weights = sum(call.nonzero_weights for call in calls)
    inputs = batch_size * sum(call.inputs for call in calls)
    nonzero_inputs = batch_size * sum(
        call.nonzero_outputs if in_place and call.rectifies else call.nonzero_inputs for call in calls
    )
    outputs = batch_size * sum(call.outputs for call in calls)
    nonzero_outputs = batch_size * sum(call.nonzero_outputs for call in calls)
    compute = batch_size * sum(call.operations for call in calls) * OPERATION_ENERGY_PJ
    weight_density = nonzero_weights / weights if weights else 1.0
    worst = ACCESS_ENERGY_PJ * (weights + inputs + outputs) + compute
    skipping = ACCESS_ENERGY_PJ * (nonzero_weights + nonzero_inputs + nonzero_outputs)
    return (skipping + weight_density * nonzero_inputs / inputs * compute) / worst


def nonzero_fraction(calls: Sequence[ModuleAccesses]) -> float:
    """Return the fraction of all outputs of rectifiers that are not zero."""
    rectified = [call for call in calls if call.rectifies]
    return sum(call.nonzero_outputs for call in rectified) / sum(call.outputs for call in rectified)


def ratio_metrics(calls: Sequence[ModuleAccesses]) -> dict[str, Metric]:
    """Return the non-zero fraction, and the energy ratio with three conventions, as metrics.

    Args:
        calls: What `count_accesses` found.
    """

    def ratio(size: int, *, in_place: bool) -> Metric:
        how = "overwriting its input" if in_place else "reading a full map of its own"
        text = f"Modelled energy with zeros skipped over that without; batch {size}, ReLU {how}."
        value = energy_ratio(calls, batch_size=size, in_place=in_place)
        return Metric(value, "ratio", "lower", "modelled", text)

    text = "Fraction of the outputs of ReLU that are not zero."
    return {
        "energy_ratio": ratio(LARGE_BATCH, in_place=True),
        "energy_ratio_batch_1": ratio(1, in_place=True),
        "energy_ratio_relu_not_in_place": ratio(LARGE_BATCH, in_place=False),
        "nonzero_activations_fraction": Metric(nonzero_fraction(calls), "fraction", "lower", "counted", text),
    }


def rectifier_table(calls: Sequence[ModuleAccesses]) -> list[dict[str, Json]]:
    """Return one flat row for each call of a rectifier: its outputs per image and their non-zero fraction."""
    return [
        {"layer": call.name, "outputs": call.outputs, "nonzero_fraction": call.nonzero_outputs / call.outputs}
        for call in calls
        if call.rectifies
    ]


def _accesses(name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> ModuleAccesses:
    weights = [*module.parameters(), *module.buffers()]
    return ModuleAccesses(
        name=name,
        rectifies=isinstance(module, RECTIFIERS),
        weights=sum(weight.numel() for weight in weights),
        nonzero_weights=sum(_nonzero(weight) for weight in weights),
        inputs=inputs.numel() / len(inputs),
        nonzero_inputs=_nonzero(inputs) / len(inputs),
        outputs=output.numel() / len(output),
        nonzero_outputs=_nonzero(output) / len(output),
        operations=_operations(name, module, inputs, output) / len(inputs),
    )


def _nonzero(values: Tensor) -> int:
    return int((values.abs() > SMALLEST).sum())


def _operations(name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> float:
    """Count the operations of one call as the simulator does: a multiply-accumulate is one."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        return output.numel() * module.weight[0].numel()
    if isinstance(module, nn.BatchNorm2d):
        return 4 * inputs.numel()
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        size = module.kernel_size
        height, width = (size, size) if isinstance(size, int) else size
        return output.numel() * height * width
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return inputs.numel()
    if isinstance(module, RECTIFIERS):
        return 0
    raise ValueError(f"{name}: {type(module).__name__} is not modelled; count its operations in energy_ratio")
