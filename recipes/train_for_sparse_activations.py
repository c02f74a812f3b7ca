"""Energy-aware training: add a smooth count of non-zero activations to the loss, so that fewer neurons fire.

Record: tactics/train-for-sparse-activations.yaml. Paper: Lazzaro, Cinà, Pintor, Demontis, Biggio, Roli,
Pelillo, "Minimizing Energy Consumption of Deep Learning Models by Energy-Aware Training", ICIAP 2023 (arXiv
2307.00368). The penalty is added, as in equation 3; line 6 of Algorithm 1 subtracts it.

Simplified against the paper: a LeNet instead of ResNet18 and VGG16; the penalty enters while a trained net is
fine-tuned; it counts the outputs of ReLU only; it is a mean over elements and layers, where the paper divides
a sum by the number of parameters, so that its weights λ are on another scale. Two rivals start from the same
net and try as many values of their knob: `l1` (the mean activation as penalty) and `threshold` (a ReLU that
drops small positive values too). `baseline` is fine-tuned as long without either. Training runs in bfloat16
where the processor computes in it.

The energy is modelled for a chip that skips zeros and reads every map from DRAM; a model with a memory
hierarchy stands beside. In both, little is saved at batch 1, where the weights are nearly all of the energy.
Dense kernels on a processor do not skip zeros: nothing is saved there, in time or in energy.

    python -m recipes.train_for_sparse_activations --arm tactic --seed 0 --preset default

On one processor core an arm takes about 100 s with DEFAULT, `baseline` 25 s, and the first arm of a seed 35 s
more for the nets that all share; with SMOKE 4 s.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._pytree import tree_leaves

from recipes.common.energy.report import BATCH_SIZES, energy_metric, modelled
from recipes.common.nets import models, resnet
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.checks import fault, label, wrapped
from recipes.common.nets.data import Images, load_images_or_cifar10
from recipes.common.nets.precision import training_autocast
from recipes.common.nets.report import accuracy, accuracy_metric, training_cost_metric
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome

TACTIC = "train-for-sparse-activations"
ARMS = ("baseline", "tactic", "l1", "threshold")


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    model: str = "lenet"
    """`resnet8`, or `lenet` for 28x28 grey images, where digits take `small_lenet`."""
    dense_examples: int = 165_000
    """Examples drawn to train the net that all arms start from; 55,000 are one epoch of Fashion-MNIST."""
    fine_tune_examples: int = 165_000
    """Examples drawn for each fine-tuning, that of the baseline included."""
    learning_rates: tuple[float, float] = (0.05, 0.05)
    """Peaks of the first training and of the fine-tunings, at 128 examples a step."""
    sigma: float = 0.01
    """Square of the activation that the penalty counts as one half; above 0."""
    l0_weights: tuple[float, ...] = (0.4, 0.6, 0.8, 1.0)
    """Weights λ of the smooth count that `tactic` tries."""
    l1_weights: tuple[float, ...] = (0.5, 0.8, 1.1, 1.4)
    """Weights of the mean activation that `l1` tries."""
    removed_fractions: tuple[float, ...] = (0.5, 0.55, 0.6, 0.65)
    """Fractions of a layer's positive outputs below the thresholds that `threshold` tries."""
    accuracy_budget: float = 0.008
    """Validation accuracy that a net may lose against the baseline, as a fraction."""
    judged_images: int = 2048
    """Images whose zeros are counted: of validation for choices, of test for the reported figures."""


SMOKE = Config(
    data=("digits",), dense_examples=6_000, fine_tune_examples=4_000, learning_rates=(0.05, 0.03),
    accuracy_budget=0.02
)  # fmt: skip
DEFAULT = Config()
FULL = Config(
    data=("cifar-10", "fashion-mnist"), model="resnet8", dense_examples=900_000, fine_tune_examples=900_000
)

