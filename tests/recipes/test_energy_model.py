"""Every access counted by hand, one layer type at a time.

At these sizes all of a layer fits in the buffer, so each weight, input and output passes DRAM once. A
processing element (PE) holds 12 // S input channels of a filter row of S columns, and 224 // (channels * S)
filters, at most 24. Where nothing else is said, all filters fit in one PE.
"""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from recipes.common.energy.model import EYERISS, Accesses, LayerEnergy, estimate


def ones(module: nn.Module) -> nn.Module:
    """Set all weights to 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.fill_(1)
    return module


def only_layer(module: nn.Module, inputs: torch.Tensor, batch_size: int = 1, hardware=EYERISS) -> LayerEnergy:
    (layer,) = estimate(module, inputs, batch_size=batch_size, hardware=hardware).layers
    return layer


def assert_accesses(layer: LayerEnergy, **expected: tuple[float, float, float]) -> None:
    for level in ("rf", "array", "buffer", "dram"):
        accesses = getattr(layer, f"{level}_accesses")
        got = (accesses.weights, accesses.inputs, accesses.outputs)
        assert got == pytest.approx(expected[level]), level


def test_convolution():
    layer = only_layer(ones(nn.Conv2d(2, 3, 3)), torch.ones(1, 2, 5, 5))
    # 3 filters of 2 x 3 x 3 = 54 weights at 3 x 3 positions.
    assert layer.macs == layer.dense_macs == 54 * 9
    assert_accesses(
        layer,
        # Each MAC reads a weight and an input, and reads and writes a partial sum.
        rf=(486, 486, 972),
        # A weight goes to the PEs of 3 output rows. Each of 2 channels has 3 x 3 pairs of output and filter
        # row that get an input row of 5. Each of 27 outputs is handed up through 3 filter rows: 2 steps.
        array=(54 * 3, 2 * 9 * 5, 27 * 2),
        # Both channels fit in one PE, so that no partial sum goes back to the buffer.
        buffer=(54, 50, 0),
        dram=(54, 50, 27),
    )
    # 486 + 1 * 1944 + 2 * (162 + 90 + 54) + 6 * 104 + 200 * 131
    assert layer.energy == pytest.approx(486 + 1944 + 612 + 624 + 26200)
    # Weights: 486 + 2 * 162 + 6 * 54 + 200 * 54; inputs: 486 + 2 * 90 + 6 * 50 + 200 * 50;
    # outputs: 972 + 2 * 54 + 200 * 27.
    by_data_type = {"computation": 486, "weights": 11934, "inputs": 10966, "outputs": 6480}
    assert layer.by_data_type() == pytest.approx(by_data_type)


def test_batch_shares_the_weights():
    layer = only_layer(ones(nn.Conv2d(2, 3, 3)), torch.ones(1, 2, 5, 5), batch_size=4)
    # The buffer holds 4 images, so the 54 weights leave DRAM and buffer once for 4; in registers nothing
    # changes.
    assert_accesses(
        layer,
        rf=(486, 486, 972),
        array=(13.5 * 3, 2 * 9 * 5, 27 * 2),
        buffer=(13.5, 50, 0),
        dram=(13.5, 50, 27),
    )


def test_strided_convolution():
    layer = only_layer(ones(nn.Conv2d(1, 1, 3, stride=2)), torch.ones(1, 1, 7, 7))
    # 9 weights at 3 x 3 positions; 3 x 3 row pairs with rows of 7.
    assert layer.macs == 81
    assert_accesses(layer, rf=(81, 81, 162), array=(27, 63, 18), buffer=(9, 49, 0), dram=(9, 49, 9))


def test_padding_is_neither_multiplied_nor_moved():
    layer = only_layer(ones(nn.Conv2d(1, 1, 3, padding=1)), torch.ones(1, 1, 4, 4))
    # Along one axis the three taps meet 3, 4 and 3 of the 4 positions inside the image: 10 pairs, 10 x 10
    # MACs.
    assert layer.macs == 100
    assert layer.dense_macs == 9 * 16
    # 10 pairs of rows, each of 4 inputs.
    assert_accesses(layer, rf=(100, 100, 200), array=(9 * 4, 40, 16 * 2), buffer=(9, 16, 0), dram=(9, 16, 16))


def test_padding_that_repeats_the_image_is_multiplied():
    layer = only_layer(ones(nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular")), torch.ones(1, 1, 4, 4))
    assert layer.macs == 9 * 16


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
def test_padding_same_puts_the_odd_one_behind():
    layer = only_layer(ones(nn.Conv2d(1, 1, (1, 2), padding="same")), torch.ones(1, 1, 1, 4))
    # The first tap meets 4 inputs, the second 3 and one padding.
    assert layer.macs == 7
    assert layer.calls[0].padding == (0, 0, 0, 1)


def test_depthwise_convolution():
    layer = only_layer(ones(nn.Conv2d(2, 2, 3, groups=2)), torch.ones(1, 2, 5, 5))
    # 2 filters of 9 weights at 9 positions; each channel is delivered once, for its own filter.
    assert layer.macs == layer.dense_macs == 162
    assert_accesses(
        layer, rf=(162, 162, 324), array=(18 * 3, 2 * 9 * 5, 18 * 2), buffer=(18, 50, 0), dram=(18, 50, 18)
    )


def test_grouped_convolution_has_fewer_weights_than_a_full_one():
    layer = only_layer(ones(nn.Conv2d(4, 6, 1, groups=2)), torch.ones(1, 4, 2, 2))
    # 6 filters of 2 weights at 4 positions.
    assert layer.macs == 48
    assert layer.dram_accesses == Accesses(12, 16, 24)


def test_dilated_convolution():
    layer = only_layer(ones(nn.Conv2d(1, 1, 3, dilation=2)), torch.ones(1, 1, 7, 7))
    # The filter spans 5 rows, so 3 x 3 positions; 3 x 3 row pairs with rows of 7.
    assert layer.macs == 81
    assert_accesses(layer, rf=(81, 81, 162), array=(27, 63, 18), buffer=(9, 49, 0), dram=(9, 49, 9))


def test_one_dimensional_convolution_lies_along_the_height():
    layer = only_layer(ones(nn.Conv1d(2, 3, 3, padding=1)), torch.ones(1, 2, 4))
    # 3 x 2 weights for each of 10 pairs of tap and position inside; 4 positions, 8 inputs, 18 weights, 12
    # outputs.
    assert layer.macs == 60
    assert_accesses(
        layer, rf=(60, 60, 120), array=(18 * 4, 2 * 10, 12 * 2), buffer=(18, 8, 0), dram=(18, 8, 12)
    )


def test_linear_layer():
    layer = only_layer(ones(nn.Linear(20, 3)), torch.ones(1, 20))
    # A PE holds 12 inputs, so 20 take two PEs; their sums meet over the array (3 x 2), not the buffer (3 x 2
    # x 6).
    assert layer.macs == layer.dense_macs == 60
    assert_accesses(layer, rf=(60, 60, 120), array=(60, 20, 3), buffer=(60, 20, 0), dram=(60, 20, 3))
    assert layer.energy == pytest.approx(60 + 240 + 2 * 83 + 6 * 80 + 200 * 83)


def test_linear_layer_at_several_positions_reuses_its_weights():
    layer = only_layer(ones(nn.Linear(4, 3)), torch.ones(1, 5, 4))
    assert layer.macs == 60
    assert layer.dram_accesses == Accesses(12, 20, 15)


def test_wide_layer_delivers_inputs_once_per_group_of_filters():
    layer = only_layer(ones(nn.Linear(12, 40)), torch.ones(1, 12))
    # With 12 inputs a PE holds 224 // 12 = 18 filters, so that each input goes to 3 PEs for 40 filters.
    assert layer.array_accesses == Accesses(480, 36, 0)
    assert layer.buffer_accesses == Accesses(480, 12, 0)


def test_macs_are_exact_for_each_channel_and_position():
    convolution = ones(nn.Conv2d(2, 2, 2, bias=False))
    convolution.weight.data[:, 0, 0, 0] = 0
    convolution.weight.data[1, 1] = 0
    images = torch.zeros(2, 2, 3, 3)
    images[0, 0, 0, 0] = 1
    images[1, 1, 1, 1] = 1
    layer = only_layer(convolution, images)
    # First image: the corner of channel 0 is met by tap (0, 0) only, whose weights are 0. Second image: the
    # centre of channel 1 is met by all four taps, with weights in the first filter only. 4 MACs in 2 images.
    assert layer.macs == 2


@pytest.mark.parametrize(
    ("nonzeros", "words"),
    [
        (0, 0),
        (3, 4),
        (6, 8),
        (9, 12),
        (10, 12),
        (12, 12),
    ],  # 4/3 words each, at most the 12 words without coding
)
def test_zero_weights_are_run_length_coded(nonzeros, words):
    linear = ones(nn.Linear(12, 1))
    linear.weight.data[0, nonzeros:] = 0
    layer = only_layer(linear, torch.ones(1, 12))
    assert layer.dram_accesses == Accesses(pytest.approx(words), 12, 1)
    assert layer.buffer_accesses.weights == layer.array_accesses.weights == pytest.approx(words)
    assert layer.macs == layer.rf_accesses.weights == nonzeros


def test_bit_widths():
    hardware = replace(EYERISS, weight_bits=4, activation_bits=8)
    layer = only_layer(ones(nn.Linear(20, 3)), torch.ones(1, 20), hardware=hardware)
    # Accesses are words of 16 bits: 4/16 of a word a weight, 8/16 an activation. A MAC costs 4 * 8 / 256.
    assert_accesses(layer, rf=(15, 30, 60), array=(15, 10, 1.5), buffer=(15, 10, 0), dram=(15, 10, 1.5))
    assert layer.by_level()["mac"] == 60 / 8
    linear = ones(nn.Linear(12, 1))
    linear.weight.data[0, 3:] = 0
    # A coded 4-bit weight takes 4 + 16/3 bits.
    assert only_layer(linear, torch.ones(1, 12), hardware=hardware).dram_accesses.weights == pytest.approx(
        1.75
    )


def test_filters_that_do_not_fit_are_run_in_tiles():
    # 2 filters: 2 partial sums, 1 input and 2 weights are 5 words of 2 bytes. 4 filters would be 9.
    layer = only_layer(ones(nn.Linear(8, 4)), torch.ones(1, 8), hardware=replace(EYERISS, buffer_bytes=10))
    assert layer.dram_accesses == Accesses(32, 2 * 8, 4)


def test_rows_that_do_not_fit_are_run_in_strips():
    # 4 x 2 outputs. A strip of 2 rows: 4 partial sums, 4 x 4 inputs and 9 weights are 29 words; all 4 rows:
    # 41.
    hardware = replace(EYERISS, buffer_bytes=2 * 33)
    layer = only_layer(ones(nn.Conv2d(1, 1, 3)), torch.ones(1, 1, 6, 4), hardware=hardware)
    # Two strips of 4 input rows read 2 of 6 rows twice; the weights stay in the buffer, read from there
    # twice.
    assert layer.dram_accesses == Accesses(9, 2 * 16, 8)
    assert layer.buffer_accesses == Accesses(18, 32, 0)


def test_images_that_do_not_fit_are_run_in_turn():
    # 2 filters, 3 inputs: an image takes 2 partial sums and an input, so 2 images and 2 weights take 8
    # words; the 6 weights come once for 2 images. One filter at a time would read 6 inputs, more than 3
    # weights and 3 inputs.
    hardware = replace(EYERISS, buffer_bytes=16)
    layer = only_layer(ones(nn.Linear(3, 2)), torch.ones(1, 3), batch_size=100, hardware=hardware)
    assert layer.dram_accesses == Accesses(3, 3, 2)


def test_partial_sums_of_many_channels_go_through_the_buffer():
    # A PE holds 4 channels of a row of 3, and 12 // 3 = 4 sets stand above each other in the grid, in
    # one column because 14 output rows take all 14: 16 channels at a time, so 17 are added up in two parts.
    layer = only_layer(ones(nn.Conv2d(17, 1, 3)), torch.ones(1, 17, 16, 16))
    assert layer.buffer_accesses.outputs == 2 * 196
    # ceil(17 / 4) = 5 columns of 3 PEs give 15 parts, of which 2 leave the array.
    assert layer.array_accesses.outputs == 196 * 13
