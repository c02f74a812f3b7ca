"""What a training step of a language model keeps in memory, counted."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


def bytes_for_gradients(net: nn.Module, loss: Callable[[], Tensor]) -> int:
    """Return the bytes that computing a loss keeps until its gradient is known, the weights aside."""
    kept = dict[int, int]()  # bytes by address: several operations keep the same numbers

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        graph = loss()  # held here, so that no address is used twice
    weights = {weight.untyped_storage().data_ptr() for weight in net.parameters()}
    del graph
    return sum(size for address, size in kept.items() if address not in weights)