BATCH = 128  # examples a step
RAMP_FRACTION = 0.3  # of the steps, in which a penalty or threshold rises to its full size

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
@contextmanager
def record_activations(model: nn.Module) -> Iterator[list[Tensor]]:
    """Collect the outputs of all nn.ReLU and nn.ReLU6 modules, in the forward pass that computes the loss.

    What is not collected is named in a warning: other modules of activation functions, and calls such as
    `F.relu`. The penalty has no gradient where layers are frozen; that is named too.

    Yields:
        The outputs so far, (batch, ...) each; clear it before each forward pass.

    Raises:
        ValueError: The model has no such module, or is compiled; in a forward pass: none is called, an output
            is changed in place by what follows, or none has a gradient.
    """
    if wrapped(model):
        raise ValueError(wrapped(model))
    rectifiers = {name: module for name, module in model.named_modules() if isinstance(module, RECTIFIERS)}
    if not rectifiers:
        got = _other_activations(model) or "no module of an activation function"
        raise ValueError(
            f"{label('', model)}: expected nn.ReLU or nn.ReLU6 modules, whose outputs can be recorded, got "
            f"{got}; write each call of F.relu as a module of its own; {_NEVER_ZERO}"
        )
    if _other_activations(model):
        warnings.warn(f"not recorded: {_other_activations(model)}; {_NEVER_ZERO}", stacklevel=3)
    activations: list[Tensor] = []
    calls: list[Call] = []
    passes = itertools.count()

    def note(name: str, _module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        if not activations:
            calls.clear()
        activations.append(outputs)
        calls.append((name, outputs, _changes(outputs)))

    def check(_module: nn.Module, _inputs: object, outputs: object) -> None:
        if not calls:
            cure = "call these modules in place of F.relu"
            raise ValueError(fault(", ".join(rectifiers), "a call in forward", "none", cure))
        if _overwritten(calls) or _without_gradient(calls):
            raise ValueError(_overwritten(calls) or _without_gradient(calls))
        if torch.is_grad_enabled() and next(passes) == 0 and _missed(calls, outputs):
            warnings.warn(_missed(calls, outputs), stacklevel=2)

    hooks = [module.register_forward_hook(partial(note, name)) for name, module in rectifiers.items()]
    hooks.append(model.register_forward_hook(check))
    try:
        yield activations
        if _overwritten(calls):
            raise ValueError(_overwritten(calls))
    finally:
        for hook in hooks:
            hook.remove()


def activation_l0(activations: Sequence[Tensor], sigma: float) -> Tensor:
    """Return a smooth fraction of non-zero activations: the mean of x**2 / (x**2 + sigma), 0 to 1.

    Lazzaro et al. 2023, equation 1. Add λ times this to the loss. The mean is over the elements of a layer,
    then over layers, so that a small layer weighs as much as a large one.

    Args:
        activations: Outputs of hidden layers, of any shapes; not changed.
        sigma: Above 0. The smaller, the closer to a count and the steeper near zero.

    Raises:
        ValueError: No activations, or sigma not above 0.
    """
    if isinstance(activations, Tensor):
        raise ValueError(
            "activations: expected a list of tensors, one a layer, got one tensor; put it in a list"
        )
    if not activations or not sigma > 0:
        raise ValueError(f"expected activations and sigma above 0, got {len(activations)} and {sigma:g}")
    return torch.stack([_SmoothCount.apply(outputs, sigma) for outputs in activations]).mean()  # type: ignore[no-untyped-call]


class _SmoothCount(torch.autograd.Function):
    """`(x**2 / (x**2 + sigma)).mean()`; autograd of that expression takes several times as long on a CPU."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, sigma: float) -> Tensor:  # noqa: ANN401 - torch has no type for it
        rest = outputs.float().square().add_(sigma).reciprocal_().mul_(sigma)
        ctx.save_for_backward(outputs, rest)
        ctx.sigma = sigma
        return 1 - rest.mean()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:  # noqa: ANN401
        outputs, rest = ctx.saved_tensors
        slope = rest.square().mul_(outputs).mul_(2 * gradient / (ctx.sigma * outputs.numel()))
        return slope.to(outputs.dtype), None


# --8<-- [end:tactic]


def activation_l1(activations: Sequence[Tensor]) -> Tensor:
    """Return the mean of rectified activations, over elements and then layers: the penalty of a rival."""
    # Rectifying once more changes nothing, but hands back a gradient in the memory format of the outputs.
    return torch.stack([outputs.relu().mean(dtype=torch.float32) for outputs in activations]).mean()


# --- What is not recorded --------------------------------------------------------------------------------


RECTIFIERS = (nn.ReLU, nn.ReLU6)
_GATES = (
    nn.MultiheadAttention, nn.Softmax, nn.Softmax2d, nn.LogSoftmax, nn.Softmin, nn.Sigmoid, nn.Hardsigmoid,
    nn.LogSigmoid, nn.Tanh,
)  # fmt: skip
"""What stands among torch's activation functions, but gates others or ends a net."""
_NEVER_ZERO = (
    "put nn.ReLU in place of GELU, Hardswish and the like, which hardly give a zero, and train first"
)
Call = tuple[str, Tensor, int]
"""A rectifier's name, what it returned, and how often that had been changed in place."""


def _other_activations(model: nn.Module) -> str:
    """Return the first activation functions of a net that are no rectifiers, and how many there are."""
    found = [
        label(name, module)
        for name, module in model.named_modules()
        if type(module).__module__ == nn.ReLU.__module__ and not isinstance(module, (*RECTIFIERS, *_GATES))
    ]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return ", ".join(found[:3]) + more


def _changes(outputs: Tensor) -> int:
    """Return how often a tensor has been changed in place; torch does not count in inference mode."""
    return 0 if outputs.is_inference() else outputs._version


def _overwritten(calls: Sequence[Call]) -> str:
    """Return which output is changed in place once it has been recorded, so that another one is counted."""
    for name, outputs, changes in calls:
        if _changes(outputs) != changes:
            got = "a change in place behind it, after which the penalty counts something else"
            cure = "write y = y + x for y += x, and set inplace=False on the module behind it"
            return fault(name, "an output that stays as it is", got, cure)
    return ""


def _without_gradient(calls: Sequence[Call]) -> str:
    """Return that the penalty would change nothing, as no output has a gradient."""
    if not torch.is_grad_enabled() or not calls or any(outputs.requires_grad for _, outputs, _ in calls):
        return ""
    cure = "unfreeze a layer in front of one, and take torch.no_grad() out of forward"
    return fault(
        calls[0][0], "a gradient, here or in another ReLU", "none, so that the penalty does nothing", cure
    )


def _missed(calls: Sequence[Call], outputs: object) -> str:
    """Return which rectified outputs the penalty misses, as far as the graph of the gradients tells."""
    frozen = [name for name, recorded, _ in calls if not recorded.requires_grad]
    if frozen:
        return f"the penalty has no gradient at {', '.join(frozen)}, as all in front is frozen"
    recorded = {outputs.grad_fn for _, outputs, _ in calls}
    ahead = [leaf.grad_fn for leaf in tree_leaves(outputs) if isinstance(leaf, Tensor)]
    seen = set[object]()
    while ahead:
        node = ahead.pop()
        if node is not None and node not in seen:
            seen.add(node)
            ahead += [following for following, _ in node.next_functions]
    missed = sum(type(node).__name__ == "ReluBackward0" for node in seen - recorded)
    if not missed:
        return ""
    return (
        f"recorded: {len(calls)} of {len(calls) + missed} rectified outputs; write each call of F.relu or "
        "torch.relu as an nn.ReLU module to record the others"
    )


# --- A rival: thresholds ---------------------------------------------------------------------------------
# ReLUs that drop small positive values too, so that more activations are zero.
#
# This is the FATReLU of Kurtz et al., "Inducing and Exploiting Activation Sparsity for Fast Inference on
# Deep Neural Networks", ICML 2020.


@torch.no_grad()
def use_thresholds(model: nn.Module, images: Tensor, removed_fraction: float) -> dict[nn.Threshold, float]:
    """Replace each ReLU by a threshold: x where it is above, else 0. The thresholds are 0 for now.

    Args:
        model: Changed in place; each nn.ReLU is called once in a forward pass.
        images: (images, ...), to see how large the outputs of each ReLU are.
        removed_fraction: Fraction of a ReLU's positive outputs to drop, at least 0 and below 1.

    Returns:
        For each new module the threshold that drops this fraction on these images, to be set as its
        `threshold`, at once or little by little in a training.

    Raises:
        ValueError: The model has no nn.ReLU module with a positive output, or the fraction is out of range.
    """
    if not 0 <= removed_fraction < 1:
        raise ValueError(f"removed_fraction: expected at least 0 and below 1, got {removed_fraction:g}")
    positive: dict[str, Tensor] = {}

    def keep(name: str, _module: nn.Module, _inputs: object, outputs: Tensor) -> None:
        positive[name] = outputs[outputs > 0]

    rectifiers = [(name, module) for name, module in model.named_modules() if isinstance(module, nn.ReLU)]
    hooks = [module.register_forward_hook(partial(keep, name)) for name, module in rectifiers]
    model(images)
    for hook in hooks:
        hook.remove()
    thresholds = {}
    for name, values in positive.items():
        if len(values):
            module = nn.Threshold(0.0, 0.0)
            model.set_submodule(name, module)
            thresholds[module] = float(values.kthvalue(1 + int(removed_fraction * len(values))).values)
    if not thresholds:
        raise ValueError(f"{type(model).__name__}: expected an nn.ReLU module that fires, found none")
    return thresholds


# --- Data and model --------------------------------------------------------------------------------------


def build_model(config: Config, images: Images, seed: int) -> nn.Module:
    """Return the net for these images, with the seed's initial weights."""
    torch.manual_seed(seed)
    if config.model == "resnet8":
        model = resnet.resnet8(in_channels=images.train_images.shape[1])
    else:
        model = models.lenet() if images.train_images.shape[-1] == 28 else models.small_lenet()
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def trained_nets(config: Config, images: Images, seed: int) -> tuple[nn.Module, nn.Module]:
    """Return the net that all arms start from, and the baseline: that net after one plain fine-tuning."""
    first = build_model(config, images, seed)
    source = inspect.getsource(train) + inspect.getsource(models) + inspect.getsource(resnet)
    settings = config.model, config.dense_examples, config.fine_tune_examples, config.learning_rates
    key = [source, images.used.sha256, seed, *settings]
    load_or_train(first, [*key, "first"], lambda net: train(net, images, config, seed, "first"))
    control = copy.deepcopy(first)
    load_or_train(control, [*key, "baseline"], lambda net: train(net, images, config, seed, "baseline"))
    return first.eval(), control.eval()


# --- Train and evaluate ----------------------------------------------------------------------------------


def train(model: nn.Module, images: Images, config: Config, seed: int, arm: str, knob: float = 0.0) -> None:
    """Train in place; the learning rate rises, then falls.

    Args:
        model: The net.
        images: Only those of training are read.
        config: Settings.
        seed: Of the order of examples, which is the same in all arms.
        arm: An arm, which fine-tunes, or `first` for the training that all arms start from.
        knob: Weight of the arm's penalty, or fraction of the positive outputs that `threshold` drops.
    """
    examples = config.dense_examples if arm == "first" else config.fine_tune_examples
    rate = config.learning_rates[0 if arm == "first" else 1]
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    count, steps = len(images.train_images), examples // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, total_steps=steps, pct_start=0.2, anneal_strategy="linear"
    )
    generator = torch.Generator().manual_seed(seed if arm == "first" else seed + 1_000_000)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + examples // count)])
    thresholds = use_thresholds(model, images.train_images[:256], knob) if arm == "threshold" else {}
    recording: AbstractContextManager[list[Tensor]] = nullcontext([])
    if arm in ("tactic", "l1"):
        recording = record_activations(model)
    model.train()
    with recording as activations:
        for step in range(steps):
            ramp = min(1.0, (step + 1) / (RAMP_FRACTION * steps))
            for module, threshold in thresholds.items():
                module.threshold = ramp * threshold
            activations.clear()
            chosen = order[BATCH * step : BATCH * (step + 1)]
            inputs = images.train_images[chosen].contiguous(memory_format=torch.channels_last)
            with training_autocast():
                logits = model(inputs)
            loss = F.cross_entropy(logits.float(), images.train_labels[chosen])
            if arm == "tactic":
                loss = loss + ramp * knob * activation_l0(activations, config.sigma)
            elif arm == "l1":
                loss = loss + ramp * knob * activation_l1(activations)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
    model.eval()


