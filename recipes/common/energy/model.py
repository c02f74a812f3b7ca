"""Modelled energy of one inference, in multiples of one 16-bit multiply-accumulate (MAC).

The energy of a layer is its arithmetic plus its data movement. Weights, inputs and outputs are each moved a
number of times at each of four levels, and a move costs what its level costs (Chen, Emer, Sze, "Eyeriss: A
Spatial Architecture for Energy-Efficient Dataflow for Convolutional Neural Networks", ISCA 2016; used for
pruning by Yang, Chen, Sze, "Designing Energy-Efficient Convolutional Neural Networks using Energy-Aware
Pruning", CVPR 2017). How often data move follows from the shape of the layer, the zeros in its weights and
activations, the bit widths and the cheapest row-stationary mapping.

Modelled, never measured: a figure is a number of 16-bit MACs, not of joules. The hardware is one published
accelerator; control, clock, leakage, biases, pooling, normalisation and activation functions cost nothing
in it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from recipes.common.energy.layers import LayerShape, trace_layers
from recipes.common.energy.row_stationary import EYERISS, Accesses, Hardware, fewest_moves

__all__ = ["EYERISS", "Accesses", "Hardware", "LayerEnergy", "NetworkEnergy", "estimate"]


@dataclass(frozen=True)
class LayerEnergy:
    """One layer's work per image; a layer called several times in one forward pass has the sum of its calls.

    Weights are charged anew at every call, because other layers' data pass through the buffer in between.
    """

    name: str
    """Name in `model.named_modules()`."""
    calls: tuple[LayerShape, ...]
    """Shape of every call."""
    rf_accesses: Accesses
    """Registers inside the processing elements (PEs)."""
    array_accesses: Accesses
    """Words that PEs receive over the array."""
    buffer_accesses: Accesses
    """The buffer that the PEs share."""
    dram_accesses: Accesses
    """DRAM."""
    hardware: Hardware = field(repr=False)
    """The accelerator that the accesses are counted for."""

    @property
    def macs(self) -> float:
        """MACs whose weight and activation are both not zero."""
        return sum(call.macs for call in self.calls)

    @property
    def dense_macs(self) -> int:
        """MACs without looking at zeros, those with padding included."""
        return sum(call.dense_macs for call in self.calls)

    @property
    def energy(self) -> float:
        """Energy in multiples of one 16-bit MAC."""
        return sum(self.by_level().values())

    def by_level(self) -> dict[str, float]:
        """Energy of `mac`, `rf`, `array`, `buffer` and `dram`, in multiples of one 16-bit MAC.

        A MAC costs in proportion to the product of its operands' widths, because its multiplier is nearly
        all of it: 0.90 of 0.95 pJ at 45 nm and 16 bits (constants of CNNergy).
        """
        return {
            "mac": self.macs * self.hardware.weight_bits * self.hardware.activation_bits / 16**2,
            "rf": self.hardware.rf_energy * self.rf_accesses.total,
            "array": self.hardware.array_energy * self.array_accesses.total,
            "buffer": self.hardware.buffer_energy * self.buffer_accesses.total,
            "dram": self.hardware.dram_energy * self.dram_accesses.total,
        }

    def by_data_type(self) -> dict[str, float]:
        """Energy of `computation` and of moving `weights`, `inputs` and `outputs` with partial sums."""
        levels = (
            (self.hardware.rf_energy, self.rf_accesses),
            (self.hardware.array_energy, self.array_accesses),
            (self.hardware.buffer_energy, self.buffer_accesses),
            (self.hardware.dram_energy, self.dram_accesses),
        )
        return {
            "computation": self.by_level()["mac"],
            "weights": sum(cost * accesses.weights for cost, accesses in levels),
            "inputs": sum(cost * accesses.inputs for cost, accesses in levels),
            "outputs": sum(cost * accesses.outputs for cost, accesses in levels),
        }


@dataclass(frozen=True)
class NetworkEnergy:
    """Modelled work of a network per image."""

    layers: tuple[LayerEnergy, ...]
    """Layers in the order of their first calls."""
    batch_size: int
    """Images that share one reading of the weights."""

    @property
    def total(self) -> float:
        """Energy in multiples of one 16-bit MAC."""
        return sum(layer.energy for layer in self.layers)

    @property
    def macs(self) -> float:
        """MACs whose weight and activation are both not zero."""
        return sum(layer.macs for layer in self.layers)

    @property
    def dense_macs(self) -> int:
        """MACs without looking at zeros, those with padding included."""
        return sum(layer.dense_macs for layer in self.layers)

    def by_level(self) -> dict[str, float]:
        """Energy of `mac`, `rf`, `array`, `buffer` and `dram` over all layers."""
        return _sum_by_key([layer.by_level() for layer in self.layers])

    def by_data_type(self) -> dict[str, float]:
        """Energy of `computation` and of moving `weights`, `inputs` and `outputs` over all layers."""
        return _sum_by_key([layer.by_data_type() for layer in self.layers])


def estimate(
    model: nn.Module, example_input: Tensor, *, batch_size: int, hardware: Hardware = EYERISS
) -> NetworkEnergy:
    """Model the energy of one inference on a row-stationary accelerator.

    Args:
        model: Convolutions, linear layers and anything without products: normalisation, activation, pooling,
            dropout, additions in `forward`. Run once in evaluation mode and left as it was found; neither
            compiled nor wrapped. Layers that `forward` does not call cost nothing and are left out.
        example_input: Calibration batch `[images, ...]` of any number of images; the shapes and the zeros
            in the activations are taken from it.
        batch_size: Images that share one reading of the weights. State it beside every figure: at 1 the
            weights of linear layers dominate.
        hardware: The accelerator and its bit widths; `dataclasses.replace(EYERISS, weight_bits=8)` for
            others.

    Returns:
        Counts and energies per image, means over the calibration batch.

    Raises:
        ValueError: An argument is out of range, a layer is not modelled, or no layer was called.
    """
    _check_arguments(example_input, batch_size)
    calls: dict[str, list[LayerShape]] = {}
    for shape in trace_layers(model, example_input):
        calls.setdefault(shape.name, []).append(shape)
    if not calls:
        raise ValueError(
            f"{type(model).__name__}: expected a call of nn.Conv1d, nn.Conv2d or nn.Linear, got none; "
            "pass the model that holds the layers"
        )
    layers = [_layer_energy(name, shapes, batch_size, hardware) for name, shapes in calls.items()]
    return NetworkEnergy(layers=tuple(layers), batch_size=batch_size)


def to_mit_format(network: NetworkEnergy) -> str:
    """Write the layers of an estimate as input of the MIT energy estimation tool, for a check by hand.

    The tool (Yang, Chen, Emer, Sze, "A Method to Estimate the Energy Consumption of Deep Neural Networks",
    Asilomar 2017) is closed and on the web; its format is known to us from a third-party converter. Each
    layer has one line of 25 comma-separated integers, ended by a newline:

    | columns | content |
    |---|---|
    | 0 | number of the line, from 1 |
    | 1-6 | input: height, width, channels, number of maps, zeros, bits |
    | 7-12 | filter: height, width, channels, number of filters, zeros, bits |
    | 13-18 | output: height, width, channels, number of maps, zeros, bits |
    | 19-20 | stride along height and width |
    | 21-24 | padding above, below, left, right |

    The number of maps is taken to be the batch, and zeros are counted over all of its maps, padding left
    out. A linear layer is written as a 1 x 1 convolution. Groups show only in that filters have fewer
    channels than the input.

    Raises:
        ValueError: A layer is dilated, which the format cannot say.
    """
    calls = [(layer, call) for layer in network.layers for call in layer.calls]
    dilated = [call.name for _, call in calls if call.dilation != (1, 1)]
    if dilated:
        raise ValueError(
            f"to_mit_format: expected layers without dilation, got {', '.join(dilated)}; the format has no "
            "column for it, so export the model without these layers"
        )
    lines = [
        _line(number, layer, call, network.batch_size) for number, (layer, call) in enumerate(calls, start=1)
    ]
    return "".join(",".join(map(str, line)) + "\n" for line in lines)


def _check_arguments(example_input: object, batch_size: object) -> None:
    if not isinstance(example_input, Tensor) or not example_input.is_floating_point():
        got = example_input.dtype if isinstance(example_input, Tensor) else type(example_input).__name__
        raise ValueError(
            f"example_input: expected a floating-point tensor [images, ...], got {got}; "
            "pass one batch of inputs, without labels; of a net that reads tokens, what follows its embedding"
        )
    if example_input.ndim < 2 or not example_input.numel():
        raise ValueError(
            "example_input: expected shape [images, ...] with one image or more, got "
            f"{list(example_input.shape)}; add a batch axis with unsqueeze(0)"
        )
    if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
        raise ValueError(
            f"batch_size: expected a whole number of at least 1, got {batch_size!r}; pass the number of "
            "images that share one reading of the weights"
        )


def _layer_energy(name: str, shapes: list[LayerShape], batch_size: int, hardware: Hardware) -> LayerEnergy:
    moves = [fewest_moves(shape, batch_size, hardware) for shape in shapes]
    none = Accesses(0.0, 0.0, 0.0)
    return LayerEnergy(
        name=name,
        calls=tuple(shapes),
        rf_accesses=sum((move.rf for move in moves), none),
        array_accesses=sum((move.array for move in moves), none),
        buffer_accesses=sum((move.buffer for move in moves), none),
        dram_accesses=sum((move.dram for move in moves), none),
        hardware=hardware,
    )


def _sum_by_key(parts: list[dict[str, float]]) -> dict[str, float]:
    return {key: sum(part[key] for part in parts) for key in parts[0]}


def _line(number: int, layer: LayerEnergy, call: LayerShape, batch_size: int) -> list[int]:
    weight_bits, activation_bits = layer.hardware.weight_bits, layer.hardware.activation_bits
    input_zeros = round((call.inputs - call.input_nonzeros) * batch_size)
    output_zeros = round((call.outputs - call.output_nonzeros) * batch_size)
    weight_zeros = call.weights - call.weight_nonzeros
    filter_channels = call.input_channels // call.groups
    return [
        number,
        *(*call.input_size, call.input_channels, batch_size, input_zeros, activation_bits),
        *(*call.filter_size, filter_channels, call.filters, weight_zeros, weight_bits),
        *(*call.output_size, call.filters, batch_size, output_zeros, activation_bits),
        *call.stride,
        *call.padding,
    ]
