"""A net redesigned for int8 kernels, distilled and quantised: cheaper than int8 of the net that it replaces.

Record: tactics/redesign-distil-and-quantise.yaml. Papers: Ding et al., "RepVGG", CVPR 2021 (arXiv
2101.03697), for branches that fold into one convolution; Hinton, Vinyals, Dean, "Distilling the Knowledge in
a Neural Network" (arXiv 1503.02531); Jacob et al., CVPR 2018 (arXiv 1712.05877), for integers at inference.

All arms learn from the same teacher, on as many images, and are quantised after training. `baseline` is the
dense ResNet-8. Rivals: `thin` has fewer channels, in multiples of 16; `group_norm_aligned` is pruned half
way, in multiples of 16, and `gated_aligned` by gates; `unaligned` and `depthwise` have few MACs and show why
these mislead; the baseline also reports MACs and time of all shapes, untrained. Simplified: one teacher for
all seeds, no training for the rounding. Training passes forward in bfloat16 where the processor has it.

    python -m recipes.redesign_distil_and_quantise --arm tactic --seed 0 --preset default

Needs the extras onnx and prune. On one processor core an arm takes 80 to 120 s with DEFAULT, with its tables
the baseline 160 s, and the teacher, trained once, 150 s; 5 s with SMOKE.
"""

from __future__ import annotations

import copy
import inspect
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from recipes.common.nets import distillation, precision, resnet
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.checks import (
    computed_weights,
    fault,
    frozen,
    in_training,
    label,
    registered_twice,
    several_outputs,
    wrapped,
)
from recipes.common.nets.data import Images, load_images_or_cifar10
from recipes.common.nets.distillation import distillation_loss, logits_of
from recipes.common.nets.precision import training_autocast
from recipes.common.nets.report import (
    accuracy,
    accuracy_metric,
    macs_per_image,
    net_metrics,
    training_cost_metric,
)
from recipes.common.nets.resnet import ResidualBlock, resnet8
from recipes.common.pruning.channels import cut_channels
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome, UserError
from recipes.common.timing.engines import (
    Form,
    IntegerType,
    build,
    load,
    missing_extra,
    quantise,
    whole_batches,
)
from recipes.common.timing.protocol import interleave, ratios
from recipes.prune_layers_and_channels_with_gates import loss_function, prune_with_gates, steps_of

TACTIC = "redesign-distil-and-quantise"
ARMS = ("baseline", "tactic", "thin", "group_norm_aligned", "gated_aligned", "unaligned", "depthwise")
BATCH_SIZE = 128


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    examples: int = 440_000
    """Examples drawn to train the net of an arm; 55,000 are one epoch of Fashion-MNIST."""
    teacher_examples: int = 440_000
    """Examples drawn to train the teacher."""
    teacher_widths: tuple[int, int, int] = (32, 64, 128)
    """Channels of the teacher, a ResNet-8."""
    learning_rate: float = 0.1
    """Peak of the learning rate, of the teacher too."""
    timing_cap_s: float = 10.0
    """Longest time for which one batch size is timed."""


