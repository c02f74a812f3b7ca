"""What a net costs at inference, and what the metrics of every model recipe are called."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from recipes.common.energy.model import estimate
from recipes.common.nets.report import without_fused_kernels
from recipes.common.run.contract import Better, Metric, Provenance

IMAGES_FOR_ENERGY = 256
"""Training inputs whose zeros are counted for the modelled energy."""
INPUTS_FOR_MACS = 32
"""Training inputs over which multiply-accumulates are averaged while an arm aims: work may depend on them."""
BATCH_SIZES = (1, 48)
"""Images that share one reading of the weights: the two ends of the literature's conventions."""
MODEL = "row-stationary model of Eyeriss with RF 1, array 2, buffer 6, DRAM 200"
"""What energy is modelled with."""
_ENERGY = {f"energy_batch_{size}": size for size in BATCH_SIZES}


def energy_metric(value: float, batch_size: int) -> Metric:
    """Return a modelled energy per image as a metric."""
    description = f"Modelled energy of one inference, weights read once for {batch_size} image(s); {MODEL}."
    return Metric(value, "MAC energy", "lower", "modelled", description)


_MACS = "Multiply-accumulates of one inference, mean over examples."
_LIVE = "Most bytes of tensors that live at once in one inference, weights included, eager PyTorch."
_CPU = "Processor time of all that follows the training of the net as given, with search and all nets tried."
_PASSES = "Forward passes of one example that the arm spent, search included; learning from one counts as 3."
_SEEN = "Training examples that the weights of the net have seen in all their life, each time counted."
METRICS: dict[str, tuple[str, Better, Provenance, str]] = {
    "macs": ("count", "lower", "counted", _MACS),
    "parameters": ("count", "lower", "counted", "Trainable numbers of the net."),
    "nonzero_weights": ("count", "lower", "counted", "Trainable numbers of the net that are not zero."),
    **{
        name: (told.unit, told.better, told.provenance, told.description)
        for name, size in _ENERGY.items()
        for told in [energy_metric(0.0, size)]
    },
    "live_bytes": ("bytes", "lower", "counted", _LIVE),
    "training_cpu_s": ("s", "lower", "measured", _CPU),
    "training_passes": ("count", "lower", "counted", _PASSES),
    "seen_examples": ("count", "neither", "counted", _SEEN),
}
"""Unit, direction, provenance and description by name; `COST` of a recipe is one of these names."""


def metric(name: str, value: float) -> Metric:
    """Return a number as the metric of that name."""
    return Metric(value, *METRICS[name])


@dataclass
class Costs:
    """What one net costs for one example."""

    values: dict[str, float] = field(default_factory=dict)
    """By name of a metric."""
    missing: dict[str, str] = field(default_factory=dict)
    """Why there is none, by name."""


def static_costs(net: nn.Module, inputs: Tensor) -> Costs:
    """Count weights, memory and modelled energy of a net in evaluation mode.

    Args:
        net: The net; not changed.
        inputs: Training inputs, (examples, ...).
    """
    parameters = list(net.parameters())
    costs = Costs({
        "parameters": float(sum(parameter.numel() for parameter in parameters)),
        "nonzero_weights": float(sum(int(parameter.count_nonzero()) for parameter in parameters)),
        "live_bytes": float(live_bytes(net, inputs[:1])),
    })  # fmt: skip
    for name, batch_size in _ENERGY.items():
        try:
            costs.values[name] = modelled_energy(net, inputs[:IMAGES_FOR_ENERGY], batch_size)
        except ValueError as error:
            costs.missing[name] = str(error)
    return costs


def cost_of(net: nn.Module, inputs: Tensor, name: str) -> float:
    """Return one cost of a net on training inputs: what an arm aims at.

    Args:
        net: Net in evaluation mode; not changed.
        inputs: Training inputs, (examples, ...).
        name: `macs`, or one that `static_costs` gives.

    Raises:
        ValueError: This net has no such cost.
    """
    if name in _ENERGY:
        return modelled_energy(net, inputs[:IMAGES_FOR_ENERGY], _ENERGY[name])
    if name == "macs":
        with torch.no_grad(), MacsCounter() as counter:
            net(inputs[:INPUTS_FOR_MACS])
        return counter.macs / len(inputs[:INPUTS_FOR_MACS])
    return static_costs(net, inputs).values[name]


def modelled_energy(net: nn.Module, inputs: Tensor, batch_size: int) -> float:
    """Model the energy of one inference.

    A net that sends only some of its inputs through a part is modelled one input after the other, which makes
    sense at a batch size of 1 alone: how many share a reading of that part's weights is not known.

    Raises:
        ValueError: The net has layers that the model does not know, or routes its inputs at a larger batch.
    """
    try:
        return estimate(net, inputs, batch_size=batch_size).total
    except ValueError:
        if batch_size != 1:
            raise
    singles = torch.split(inputs[:32], 1)
    return sum(estimate(net, single, batch_size=1).total for single in singles) / len(singles)


class MacsCounter:
    """Counts the multiply-accumulates of convolutions and matrix products inside a block."""

    def __enter__(self) -> MacsCounter:
        self._counter, self._plain = FlopCounterMode(display=False), without_fused_kernels()
        self._plain.__enter__()
        self._counter.__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *details: Any) -> None:  # noqa: ANN401
        self._counter.__exit__(*details)  # type: ignore[no-untyped-call]
        self._plain.__exit__(*details)

    @property
    def macs(self) -> float:
        """Counted so far."""
        return self._counter.get_total_flops() / 2


@torch.no_grad()
def live_bytes(net: nn.Module, inputs: Tensor) -> int:
    """Return the most bytes of tensors that live at once in a forward pass, weights and buffers included.

    Counted are storages, each once, on any device; not the scratch memory of a kernel.
    """
    held = {tensor.untyped_storage()._cdata: tensor.untyped_storage().nbytes()
            for tensor in (*net.parameters(), *net.buffers())}  # fmt: skip
    with _LiveStorages() as live:
        net(inputs)
    most: int = live.most
    return sum(held.values()) + most


class _LiveStorages(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows storages from the operation that makes them until nothing holds them."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.most = self._now = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - what the operation returns
        given = {_storage(leaf) for leaf in tree_leaves((args, kwargs or {})) if isinstance(leaf, Tensor)}
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and _storage(leaf) not in given:
                storage = leaf.untyped_storage()
                self._now += storage.nbytes()
                weakref.finalize(storage, self._freed, storage.nbytes())
        self.most = max(self.most, self._now)
        return result

    def _freed(self, count: int) -> None:
        self._now -= count


def _storage(tensor: Tensor) -> int:
    identity: int = tensor.untyped_storage()._cdata
    return identity
