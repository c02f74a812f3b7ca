"""Rounding in training: a net learns with weights of few bits, and is shipped in integers.

Record: tactics/use-quantization-aware-training.yaml. After Jacob et al., CVPR 2018 (arXiv 1712.05877):
rounding in the forward pass, gradients as if there were none, batch normalisation folded before. A net in
which one layer filters each channel by itself learns in floating point; all arms then train on for as long,
from the same folded weights. The baseline does so without rounding, and stays in 32 bits. The tactic rounds
weights to 4 bits as it trains; two arms do so with 8 and with 2. Rivals train on without and are rounded at
the end: to 8 bits with a step for each filter or for each layer, to 4 bits, and to 4 and 2 with weights that
make up for the errors of those before (Frantar et al., "GPTQ", ICLR 2023). What is rounded becomes a net of
real integers in ONNX Runtime, and that net is judged. It has 8-bit kernels alone: fewer bits are stored and
sent, and answers take as long as with 8.

    python -m recipes.use_quantization_aware_training --arm tactic --seed 0 --preset default

Needs the extra `onnx`. DEFAULT needs Fashion-MNIST, and takes an arm about ten seconds on one processor core.
Rates were found with seeds below 1000, which report the accuracy on validation images.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from greentactics.models.timings import Engine
from recipes.common.nets.data import load_images
from recipes.common.pruning.weights import rows_of
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Meter, MetricTable, Outcome, UserError
from recipes.common.timing.engines import build, missing_extra
from recipes.consider_transfer_learning import train

TACTIC = "use-quantization-aware-training"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_8_bits",
    "tactic_with_2_bits",
    "rounded",
    "repaired",
    "repaired_in_2_bits",
    "rounded_in_8_bits",
    "rounded_in_8_bits_by_layer",
)
METRICS: MetricTable = {
    "model_bytes": ("bytes", "lower", "counted", "Weights, biases and steps, packed: what is sent."),
    "answer_cpu_ms": ("ms", "lower", "measured", "Processor time of an answer in ONNX Runtime, one a call."),
    "training_cpu_s": ("s", "lower", "measured", "Processor time of all training, rounding and conversion."),
    "rounding_cpu_s": ("s", "lower", "measured", "Of that, training on, rounding and conversion."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images sorted rightly by what is shipped."),
}
BITS = {
    "baseline": 32,
    "tactic_with_8_bits": 8,
    "tactic_with_2_bits": 2,
    "repaired_in_2_bits": 2,
    "rounded_in_8_bits": 8,
    "rounded_in_8_bits_by_layer": 8,
}
"""Bits of a weight by arm, where they are not those of the tactic."""


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    width: int = 16
    """Channels of the first layer; the others have four times as many."""
    steps: int = 250
    """Steps of training in floating point."""
    more_steps: int = 125
    """Steps that all arms train on for."""
    batch: int = 64
    """Images of a step."""
    rate: float = 1e-2
    """Learning rate of Adam; it falls to zero along half a cosine, as do the others."""
    more_rate: float = 1e-3
    """The same for training on, with rounding and without."""
    bits: int = 4
    """Of a weight of the tactic."""
    calibration_images: int = 512
    """Training images that the ranges of activations are read from in the conversion."""


SMOKE = Config(data="digits", width=4, steps=20, more_steps=10, calibration_images=64)
DEFAULT = Config()
FULL = Config(width=32, steps=10_000, more_steps=5_000)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def rounded(values: Tensor, step: Tensor, lowest: int, highest: int) -> Tensor:
    """Round to whole steps within bounds; gradients pass as if values within them were not rounded."""
    steps = (values / step).clamp(lowest, highest)
    return (steps + (steps.round() - steps).detach()) * step


class RoundedWeight(nn.Module):
    """Weights as whole numbers of steps, of which each filter has one, or all share one."""

    step: Tensor  # (filters, 1, ...), or of one element; that of least squared error

    def __init__(self, weight: Tensor, bits: int, *, by_layer: bool = False) -> None:
        """Choose the steps; they stay while the weights are trained."""
        super().__init__()
        self.highest, weight = 2 ** (bits - 1) - 1, weight.detach()
        dims = tuple(range(0 if by_layer else 1, weight.ndim))
        widest = weight.abs().amax(dims, keepdim=True).clamp_min(1e-12)
        steps = torch.stack([share * widest / self.highest for share in torch.linspace(1, 0.4, 25)])
        errors = [rounded(weight, step, -self.highest, self.highest) - weight for step in steps]
        squared = torch.stack([error.square().sum(dims, keepdim=True) for error in errors])
        self.register_buffer("step", steps.gather(0, squared.argmin(0, keepdim=True))[0])

    def forward(self, weight: Tensor) -> Tensor:
        """Return the rounded weights."""
        return rounded(weight, self.step, -self.highest, self.highest)


def round_in_training(model: nn.Module, bits: int, *, by_layer: bool = False) -> None:
    """Have a net round the weights and inputs of its layers from now on.

    Args:
        model: Net without batch normalisation, in floating point: fold it into the convolutions first.
        bits: Of a weight.
        by_layer: Whether all weights of a layer share one step; each filter has its own otherwise.
    """
    for layer in list(model.modules()):
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            rounding = RoundedWeight(layer.weight, bits, by_layer=by_layer)
            parametrize.register_parametrization(layer, "weight", rounding)
            layer.register_forward_pre_hook(round_inputs)


# --8<-- [end:tactic]


def round_inputs(layer: nn.Module, inputs: tuple[Tensor]) -> Tensor:
    """Round the inputs of a layer to 8 bits in the range of the batch, which has 0 as a whole step.

    The conversion reads ranges anew, from inputs in evaluation mode.
    """
    if not layer.training:
        return inputs[0]
    with torch.no_grad():
        low, high = inputs[0].min().clamp_max(0), inputs[0].max().clamp_min(0)
        step = (high - low).clamp_min(1e-12) / 255
        lowest = int((low / step).round())
    return rounded(inputs[0], step, lowest, lowest + 255)


def keep_rounded(model: nn.Module) -> None:
    """Leave the rounded weights in the net in place of those behind them."""
    for layer in list(model.modules()):
        if parametrize.is_parametrized(layer, "weight"):
            parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
            layer._forward_pre_hooks.clear()


@torch.no_grad()
def round_and_repair(model: nn.Module, bits: int, inputs: Tensor) -> None:
    """Round the weights of one input after another; those of later ones make up for the error, as in GPTQ."""
    for layer in model.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            groups = rows_of(model, layer, inputs)[0].double()  # (groups, rows, inputs), of rounded layers
            for rows, filters in zip(groups, layer.weight.chunk(len(groups)), strict=True):
                gram = rows.T @ rows
                gram += 0.01 * gram.diagonal().mean() * torch.eye(len(gram), dtype=gram.dtype)
                inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram))
                influence = torch.linalg.cholesky(inverse, upper=True)  # (inputs, inputs)
                weight = filters.flatten(1).double()  # (filters, inputs)
                rounding = RoundedWeight(weight, bits)
                for column, row in enumerate(influence):
                    error = (weight - rounding(weight))[:, column : column + 1]
                    weight[:, column:] -= error * row[column:] / row[column]
                filters.copy_(weight.view_as(filters))


# --- Run -------------------------------------------------------------------------------------------------


def separable_net(width: int) -> nn.Sequential:
    """Return a net with a convolution of each channel by itself, (batch, 1, side, side) to (batch, 10)."""
    wide = 4 * width
    shapes = (
        (1, width, 3, 2, 1),  # (batch, width, side / 2, side / 2)
        (width, wide, 3, 2, 1),  # (batch, wide, side / 4, side / 4)
        (wide, wide, 3, 1, wide),
        (wide, wide, 1, 1, 1),
        (wide, wide, 3, 2, 1),
    )
    layers = list[nn.Module]()
    for inputs, outputs, size, stride, groups in shapes:
        conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(wide, 10))


def folded(net: nn.Sequential) -> nn.Sequential:
    """Return the net in which each batch normalisation is part of the convolution before it."""
    pairs = pairwise([*net.eval(), nn.Identity()])
    return nn.Sequential(
        *(
            fuse_conv_bn_eval(layer, after) if isinstance(after, nn.BatchNorm2d) else layer
            for layer, after in pairs
            if not isinstance(layer, nn.BatchNorm2d)
        )
    )


def packed_bytes(net: nn.Module, bits: int, *, by_layer: bool = False) -> float:
    """Count the bytes of weights of some bits, with biases and steps of 4 bytes; 32 bits need no steps."""
    layers = [layer for layer in net.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    filters = sum(len(layer.weight) for layer in layers)
    steps = 0 if bits == 32 else len(layers) if by_layer else filters
    return sum(layer.weight.numel() for layer in layers) * bits / 8 + 4 * (filters + steps)


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train in floating point, train on and round as an arm does, convert, and let the shipped net answer."""
    engine: Engine = "onnxruntime" if arm == "baseline" else "onnxruntime_int8"
    if reason := missing_extra(engine):
        raise UserError(reason)
    data = load_images((config.data,), config.data_dir)
    held_out, wanted = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out, wanted = data.test_images, data.test_labels
    calibration = data.train_images[: config.calibration_images]
    learn = partial(train, inputs=data.train_images, labels=data.train_labels, batch=config.batch)
    bits, by_layer = BITS.get(arm, config.bits), arm.endswith("by_layer")
    torch.manual_seed(seed)
    with meter.window("training") as training:
        net = separable_net(config.width)
        learn(net, steps=config.steps, rate=config.rate)
    with TemporaryDirectory() as folder:
        with meter.window("rounding") as rounding:
            net = folded(net).train()
            if arm.startswith("tactic"):
                round_in_training(net, bits)
            learn(net, steps=config.more_steps, rate=config.more_rate)
            net.eval()
            if arm.startswith("repaired"):
                round_and_repair(net, bits, calibration)
            elif arm.startswith("rounded"):
                round_in_training(net, bits, by_layer=by_layer)
            keep_rounded(net)
            shipped = Deployable(net, calibration, held_out)
            form = build(engine, shipped, Path(folder), batch_size=1, threads=1)
        asked = torch.split(held_out, 1)
        form.outputs(asked[0])  # memory is set up
        with meter.window("answers") as answering:
            outputs = [form.outputs(image) for image in asked]
    metrics = {
        "model_bytes": packed_bytes(net, bits, by_layer=by_layer),
        "answer_cpu_ms": 1000 * answering.cpu_s / len(asked),
        "training_cpu_s": training.cpu_s + rounding.cpu_s,
        "rounding_cpu_s": rounding.cpu_s,
        "test_accuracy": float((torch.cat(outputs).argmax(1) == wanted).double().mean()),
    }
    return Outcome(metrics, replace(data.used, test_count=len(wanted)))


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
