"""Modelled energy of one inference, in multiples of one 16-bit multiply-accumulate (MAC).

The energy of a layer is its arithmetic plus its data movement. Weights, inputs and outputs are each moved a
number of times at each of four levels, and a move costs what its level costs (Chen, Emer, Sze, "Eyeriss: A
Spatial Architecture for Energy-Efficient Dataflow for Convolutional Neural Networks", ISCA 2016; used for
pruning by Yang, Chen, Sze, "Designing Energy-Efficient Convolutional Neural Networks using Energy-Aware
Pruning", CVPR 2017). How often data move follows from the shape of the layer, the zeros in its weights and
activations, the bit widths and the cheapest row-stationary mapping.

Row-stationary: a processing element (PE) keeps a row of filters in its registers and slides it along a row
of inputs. A set of PEs, as high as the filter and as wide as a strip of output rows, makes a strip of one
output map: weights go along its rows, inputs along its diagonals, and partial sums up its columns. Sets side
by side work on other channels of the same output, or on other filters.

A MAC with a zero operand is skipped, and run-length coded data stay coded up to the PE, so that a zero
costs little on the chip too. The energy model of Yang, Zhu, Liu ("ECC", ICLR 2019) likewise charges the
buffer and the registers for non-zeros only. Partial sums are moved in full, but at most once per MAC that
is not skipped.

Modelled, never measured: a figure is a number of 16-bit MACs, not of joules. The hardware is one published
accelerator; control, clock, leakage, biases, pooling, normalisation and activation functions cost nothing
in it.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from recipes.common.energy.layers import LayerShape, trace_layers

Counts = NDArray[np.float64]


@dataclass(frozen=True)
class Hardware:
    """An accelerator: a grid of PEs with registers, a buffer they share, and DRAM."""

    rows: int = 12
    """Rows of the PE grid."""
    columns: int = 14
    """Columns of the PE grid."""
    buffer_bytes: int = 108 * 1024
    """Size of the shared buffer."""
    input_registers: int = 12
    """Inputs that one PE holds."""
    weight_registers: int = 224
    """Weights that one PE holds."""
    output_registers: int = 24
    """Partial sums that one PE holds."""
    weight_bits: int = 16
    """Bits of a weight. Moving a value costs in proportion to its bits, a MAC to the product of both."""
    activation_bits: int = 16
    """Bits of an input, a partial sum and an output."""
    rf_energy: float = 1.0
    """Moving 16 bits out of or into a PE's registers, in multiples of one 16-bit MAC."""
    array_energy: float = 2.0
    """Moving 16 bits into a PE, from the buffer or from the PE below, in multiples of one 16-bit MAC."""
    buffer_energy: float = 6.0
    """Moving 16 bits out of or into the buffer, in multiples of one 16-bit MAC."""
    dram_energy: float = 200.0
    """Moving 16 bits out of or into DRAM, in multiples of one 16-bit MAC."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value <= 0:
                raise ValueError(f"Hardware.{field.name}: expected more than 0, got {value}; see EYERISS")


EYERISS = Hardware()
"""Eyeriss (Chen et al., JSSC 2017): registers as modelled in CNNergy, energies of the ISCA 2016 paper."""


@dataclass(frozen=True)
class Accesses:
    """Accesses at one level per image, in 16-bit words."""

    weights: float
    """Words of weights."""
    inputs: float
    """Words of input activations."""
    outputs: float
    """Words of partial sums and output activations."""

    @property
    def total(self) -> float:
        """Words of all three."""
        return self.weights + self.inputs + self.outputs

    def __add__(self, other: Accesses) -> Accesses:
        return Accesses(
            self.weights + other.weights, self.inputs + other.inputs, self.outputs + other.outputs
        )


@dataclass(frozen=True)
class Moves:
    """Accesses at every level that one call of a layer makes, per image."""

    rf: Accesses
    """Registers inside the PEs: per MAC a weight, an input, and a partial sum read and written."""
    array: Accesses
    """Words that PEs receive over the array."""
    buffer: Accesses
    """The shared buffer."""
    dram: Accesses
    """DRAM: outputs are written once."""


@dataclass(frozen=True)
class _Mappings:
    """Mappings to try; arrays that broadcast over `[filters of a tile, output rows of a tile, sets]`."""

    filters: Counts
    """Filters whose partial sums the buffer holds."""
    rows: Counts
    """Output rows whose partial sums the buffer holds."""
    input_rows: Counts
    """Input rows that these output rows need."""
    channel_sets: Counts
    """Sets of PEs that work on different channels of the same output."""
    filter_sets: Counts
    """Sets of PEs that work on different filters; 0 where the grid has no room."""


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
    hardware: Hardware = dataclasses.field(repr=False)
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


def coded_words(values: float, nonzeros: float, bits: int) -> float:
    """Length of run-length coded values in 16-bit words.

    A 64-bit word holds three 16-bit values that are not zero, each with the run of zeros before it (Eyeriss
    as modelled in CNNergy): 64/3 bits a value, 16/3 more than its own. Other widths are taken to need the
    same 16/3. Data that coding would lengthen are left as they are; at 16 bits, those with a quarter of
    zeros or less.

    Args:
        values: Number of values.
        nonzeros: Number of values that are not zero.
        bits: Bits of one value.
    """
    return min(values * bits, nonzeros * (bits + 16 / 3)) / 16


def fewest_moves(layer: LayerShape, batch_size: int, hardware: Hardware) -> Moves:
    """Count the moves of one layer under the mapping with the smallest energy.

    Partial sums stay in the buffer until they are complete, as in Eyeriss. Beside those of a tile (some
    filters, output rows and images) the buffer holds one input channel of the tile with its weights. It may
    also hold all input channels, which then come from DRAM once for all filters, or all weights of the
    tile's filters, which then come once per batch. Buffer space is reckoned without coding. Groups are run
    one after the other.

    Args:
        layer: The layer.
        batch_size: Images that share one reading of the weights.
        hardware: The accelerator.

    Raises:
        ValueError: Not even one output row of one filter can be worked on in the buffer.
    """
    mappings = _mappings(layer, hardware)
    costs = np.array([hardware.array_energy, hardware.buffer_energy, hardware.dram_energy])
    least, best = math.inf, None
    for held in ("outputs", "outputs and inputs", "outputs and weights"):
        images = _images_per_tile(layer, batch_size, hardware, mappings, held)
        counts = _count_moves(layer, batch_size, hardware, mappings, images, held)
        possible = (images >= 1) & (mappings.filter_sets >= 1)
        energy = np.where(possible, np.tensordot(costs, counts.sum(axis=1), axes=1), math.inf).ravel()
        cheapest = int(energy.argmin())
        if energy[cheapest] < least:
            least, best = energy[cheapest], counts.reshape(3, 3, -1)[:, :, cheapest]
    if best is None:
        raise ValueError(
            f"{layer.name}: expected one output row with its inputs and weights to fit in the buffer of "
            f"{hardware.buffer_bytes} bytes, got input rows of {layer.input_size[1]} and a filter of "
            f"{layer.filter_size}; use smaller images or a Hardware with a larger buffer_bytes"
        )
    weight_words, activation_words = (
        layer.macs * b / 16 for b in (hardware.weight_bits, hardware.activation_bits)
    )
    array, buffer, dram = (Accesses(*row) for row in best.tolist())
    return Moves(Accesses(weight_words, activation_words, 2 * activation_words), array, buffer, dram)


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


def _mappings(layer: LayerShape, hardware: Hardware) -> _Mappings:
    reach = layer.dilation[0] * (layer.filter_size[0] - 1) + 1
    stacked = hardware.rows // min(layer.filter_size[0], hardware.rows)
    rows = _tile_sizes(layer.output_size[0])[None, :, None]
    channel_sets = _tile_sizes(stacked * hardware.columns)[None, None, :]
    return _Mappings(
        filters=_tile_sizes(layer.filters // layer.groups)[:, None, None],
        rows=rows,
        input_rows=np.minimum(layer.input_size[0], (rows - 1) * layer.stride[0] + reach),
        channel_sets=channel_sets,
        filter_sets=stacked * (hardware.columns // np.minimum(rows, hardware.columns)) // channel_sets,
    )


def _tile_sizes(extent: int) -> Counts:
    """Sizes of tiles that cover `extent`: for each number of tiles, the smallest size that gives it."""
    return np.unique(np.ceil(extent / np.arange(1, extent + 1)))


def _images_per_tile(
    layer: LayerShape, batch_size: int, hardware: Hardware, mappings: _Mappings, held: str
) -> Counts:
    """Images whose partial sums fit in the buffer beside what else is held; 0 where none does."""
    channels = layer.input_channels // layer.groups
    input_channels = channels if held == "outputs and inputs" else 1
    weight_channels = channels if held == "outputs and weights" else 1
    sums = mappings.filters * mappings.rows * layer.output_size[1]
    inputs = mappings.input_rows * layer.input_size[1] * input_channels
    weights = mappings.filters * math.prod(layer.filter_size) * weight_channels
    room = 8 * hardware.buffer_bytes - weights * hardware.weight_bits
    return np.clip(room // ((sums + inputs) * hardware.activation_bits), 0, batch_size)


def _row_meetings(layer: LayerShape) -> int:
    """Pairs of an output row and a filter row that meet a row of the input and not of the padding."""
    output_rows, filter_rows = np.ogrid[: layer.output_size[0], : layer.filter_size[0]]
    met = output_rows * layer.stride[0] + filter_rows * layer.dilation[0] - layer.padding[0]
    return int(((met >= 0) & (met < layer.input_size[0])).sum())


def _count_moves(
    layer: LayerShape, batch_size: int, hardware: Hardware, mappings: _Mappings, images: Counts, held: str
) -> Counts:
    """Accesses `[array buffer dram, weights inputs outputs, *mapping]` per image, in 16-bit words."""
    channels, filters = layer.input_channels // layer.groups, layer.filters // layer.groups
    height, rows, (filter_rows, filter_columns) = layer.input_size[0], layer.output_size[0], layer.filter_size
    weight_words = coded_words(layer.weights, layer.weight_nonzeros, hardware.weight_bits)
    input_words = coded_words(layer.inputs, layer.input_nonzeros, hardware.activation_bits)
    output_words = coded_words(layer.outputs, layer.output_nonzeros, hardware.activation_bits)
    sum_words = layer.outputs * hardware.activation_bits / 16
    used_words = layer.macs * hardware.activation_bits / 16

    # What one PE holds: the channels whose filter rows fit its input registers, then the filters that fit.
    span = min(filter_columns, hardware.input_registers)
    pe_channels = min(channels, hardware.input_registers // span)
    weights_fit = max(1, hardware.weight_registers // (pe_channels * span))
    pe_filters = min(filters, hardware.output_registers, weights_fit)
    columns_of_pes = math.ceil(channels / pe_channels) * math.ceil(filter_columns / span)
    sum_parts = np.ceil(columns_of_pes / mappings.channel_sets) * math.ceil(filter_rows / hardware.rows)

    tiles = np.ceil(filters / mappings.filters)
    strips = np.ceil(rows / mappings.rows)
    overlap = max(0, layer.dilation[0] * (filter_rows - 1) + 1 - layer.stride[0])
    strip_inputs = input_words * np.minimum(strips, 1 + (strips - 1) * overlap / height)
    rounds = np.ceil(mappings.filters / (pe_filters * np.maximum(mappings.filter_sets, 1)))
    weight_reads = weight_words * strips / np.maximum(images, 1)
    counts = [
        weight_reads * np.minimum(mappings.rows, hardware.columns),
        input_words / height * _row_meetings(layer) * math.ceil(filters / pe_filters),
        np.minimum(sum_words * (columns_of_pes * filter_rows - sum_parts), used_words),
        weight_reads,
        strip_inputs * tiles * rounds,
        np.minimum(2 * sum_words * (sum_parts - 1), 2 * used_words),
        weight_words / batch_size if held == "outputs and weights" else weight_reads,
        strip_inputs * (1 if held == "outputs and inputs" else tiles),
        output_words,
    ]
    shape = np.broadcast_shapes(mappings.filters.shape, mappings.rows.shape, mappings.channel_sets.shape)
    return np.stack([np.broadcast_to(count, shape) for count in counts]).reshape(3, 3, *shape)
