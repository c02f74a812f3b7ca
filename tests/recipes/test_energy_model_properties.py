"""What must hold for every layer, on random ones: more zeros, fewer bits or more reuse never cost more."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from recipes.common.energy.model import EYERISS, NetworkEnergy, coded_words, estimate

few = settings(max_examples=40, deadline=None)
at_most = 1 + 1e-9
"""Factor that allows for rounding."""


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[dict[str, int], int]:
    """Arguments of nn.Conv2d, and the height and width of its input."""
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    arguments = {
        "in_channels": groups * draw(st.integers(1, 20)),
        "out_channels": groups * draw(st.integers(1, 40)),
        "kernel_size": draw(st.integers(1, 5)),
        "stride": draw(st.integers(1, 3)),
        "padding": draw(st.integers(0, 2)),
        "dilation": draw(st.integers(1, 2)),
        "groups": groups,
    }
    return arguments, draw(st.integers(9, 24))


buffers = st.sampled_from([2**k for k in range(10, 18)])
densities = st.sampled_from([0.05, 0.3, 0.7, 1.0])


def drawn(shape: tuple[int, ...], density: float, seed: int) -> torch.Tensor:
    """Ones and zeros, about `density` of them ones; with the same seed a lower density keeps a part."""
    return (torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < density).float()


def energy(
    layer, *, batch_size=1, weights=1.0, activations=1.0, seed=0, buffer=EYERISS.buffer_bytes, **hardware
) -> NetworkEnergy:
    arguments, size = layer
    convolution = nn.Conv2d(**arguments)
    convolution.weight.data = drawn(convolution.weight.shape, weights, seed)
    nn.init.constant_(convolution.bias, 0.5)  # no output is zero
    images = drawn((1, arguments["in_channels"], size, size), activations, seed)
    machine = replace(EYERISS, buffer_bytes=buffer, **hardware)
    try:
        return estimate(convolution, images, batch_size=batch_size, hardware=machine)
    except ValueError as error:
        assume("to fit in the buffer" not in str(error))
        raise


@few
@given(convolutions(), buffers, densities, densities, st.integers(0, 9))
def test_more_zero_weights_never_cost_more(layer, buffer, fewer, more, seed):
    fewer, more = sorted([fewer, more])
    sparse = energy(layer, buffer=buffer, weights=fewer, seed=seed)
    assert sparse.total <= energy(layer, buffer=buffer, weights=more, seed=seed).total * at_most


@few
@given(convolutions(), buffers, densities, densities, st.integers(0, 9))
def test_more_zero_activations_never_cost_more(layer, buffer, fewer, more, seed):
    fewer, more = sorted([fewer, more])
    sparse = energy(layer, buffer=buffer, activations=fewer, seed=seed)
    assert sparse.total <= energy(layer, buffer=buffer, activations=more, seed=seed).total * at_most


@few
@given(convolutions(), buffers, st.integers(1, 64), st.integers(1, 64))
def test_larger_batch_never_costs_more_per_image(layer, buffer, smaller, larger):
    smaller, larger = sorted([smaller, larger])
    alone = energy(layer, buffer=buffer, batch_size=smaller)
    assert energy(layer, buffer=buffer, batch_size=larger).total <= alone.total * at_most


@few
@given(convolutions(), buffers, densities, st.integers(1, 16), st.integers(1, 16), st.booleans())
def test_fewer_bits_never_cost_more(layer, buffer, density, narrow, wide, of_weights):
    narrow, wide = sorted([narrow, wide])
    field = "weight_bits" if of_weights else "activation_bits"
    options = {"buffer": buffer, "weights": density, "activations": density}
    assert energy(layer, **options, **{field: narrow}).total <= (
        energy(layer, **options, **{field: wide}).total * at_most
    )


@few
@given(convolutions(), buffers, st.sampled_from(["in_channels", "out_channels", "size"]), st.integers(1, 30))
def test_larger_layer_never_costs_less(layer, buffer, axis, growth):
    arguments, size = layer
    if axis == "size":
        larger = (arguments, size + growth)
    else:
        larger = (arguments | {axis: arguments[axis] + growth * arguments["groups"]}, size)
    grown = energy(larger, buffer=buffer)
    assert energy(layer, buffer=buffer).total <= grown.total * at_most


@few
@given(convolutions(), buffers, buffers)
def test_larger_buffer_never_costs_more(layer, smaller, larger):
    smaller, larger = sorted([smaller, larger])
    assert energy(layer, buffer=larger).total <= energy(layer, buffer=smaller).total * at_most


@few
@given(convolutions(), buffers, densities, densities, st.integers(1, 8))
def test_energy_is_the_weighted_sum_of_the_accesses(layer, buffer, weights, activations, batch_size):
    network = energy(layer, buffer=buffer, weights=weights, activations=activations, batch_size=batch_size)
    (part,) = network.layers
    moved = (
        1 * part.rf_accesses.total
        + 2 * part.array_accesses.total
        + 6 * part.buffer_accesses.total
        + 200 * part.dram_accesses.total
    )
    assert part.energy == pytest.approx(part.macs + moved)
    assert sum(part.by_data_type().values()) == pytest.approx(part.energy)


@few
@given(convolutions(), buffers, st.integers(1, 16))
def test_nothing_is_moved_less_than_once(layer, buffer, batch_size):
    (part,) = energy(layer, buffer=buffer, batch_size=batch_size).layers
    (call,) = part.calls
    assert part.dram_accesses.weights * batch_size * at_most >= call.weights
    assert part.dram_accesses.inputs * at_most >= call.inputs
    assert part.dram_accesses.outputs == call.outputs
    assert part.buffer_accesses.weights * at_most >= part.dram_accesses.weights
    assert part.buffer_accesses.inputs * at_most >= part.dram_accesses.inputs


@few
@given(convolutions(), densities, densities, st.integers(0, 9))
def test_macs_are_the_products_without_a_zero(layer, weights, activations, seed):
    arguments, size = layer
    counted = energy(layer, weights=weights, activations=activations, seed=seed).macs
    # With ones and zeros only, every product without a zero adds one to the output.
    convolution = nn.Conv2d(**arguments, bias=False)
    convolution.weight.data = drawn(convolution.weight.shape, weights, seed)
    images = drawn((1, arguments["in_channels"], size, size), activations, seed)
    assert counted == pytest.approx(float(convolution(images).detach().sum()))


@given(st.integers(0, 1000), st.integers(0, 1000), st.integers(1, 32))
def test_coding_never_lengthens_and_grows_with_the_non_zeros(zeros, nonzeros, bits):
    length = coded_words(zeros + nonzeros, nonzeros, bits)
    assert nonzeros * bits / 16 <= length <= (zeros + nonzeros) * bits / 16
    assert length <= coded_words(zeros + nonzeros + 1, nonzeros + 1, bits)
