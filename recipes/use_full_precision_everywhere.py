"""A habit to avoid: inputs, training and answers keep the 32 bits that the framework begins with.

Record: tactics/use-full-precision-everywhere.yaml. The habit is followed through the life of one net that
sorts small images: they are stored in float32, training multiplies in float32, and ONNX Runtime answers in
float32. The baseline makes each format a decision: images are stored in 8 bits and widened by the batch; some
steps of training are timed in both formats; and the net answers in the cheapest of three formats that holds
the accuracy. All trials are charged. Each cure is an arm of its own, so that one sees what it gives: 8 bits
for inputs, 16 for products in training (Micikevicius et al., ICLR 2018, arXiv 1710.03740), 16 and 8 for
answers (Krishnamoorthi, 2018, arXiv 1806.08342). A last arm stays in 32 bits and halves the widths instead.

    python -m recipes.use_full_precision_everywhere --arm tactic --seed 0 --preset default

Needs the extra `onnx`. DEFAULT needs Fashion-MNIST, and takes an arm about ten seconds on one processor core.
Seeds below 1000, with which the rate was found, answer validation images.
"""

from __future__ import annotations

import copy
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from greentactics.models.timings import Engine
from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, MetricTable, Outcome, UserError
from recipes.common.timing.engines import Form, build, missing_extra
from recipes.consider_transfer_learning import train
from recipes.use_quantization_aware_training import folded

TACTIC = "use-full-precision-everywhere"
ARMS = (
    "baseline",
    "tactic",
    "inputs_in_8_bits",
    "training_in_16_bits",
    "answers_in_16_bits",
    "answers_in_8_bits",
    "half_the_width",
)
METRICS: MetricTable = {
    "answer_cpu_ms": (
        "ms",
        "lower",
        "measured",
        "Processor time of an answer, one a call; median of rounds.",
    ),
    "training_cpu_s": (
        "s",
        "lower",
        "measured",
        "Processor time of training, with reading and trials of it.",
    ),
    "shipping_cpu_s": ("s", "lower", "measured", "Processor time of export, rounding and trials of answers."),
    "model_bytes": ("bytes", "lower", "counted", "The file that is shipped."),
    "input_bytes": ("bytes", "lower", "counted", "A stored training image."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images sorted rightly by what is shipped."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    width: int = 32
    """Channels of the first layer; the last one has four times as many."""
    steps: int = 600
    """Steps of training."""
    batch: int = 64
    """Images of a step."""
    rate: float = 3e-3
    """Learning rate of Adam at the start; it falls to zero along half a cosine."""
    calibration_images: int = 512
    """Training images that the ranges of 8 bits are read from."""
    trial_steps: int = 10
    """Steps of training that are timed in each format."""
    trial_answers: int = 2_000
    """Validation images that each format answers before one is taken."""
    tolerance: float = 0.01
    """Accuracy on them that a shorter format may lose."""
    rounds: int = 5
    """How often all held-out images are answered."""


SMOKE = Config(
    data="digits",
    width=16,
    steps=20,
    calibration_images=64,
    trial_steps=2,
    trial_answers=50,
    tolerance=0.1,
    rounds=1,
)
DEFAULT = Config()
FULL = Config(width=64, steps=10_000)

Answer = Callable[[Tensor], Tensor]

# --- Cure of the habit: a format is measured before it is taken ---------------------------------------------


# --8<-- [start:tactic]
class AsStored(nn.Module):
    """A net in training that reads images as they are stored, and multiplies in 32 or in 16 bits."""

    def __init__(self, net: nn.Module, low: float, high: float, *, in_16_bits: bool) -> None:
        """Hold the net, whose weights and their sums stay in 32 bits, and the range of 8-bit images."""
        super().__init__()
        self.net, self.low, self.step, self.in_16_bits = net, low, (high - low) / 255, in_16_bits

    def forward(self, images: Tensor) -> Tensor:
        """Widen a batch of images, (batch, ...), if they are short; return logits, (batch, classes)."""
        if not images.is_floating_point():
            images = images.float() * self.step + self.low
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.in_16_bits):
            logits: Tensor = self.net(images)
        return logits.float()


def cheapest_sufficient(
    formats: Mapping[str, Callable[[Tensor], Tensor]], images: Tensor, labels: Tensor, *, tolerance: float
) -> str:
    """Let each format answer the same images, one at a time; return the cheapest that is good enough.

    Args:
        formats: What answers in a format, by its name; others are compared with the first.
        images: For choices, (images, ...).
        labels: Their classes, (images,).
        tolerance: Accuracy that a format may lose against the first.
    """
    spent_s, accuracies = dict[str, float](), dict[str, float]()
    for name, answer in formats.items():
        answer(images[:1])  # memory is set up
        started_s = time.process_time()
        outputs = [answer(one) for one in torch.split(images, 1)]
        spent_s[name] = time.process_time() - started_s
        accuracies[name] = float((torch.cat(outputs).argmax(1) == labels).double().mean())
    least = next(iter(accuracies.values())) - tolerance
    return min((name for name in formats if accuracies[name] >= least), key=spent_s.__getitem__)


# --8<-- [end:tactic]


def cheaper_in_16_bits(step: Callable[[bool], object]) -> bool:
    """Tell whether training steps take less processor time in 16 bits than in 32."""
    spent_s = dict[bool, float]()
    for in_16_bits in (False, True):
        step(in_16_bits)  # memory is set up
        started_s = time.process_time()
        step(in_16_bits)
        spent_s[in_16_bits] = time.process_time() - started_s
    return spent_s[True] < spent_s[False]


# --- Run -------------------------------------------------------------------------------------------------


def plain_net(width: int) -> nn.Sequential:
    """Return a net of four full convolutions, (batch, 1, side, side) to (batch, 10)."""
    layers, inputs = list[nn.Module](), 1
    for outputs, stride in ((width, 2), (2 * width, 2), (2 * width, 1), (4 * width, 2)):
        layers += [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 10))


