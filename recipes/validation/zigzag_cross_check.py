"""AlexNet's energy at batch 1 by ZigZag, an independent model, for the page on the energy model.

Not a test and not a dependency: `zigzag-dse` brings about 430 MB of packages, and 3.9.1 fails to import
until `six` is installed too. In an environment of its own (six to eight minutes on one core):

    python -m venv zigzag && zigzag/bin/pip install zigzag-dse==3.9.1 six
    zigzag/bin/python recipes/validation/zigzag_cross_check.py recipes/validation/zigzag_alexnet.json
    python -m recipes.validation.energy_model --write

Two runs of the AlexNet that ZigZag brings along:

- `bundled`: its hardware `eyeriss_like` (8-bit words, registers of 64 and 16 bytes, three buffers of 8 KB,
  64 KB and 1 MB, its own costs) and its default mapping of channels and filters onto the array.
- `aligned`: words, sizes and costs of `recipes.common.energy.model.EYERISS`, output rows along the
  columns of the array and filter rows along its rows, so that what still differs is how mappings are
  searched and accesses counted.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

LAYERS = ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8")
OPERANDS = {"W": "weights", "I": "inputs", "O": "outputs"}
SETTINGS = {"opt": "energy", "lpf_limit": 6, "nb_spatial_mappings_generated": 1}
WORD_BITS = 16
PORT_WORDS = 12 * 14


def memory(
    operands: dict[str, str], *, words: int, read: float, write: float, shared: bool = True
) -> dict[str, Any]:
    """Describe a memory with one port for all `operands`, each with its directions as ZigZag spells them.

    A shared memory serves the whole array at once, because ZigZag would else use fewer of its elements;
    what an access costs then stands for as many words as the port is wide.
    """
    width = PORT_WORDS if shared else 1
    return {
        "size": words * WORD_BITS,
        "r_cost": read * width,
        "w_cost": write * width,
        "area": 0,
        "latency": 1,
        "operands": list(operands),
        "ports": [
            {
                "name": "rw_port_1",
                "type": "read_write",
                "bandwidth_min": WORD_BITS,
                "bandwidth_max": WORD_BITS * width,
                "allocation": [f"{name}, {way}" for name, ways in operands.items() for way in ways.split()],
            }
        ],
        "served_dimensions": ["D1", "D2"] if shared else [],
    }


def aligned_hardware() -> dict[str, Any]:
    """Describe EYERISS: a word into a register from the buffer costs 2, as a word over the array does."""
    streams = {"I1": "fh tl", "I2": "fh tl", "O": "fh tl fl th"}
    return {
        "name": "eyeriss",
        "operational_array": {
            "unit_energy": 1.0,
            "unit_area": 0,
            "dimensions": ["D1", "D2"],
            "sizes": [14, 12],
        },
        "memories": {
            "input_registers": memory({"I1": "fh tl"}, words=12, read=1, write=2, shared=False),
            "weight_registers": memory({"I2": "fh tl"}, words=224, read=1, write=2, shared=False),
            "output_registers": memory({"O": "fh tl fl th"}, words=24, read=1, write=1, shared=False),
            "buffer": memory(streams, words=108 * 1024 // 2, read=6, write=6),
            "dram": memory(streams, words=10**9, read=200, write=200),
        },
    }


def aligned_mapping() -> list[dict[str, Any]]:
    """Describe one set of row-stationary elements: output rows along D1, filter rows along D2.

    Linear layers have neither and get ZigZag's own choice.
    """
    return [
        {
            "name": "default",
            "spatial_mapping_hint": {"D1": ["OY"], "D2": ["FY"]},
            "memory_operand_links": {"O": "O", "W": "I2", "I": "I1"},
        }
    ]


def with_words_of_16_bits(path: str) -> Any:  # noqa: ANN401 - a model of ONNX
    """Load an ONNX model and mark all its data as 16 bits wide."""
    import onnx

    model = onnx.load(path, load_external_data=False)
    for node in model.graph.node:
        for name in ("weight_size", "act_size", "output_size"):
            node.attribute.append(onnx.helper.make_attribute(name, WORD_BITS))
    return model


def run(workload: object, accelerator: Path, mapping: Path, folder: Path) -> list[dict[str, Any]]:
    """Run ZigZag and return a row for each layer: energies by level and data type."""
    from zigzag.api import get_hardware_performance_zigzag

    *_, results = get_hardware_performance_zigzag(
        workload=workload,
        accelerator=str(accelerator),
        mapping=str(mapping),
        dump_folder=str(folder),
        loma_show_progress_bar=False,
        **SETTINGS,
    )
    calls = [evaluation for evaluation, _ in results[0][1]]
    return [describe(name, call) for name, call in zip(LAYERS, calls, strict=True)]


def describe(name: str, call: Any) -> dict[str, Any]:  # noqa: ANN401 - of a package that is not installed
    """Return a layer's MACs and its energy by level and data type, in the units of the hardware's costs."""
    levels = {OPERANDS[str(operand)]: parts for operand, parts in call.mem_energy_breakdown.items()}
    return {
        "layer": name,
        "macs": call.layer.total_mac_count,
        "mac": call.mac_energy,
        "rf": {kind: parts[0] for kind, parts in levels.items()},
        "buffer": {kind: sum(parts[1:-1]) for kind, parts in levels.items()},
        "dram": {kind: parts[-1] for kind, parts in levels.items()},
    }


def main(path: str) -> None:
    """Run both cases and write their figures as JSON."""
    import yaml

    inputs = Path(str(files("zigzag"))) / "inputs"
    alexnet = str(inputs / "workload" / "alexnet.onnx")
    with TemporaryDirectory() as name:
        folder = Path(name)
        hardware, mapping = folder / "hardware.yaml", folder / "mapping.yaml"
        hardware.write_text(yaml.safe_dump(aligned_hardware(), sort_keys=False), encoding="utf-8")
        mapping.write_text(yaml.safe_dump(aligned_mapping()), encoding="utf-8")
        bundled = run(
            alexnet,
            inputs / "hardware" / "eyeriss_like.yaml",
            inputs / "mapping" / "default.yaml",
            folder / "bundled",
        )
        aligned = run(with_words_of_16_bits(alexnet), hardware, mapping, folder / "aligned")
    runs = {
        "bundled": {"dram_energy_per_value": 1000 / 8, "layers": bundled},
        "aligned": {"dram_energy_per_value": 200, "layers": aligned},
    }
    document = {"zigzag": version("zigzag-dse"), "batch_size": 1, "settings": SETTINGS, "runs": runs}
    Path(path).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
