"""Input quantisation: store each value of an input in a few bits, packed, and train on what is left.

Record: tactics/use-input-quantization.yaml. The baseline stores the values of images as 32-bit numbers, as
they come out of most pipelines. The tactic rounds them to equal steps over the range of the training images
and packs the bits; arms with more and fewer bits show what the number is worth. A dense net and a forest of
trees learn from the rounded values and answer rounded ones. The rivals: the 8 bits that the camera gave, with
nothing lost, compressed image by image (deflate), which may follow the tactic, too; and a quarter of the
pixels, means of four, in 8 bits.

    python -m recipes.use_input_quantization --arm tactic --seed 0 --preset default

On one processor core an arm takes half a minute with DEFAULT, which needs Fashion-MNIST, and a second with
SMOKE. Seeds below 1000, with which the number of bits was found, report accuracy on validation images.
"""

from __future__ import annotations

import sys
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypedDict

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from torch import Tensor
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.use_data_projection import dense_net

TACTIC = "use-input-quantization"
ARMS = (
    "baseline",
    "tactic",
    "eight_bits",
    "tactic_with_three_bits",
    "tactic_with_one_bit",
    "compressed",
    "tactic_and_compressed",
    "fewer_pixels",
)
METRICS: MetricTable = {
    "input_bytes": ("bytes", "lower", "counted", "Bytes of a stored image: a mean where they differ."),
    "reading_cpu_ms": ("ms", "lower", "measured", "Processor time of a stored image until it can be used."),
    "training_cpu_s": ("s", "lower", "measured", "Processor time of training the net on what was read."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images that the net sorts rightly."),
    "forest_accuracy": ("fraction", "higher", "measured", "Held-out images that the forest sorts rightly."),
}
BITS = {"tactic": 2, "tactic_and_compressed": 2, "tactic_with_three_bits": 3, "tactic_with_one_bit": 1}
"""Bits of a value by arm, where they are not eight."""


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 20_000
    """Training images of the net, at most."""
    forest_images: int = 5_000
    """How many of them the forest learns from."""
    epochs: int = 6
    """Epochs of the net."""
    batch: int = 64
    """Images of a step."""
    hidden: int = 128
    """Width of the hidden layer."""
    rate: float = 3e-3
    """Learning rate of Adam at the start; it falls to zero along half a cosine."""


SMOKE = Config(data="digits", images=400, forest_images=200, epochs=2, hidden=32)
DEFAULT = Config()
FULL = Config(images=55_000, forest_images=55_000, epochs=20, hidden=512)

Bytes = NDArray[np.uint8]


class Steps(TypedDict):
    """What values are rounded to."""

    bits: int
    low: float
    high: float


# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def pack_values(rows: Tensor, *, bits: int, low: float, high: float) -> Bytes:
    """Round values to equal steps of a range, and pack them; return (rows, bytes).

    Args:
        rows: Values, (rows, values).
        bits: Of a value, 1 to 8.
        low: Value of the lowest step; smaller ones are cut off.
        high: Value of the highest step.
    """
    most = 2**bits - 1
    steps = ((rows - low) / (high - low) * most).round().clamp(0, most)
    codes = steps.numpy().astype(np.uint8)[:, :, None]  # (rows, values, 1)
    places = np.arange(bits - 1, -1, -1, dtype=np.uint8)
    return np.packbits((codes >> places & 1).reshape(len(codes), -1), axis=1)


def read_values(packed: Bytes, count: int, *, bits: int, low: float, high: float) -> Tensor:
    """Return the rounded values that `pack_values` packed, (rows, count)."""
    single = np.unpackbits(packed, axis=1, count=count * bits).reshape(len(packed), count, bits)
    codes = np.packbits(single, axis=2, bitorder="big")[:, :, 0] >> (8 - bits)  # (rows, count)
    step = (high - low) / (2**bits - 1)
    values: Tensor = torch.from_numpy(codes.astype(np.float32)) * step + low
    return values


# --8<-- [end:tactic]


def fewer_pixels(images: Tensor) -> Tensor:
    """Return means of four neighbouring pixels, (images, 1, side / 2, side / 2)."""
    return F.avg_pool2d(images, 2)


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Store images as an arm does, read them, and let a net and a forest learn and answer."""
    data = load_images((config.data,), config.data_dir)
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data.train_images))[: config.images]
    images, labels = data.train_images[chosen], data.train_labels[chosen]  # (images, 1, side, side)
    held_out, wanted = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out, wanted = data.test_images, data.test_labels
    shown = [fewer_pixels(each) if arm == "fewer_pixels" else each for each in (images, held_out)]
    rows, asked = (each.flatten(1) for each in shown)  # (images, values)
    count = rows.shape[1]
    if arm == "baseline":
        inputs, input_bytes, reading_cpu_s = rows, 4.0 * count, 0.0
    else:
        steps: Steps = {"bits": BITS.get(arm, 8), "low": float(rows.min()), "high": float(rows.max())}
        packed, asked = pack_values(rows, **steps), read_values(pack_values(asked, **steps), count, **steps)
        input_bytes = float(packed.shape[1])
        deflated = [zlib.compress(row.tobytes(), 9) for row in packed] if arm.endswith("compressed") else []
        with meter.window("reading") as reading:
            if deflated:
                packed = np.stack([np.frombuffer(zlib.decompress(row), np.uint8) for row in deflated])
            inputs = read_values(packed, count, **steps)
        reading_cpu_s = reading.cpu_s
        if deflated:
            input_bytes = sum(map(len, deflated)) / len(deflated)
    with meter.window("training") as training:
        net = dense_net(
            inputs, labels, hidden=config.hidden, epochs=config.epochs, batch=config.batch, rate=config.rate
        )
    with torch.inference_mode():
        right = float((net(asked).argmax(1) == wanted).double().mean())
    forest = RandomForestClassifier(50, random_state=seed)
    forest.fit(inputs[: config.forest_images], labels[: config.forest_images])
    metrics = {
        "input_bytes": input_bytes,
        "reading_cpu_ms": 1000 * reading_cpu_s / len(rows),
        "training_cpu_s": training.cpu_s,
        "test_accuracy": right,
        "forest_accuracy": float(forest.score(asked, wanted)),
    }
    used = replace(data.used, train_count=len(images), test_count=len(wanted))
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
