"""Depthwise separable convolutions in place of full ones: each channel by itself, then all at one pixel.

After Howard et al., "MobileNets", 2017 (arXiv 1704.04861). The dearest convolutions are replaced until the
net costs a share of what it did, and the new net is trained from random weights, as long as the old one.
Rivals cost as much: the same net with fewer channels, alone and with a teacher; and convolutions taken apart
the other way, along height and then along width (Szegedy et al., "Rethinking the Inception Architecture",
2015, arXiv 1512.00567). Spiking nets, which the record names as well, need another kind of processor.

    python -m recipes.choose_a_lightweight_algorithm_alternative --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable

from torch import nn

from recipes.common.nets.checks import fault, label, registered_twice
from recipes.common.run.contract import CannotRun
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, thin_distilled
from recipes.common.trial.study import Study
from recipes.decrease_model_complexity import trained_narrower

TACTIC = "choose-a-lightweight-algorithm-alternative"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "macs"
TAUGHT = True
SHARES = (0.2, 0.45)  # of the multiply-accumulates, at most: the nets of a curve

# --- The tactic ------------------------------------------------------------------------------------------

Cost = Callable[[nn.Module], float]


# --8<-- [start:tactic]
def separable(full: nn.Conv2d) -> nn.Sequential:
    """Return what takes the place of a full convolution, with random weights.

    A full one multiplies kernel x inputs x outputs times at a pixel, this one kernel x inputs + inputs x
    outputs times: with a kernel of 3 x 3 and many outputs nearly nine times fewer.
    """
    size, stride, padding, dilation = full.kernel_size, full.stride, full.padding, full.dilation
    channels = full.in_channels
    return nn.Sequential(
        nn.Conv2d(channels, channels, size, stride, padding, dilation, channels, bias=False),  # type: ignore[arg-type]
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, full.out_channels, 1, bias=full.bias is not None),
    )


def with_lighter_convolutions(
    model: nn.Module, cost: Cost, limit: float, lighter: Callable[[nn.Conv2d], nn.Module] = separable
) -> nn.Module:
    """Return an untrained net whose dearest full convolutions are replaced, until it costs little enough.

    Args:
        model: Net in evaluation mode; not changed.
        cost: Cost of a net.
        limit: Largest cost allowed. Where all convolutions are replaced and it is not met, they stay so.
        lighter: Makes what takes the place of a convolution.

    Raises:
        ValueError: No convolution can be replaced.
    """
    net = copy.deepcopy(model)

    def saving(name: str) -> float:
        trial = copy.deepcopy(net)
        trial.set_submodule(name, lighter(trial.get_submodule(name)))  # type: ignore[arg-type]
        return cost(net) - cost(trial.eval())

    full = [
        name
        for name, layer in net.named_modules()
        if isinstance(layer, nn.Conv2d)
        and layer.groups == 1 < min(layer.kernel_size)
        and layer.in_channels > 1
    ]
    if again := registered_twice(net, {net.get_submodule(name) for name in full}):
        raise ValueError(again)
    savings = {name: saving(name) for name in full}
    for name in sorted(full, key=lambda name: -savings[name]):
        if cost(net) <= limit or savings[name] <= 0:
            break
        net.set_submodule(name, lighter(net.get_submodule(name)))  # type: ignore[arg-type]
        net.eval()
    if cost(net) >= cost(model):
        expected = "full convolutions of several channels that cost more than separable ones"
        raise ValueError(fault(label("", model), expected, "none", "take another tactic for this net"))
    for module in net.modules():
        if reset := getattr(module, "reset_parameters", None):
            reset()
    return net


# --8<-- [end:tactic]
# --- Rivals and arms -------------------------------------------------------------------------------------


def along_height_and_width(full: nn.Conv2d) -> nn.Sequential:
    """Return two convolutions in place of one, along height and then along width."""
    if isinstance(full.padding, str) or full.padding_mode != "zeros":
        raise CannotRun(
            f"{full}: expected padding by numbers of zeros, got another; this arm does not take it apart"
        )
    (high, wide), (down, right), (top, side) = full.kernel_size, full.stride, full.padding
    middle = min(full.in_channels, full.out_channels)  # wider ones would save nothing
    return nn.Sequential(
        nn.Conv2d(full.in_channels, middle, (high, 1), (down, 1), (top, 0), bias=False),
        nn.BatchNorm2d(middle),
        nn.ReLU(),
        nn.Conv2d(middle, full.out_channels, (1, wide), (1, right), (0, side), bias=full.bias is not None),
    )


def replaced(study: Study, lighter: Callable[[nn.Conv2d], nn.Module]) -> Nets:
    """Train nets with lighter convolutions, as many of them as each share of the cost asks for."""
    whole, before = study.fresh(), 0.0
    for share in SHARES:
        net = with_lighter_convolutions(whole, study.cost, share * study.cost(whole), lighter)
        if study.cost(net) == before:  # the smaller share was not met either
            continue
        before = study.cost(net)
        study.train(net, study.epochs_left(net))
        yield f"{before / study.cost(whole):.0%} of the operations", net


def tactic(study: Study) -> Nets:
    """Replace the dearest convolutions by separable ones."""
    yield from replaced(study, separable)


def spatially_separable(study: Study) -> Nets:
    """Take the dearest convolutions apart along height and width."""
    yield from replaced(study, along_height_and_width)


def fewer_channels(study: Study) -> Nets:
    """Train the net with fewer channels, to the same shares of the cost."""
    yield from trained_narrower(study, SHARES)


ARMS = (tactic, fewer_channels, thin_distilled, spatially_separable)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
