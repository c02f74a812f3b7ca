"""What can be counted exactly of a net without a meter.

Counted are multiply-accumulates (MACs), floating-point operations, and the bytes of tensors allocated.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


def flops(model: nn.Module, inputs: Tensor) -> int:
    """Count the floating-point operations of one forward pass.

    A multiply-accumulate counts as 2. Only matrix products, convolutions and attention are counted; biases,
    normalisation, activations and pooling are not. A weight counts whether or not it is zero.

    Args:
        model: Net in evaluation mode.
        inputs: One batch, as the net takes it.

    Source: `torch.utils.flop_counter.FlopCounterMode`.
    """
    with torch.no_grad(), without_fused_kernels(), FlopCounterMode(display=False) as counter:
        model(inputs)
    count: int = counter.get_total_flops()
    return count


def bytes_allocated(call: Callable[[], object]) -> int:
    """Count the bytes of tensor storage that a call allocates, whether or not it frees them again.

    Every storage that an operation returns and was not given is counted, on any device, once for each time
    it is made. Views and work in place allocate nothing. Scratch memory that a kernel takes and gives back
    within one operation is not seen, nor is what an allocator adds to round sizes up.

    Args:
        call: What is counted; its result is dropped.
    """
    with _AllocationCounter() as counter:
        call()
    total: int = counter.bytes
    return total


@contextmanager
def without_fused_kernels() -> Iterator[None]:
    """Have attention and recurrent layers computed in steps: the counter takes a fused kernel for nothing."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    with ExitStack() as stack:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of hardware that is not there, when a setting of oneDNN is changed
            stack.enter_context(torch.backends.mkldnn.flags(enabled=False))
        stack.enter_context(torch.backends.cudnn.flags(enabled=False))
        stack.enter_context(sdpa_kernel(SDPBackend.MATH))
        stack.callback(torch.backends.mha.set_fastpath_enabled, fast_path)
        torch.backends.mha.set_fastpath_enabled(False)
        yield


class _AllocationCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the storages that are new among the results of each operation."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - what the operation returns
        """Carry out one operation and look at the storages before and after it."""
        given = dict(_storages((args, kwargs or {})))
        result = func(*args, **(kwargs or {}))
        grown = dict(
            _storages((args, kwargs or {}, result))
        )  # an operation in place may enlarge what it was given
        self.bytes += sum(max(0, size - given.get(key, 0)) for key, size in grown.items())
        return result


def _storages(values: object) -> Iterator[tuple[int, int]]:
    """Yield an identity and the size in bytes of each storage in nested values."""
    for value in tree_leaves(values):
        if isinstance(value, Tensor):
            storage = value.untyped_storage()
            yield storage._cdata, storage.nbytes()
