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
import sys
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common import cli, models, resnet
from recipes.common.activation_thresholds import use_thresholds
from recipes.common.checkpoints import load_or_train
from recipes.common.cifar10 import load_images
from recipes.common.contract import Deployable, Json, Meter, Outcome
from recipes.common.data import Images
from recipes.common.energy_ratio import count_accesses, ratio_metrics, rectifier_table
from recipes.common.energy_report import BATCH_SIZES, energy_metric, modelled
from recipes.common.net_report import accuracy, accuracy_metric, training_cost_metric
from recipes.common.precision import training_autocast

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
    """Collect the outputs of all nn.ReLU modules, in the forward pass that computes the loss anyway.

    Yields:
        The outputs so far, (batch, ...) each; clear it before each forward pass.

    Raises:
        ValueError: The model has no nn.ReLU module.
    """
    rectifiers = [module for module in model.modules() if isinstance(module, nn.ReLU)]
    if not rectifiers:
        raise ValueError("no nn.ReLU found; replace F.relu by modules, or activations that are never zero")
    activations: list[Tensor] = []
    hooks = [
        module.register_forward_hook(lambda _module, _inputs, outputs: activations.append(outputs))
        for module in rectifiers
    ]
    try:
        yield activations
    finally:
        for hook in hooks:
            hook.remove()


def activation_l0(activations: Sequence[Tensor], sigma: float) -> Tensor:
    """Return a smooth fraction of non-zero activations: the mean of x**2 / (x**2 + sigma), 0 to 1.

    Lazzaro et al. 2023, equation 1. Add λ times this to the loss. The mean is over the elements of a layer,
    then over layers, so that a small layer weighs as much as a large one.

    Args:
        activations: Outputs of hidden layers, of any shapes.
        sigma: Above 0. The smaller, the closer to a count and the steeper near zero.

    Raises:
        ValueError: No activations, or sigma not above 0.
    """
    if not activations or sigma <= 0:
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
    images = load_images(config.data, config.data_dir)
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