def shipped(net: nn.Module, bits: int, calibration: Tensor, folder: Path) -> tuple[Form, Answer]:
    """Return the net in ONNX Runtime with so many bits, and what answers images in 32 bits with it."""
    if bits == 16:
        net, calibration = copy.deepcopy(net).half(), calibration.half()
    folder /= str(bits)
    folder.mkdir()
    engine: Engine = "onnxruntime_int8" if bits == 8 else "onnxruntime"
    form = build(engine, Deployable(net, calibration, calibration), folder, batch_size=1, threads=1)
    return form, lambda images: form.outputs(images.to(calibration.dtype)).float()


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Store images, train, ship and answer in the formats of an arm."""
    if reason := missing_extra("onnxruntime"):
        raise UserError(reason)
    data = load_images((config.data,), config.data_dir)
    half = len(data.validation_labels) // 2
    held_out, wanted = data.validation_images[half:], data.validation_labels[half:]
    if seed >= 1000:
        held_out, wanted = data.test_images, data.test_labels
    for_choice = (
        each[:half][: config.trial_answers] for each in (data.validation_images, data.validation_labels)
    )
    images, labels = data.train_images, data.train_labels  # (images, 1, side, side)
    calibration = images[: config.calibration_images]
    low, high = float(images.min()), float(images.max())
    if arm in ("baseline", "inputs_in_8_bits"):
        images = ((images - low) / (high - low) * 255).round().to(torch.uint8)
    torch.manual_seed(seed)
    net = plain_net(config.width // 2 if arm == "half_the_width" else config.width)

    def learn(net: nn.Module, steps: int, *, in_16_bits: bool) -> None:
        reader = AsStored(net, low, high, in_16_bits=in_16_bits)
        train(reader, images, labels, steps=steps, batch=config.batch, rate=config.rate)

    def trial(in_16_bits: bool) -> None:
        learn(copy.deepcopy(net), config.trial_steps, in_16_bits=in_16_bits)

    trial(False)  # memory and threads are set up
    with meter.window("training") as training:
        in_16_bits = cheaper_in_16_bits(trial) if arm == "baseline" else arm == "training_in_16_bits"
        torch.manual_seed(seed)  # batches do not hang on trials
        learn(net, config.steps, in_16_bits=in_16_bits)
    with TemporaryDirectory() as folder:
        with meter.window("shipping") as shipping:
            net = folded(net).eval()
            named = {"answers_in_16_bits": 16, "answers_in_8_bits": 8}
            tried = (32, 16, 8) if arm == "baseline" else (named.get(arm, 32),)
            forms = {str(bits): shipped(net, bits, calibration, Path(folder)) for bits in tried}
            bits = str(tried[0])
            if len(forms) > 1:
                answers = {name: answer for name, (_, answer) in forms.items()}
                bits = cheapest_sufficient(answers, *for_choice, tolerance=config.tolerance)
        form, answer = forms[bits]
        asked = torch.split(held_out, 1)
        answer(asked[0])  # memory is set up
        spent_s = list[float]()
        for _ in range(config.rounds):
            with meter.window("answers") as answering:
                outputs = [answer(image) for image in asked]
            spent_s.append(answering.cpu_s)
    metrics = {
        "answer_cpu_ms": 1000 * median(spent_s) / len(asked),
        "training_cpu_s": training.cpu_s,
        "shipping_cpu_s": shipping.cpu_s,
        "model_bytes": float(form.stored_bytes),
        "input_bytes": float(images[0].numel() * images.element_size()),
        "test_accuracy": float((torch.cat(outputs).argmax(1) == wanted).double().mean()),
    }
    details: dict[str, Json] = {"training_bits": 16 if in_16_bits else 32, "answer_bits": int(bits)}
    return Outcome(metrics, replace(data.used, validation_count=half, test_count=len(wanted)), details)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
