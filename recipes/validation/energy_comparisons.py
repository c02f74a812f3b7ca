"""The energy model beside the Eyeriss chip, and beside a count of MACs over six published networks.

Nothing is fitted to what it is compared with, but for the constant of the MAC-only baseline, which is given
the best value there is. All energies are modelled, in multiples of one 16-bit MAC.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cache

from recipes.common.energy.layers import LayerShape
from recipes.common.energy.model import EYERISS, Hardware, LayerEnergy, NetworkEnergy, fewest_moves
from recipes.validation.chip_measurements import RUNS, ChipRun
from recipes.validation.page_blocks import Table
from recipes.validation.reference_networks import NETWORKS

BATCHES = (1, 48)

cheapest_moves = cache(fewest_moves)
"""The tables ask for the same layers again and again."""


def network_energy(
    shapes: Iterable[LayerShape], batch_size: int, hardware: Hardware = EYERISS
) -> NetworkEnergy:
    """Model layers given as shapes; `energy_model.estimate` does the same for a PyTorch model.

    Args:
        shapes: One call of each layer, their names distinct.
        batch_size: Images that share one reading of the weights.
        hardware: The accelerator.

    Raises:
        ValueError: A layer does not fit in the buffer.
    """
    layers = []
    for shape in shapes:
        moves = cheapest_moves(shape, batch_size, hardware)
        layers.append(
            LayerEnergy(shape.name, (shape,), moves.rf, moves.array, moves.buffer, moves.dram, hardware)
        )
    return NetworkEnergy(tuple(layers), batch_size)


def energy_per_mac(network: NetworkEnergy) -> float:
    """Energy for each MAC of the dense network, in multiples of one 16-bit MAC."""
    return network.total / network.dense_macs


def on_chip(layer: LayerEnergy) -> float:
    """Energy of a layer without DRAM, in multiples of one 16-bit MAC."""
    return layer.energy - layer.by_level()["dram"]


def megabytes(words: float, batch_size: int) -> float:
    """10^6 bytes that a batch moves, from 16-bit words per image."""
    return words * 2 * batch_size / 1e6


def constant_per_mac(batch_size: int) -> float:
    """Energy per MAC that fits the six networks best: the geometric mean over them."""
    ratios = [energy_per_mac(network_energy(shapes, batch_size)) for shapes in NETWORKS.values()]
    return math.exp(math.fsum(map(math.log, ratios)) / len(ratios))


def shares(values: Sequence[float]) -> list[float]:
    """Divide values by their sum."""
    return [value / math.fsum(values) for value in values]


def percent(value: float) -> str:
    """Write a fraction in per cent."""
    return f"{100 * value:.0f} %"


def change(value: float) -> str:
    """Write a ratio as a signed difference from one, in per cent."""
    return f"{100 * (value - 1):+.0f} %".replace("-", "\u2212")


def millions(value: float) -> str:
    """Write a number in millions."""
    return f"{value / 1e6:,.0f}" if value >= 1e7 else f"{value / 1e6:.2f}"


def chip_table(run: ChipRun) -> Table:
    """Set the chip's accesses to DRAM and to the buffer beside the modelled ones.

    The baseline for DRAM is a constant times the MACs, with the constant that gives the chip's own sum.
    """
    dense, thinned = (network_energy(run.shapes(dense=it), run.batch_size) for it in (True, False))
    dram, buffer = [layer.dram_mb for layer in run.layers], [layer.buffer_mb for layer in run.layers]
    macs_alone = shares([layer.dense_macs for layer in dense.layers])
    guesses = [[math.fsum(dram) * share for share in macs_alone]]
    guesses += [
        [megabytes(layer.dram_accesses.total, run.batch_size) for layer in network.layers]
        for network in (dense, thinned)
    ]
    guesses.append([megabytes(layer.buffer_accesses.total, run.batch_size) for layer in thinned.layers])
    rows = [
        (name, *_chip_cells(values))
        for name, *values in zip((layer.name for layer in run.layers), dram, buffer, *guesses, strict=True)
    ]
    rows.append(("all", *_chip_cells([math.fsum(column) for column in (dram, buffer, *guesses)])))
    off = [
        mean_distance(guess, chip) for guess, chip in zip(guesses, (dram, dram, dram, buffer), strict=True)
    ]
    rows.append(("mean distance", "", *map(percent, off[:2]), "", percent(off[2]), "", "", percent(off[3])))
    return Table(
        f"{run.network} on the chip and in the model, million bytes for a batch of {run.batch_size}",
        (
            *("Layer", "DRAM, chip", "constant times MACs", "dense", "with zeros", "off by"),
            *("Buffer, chip", "with zeros", "off by"),
        ),
        tuple(rows),
    )


def _chip_cells(values: Sequence[float]) -> tuple[str, ...]:
    dram, buffer, macs_alone, full, thinned, held = values
    return (
        *(f"{value:.1f}" for value in (dram, macs_alone, full, thinned)),
        *(change(thinned / dram), f"{buffer:,.1f}", f"{held:,.1f}", change(held / buffer)),
    )


def mean_distance(guesses: Sequence[float], measured: Sequence[float]) -> float:
    """Mean over the layers of a guess's distance from the measured value, as a fraction of that value."""
    pairs = zip(guesses, measured, strict=True)
    return math.fsum(abs(guess / value - 1) for guess, value in pairs) / len(measured)


def chip_dram_table() -> Table:
    """Set the accesses to DRAM per MAC beside each other, over all convolutions."""
    rows = []
    for run in RUNS:
        networks = [network_energy(run.shapes(dense=it), run.batch_size) for it in (True, False)]
        macs = networks[0].dense_macs
        accesses = [
            words_per_image(run, "dram_mb"),
            *(sum(layer.dram_accesses.total for layer in network.layers) for network in networks),
        ]
        rows.append(
            (f"{run.network}, N = {run.batch_size}", *(f"{number / macs:.4f}" for number in accesses))
        )
    return Table(
        "DRAM accesses per MAC, all convolutions",
        ("Network", "Chip, measured", "Modelled, dense", "Modelled, with zeros"),
        tuple(rows),
    )


def chip_totals_table() -> Table:
    """Say what the chip's counts would change in the total, and what both spend per MAC without DRAM."""
    rows = []
    for run in RUNS:
        network = network_energy(run.shapes(dense=False), run.batch_size)
        levels, macs = network.by_level(), network.dense_macs
        counted = network.total - levels["dram"] - levels["buffer"]
        counted += EYERISS.dram_energy * words_per_image(run, "dram_mb")
        counted += EYERISS.buffer_energy * words_per_image(run, "buffer_mb")
        joules = math.fsum(layer.power_mw * layer.latency_ms for layer in run.layers) * 1e-6 / run.batch_size
        rows.append(
            (
                f"{run.network}, N = {run.batch_size}",
                *(
                    millions(macs),
                    millions(network.total),
                    millions(counted),
                    change(counted / network.total),
                ),
                f"{math.fsum(map(on_chip, network.layers)) / macs:.2f}",
                f"{joules / macs * 1e12:.1f}",
            )
        )
    return Table(
        "Energy of all convolutions with zeros, per image",
        (
            *("Network", "MACs alone, million", "Modelled, million", "With the chip's counts, million"),
            *("Differs by", "Modelled per MAC, without DRAM", "Chip, pJ per MAC, without DRAM"),
        ),
        tuple(rows),
    )


def words_per_image(run: ChipRun, level: str) -> float:
    """16-bit words per image that the chip moves at `dram_mb` or `buffer_mb`."""
    return math.fsum(getattr(layer, level) for layer in run.layers) * 1e6 / 2 / run.batch_size


def chip_energy_table() -> Table:
    """Set each layer's share of the chip's energy, which is power times time, beside modelled shares."""
    rows, distances = [], []
    for run in RUNS:
        layers = network_energy(run.shapes(dense=False), run.batch_size).layers
        chip = shares([layer.power_mw * layer.latency_ms for layer in run.layers])
        modelled = shares([on_chip(layer) for layer in layers])
        macs = shares([layer.dense_macs for layer in layers])
        for layer, *row in zip(layers, chip, modelled, macs, strict=True):
            rows.append((f"{run.network} {layer.name}", *(f"{100 * value:.1f}" for value in row)))
        off = [
            math.fsum(abs(a - b) for a, b in zip(chip, other, strict=True)) / len(chip)
            for other in (modelled, macs)
        ]
        distances.append((f"{run.network}, mean distance", "", *(f"{100 * value:.1f}" for value in off)))
    return Table(
        "Share of the energy on the chip, per cent of the network's convolutions",
        ("Layer", "Chip, measured", "Modelled with zeros, without DRAM", "MACs alone"),
        (*rows, *distances),
    )


def networks_table(batch_size: int) -> Table:
    """Model six dense networks beside a constant times their MACs."""
    constant = constant_per_mac(batch_size)
    rows = []
    for name, shapes in NETWORKS.items():
        network = network_energy(shapes, batch_size)
        guess = constant * network.dense_macs
        rows.append(
            (
                *(name, millions(sum(shape.weights for shape in shapes)), millions(network.dense_macs)),
                *(millions(network.total), millions(guess), change(guess / network.total)),
                f"{energy_per_mac(network):.1f}",
                percent(network.by_level()["dram"] / network.total),
                percent(network.by_data_type()["weights"] / network.total),
            )
        )
    return Table(
        f"Six dense networks, batch of {batch_size}, per image",
        (
            *("Network", "Weights, million", "MACs, million", "Modelled energy, million"),
            *(
                f"{constant:.1f} \u00d7 MACs, million",
                "off by",
                "Energy per MAC",
                "DRAM's share",
                "Weights' share",
            ),
        ),
        tuple(rows),
    )


def ranking_table() -> Table:
    """Rank the networks by weights, MACs and energy, each with its multiple of AlexNet's."""
    measures: list[list[float]] = [
        [sum(shape.weights for shape in shapes) for shapes in NETWORKS.values()],
        [sum(shape.dense_macs for shape in shapes) for shapes in NETWORKS.values()],
        *([network_energy(shapes, batch).total for shapes in NETWORKS.values()] for batch in BATCHES),
    ]
    columns = [
        [
            f"{sorted(values, reverse=True).index(value) + 1} ({value / values[0]:.2f}\u00d7)"
            for value in values
        ]
        for values in measures
    ]
    return Table(
        "Rank from the largest, and multiple of AlexNet's",
        ("Network", "Weights", "MACs", *(f"Modelled energy, N = {batch}" for batch in BATCHES)),
        tuple(zip(NETWORKS, *columns, strict=True)),
    )
