"""Nets and inputs of digits' size, for the tests of what is shipped and pruned."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from recipes.common.run.contract import Deployable


class ResidualNet(nn.Module):
    """A residual block with batch normalisation: (batch, 1, 8, 8) to (batch, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.stem_norm = nn.Conv2d(1, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.inner, self.inner_norm = nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.output = nn.Linear(8 * 16, 10)

    def forward(self, inputs: Tensor) -> Tensor:
        first = self.stem_norm(self.stem(inputs)).relu()
        second = (first + self.inner_norm(self.inner(first))).relu()
        return self.output(nn.functional.max_pool2d(second, 2).flatten(1))


class GroupedNet(nn.Module):
    """A grouped and an ordinary convolution, and an output without bias: (batch, 2, 6, 6) to (batch, 5)."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 8, 3, padding=1)
        self.grouped = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.output = nn.Linear(8 * 36, 5, bias=False)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.output(self.grouped(self.first(inputs).relu()).relu().flatten(1))


def agreement_with(dense: nn.Module, inputs: Tensor) -> Callable[[nn.Module], float]:
    """Return the share of the inputs to which a net gives the class that `dense` gives."""
    with torch.no_grad():
        wanted = dense(inputs).argmax(1)
        return lambda model: float((model(inputs).argmax(1) == wanted).float().mean())


class BranchingNet(nn.Module):
    """A net whose way depends on the values of its inputs, which no exporter can follow."""

    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.flatten(1) * 2 if inputs.sum() > 0 else inputs.flatten(1)


class PairNet(nn.Module):
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return inputs, inputs


def residual_net() -> nn.Module:
    """Return a net with moving averages of its own, half of its weights masked, in channels-last order."""
    torch.manual_seed(0)
    net = ResidualNet()
    with torch.no_grad():
        for _ in range(5):
            net(torch.randn(64, 1, 8, 8))
        net.inner.weight[torch.rand_like(net.inner.weight) < 0.5] = 0
    return net.eval().to(memory_format=torch.channels_last)


def deployable(net: nn.Module, *, test_count: int = 40, labelled: bool = True) -> Deployable:
    """Return the net with random inputs; half of the labels are those that it gives."""
    generator = torch.Generator().manual_seed(1)
    calibration = torch.randn(256, 1, 8, 8, generator=generator)
    test = torch.randn(test_count, 1, 8, 8, generator=generator)
    if not labelled:
        return Deployable(net, calibration, test)
    with torch.no_grad():
        labels = net(test).argmax(1)
    labels[::2] = (labels[::2] + 1) % 10
    return Deployable(net, calibration, test, labels)
