"""A convolution that trains as several branches and runs as one.

Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021 (arXiv 2101.03697), section 3.3:
branches that are linear add up to one convolution once their batch normalisation has fixed statistics.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from recipes.common.model_checks import computed_weights, fault, in_training, label, registered_twice, wrapped


class FoldingBlock(nn.Module):
    """3x3 convolution, 1x1 convolution and identity side by side: (batch, in, ...) to (batch, out, ...).

    Attributes:
        wide: 3x3 convolution; `wide_bn` follows.
        narrow: 1x1 convolution on the pixels in the middle of the 3x3 kernels; `narrow_bn` follows.
        identity_bn: Batch normalisation of the inputs; None where channels or stride change.
        relu: After the sum.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        """Build the block with PyTorch's default initial weights."""
        super().__init__()
        self.wide = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.wide_bn = nn.BatchNorm2d(out_channels)
        self.narrow = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.narrow_bn = nn.BatchNorm2d(out_channels)
        same = in_channels == out_channels and stride == 1
        self.identity_bn = nn.BatchNorm2d(in_channels) if same else None
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the rectified sum of the branches."""
        total = self.wide_bn(self.wide(inputs)) + self.narrow_bn(self.narrow(inputs))
        outputs: Tensor = self.relu(total if self.identity_bn is None else total + self.identity_bn(inputs))
        return outputs

    @torch.no_grad()
    def folded(self) -> nn.Sequential:
        """Return one 3x3 convolution and its ReLU that compute the same in evaluation mode."""
        weight, bias = _with_bias(self.wide.weight, self.wide_bn)
        branches = [_with_bias(self.narrow.weight, self.narrow_bn)]
        if self.identity_bn is not None:
            identity = torch.eye(len(weight), device=weight.device)[:, :, None, None]
            branches.append(_with_bias(identity, self.identity_bn))
        for middle, shift in branches:
            weight[:, :, 1:2, 1:2] += middle
            bias += shift
        layer = nn.Conv2d(weight.shape[1], len(weight), 3, self.wide.stride, padding=1, device="meta")  # type: ignore[arg-type]
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return nn.Sequential(layer, nn.ReLU()).train(self.training)


def fold(model: nn.Module) -> nn.Module:
    """Return a copy of a net in which one convolution stands for the branches of each block.

    Args:
        model: Net in evaluation mode: folding fixes the statistics of batch normalisation.

    Raises:
        ValueError: A part of the net is in training mode, or the net is one that `unfit_to_fold` names.
    """
    if unfit_to_fold(model):
        raise ValueError(unfit_to_fold(model))
    if in_training(model):
        raise ValueError(in_training(model))
    blocks = [name for name, module in model.named_modules() if name and isinstance(module, FoldingBlock)]
    net = copy.deepcopy(model)
    for name in blocks:
        block = net.get_submodule(name)
        assert isinstance(block, FoldingBlock)
        net.set_submodule(name, block.folded())
    return net


def unfit_to_fold(model: nn.Module) -> str:
    """Return why a net cannot be folded, as `recipes.common.model_checks` does, or an empty text."""
    blocks = {name: module for name, module in model.named_modules() if isinstance(module, FoldingBlock)}
    reason = wrapped(model) or computed_weights(model) or registered_twice(model, list(blocks.values()))
    if reason:
        return reason
    if not blocks:
        cure = "build the net with blocks from recipes.common.folding_block"
        return f"nothing to fold: {fault(label('', model), 'a FoldingBlock in the net', 'none', cure)}"
    if "" in blocks:
        cure = "wrap it: nn.Sequential(block)"
        return fault(label("", model), "a net that holds blocks", "a FoldingBlock alone", cure)
    for name, block in blocks.items():
        for part, norm in block.named_children():
            if isinstance(norm, nn.BatchNorm2d) and (norm.running_mean is None or norm.weight is None):
                cure = "build it with the defaults of nn.BatchNorm2d"
                got = "one without"
                return fault(label(f"{name}.{part}", norm), "running statistics, scale and offset", got, cure)
    return ""


def _with_bias(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weights and biases of the convolution that includes the batch normalisation after it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale
