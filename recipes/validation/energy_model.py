"""What speaks for the energy model and what against it: every figure of the page `energy-model`.

Layer by layer against the Eyeriss chip, beside the count of MACs alone, over six published networks, under
changes of batch, buffer and zeros, and against another model, ZigZag. All energies are modelled, in
multiples of one 16-bit MAC.

    python -m recipes.validation.energy_model            print all tables, in a few seconds
    python -m recipes.validation.energy_model --write    put them into the page
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from recipes.common.energy.model import EYERISS
from recipes.common.run.command_line import open_streams, show, write_whole
from recipes.common.run.contract import UserError
from recipes.validation.chip_measurements import RUNS, alexnet_with_zeros
from recipes.validation.energy_comparisons import (
    BATCHES,
    change,
    chip_dram_table,
    chip_energy_table,
    chip_table,
    chip_totals_table,
    energy_per_mac,
    millions,
    network_energy,
    networks_table,
    percent,
    ranking_table,
    shares,
)
from recipes.validation.page_blocks import Table, fill, stacked_bars
from recipes.validation.reference_networks import NETWORKS, alexnet, with_densities

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "catalogue" / "pages" / "energy-model" / "index.md"
ZIGZAG = Path(__file__).with_name("zigzag_alexnet.json")
DATA_TYPES = ("computation", "weights", "inputs", "outputs")
MOVED = DATA_TYPES[1:]
ZIGZAG_ALEXNET = alexnet((224, 26, 12))
"""AlexNet as in ZigZag's file: 224 x 224 pixels without padding, hence smaller maps than on the chip."""


def alexnet_table() -> Table:
    """Break AlexNet's energy down by layer, level and data type."""
    network = network_energy(alexnet_with_zeros(), 4)
    parts: list[tuple[str, float, float, dict[str, float], dict[str, float]]] = [
        (layer.name, layer.dense_macs, layer.energy, layer.by_level(), layer.by_data_type())
        for layer in network.layers
    ]
    parts.append(("all", network.dense_macs, network.total, network.by_level(), network.by_data_type()))
    rows = [
        (
            *(name, millions(macs), millions(energy)),
            *(f"{100 * levels[level] / energy:.0f}" for level in ("mac", "rf", "array", "buffer", "dram")),
            *(f"{100 * types[kind] / energy:.0f}" for kind in MOVED),
        )
        for name, macs, energy, levels, types in parts
    ]
    return Table(
        "AlexNet with published zeros, batch of 4, per image; parts in per cent of the layer's energy",
        (
            *("Layer", "MACs, million", "Modelled energy, million", "MAC", "registers", "array"),
            *("buffer", "DRAM", "weights", "inputs", "outputs"),
        ),
        tuple(rows),
    )


def batch_table() -> Table:
    """Model the networks in batches of different sizes."""
    batches = (1, 4, 16, 48, 256)
    rows = [
        (name, *(f"{energy_per_mac(network_energy(shapes, batch)):.1f}" for batch in batches))
        for name, shapes in NETWORKS.items()
    ]
    return Table(
        "Modelled energy per MAC, dense, by batch", ("Network", *(f"N = {n}" for n in batches)), tuple(rows)
    )


def buffer_table() -> Table:
    """Model the networks with shared buffers of different sizes, each access still at the same cost."""
    sizes = (27, 54, 108, 216, 432)
    rows = []
    for name, shapes in NETWORKS.items():
        totals = [
            network_energy(shapes, 4, replace(EYERISS, buffer_bytes=1024 * size)).total for size in sizes
        ]
        rows.append((name, *(f"{total / totals[sizes.index(108)]:.2f}" for total in totals)))
    return Table(
        "Modelled energy by size of the shared buffer, as a multiple of that at 108 KiB; dense, N = 4",
        ("Network", *(f"{size} KiB" for size in sizes)),
        tuple(rows),
    )


def zeros_table() -> Table:
    """Model networks with a share of weights, of activations or of both set to zero."""
    names = ("AlexNet", "ResNet-50", "MobileNetV2")
    rows = []
    for kept in (1.0, 0.75, 0.5, 0.25, 0.1):
        cells = []
        for name in names:
            dense = network_energy(NETWORKS[name], 48).total
            for weights, activations in ((kept, 1.0), (1.0, kept)):
                thinned = [
                    with_densities(shape, weights=weights, inputs=activations, outputs=activations)
                    for shape in NETWORKS[name]
                ]
                cells.append(f"{network_energy(thinned, 48).total / dense:.2f}")
        rows.append((percent(kept), *cells))
    return Table(
        "Modelled energy as a multiple of the dense network's, N = 48",
        ("Not zero", *(f"{name}, {kind}" for name in names for kind in ("weights", "activations"))),
        tuple(rows),
    )


def read_zigzag() -> dict[str, Any]:
    """Read what `recipes/validation/zigzag_cross_check.py` has written."""
    document: dict[str, Any] = json.loads(ZIGZAG.read_text(encoding="utf-8"))
    return document


def zigzag_layers_table() -> Table:
    """Compare with ZigZag which layers cost how much; at the same sizes and costs in the same unit too."""
    bundled, aligned = (
        [zigzag_total(layer) for layer in run["layers"]] for run in read_zigzag()["runs"].values()
    )
    layers = network_energy(ZIGZAG_ALEXNET, 1).layers
    macs, ours = [float(layer.dense_macs) for layer in layers], [layer.energy for layer in layers]
    columns = [[f"{100 * value:.1f} %" for value in shares(part)] for part in (macs, bundled, aligned, ours)]
    absolute = [
        (millions(theirs), millions(energy), change(energy / theirs))
        for theirs, energy in zip(aligned, ours, strict=True)
    ]
    rows = [
        (layer.name, *parts, *same_unit)
        for layer, parts, same_unit in zip(layers, zip(*columns, strict=True), absolute, strict=True)
    ]
    total = (millions(sum(aligned)), millions(sum(ours)), change(sum(ours) / sum(aligned)))
    rows.append(("all", *["100 %"] * 4, *total))
    return Table(
        "AlexNet, dense, batch of 1: energy by layer",
        (
            *("Layer", "MACs alone", "ZigZag, its hardware", "ZigZag, our sizes and costs", "This model"),
            *("ZigZag, our sizes and costs, million", "This model, million", "off by"),
        ),
        tuple(rows),
    )


def zigzag_total(layer: Mapping[str, Any]) -> float:
    """Energy of a layer in ZigZag, in the units of its hardware's costs."""
    return float(layer["mac"] + sum(sum(layer[level].values()) for level in ("rf", "buffer", "dram")))


def zigzag_levels_table() -> Table:
    """Compare with ZigZag the levels, and the millions of values that cross DRAM's port."""
    ours = network_energy(ZIGZAG_ALEXNET, 1)
    levels = ours.by_level()
    columns = [
        [
            *(
                f"{100 * levels[name] / ours.total:.1f} %"
                for name in ("mac", "rf", "array", "buffer", "dram")
            ),
            *(millions(sum(getattr(layer.dram_accesses, kind) for layer in ours.layers)) for kind in MOVED),
        ]
    ]
    for run in reversed(list(read_zigzag()["runs"].values())):
        layers, total = run["layers"], sum(zigzag_total(layer) for layer in run["layers"])
        rf, buffer = (sum(sum(layer[name].values()) for layer in layers) for name in ("rf", "buffer"))
        moved = [sum(layer["dram"][kind] for layer in layers) for kind in MOVED]
        parts = [f"{100 * part / total:.1f} %" for part in (sum(x["mac"] for x in layers), rf)]
        parts += ["in the registers", f"{100 * buffer / total:.1f} %", f"{100 * sum(moved) / total:.1f} %"]
        columns.insert(0, [*parts, *(millions(energy / run["dram_energy_per_value"]) for energy in moved)])
    heads = (
        "MAC",
        "registers",
        "array",
        "buffer",
        "DRAM",
        *(f"{kind} through DRAM, million" for kind in MOVED),
    )
    return Table(
        "AlexNet, dense, batch of 1: share of the energy by level, and values through DRAM",
        ("Level", "ZigZag, its hardware", "ZigZag, our sizes and costs", "This model"),
        tuple(zip(heads, *columns, strict=True)),
    )


def networks_figure() -> str:
    """Draw the networks' energy per MAC by data type, alone and in a batch."""
    rows: dict[str, dict[str, list[float]]] = {}
    for name, shapes in NETWORKS.items():
        rows[name] = {}
        for batch in BATCHES:
            network = network_energy(shapes, batch)
            types = network.by_data_type()
            rows[name][f"N={batch}"] = [types[kind] / network.dense_macs for kind in DATA_TYPES]
    return stacked_bars("Modelled energy per MAC, dense networks", DATA_TYPES, rows, "networks")


def tables() -> dict[str, Table]:
    """Compute all tables, each by the name of its place in the page."""
    return {
        **{f"chip-{run.network.lower()}": chip_table(run) for run in RUNS},
        "chip-dram": chip_dram_table(),
        "chip-totals": chip_totals_table(),
        "chip-energy": chip_energy_table(),
        "alexnet": alexnet_table(),
        **{f"networks-{batch}": networks_table(batch) for batch in BATCHES},
        "ranking": ranking_table(),
        "batch": batch_table(),
        "buffer": buffer_table(),
        "zeros": zeros_table(),
        "zigzag-layers": zigzag_layers_table(),
        "zigzag-levels": zigzag_levels_table(),
    }


def filled_page() -> str:
    """Return the page with all its generated parts computed anew.

    Raises:
        UserError: The page's places are not those of the tables and the figure.
    """
    blocks = {name: table.to_html() for name, table in tables().items()}
    page = PAGE.read_text(encoding="utf-8")
    return fill(page, {**blocks, "networks-figure": networks_figure()}, PAGE.relative_to(ROOT).as_posix())


def main(arguments: list[str] | None = None) -> None:
    """Print the tables or write them into the page."""
    open_streams()
    parser = argparse.ArgumentParser(prog="python -m recipes.validation.energy_model", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--write", action="store_true", help="rewrite the generated parts of the page")
    if not parser.parse_args(arguments).write:
        show("\n".join(table.to_text() for table in tables().values()).rstrip("\n"))
        return
    try:
        write_whole("--write", PAGE, filled_page().encode())
    except UserError as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