# --- What a net is judged by -----------------------------------------------------------------------------
# The energy ratio of an accelerator that skips zeros: modelled energy with skipping over that without.
#
# Formula and constants of the simulator behind "Sponge Examples" (Shumailov et al., EuroS&P 2021), which
# energy-aware training (Lazzaro et al., ICIAP 2023) reports too. All data come from DRAM once: a module
# reads its weights and inputs and writes its outputs, so that a map between two modules counts twice. Every
# access costs the same, and so does every operation. There are no caches and no reuse: the ratio is not
# comparable with the energy model, which has both. Modelled, never measured.
#
# Differences from the simulator: groups of a convolution are respected, the statistics of a normalisation
# are counted once, and modules that move nothing at inference (`UNCOUNTED`) are left out. As there,
# additions between modules and functions called in `forward` are not seen.

ACCESS_ENERGY_PJ = 1950.0
OPERATION_ENERGY_PJ = 3.7
SMALLEST = torch.finfo(torch.float32).tiny  # 2**-126; the simulator takes anything smaller for zero
LARGE_BATCH = 512  # as in Lazzaro et al.; the weights, read once for it, hardly count
COUNTED_RECTIFIERS = (nn.ReLU, nn.Threshold)
UNCOUNTED = (nn.Identity, nn.Flatten, nn.Dropout, nn.Dropout2d)


