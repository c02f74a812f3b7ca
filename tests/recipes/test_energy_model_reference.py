"""The model against published figures and known orders; its parameters are those of the published hardware.

AlexNet on the Eyeriss chip needed 0.0029 DRAM accesses per MAC in the convolutions at a batch of 4 (Chen et
al., JSSC 2017). Zero fractions per layer are those of CNNergy's AlexNet driver.
"""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recipes.common.energy.model import NetworkEnergy, estimate

MEASURED_DRAM_ACCESSES_PER_MAC = 0.0029
CONVOLUTIONS = {
    "conv1": ((3, 96, 11, 4, 0, 1), 227),
    "conv2": ((96, 256, 5, 1, 2, 2), 27),
    "conv3": ((256, 384, 3, 1, 1, 1), 13),
    "conv4": ((384, 384, 3, 1, 1, 2), 13),
    "conv5": ((384, 256, 3, 1, 1, 2), 13),
}
"""Channels, filters, filter size, stride, padding and groups; input height and width."""
ZERO_FRACTIONS = {
    "conv1": (0.0001, 0.5102),
    "conv2": (0.3870, 0.8066),
    "conv3": (0.7250, 0.7244),
    "conv4": (0.7930, 0.7018),
    "conv5": (0.7760, 0.9050),
}
"""Of inputs and outputs."""


class Zeroed(nn.Module):
    """Sets a fraction of the activations to zero, spread at random."""

    def __init__(self, fraction: float):
        super().__init__()
        self.fraction = fraction

    def forward(self, activations):
        count = activations[0].numel()
        order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
        kept = (order >= round(self.fraction * count)).to(activations.dtype)
        return activations * kept.reshape(activations.shape[1:])


def alexnet_convolutions(zero_fractions: dict[str, tuple[float, float]]) -> list[NetworkEnergy]:
    networks = []
    for name, ((channels, filters, size, stride, padding, groups), extent) in CONVOLUTIONS.items():
        of_inputs, of_outputs = zero_fractions[name]
        convolution = nn.Conv2d(channels, filters, size, stride, padding, groups=groups, bias=False)
        nn.init.ones_(convolution.weight)
        images = Zeroed(of_inputs)(torch.ones(1, channels, extent, extent))
        networks.append(estimate(nn.Sequential(convolution, Zeroed(of_outputs)), images, batch_size=4))
    return networks


@pytest.mark.parametrize(
    "zero_fractions",
    [dict.fromkeys(CONVOLUTIONS, (0.0, 0.0)), dict.fromkeys(CONVOLUTIONS, (0.57, 0.57)), ZERO_FRACTIONS],
    ids=["dense", "density 0.43", "published zeros"],
)
def test_alexnet_dram_accesses_per_mac_are_those_of_the_chip(zero_fractions):
    networks = alexnet_convolutions(zero_fractions)
    macs = sum(network.dense_macs for network in networks)
    accesses = sum(layer.dram_accesses.total for network in networks for layer in network.layers)
    assert macs == 665_784_864
    assert accesses / macs == pytest.approx(MEASURED_DRAM_ACCESSES_PER_MAC, rel=0.3)


def test_alexnet_registers_cost_most_in_the_convolutions():
    # As in Chen, Emer, Sze, ISCA 2016, for the row-stationary dataflow.
    for network in alexnet_convolutions(ZERO_FRACTIONS):
        by_level = network.by_level()
        assert max(by_level, key=by_level.__getitem__) == "rf"


def alexnet() -> nn.Sequential:
    """AlexNet with two groups: 60.9 million weights, all ones."""
    layers: list[nn.Module] = []
    for name, ((channels, filters, size, stride, padding, groups), _) in CONVOLUTIONS.items():
        layers += [nn.Conv2d(channels, filters, size, stride, padding, groups=groups, bias=False), nn.ReLU()]
        nn.init.ones_(layers[-2].weight)
        layers += [nn.MaxPool2d(3, 2)] if name in ("conv1", "conv2", "conv5") else []
    layers.append(nn.Flatten())
    for inputs, outputs in ((9216, 4096), (4096, 4096), (4096, 1000)):
        layers += [nn.utils.skip_init(nn.Linear, inputs, outputs, bias=False), nn.ReLU()]
        nn.init.ones_(layers[-2].weight)
    return nn.Sequential(*layers)


def test_alexnet_at_batch_1_costs_several_times_what_it_costs_at_batch_44():
    model, images = alexnet(), torch.ones(1, 3, 227, 227)
    alone, shared = (estimate(model, images, batch_size=batch_size) for batch_size in (1, 44))
    assert alone.dense_macs == 724_406_816
    assert 3 < alone.total / shared.total < 6
    weights = sum(layer.dram_accesses.weights for layer in alone.layers[-3:])
    assert weights == 37_748_736 + 16_777_216 + 4_096_000
    assert 200 * weights > 0.5 * alone.total


def lenet() -> nn.Sequential:
    return nn.Sequential(
        *(
            nn.Conv2d(1, 20, 5),
            Zeroed(0.5),
            nn.MaxPool2d(2),
            nn.Conv2d(20, 50, 5),
            Zeroed(0.5),
            nn.MaxPool2d(2),
        ),
        *(nn.Flatten(), nn.Linear(800, 500), Zeroed(0.5), nn.Linear(500, 10)),
    )


def mini_alexnet() -> nn.Sequential:
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 5, stride=2, padding=2), Zeroed(0.5)),
        *(nn.Conv2d(32, 64, 3, padding=1), Zeroed(0.5), nn.MaxPool2d(2)),
        *(nn.Conv2d(64, 96, 3, padding=1), Zeroed(0.5), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(864, 512), Zeroed(0.5), nn.Linear(512, 10)),
    )


def shares(model: nn.Sequential, batch_size: int) -> dict[str, float]:
    network = estimate(model, torch.rand(1, 1, 28, 28), batch_size=batch_size)
    names = [type(model[int(layer.name)]).__name__[0].lower() for layer in network.layers]
    numbered = [f"{name}{names[: i + 1].count(name)}" for i, name in enumerate(names)]
    return {name: part.energy / network.total for name, part in zip(numbered, network.layers, strict=True)}


def order(share: dict[str, float]) -> list[str]:
    return sorted(share, key=share.__getitem__, reverse=True)


def test_lenet_first_linear_layer_rules_at_batch_1_only():
    alone, shared = shares(lenet(), 1), shares(lenet(), 48)
    assert order(alone) == ["l1", "c2", "c1", "l2"]
    assert alone["l1"] > 0.75
    assert max(shared.values()) < 0.6
    assert min(shared["c1"], shared["c2"], shared["l1"]) > 0.15


def test_mini_alexnet_order_depends_on_the_batch():
    assert order(shares(mini_alexnet(), 1)) == ["l1", "c3", "c2", "c1", "l2"]
    assert order(shares(mini_alexnet(), 48)) == ["c2", "c3", "l1", "c1", "l2"]