SMOKE = Config(
    data=("digits",), examples=6_000, teacher_examples=6_000, teacher_widths=(16, 32, 64), timing_cap_s=0.1
)
DEFAULT = Config()
FULL = Config(data=("cifar-10", "fashion-mnist"), examples=1_350_000, teacher_examples=1_350_000)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def redesigned(in_channels: int = 1) -> nn.Module:
    """Return a replacement of ResNet-8 that is cheap in int8; all widths are multiples of 16.

    For ten classes. No block works at the resolution behind the stem, where a feature map has most positions.
    Two convolutions take the place of two blocks; the residual block is where there are fewest positions,
    narrow inside.
    """
    return nn.Sequential(
        nn.Conv2d(in_channels, 16, 3, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        FoldingBlock(16, 32, stride=2),
        FoldingBlock(32, 64, stride=2),
        ResidualBlock(64, 32, 64, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(64, 10),
    )


def distil_and_fold(
    student: nn.Module,
    teacher_logits: Tensor,
    images: Tensor,
    labels: Tensor,
    *,
    examples: int,
    learning_rate: float = 0.1,
    seed: int = 0,
) -> nn.Module:
    """Train a student on a teacher's outputs, and return it with its branches folded, ready to be quantised.

    Args:
        student: Net with at least one `FoldingBlock`; trained in place, in the memory format channels last,
            and in evaluation mode afterwards.
        teacher_logits: (1, images, classes), or (2, images, classes) with those of the mirrored images: then
            half of the images are mirrored in training.
        images: (images, channels, height, width).
        labels: (images,).
        examples: Examples drawn in all, for steps of 128.
        learning_rate: Its peak.
        seed: Of order and mirroring.

    Raises:
        ValueError: The student cannot be folded, or its outputs do not fit the teacher's, or the data are not
            as above, or not finite; it is not changed then.
    """
    if unfit_to_fold(student):
        raise ValueError(unfit_to_fold(student))
    if unfit_to_distil(student, teacher_logits, images, labels, examples):
        raise ValueError(unfit_to_distil(student, teacher_logits, images, labels, examples))
    distil(student, teacher_logits, images, labels, examples, learning_rate, seed)
    return fold(student)


def distil(
    student: nn.Module,
    teacher_logits: Tensor,
    images: Tensor,
    labels: Tensor,
    examples: int,
    learning_rate: float,
    seed: int,
    teacher_fraction: float = 0.7,
) -> None:
    """Train in place as `distil_and_fold` does; a `teacher_fraction` of 0 is training on labels alone."""
    student.to(memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    optimizer = torch.optim.SGD(
        student.parameters(), learning_rate, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    steps, generator = examples // BATCH_SIZE, torch.Generator().manual_seed(seed)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, learning_rate, steps, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False
    )
    epochs = range(1 + examples // len(images))
    order = torch.cat([torch.randperm(len(images), generator=generator) for _ in epochs])
    mirrored = torch.rand(len(order), generator=generator) < (len(teacher_logits) - 1) / 2
    for first in range(0, steps * BATCH_SIZE, BATCH_SIZE):
        chosen, turned = order[first : first + BATCH_SIZE], mirrored[first : first + BATCH_SIZE]
        batch = torch.where(turned[:, None, None, None], images[chosen].flip(-1), images[chosen])
        with training_autocast():
            logits = student(batch)
        loss = distillation_loss(
            logits.float(),
            teacher_logits[turned.long(), chosen],
            labels[chosen],
            teacher_fraction=teacher_fraction,
        )
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    student.eval()


# --8<-- [end:tactic]


def unfit_to_distil(
    student: nn.Module, teacher_logits: Tensor, images: Tensor, labels: Tensor, examples: int
) -> str:
    """Return why a student cannot be distilled on these, as `recipes.common.nets.checks` does."""
    if images.ndim != 4 or labels.shape != images.shape[:1]:
        got = f"{list(images.shape)} with labels {list(labels.shape)}"
        return fault("images", "(images, channels, height, width) with labels (images,)", got, "reshape them")
    if teacher_logits.ndim != 3 or len(teacher_logits) > 2 or teacher_logits.shape[1] != len(images):
        cure = "add the axis of views with unsqueeze(0)"
        expected = f"(1 or 2, {len(images)}, classes)"
        return fault("teacher_logits", expected, f"{list(teacher_logits.shape)}", cure)
    for name, values in (("teacher_logits", teacher_logits), ("images", images)):
        if not bool(values.isfinite().all()):
            return fault(name, "finite numbers", "NaN or infinity", "leave out the examples that hold them")
    if examples < 6 * BATCH_SIZE:
        return fault("examples", f"{6 * BATCH_SIZE} or more", f"{examples}", "draw the images several times")
    for name, layer in student.named_modules():
        if any(weight.dtype == torch.float16 for weight in layer.parameters(recurse=False)):
            got, cure = "torch.float16, which is too coarse to be trained", "pass the student as .float()"
            return fault(label(name, layer), "weights in float32", got, cure)
    if several_outputs(student, images[:2]):
        return several_outputs(student, images[:2])
    if frozen(student):
        return frozen(student)
    with torch.no_grad():
        shape = list(copy.deepcopy(student).eval()(images[:2]).shape)
    if shape != [2, teacher_logits.shape[-1]]:
        cure = "give the student as many outputs as the teacher has classes"
        return fault(label("", student), f"outputs (images, {teacher_logits.shape[-1]})", f"{shape}", cure)
    return ""


# --- A block that folds ----------------------------------------------------------------------------------
# A convolution that trains as several branches and runs as one.
#
# Ding et al., "RepVGG: Making VGG-style ConvNets Great Again", CVPR 2021 (arXiv 2101.03697), section 3.3:
# branches that are linear add up to one convolution once their batch normalisation has fixed statistics.


class FoldingBlock(nn.Module):
    """3x3 convolution, 1x1 convolution and identity side by side: (batch, in, ...) to (batch, out, ...).

    Attributes:
        wide: 3x3 convolution; `wide_bn` follows.
        narrow: 1x1 convolution on the pixels in the middle of the 3x3 kernels; `narrow_bn` follows.
        identity_bn: Batch normalisation of the inputs; None where channels or stride change.
        relu: After the sum.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int = 1) -> None:
        """Build the block with PyTorch's default initial weights."""
        super().__init__()
        self.wide = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.wide_bn = nn.BatchNorm2d(out_channels)
        self.narrow = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
        self.narrow_bn = nn.BatchNorm2d(out_channels)
        same = in_channels == out_channels and stride == 1
        self.identity_bn = nn.BatchNorm2d(in_channels) if same else None
        self.relu = nn.ReLU()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the rectified sum of the branches."""
        total = self.wide_bn(self.wide(inputs)) + self.narrow_bn(self.narrow(inputs))
        outputs: Tensor = self.relu(total if self.identity_bn is None else total + self.identity_bn(inputs))
        return outputs

    @torch.no_grad()
    def folded(self) -> nn.Sequential:
        """Return one 3x3 convolution and its ReLU that compute the same in evaluation mode."""
        weight, bias = _with_bias(self.wide.weight, self.wide_bn)
        branches = [_with_bias(self.narrow.weight, self.narrow_bn)]
        if self.identity_bn is not None:
            identity = torch.eye(len(weight), device=weight.device)[:, :, None, None]
            branches.append(_with_bias(identity, self.identity_bn))
        for middle, shift in branches:
            weight[:, :, 1:2, 1:2] += middle
            bias += shift
        layer = nn.Conv2d(weight.shape[1], len(weight), 3, self.wide.stride, padding=1, device="meta")  # type: ignore[arg-type]
        layer.weight, layer.bias = nn.Parameter(weight), nn.Parameter(bias)
        return nn.Sequential(layer, nn.ReLU()).train(self.training)


def fold(model: nn.Module) -> nn.Module:
    """Return a copy of a net in which one convolution stands for the branches of each block.

    Args:
        model: Net in evaluation mode: folding fixes the statistics of batch normalisation.

    Raises:
        ValueError: A part of the net is in training mode, or the net is one that `unfit_to_fold` names.
    """
    if unfit_to_fold(model):
        raise ValueError(unfit_to_fold(model))
    if in_training(model):
        raise ValueError(in_training(model))
    blocks = [name for name, module in model.named_modules() if name and isinstance(module, FoldingBlock)]
    net = copy.deepcopy(model)
    for name in blocks:
        block = net.get_submodule(name)
        assert isinstance(block, FoldingBlock)
        net.set_submodule(name, block.folded())
    return net


def unfit_to_fold(model: nn.Module) -> str:
    """Return why a net cannot be folded, as `recipes.common.nets.checks` does, or an empty text."""
    blocks = {name: module for name, module in model.named_modules() if isinstance(module, FoldingBlock)}
    reason = wrapped(model) or computed_weights(model) or registered_twice(model, list(blocks.values()))
    if reason:
        return reason
    if not blocks:
        cure = "build the net with blocks from recipes.common.folding_block"
        return f"nothing to fold: {fault(label('', model), 'a FoldingBlock in the net', 'none', cure)}"
    if "" in blocks:
        cure = "wrap it: nn.Sequential(block)"
        return fault(label("", model), "a net that holds blocks", "a FoldingBlock alone", cure)
    for name, block in blocks.items():
        for part, norm in block.named_children():
            if isinstance(norm, nn.BatchNorm2d) and (norm.running_mean is None or norm.weight is None):
                cure = "build it with the defaults of nn.BatchNorm2d"
                got = "one without"
                return fault(label(f"{name}.{part}", norm), "running statistics, scale and offset", got, cure)
    return ""


def _with_bias(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Return weights and biases of the convolution that includes the batch normalisation after it."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    return weight * scale[:, None, None, None], norm.bias - norm.running_mean * scale


# --- Teacher and nets ------------------------------------------------------------------------------------


def load_teacher_logits(config: Config, images: Images) -> Tensor:
    """Return what the teacher says of each training image, and of its mirror image, (2, images, classes).

    Digits do not look like their mirror images, so that these are left out. The teacher is trained once, from
    labels, and is the same for all seeds.
    """
    views = 1 if images.used.name == "digits" else 2
    count = len(images.train_images)
    kept = nn.Module()
    kept.register_buffer("logits", torch.zeros(views, count, 10))

    def fill(module: nn.Module) -> None:
        torch.manual_seed(0)
        teacher = resnet8(config.teacher_widths, in_channels=images.train_images.shape[1])
        labels_only = torch.zeros(views, count, 10)
        settings = config.teacher_examples, config.learning_rate, 0, 0.0
        distil(teacher, labels_only, images.train_images, images.train_labels, *settings)
        seen = (images.train_images, images.train_images.flip(-1))[:views]
        module.logits = torch.stack([logits_of(teacher, view) for view in seen])

    source = "".join(inspect.getsource(part) for part in (distil, fill, distillation, precision, resnet))
    key = [source, images.used.sha256, config.teacher_examples, config.teacher_widths, config.learning_rate]
    logits: Tensor = load_or_train(kept, key, fill).get_buffer("logits")
    return logits


def depthwise(in_channels: int) -> nn.Module:
    """Return a stack of depthwise and 1x1 convolutions, with a tenth of the dense net's MACs."""
    layers: list[nn.Module] = [nn.Conv2d(in_channels, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    for inputs, outputs, stride in ((16, 32, 2), (32, 32, 1), (32, 64, 2), (64, 64, 1)):
        for layer in (
            nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            nn.Conv2d(inputs, outputs, 1, bias=False),
        ):
            layers += [layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


NETS: dict[str, Callable[[int], nn.Module]] = {
    "baseline": lambda channels: resnet8(in_channels=channels),
    "tactic": redesigned,
    "thin": lambda channels: resnet8((16, 16, 32), in_channels=channels),
    "group_norm_aligned": lambda channels: resnet8(in_channels=channels),
    "gated_aligned": lambda channels: resnet8(in_channels=channels),
    "unaligned": lambda channels: resnet8((11, 23, 45), in_channels=channels),
    "depthwise": depthwise,
}


def trained(arm: str, config: Config, images: Images, teacher_logits: Tensor, seed: int) -> nn.Module:
    """Return the arm's net, trained on as many examples as that of any other arm."""
    torch.manual_seed(seed)
    net = NETS[arm](images.train_images.shape[1])
    data = teacher_logits, images.train_images, images.train_labels
    if arm == "tactic":
        examples, rate = config.examples, config.learning_rate
        return distil_and_fold(net, *data, examples=examples, learning_rate=rate, seed=seed)
    if arm == "group_norm_aligned":
        distil(net, *data, config.examples // 2, config.learning_rate, seed)
        macs = partial(macs_per_image, images=images.train_images)
        net = cut_channels(net, images.train_images, macs, 0.55 * macs(net), multiple=16)
        distil(net, *data, config.examples // 2, config.learning_rate, seed + 1_000_000)
    elif arm == "gated_aligned":
        distil(net, *data, config.examples // 2, config.learning_rate, seed)
        steps = steps_of(config.examples // 4, config.learning_rate, images, seed + 1_000_000)
        loss_of, rate = loss_function(images, teacher_logits[0]), max(0.04, 4 / len(steps))
        inputs = images.train_images[:256]
        prune_with_gates(
            net, steps, loss_of, inputs, macs_fraction=0.45, channel_multiple=16, gate_rate=rate
        )  # fmt: skip
        distil(net, *data, config.examples // 4, config.learning_rate, seed + 2_000_000)
    else:
        distil(net, *data, config.examples, config.learning_rate, seed)
    return net


# --- What a net is judged by -----------------------------------------------------------------------------
# What a net costs and how often it is right in 8-bit integers, as a recipe's metrics.

TIMED_BATCH_SIZES = (1, 64)
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
        for batch_size in TIMED_BATCH_SIZES:
            form = _int8_form(net, Path(name) / f"net-{batch_size}", batch_size)
            reference = _int8_form(dense, Path(name) / f"dense-{batch_size}", batch_size)
            cells = {"baseline": reference.call, "net": form.call}
            cpu_ms = interleave(cells, order_seed=0, half_width=0.01, cap_s=cap_s).cpu_ms
            metrics |= _time_metrics(cpu_ms["net"], 1 / ratios(cpu_ms)["net"].value, batch_size)
        found = accuracy_of(form, test_images, test_labels, batch_size=TIMED_BATCH_SIZES[-1])
    metrics["test_accuracy"] = accuracy_metric(found, of="the 8-bit net")
    return metrics


def type_rows(dense: Deployable, *, cap_s: float) -> list[dict[str, Json]]:
    """Return a row for each choice of 8-bit types: the dense net's time over that with the first choice."""
    inputs, batch_size = dense.calibration_inputs, TIMED_BATCH_SIZES[-1]
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
    for batch_size in TIMED_BATCH_SIZES:
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


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    require_int8()
    images = load_images_or_cifar10(config.data, config.data_dir)
    teacher_logits = load_teacher_logits(config, images)
    with meter.window("training") as window:
        net = trained(arm, config, images, teacher_logits, seed)
    inputs = images.train_images[:256], images.test_images[:2000], images.test_labels[:2000]
    shipped = Deployable(net, *inputs)
    torch.manual_seed(seed)
    untrained = {arm: Deployable(shape(inputs[0].shape[1]).eval(), *inputs) for arm, shape in NETS.items()}
    dense = untrained["baseline"]
    training = "distilled training; the teacher's, which all arms share, is not in it"
    test = images.test_images, images.test_labels
    metrics = int8_metrics(shipped, dense, *test, cap_s=config.timing_cap_s)
    metrics |= net_metrics(net, images.test_images)
    float_accuracy = accuracy(net, *test)
    validation_accuracy = accuracy(net, images.validation_images, images.validation_labels)
    metrics["float_test_accuracy"] = accuracy_metric(float_accuracy, of="the net before quantisation")
    metrics["training_cpu_s"] = training_cost_metric(window.cpu_s, training)
    details: dict[str, Json] = {"validation_accuracy_before_quantisation": validation_accuracy}
    if arm == "baseline":
        details["types_of_8_bit_numbers_batch_64"] = type_rows(dense, cap_s=config.timing_cap_s)
        untrained["tactic"] = Deployable(fold(untrained["tactic"].model).eval(), *inputs)
        for pruned in ("group_norm_aligned", "gated_aligned"):
            del untrained[pruned]  # has the shape of the dense net before it is pruned
        details["macs_and_time_of_untrained_nets"] = shape_rows(untrained, cap_s=config.timing_cap_s)
    return Outcome(metrics, images.used, details, deployable=shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
