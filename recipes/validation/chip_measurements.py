"""What the Eyeriss chip did on AlexNet and VGG-16, layer by layer, as published.

Chen, Krishna, Emer, Sze, "Eyeriss: An Energy-Efficient Reconfigurable Accelerator for Deep Convolutional
Neural Networks", JSSC 52(1), 2017, tables V and VI, doi:10.1109/JSSC.2016.2616357: convolutions at 1 V, in
batches of 4 and 3 images. The rows are the transcription in github.com/cucapra/fodlam (data/eyeriss-*.csv,
commit cde53fd); totals and accesses per MAC agree with the text of the paper. A megabyte is 10^6 bytes:
only so do 15.4 MB make the 0.0029 accesses per MAC that the paper gives.

How many outputs the chip stored as zeros was not published. For AlexNet they are those of CNNergy's driver.
For VGG-16 they are the zeros that the next layer reads; where pooling lies between, that is a lower bound,
since a maximum is rarer zero than what it is taken from. The last layer's are taken to be its inputs'.
"""

from __future__ import annotations

from dataclasses import dataclass

from recipes.common.energy.layers import LayerShape
from recipes.validation.reference_networks import NETWORKS, with_densities


@dataclass(frozen=True)
class ChipLayer:
    """Measurements of one convolution over a whole batch."""

    name: str
    """Name of the layer in `reference_networks`."""
    power_mw: float
    """Power of the chip, DRAM left out."""
    latency_ms: float
    """Time from the first read to the last write."""
    input_zeros: float
    """Zeros among the inputs, as a fraction."""
    buffer_mb: float
    """Accesses to the shared buffer, in 10^6 bytes."""
    dram_mb: float
    """Accesses to DRAM, in 10^6 bytes."""


@dataclass(frozen=True)
class ChipRun:
    """Measurements of the convolutions of one network."""

    network: str
    """Name in `reference_networks.NETWORKS`."""
    batch_size: int
    """Images of a batch."""
    layers: tuple[ChipLayer, ...]
    """The convolutions in order."""
    output_zeros: tuple[float, ...]
    """Zeros among the stored outputs, as fractions; assumed, not measured."""

    def shapes(self, *, dense: bool) -> tuple[LayerShape, ...]:
        """Return the shapes of the convolutions, with the zeros of this run unless `dense`."""
        by_name = {shape.name: shape for shape in NETWORKS[self.network]}
        shapes = tuple(by_name[layer.name] for layer in self.layers)
        if dense:
            return shapes
        zeros = zip(shapes, self.layers, self.output_zeros, strict=True)
        return tuple(
            with_densities(shape, inputs=1 - layer.input_zeros, outputs=1 - stored)
            for shape, layer, stored in zeros
        )


ALEXNET_OUTPUT_ZEROS = (0.5102, 0.8066, 0.7244, 0.7018, 0.9050)
"""github.com/manasiumn37/CNNergy, AlexNet driver."""

ALEXNET_LINEAR_ZEROS = {"fc6": (0.7113, 0.8312), "fc7": (0.8312, 0.8125), "fc8": (0.8125, 0.0)}
"""Zeros among inputs and outputs of the layers that the chip was not measured on, from the same driver."""

ALEXNET = ChipRun(
    "AlexNet",
    4,
    (
        ChipLayer("conv1", 332, 20.9, 0.0001, 18.5, 5.0),
        ChipLayer("conv2", 288, 41.9, 0.387, 77.6, 4.0),
        ChipLayer("conv3", 266, 23.6, 0.725, 50.2, 3.0),
        ChipLayer("conv4", 235, 18.4, 0.793, 37.4, 2.1),
        ChipLayer("conv5", 236, 10.5, 0.776, 24.9, 1.3),
    ),
    ALEXNET_OUTPUT_ZEROS,
)

_VGG16_LAYERS = (
    ChipLayer("conv1-1", 247, 76.2, 0.016, 112.6, 15.4),
    ChipLayer("conv1-2", 218, 910.3, 0.477, 2402.8, 54.0),
    ChipLayer("conv2-1", 242, 470.3, 0.248, 1201.4, 33.4),
    ChipLayer("conv2-2", 231, 894.3, 0.387, 2402.8, 48.5),
    ChipLayer("conv3-1", 254, 241.1, 0.397, 607.4, 20.2),
    ChipLayer("conv3-2", 235, 460.9, 0.581, 1214.8, 32.2),
    ChipLayer("conv3-3", 233, 457.7, 0.587, 1214.8, 30.8),
    ChipLayer("conv4-1", 278, 135.8, 0.643, 321.8, 17.8),
    ChipLayer("conv4-2", 261, 254.8, 0.747, 643.7, 28.6),
    ChipLayer("conv4-3", 240, 246.3, 0.854, 643.7, 22.8),
    ChipLayer("conv5-1", 258, 54.3, 0.794, 90.0, 6.3),
    ChipLayer("conv5-2", 236, 53.7, 0.874, 90.0, 5.7),
    ChipLayer("conv5-3", 230, 53.7, 0.885, 90.0, 5.6),
)

VGG16 = ChipRun(
    "VGG-16",
    3,
    _VGG16_LAYERS,
    (*(layer.input_zeros for layer in _VGG16_LAYERS[1:]), _VGG16_LAYERS[-1].input_zeros),
)

RUNS = (ALEXNET, VGG16)
"""Both runs."""


def alexnet_with_zeros() -> tuple[LayerShape, ...]:
    """Return all eight layers of AlexNet with the zeros above."""
    linear = [
        with_densities(shape, inputs=1 - zeros[0], outputs=1 - zeros[1])
        for shape in NETWORKS["AlexNet"]
        if (zeros := ALEXNET_LINEAR_ZEROS.get(shape.name))
    ]
    return (*ALEXNET.shapes(dense=False), *linear)
