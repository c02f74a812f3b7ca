"""What is made of an estimate: metrics of the recipes, and the input of the MIT energy estimation tool.

The tool (Yang, Chen, Emer, Sze, "A Method to Estimate the Energy Consumption of Deep Neural Networks",
Asilomar 2017), for a check by hand, is closed and on the web; its format is known to us from a third-party
converter. A file has one line per layer of 25 comma-separated integers:

| columns | content |
|---|---|
| 0 | number of the line, from 1 |
| 1-6 | input: height, width, channels, number of maps, zeros, bits |
| 7-12 | filter: height, width, channels, number of filters, zeros, bits |
| 13-18 | output: height, width, channels, number of maps, zeros, bits |
| 19-20 | stride along height and width |
| 21-24 | padding above, below, left, right |

The number of maps is taken to be the batch, and zeros are counted over all of its maps, padding left out. A
linear layer is written as a 1 x 1 convolution. Groups show only in that filters have fewer channels than
the input.
"""

from __future__ import annotations

from recipes.common.energy.layers import LayerShape
from recipes.common.energy.model import LayerEnergy, NetworkEnergy
from recipes.common.run.contract import Metric

BATCH_SIZES = (1, 48)
"""Images that share one reading of the weights: the two ends of the literature's conventions."""

MODEL = "row-stationary model of Eyeriss with RF 1, array 2, buffer 6, DRAM 200"


def energy_metric(value: float, batch_size: int) -> Metric:
    """Return a modelled energy per image as a metric."""
    description = f"Modelled energy of one inference, weights read once for {batch_size} image(s); {MODEL}."
    return Metric(value, "MAC energy", "lower", "modelled", description)


def to_mit_format(network: NetworkEnergy) -> str:
    """Write the layers of an estimate as 25 integers a line, each line ended by a newline.

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
