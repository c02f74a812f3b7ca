"""A net redesigned for few positions and integer kernels, taught by the net that it replaces.

After Ding et al., "RepVGG", CVPR 2021 (arXiv 2101.03697), for branches that fold into one convolution;
Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531); Jacob et al., CVPR
2018 (arXiv 1712.05877), for integers at inference. Simplified: one family of shapes, of three widths; the
teacher is the net as given; nets are rounded to 8 bits after training, where they are timed. Rivals: the same
shape without branches; and the present net, taught too, without its dearest block and thinner, to the same
cost. What quantises the net as given and stops there is `as_given`.

    python -m recipes.redesign_distil_and_quantise --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import math
import sys

import torch
from torch import Tensor, nn

from recipes.common.nets.checks import (
    computed_weights,
    fault,
    in_training,
    label,
    registered_twice,
    wrapped,
)
from recipes.common.nets.resnet import ResidualBlock
from recipes.common.pruning.channels import cut_channels
from recipes.common.run.contract import CannotRun
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, distillation, with_random_weights
from recipes.common.trial.study import Study, seed_all

TACTIC = "redesign-distil-and-quantise"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "macs"
TAUGHT = True
# of the stem, to choose from; the last stage has 4 times as many
WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
NETS = 3  # of the curve
LARGEST_SHARE = 0.6  # of the cost of the net as given, for the widest of them

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def redesigned(model: nn.Module, example_inputs: Tensor, *, width: int) -> nn.Sequential:
    """Return an untrained net for the images and classes of another one, of few positions and plain layers.

    Time of an int8 convolution goes with its positions, for gathering and rounding, and so no block works at
    the resolution of the images. Most layers stand where maps are about 4 pixels high. Train it, best with
    what the other net says, and `fold` it before it is exported.

    Args:
        model: Net in evaluation mode that is to be replaced; it gives (images, classes).
        example_inputs: At least one input, (images, channels, height, width).
        width: Channels of the first layer; 4 times as many leave the last. Kernels for int8 want multiples of
            16, at least where most of the work is.

    Raises:
        ValueError: The net takes no images, or does not give classes, or the images are below 4 pixels.
    """
    shape = tuple(example_inputs.shape)
    if len(shape) != 4 or not example_inputs.is_floating_point() or min(shape[2:]) < 4:
        got = f"{example_inputs.dtype} of shape {shape}"
        expected = "images in floating point, (images, channels, height, width), of 4 pixels or more"
        raise ValueError(fault("example_inputs", expected, got, "shrink nets of another kind otherwise"))
    if in_training(model):
        raise ValueError(in_training(model))
    with torch.no_grad():
        outputs = model(example_inputs[:2])
    if not isinstance(outputs, Tensor) or outputs.ndim != 2:
        got = f"shape {tuple(outputs.shape)}" if isinstance(outputs, Tensor) else type(outputs).__name__
        cure = "only nets that classify whole images are replaced"
        raise ValueError(fault(label("", model), "one tensor as output, (images, classes)", got, cure))
    halvings = max(1, round(math.log2(min(shape[2:]) / 4)))  # 3 for 28 pixels: maps of 14, 7 and 4
    layers: list[nn.Module] = [
        nn.Conv2d(shape[1], width, 3, stride=2, padding=1, bias=False),  # (images, width, height / 2, ...)
        nn.BatchNorm2d(width),
        nn.ReLU(),
    ]
    for stage in range(1, max(3, halvings)):
        inputs, channels = (min(2**number, 4) * width for number in (stage - 1, stage))
        layers.append(FoldingBlock(inputs, channels, stride=2 if stage < halvings else 1))
    return nn.Sequential(
        *layers,
        ResidualBlock(4 * width, 2 * width, 4 * width, 1),  # narrow inside, where positions are fewest
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),  # (images, 4 * width)
        nn.Linear(4 * width, outputs.shape[1]),
    ).to(example_inputs.device)


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
    """Return why a net cannot be folded, as `recipes.common.nets.checks` does, or an empty text."""
    blocks = {name: module for name, module in model.named_modules() if isinstance(module, FoldingBlock)}
    reason = wrapped(model) or computed_weights(model) or registered_twice(model, list(blocks.values()))
    if reason:
        return reason
    if not blocks:
        cure = "build the net with such blocks, as redesigned does"
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


# --8<-- [end:tactic]
# --- Arms: all nets start from random weights and are trained for the baseline's whole life ---------------


def finished(study: Study, net: nn.Module) -> nn.Module:
    """Train a net for all that is left of the budget, taught by the net as given."""
    net = net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # trains fastest
    study.train(net, study.epochs_left(net), **distillation(study.dense))
    return net


def shape_of(study: Study, width: int) -> nn.Sequential:
    """Return the redesign with the random weights of the seed."""
    seed_all(study.seed, 5)
    return redesigned(study.copy(), study.inputs, width=width).eval()


def tactic(study: Study) -> Nets:
    """Redesign in three widths, of which all trainings are counted; distil and fold."""
    limit = LARGEST_SHARE * study.cost(study.copy())
    fit = [width for width in WIDTHS if study.cost(fold(shape_of(study, width))) <= limit]
    if len(fit) < NETS:
        raise CannotRun(
            f"{study.subject.name}: expected {NETS} redesigns of at most {limit:,.0f} {COST}, "
            f"{LARGEST_SHARE:.0%} of the net as given, got {len(fit)}; a net as small as this one can stay"
        )
    for width in fit[-NETS:]:
        yield f"width {width}", fold(finished(study, shape_of(study, width)))


def found_width(study: Study) -> int:
    """Return the width of the net that the tactic found."""
    assert study.found is not None
    stem = next(layer for layer in study.found.modules() if isinstance(layer, nn.Conv2d))
    return stem.out_channels


def without_branches(study: Study) -> Nets:
    """Train the shape that the tactic found with one plain convolution in place of each folding block."""
    net = shape_of(study, width := found_width(study))
    for name, block in list(net.named_modules()):
        if isinstance(block, FoldingBlock):
            net.set_submodule(name, nn.Sequential(block.wide, block.wide_bn, block.relu))
    yield f"width {width}, no branches", finished(study, net)


def shallower_and_thin(study: Study) -> Nets:
    """Leave out what costs most of the present net among what can go; make the rest thinner alike."""
    assert study.found is not None
    limit, whole = study.cost(study.found), study.fresh()
    tried = [(study.cost(whole), "all blocks", whole)]
    for name, part in whole.named_modules():
        if not name or not any(isinstance(layer, nn.Conv2d) for layer in part.modules()):
            continue
        net = copy.deepcopy(whole)
        net.set_submodule(name, nn.Identity().eval())
        try:
            tried.append((study.cost(net), f"without {name}", net))
        except RuntimeError:  # what follows does not fit what came before
            continue
    dearer = [each for each in tried if each[0] > limit]  # the others would be smaller than the rival
    _, what, net = min(dearer, key=lambda each: each[0])
    cut = cut_channels(net, study.inputs, study.cost, limit, by_norm=False, in_each=True)
    yield f"{what}, thin", finished(study, with_random_weights(cut, study))


ARMS = (tactic, without_branches, shallower_and_thin)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
