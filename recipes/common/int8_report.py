"""What a net costs and how often it is right in 8-bit integers, as a recipe's metrics."""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from recipes.common.contract import Deployable, Json, Metric
from recipes.common.engines import (
    Form,
    IntegerType,
    build,
    load,
    missing_extra,
    quantise,
    whole_batches,
)
from recipes.common.errors import UserError
from recipes.common.net_report import accuracy_metric, macs_per_image
from recipes.common.protocol import interleave, ratios

BATCH_SIZES = (1, 64)
TYPES: tuple[tuple[IntegerType, IntegerType], ...] = (("uint8", "int8"), ("int8", "int8"), ("uint8", "uint8"))
"""Types of activations and weights, the usual choice for x86 processors first."""


def require_int8() -> None:
    """Check, before any training, that nets can be quantised.

    Raises:
        UserError: ONNX Runtime is not installed.
    """
    if (reason := missing_extra("onnxruntime_int8")) is not None:
        raise UserError(reason)


def int8_metrics(
    net: Deployable, dense: Deployable, test_images: Tensor, test_labels: Tensor, *, cap_s: float
) -> dict[str, Metric]:
    """Quantise a net with static ranges and measure its accuracy, and its time beside a dense net.

    What is read is processor time, the two nets in turns: on one thread that is the latency on a core of
    one's own, and it hardly grows when other work takes the core.

    Args:
        net: What an arm ships.
        dense: The net that it replaces; its weights may be untrained, as the time does not depend on them.
        test_images: All of them, (images, ...), for the accuracy.
        test_labels: (images,).
        cap_s: Longest time for one batch size.
    """
    metrics = dict[str, Metric]()
    with tempfile.TemporaryDirectory() as name:
        for batch_size in BATCH_SIZES:
            form = _int8_form(net, Path(name) / f"net-{batch_size}", batch_size)
            reference = _int8_form(dense, Path(name) / f"dense-{batch_size}", batch_size)
            cells = {"baseline": reference.call, "net": form.call}
            cpu_ms = interleave(cells, order_seed=0, half_width=0.01, cap_s=cap_s).cpu_ms
            metrics |= _time_metrics(cpu_ms["net"], 1 / ratios(cpu_ms)["net"].value, batch_size)
        found = accuracy_of(form, test_images, test_labels, batch_size=BATCH_SIZES[-1])
    metrics["test_accuracy"] = accuracy_metric(found, of="the 8-bit net")
    return metrics


def type_rows(dense: Deployable, *, cap_s: float) -> list[dict[str, Json]]:
    """Return a row for each choice of 8-bit types: the dense net's time over that with the first choice."""
    inputs, batch_size = dense.calibration_inputs, BATCH_SIZES[-1]
    cells = dict[str, Callable[[], object]]()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "net"
        _int8_form(dense, folder, batch_size)
        for activations, weights in TYPES:
            path = quantise(folder / "net.onnx", inputs, batch_size, activations=activations, weights=weights)
            cells["baseline" if not cells else path.stem] = load(path, inputs[:batch_size], threads=1).call
        compared = ratios(interleave(cells, order_seed=0, cap_s=cap_s).cpu_ms)
    relative = {arm: 1 / ratio.value for arm, ratio in compared.items()}
    return [
        {"activations": first, "weights": second, "relative_time": relative.get(f"{first}-{second}", 1.0)}
        for first, second in TYPES
    ]


def shape_rows(nets: Mapping[str, Deployable], *, cap_s: float) -> list[dict[str, Json]]:
    """Return a row for each net: its MACs and its time in 8 bits, over those of the net called `baseline`.

    Args:
        nets: Nets by name, which may be untrained; with the same inputs.
        cap_s: Longest time for one batch size.
    """
    macs = {name: macs_per_image(net.model, net.calibration_inputs) for name, net in nets.items()}
    rows = {name: dict[str, Json](net=name, relative_macs=macs[name] / macs["baseline"]) for name in nets}
    for batch_size in BATCH_SIZES:
        with tempfile.TemporaryDirectory() as folder:
            cells = {
                name: _int8_form(net, Path(folder) / name, batch_size).call for name, net in nets.items()
            }
            compared = ratios(interleave(cells, order_seed=0, cap_s=cap_s).cpu_ms)
        for name, row in rows.items():
            time = 1.0 if name == "baseline" else 1 / compared[name].value
            row[f"relative_int8_time_batch_{batch_size}"] = time
    return list(rows.values())


def accuracy_of(form: Form, images: Tensor, labels: Tensor, *, batch_size: int) -> float:
    """Return the accuracy on all images; a last batch that is not full is filled up and cut off again."""
    filled = torch.cat([images, images[: -len(images) % batch_size]])
    logits = torch.cat([form.outputs(batch) for batch in whole_batches(filled, batch_size)])
    return float((logits[: len(labels)].argmax(1) == labels).double().mean())


def _int8_form(net: Deployable, folder: Path, batch_size: int) -> Form:
    folder.mkdir()
    return build("onnxruntime_int8", net, folder, batch_size=batch_size, threads=1)


def _time_metrics(cpu_ms: Sequence[float], relative: float, batch_size: int) -> dict[str, Metric]:
    work = f"one call of the 8-bit net, batch {batch_size}, one thread"
    ratio = f"Processor time of {work}, over that of the 8-bit dense net in the same process."
    time = f"Processor time of {work}."
    return {
        f"relative_int8_time_batch_{batch_size}": Metric(relative, "ratio", "lower", "measured", ratio),
        f"int8_batch_{batch_size}_cpu_ms": Metric(statistics.median(cpu_ms), "ms", "lower", "measured", time),
    }