@dataclass(frozen=True)
class ModuleAccesses:
    """What one call of one leaf module moves and computes."""

    name: str
    """Name in `model.named_modules()`."""
    rectifies: bool
    """Whether it is one of `COUNTED_RECTIFIERS`."""
    weights: int
    """Parameters and buffers, read once for a batch."""
    nonzero_weights: int
    """Those that are not zero."""
    inputs: float
    """Input values per image."""
    nonzero_inputs: float
    """Those that are not zero, mean over the images."""
    outputs: float
    """Output values per image."""
    nonzero_outputs: float
    """Those that are not zero, mean over the images."""
    operations: float
    """Operations per image, zeros not regarded."""


@torch.no_grad()
def count_accesses(model: nn.Module, images: Tensor) -> tuple[ModuleAccesses, ...]:
    """Run a copy of a net once and count what its leaf modules move, call by call.

    Args:
        model: Net in evaluation mode; each module takes and returns one tensor. Not changed.
        images: (images, ...), in one forward pass; the counts are means over them.

    Raises:
        ValueError: The net has no module of `COUNTED_RECTIFIERS`, or a module is not modelled.
    """
    traced = copy.deepcopy(model)
    calls: list[ModuleAccesses] = []

    def recorder(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            calls.append(_accesses(name, module, inputs[0], output))

        return hook

    for name, module in traced.named_modules():
        if isinstance(module, COUNTED_RECTIFIERS):
            module.inplace = False  # the input is counted as it arrives; `energy_ratio` decides how it counts
        if not any(module.children()) and not isinstance(module, UNCOUNTED):
            module.register_forward_hook(recorder(name))
    traced(images)
    if not any(call.rectifies for call in calls):
        raise ValueError(f"{type(model).__name__}: expected an nn.ReLU or nn.Threshold module, found none")
    return tuple(calls)


def energy_ratio(calls: Sequence[ModuleAccesses], *, batch_size: int, in_place: bool) -> float:
    """Return the energy with zeros skipped over that of the same work without, 0 to 1.

    Args:
        calls: What `count_accesses` found.
        batch_size: Images that share one reading of the weights. At 1 the weights usually dominate, and they
            are hardly ever zero; in the large batches of the papers they vanish.
        in_place: Whether a rectifier overwrites its input. The simulator looks at a module's input after the
            call, so that an in-place rectifier's input is counted as rectified already.

    Raises:
        ValueError: The batch size is below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size: expected at least 1, got {batch_size}")
    weights = sum(call.weights for call in calls)
    nonzero_weights = sum(call.nonzero_weights for call in calls)
    inputs = batch_size * sum(call.inputs for call in calls)
    nonzero_inputs = batch_size * sum(
        call.nonzero_outputs if in_place and call.rectifies else call.nonzero_inputs for call in calls
    )
    outputs = batch_size * sum(call.outputs for call in calls)
    nonzero_outputs = batch_size * sum(call.nonzero_outputs for call in calls)
    compute = batch_size * sum(call.operations for call in calls) * OPERATION_ENERGY_PJ
    weight_density = nonzero_weights / weights if weights else 1.0
    worst = ACCESS_ENERGY_PJ * (weights + inputs + outputs) + compute
    skipping = ACCESS_ENERGY_PJ * (nonzero_weights + nonzero_inputs + nonzero_outputs)
    return (skipping + weight_density * nonzero_inputs / inputs * compute) / worst


def nonzero_fraction(calls: Sequence[ModuleAccesses]) -> float:
    """Return the fraction of all outputs of rectifiers that are not zero."""
    rectified = [call for call in calls if call.rectifies]
    return sum(call.nonzero_outputs for call in rectified) / sum(call.outputs for call in rectified)


def ratio_metrics(calls: Sequence[ModuleAccesses]) -> dict[str, Metric]:
    """Return the non-zero fraction, and the energy ratio with three conventions, as metrics.

    Args:
        calls: What `count_accesses` found.
    """

    def ratio(size: int, *, in_place: bool) -> Metric:
        how = "overwriting its input" if in_place else "reading a full map of its own"
        text = f"Modelled energy with zeros skipped over that without; batch {size}, ReLU {how}."
        value = energy_ratio(calls, batch_size=size, in_place=in_place)
        return Metric(value, "ratio", "lower", "modelled", text)

    text = "Fraction of the outputs of ReLU that are not zero."
    return {
        "energy_ratio": ratio(LARGE_BATCH, in_place=True),
        "energy_ratio_batch_1": ratio(1, in_place=True),
        "energy_ratio_relu_not_in_place": ratio(LARGE_BATCH, in_place=False),
        "nonzero_activations_fraction": Metric(nonzero_fraction(calls), "fraction", "lower", "counted", text),
    }


def rectifier_table(calls: Sequence[ModuleAccesses]) -> list[dict[str, Json]]:
    """Return one flat row for each call of a rectifier: its outputs per image and their non-zero fraction."""
    return [
        {"layer": call.name, "outputs": call.outputs, "nonzero_fraction": call.nonzero_outputs / call.outputs}
        for call in calls
        if call.rectifies
    ]


def _accesses(name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> ModuleAccesses:
    weights = [*module.parameters(), *module.buffers()]
    return ModuleAccesses(
        name=name,
        rectifies=isinstance(module, COUNTED_RECTIFIERS),
        weights=sum(weight.numel() for weight in weights),
        nonzero_weights=sum(_nonzero(weight) for weight in weights),
        inputs=inputs.numel() / len(inputs),
        nonzero_inputs=_nonzero(inputs) / len(inputs),
        outputs=output.numel() / len(output),
        nonzero_outputs=_nonzero(output) / len(output),
        operations=_operations(name, module, inputs, output) / len(inputs),
    )


def _nonzero(values: Tensor) -> int:
    return int((values.abs() > SMALLEST).sum())


def _operations(name: str, module: nn.Module, inputs: Tensor, output: Tensor) -> float:
    """Count the operations of one call as the simulator does: a multiply-accumulate is one."""
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        return output.numel() * module.weight[0].numel()
    if isinstance(module, nn.BatchNorm2d):
        return 4 * inputs.numel()
    if isinstance(module, (nn.MaxPool2d, nn.AvgPool2d)):
        size = module.kernel_size
        height, width = (size, size) if isinstance(size, int) else size
        return output.numel() * height * width
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return inputs.numel()
    if isinstance(module, COUNTED_RECTIFIERS):
        return 0
    raise ValueError(f"{name}: {type(module).__name__} is not modelled; count its operations in energy_ratio")


# --- Run -------------------------------------------------------------------------------------------------


def sweep(
    arm: str, first: nn.Module, least_accuracy: float, config: Config, images: Images, seed: int, meter: Meter
) -> tuple[nn.Module | None, list[dict[str, Json]], list[float]]:
    """Try each value of the knob; return the sparsest accurate net or None, rows and processor times."""
    knobs = {"tactic": config.l0_weights, "l1": config.l1_weights, "threshold": config.removed_fractions}
    kept, sparsest = None, 1.0
    rows: list[dict[str, Json]] = []
    cpu_s: list[float] = []
    for knob in knobs.get(arm, (0.0,)):
        net = copy.deepcopy(first)
        with meter.window(f"{arm} {knob:g}") as window:
            train(net, images, config, seed, arm, knob)
        cost = ratio_metrics(count_accesses(net, images.validation_images[: config.judged_images]))
        found = accuracy(net, images.validation_images, images.validation_labels)
        row = {name: cost[name].value for name in ("nonzero_activations_fraction", "energy_ratio")}
        limits = {"validation_accuracy": found, "least_validation_accuracy": least_accuracy}
        rows.append({"knob": knob, **limits, **row})
        cpu_s.append(window.cpu_s)
        if found >= least_accuracy and row["nonzero_activations_fraction"] < sparsest:
            kept, sparsest = net, row["nonzero_activations_fraction"]
    return kept, rows, cpu_s


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images_or_cifar10(config.data, config.data_dir)
    first, control = trained_nets(config, images, seed)
    least = accuracy(control, images.validation_images, images.validation_labels) - config.accuracy_budget
    kept, rows, cpu_s = sweep(arm, first, least, config, images, seed, meter)
    net, judged = kept or control, images.test_images[: config.judged_images]
    calls, total = count_accesses(net, judged), sum(cpu_s)
    metrics = {
        "test_accuracy": accuracy_metric(accuracy(net, images.test_images, images.test_labels)),
        **ratio_metrics(calls),
        **{f"energy_batch_{n}": energy_metric(modelled(net, judged, n).total, n) for n in BATCH_SIZES},
        "training_cpu_s": training_cost_metric(total, "all fine-tunings of the arm, its search included"),
        "one_training_cpu_s": training_cost_metric(total / len(cpu_s), "one fine-tuning of the arm, mean"),
    }
    shipped = Deployable(net, images.train_images[:256], images.test_images[:2000], images.test_labels[:2000])
    details = {"curve": rows, "layers": rectifier_table(calls)}
    return Outcome(metrics, images.used, details, deployable=shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
