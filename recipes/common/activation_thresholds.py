"""ReLUs that drop small positive values too, so that more activations are zero.

This is the FATReLU of Kurtz et al., "Inducing and Exploiting Activation Sparsity for Fast Inference on Deep
Neural Networks", ICML 2020.
"""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn


@torch.no_grad()
def use_thresholds(model: nn.Module, images: Tensor, removed_fraction: float) -> dict[nn.Threshold, float]:
    """Replace each ReLU by a threshold: x where it is above, else 0. The thresholds are 0 for now.

    Args:
        model: Changed in place; each nn.ReLU is called once in a forward pass.
        images: (images, ...), to see how large the outputs of each ReLU are.
        removed_fraction: Fraction of a ReLU's positive outputs to drop, at least 0 and below 1.

    Returns:
        For each new module the threshold that drops this fraction on these images, to be set as its
        `threshold`, at once or little by little in a training.

    Raises:
        ValueError: The model has no nn.ReLU module with a positive output, or the fraction is out of range.
    """
    if not 0 <= removed_fraction < 1:
        raise ValueError(f"removed_fraction: expected at least 0 and below 1, got {removed_fraction:g}")
    positive: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        positive[name] = outputs[outputs > 0]

    rectifiers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ReLU)]
    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in rectifiers]
    model(images)
    for hook in hooks:
        hook.remove()
    thresholds = {}
    for name, values in positive.items():
        if len(values):
            module = nn.Threshold(0.0, 0.0)
            model.set_submodule(name, module)
            thresholds[module] = float(values.kthvalue(1 + int(removed_fraction * len(values))).values)
    if not thresholds:
        raise ValueError(f"{type(model).__name__}: expected an nn.ReLU module that fires, found none")
    return thresholds
