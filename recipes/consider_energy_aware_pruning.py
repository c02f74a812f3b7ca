"""Energy-aware pruning: cut the layers that use the most modelled energy first, repair each in closed form.

Record: tactics/consider-energy-aware-pruning.yaml. Paper: Yang, Chen, Sze, "Designing Energy-Efficient
Convolutional Neural Networks using Energy-Aware Pruning", CVPR 2017 (arXiv 1611.05128).

Simplified against the paper: small nets instead of AlexNet; squared error in the restore step, which has a
cheap update; the bias is refitted too; each layer gets half of the accuracy that may still be lost; one pass
over the layers. Fine-tuning, in bfloat16 where the processor has it, also learns from the dense net; so does
the dense net that all are compared with. Each arm prunes the dense net to a few depths, which close in on the
accuracy that may be lost.

Rivals: `magnitude`, one threshold for all weights; `damped`, one for their squares over the square root of
the energy they cost; `damped_repaired`, its share for each layer with the tactic's repair; `weight_ordered`,
the tactic in the order of weight count; `other_batch_size`, ordered for batch 48 instead of 1 or the reverse.

    python -m recipes.consider_energy_aware_pruning --arm tactic --seed 0 --preset default

On one processor core an arm takes 55 to 100 s with DEFAULT, the first of a seed 35 s more; 5 s with SMOKE.
"""

from __future__ import annotations

import copy
import inspect
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.energy.model import estimate
from recipes.common.energy.report import BATCH_SIZES, MODEL, modelled
from recipes.common.nets import models
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.checks import no_quality, unfit_to_mask, unfit_to_refit
from recipes.common.nets.data import Images, load_images_or_cifar10
from recipes.common.nets.distillation import distillation_loss, logits_of
from recipes.common.nets.precision import training_autocast
from recipes.common.nets.report import accuracy
from recipes.common.pruning import report
from recipes.common.pruning.weights import (
    LayerMoments,
    Masks,
    apply_masks,
    cut_and_repair,
    damped_factors,
    masks_of,
    prunable_layers,
    prune_by_threshold,
    sample_moments,
)
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome

TACTIC = "consider-energy-aware-pruning"
ARMS = (
    "baseline", "tactic", "magnitude", "weight_ordered", "damped", "damped_repaired", "other_batch_size",
)  # fmt: skip
Evaluate = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    model: str = "lenet"
    """Net, `lenet` (for grey 28x28 images) or `mini_alexnet`; digits always take `small_lenet`."""
    dense_examples: int = 220_000
    """Examples drawn to train the dense net; 55,000 are one epoch of Fashion-MNIST."""
    fine_tune_examples: int = 110_000
    """Examples drawn to fine-tune a pruned net, and the dense net that it is compared with."""
    learning_rates: tuple[float, float] = (0.1, 0.05)
    """Peaks of the dense training and of the fine-tuning, at 128 examples a step."""
    depths: int = 4
    """Nets that an arm prunes and fine-tunes."""
    accuracy_budget: float = 0.008
    """Validation accuracy a net may lose against the equally trained dense net, as a fraction."""
    first_losses: tuple[float, float] = (0.015, 0.25)
    """Validation accuracy that the first pruning may lose before fine-tuning: with repair, and without."""
    cut_loss: float = 0.010
    """Validation accuracy that the net reported before any gradient step may lose, as a fraction."""
    batch_size: int = 1
    """Images that share one reading of the weights, for the order of the layers; 1 or 48."""


SMOKE = Config(("digits",), dense_examples=18_000, fine_tune_examples=6_000, depths=2, accuracy_budget=0.02)
DEFAULT = Config()
FULL = Config(data=("cifar-10", "fashion-mnist"), model="mini_alexnet", batch_size=48)

# --- The tactic ------------------------------------------------------------------------------------------

CALIBRATION_IMAGES = 1024  # training images for the closed-form repair
SEARCH_IMAGES = 2000  # validation images that judge each step of a search; all of them judge a depth
KEPT_STEP = 0.9  # ratio of the weights kept at neighbouring depths of the search
LEAST_KEPT = 0.01  # share of a layer's weights that no search goes below


# --8<-- [start:tactic]
@torch.no_grad()
def prune_energy_aware(
    model: nn.Module,
    calibration_inputs: Tensor,
    *,
    evaluate: Evaluate,
    largest_loss: float,
    batch_size: int = 1,
    cost_by_layer: Mapping[str, float] | None = None,
) -> Masks:
    """Prune a trained net in place, dearest layer first, without any gradient step.

    Each layer gets the largest removal that costs at most half of what may still be lost, so that the layers
    which use the most energy are cut hardest (Yang, Chen, Sze 2017).

    Args:
        model: Net in evaluation mode; its `nn.Conv2d` and `nn.Linear` layers are pruned, frozen ones too.
        calibration_inputs: Inputs like those of training, (images, ...); no labels needed.
        evaluate: Returns the quality of a net on held-out data; higher is better.
        largest_loss: Quality that may be lost in all, in the unit of `evaluate`.
        batch_size: Images that share one reading of the weights; decides which layers are dear.
        cost_by_layer: Orders the layers instead of their modelled energy.

    Returns:
        Masks by layer name, True where a weight is kept: hold them in any fine-tuning.

    Raises:
        ValueError: The net cannot be pruned so (it is in training mode, in half precision, holds a layer that
            `forward` does not call, ...), or its quality is no finite number; both are seen before it is
            changed. Or nothing could be removed within `largest_loss`; the net is then as it was.
    """
    if unfit_to_mask(model):
        raise ValueError(unfit_to_mask(model))
    dense = copy.deepcopy(model)
    energies = estimate(model, calibration_inputs[:256], batch_size=batch_size).layers
    costs = cost_by_layer or {layer.name: layer.energy for layer in energies}
    if unfit_to_refit(model, calibration_inputs):
        raise ValueError(unfit_to_refit(model, calibration_inputs))
    if not costs.keys() >= prunable_layers(model).keys():
        raise ValueError(
            "cost_by_layer: expected a cost of every nn.Conv2d and nn.Linear, got none for "
            f"{', '.join(prunable_layers(model).keys() - costs.keys())}; add them"
        )
    generator = torch.Generator().manual_seed(0)
    quality = evaluate(model)
    floor = quality - largest_loss
    if no_quality(floor, largest_loss):
        raise ValueError(no_quality(floor, largest_loss))
    for name in sorted(prunable_layers(model), key=costs.__getitem__, reverse=True):
        moments = sample_moments(dense, model, name, calibration_inputs, rows=20_000, generator=generator)
        quality = _prune_layer(model, name, moments, evaluate, quality, floor)
    masks = masks_of(model)
    if all(torch.equal(masks[name], mask) for name, mask in masks_of(dense).items()):
        raise ValueError(f"nothing could be removed within a loss of {largest_loss:g}; allow a larger one")
    return masks


def _prune_layer(
    model: nn.Module, name: str, moments: LayerMoments, evaluate: Evaluate, quality: float, floor: float
) -> float:
    """Bisect for the largest removal that takes half of what is left above the floor; return the quality."""
    layer = prunable_layers(model)[name]
    before, best = layer.weight.clone(), copy.deepcopy(layer.state_dict())
    layer_floor = (quality + floor) / 2
    depth, too_deep = 0, math.ceil(math.log(LEAST_KEPT, KEPT_STEP))
    while too_deep - depth > 1:
        middle = (depth + too_deep) // 2
        cut_and_repair(layer, before, moments, KEPT_STEP**middle)
        if (found := evaluate(model)) >= layer_floor:
            depth, quality, best = middle, found, copy.deepcopy(layer.state_dict())
        else:
            too_deep = middle
    layer.load_state_dict(best)
    return quality


# --8<-- [end:tactic]
# --- Nets, training and evaluation -----------------------------------------------------------------------


def trained_nets(config: Config, images: Images, seed: int) -> tuple[nn.Module, nn.Module]:
    """Return the dense net, and the same net after as much fine-tuning as a pruned net gets."""
    torch.manual_seed(seed)
    dense = models.for_images(config.model, *images.train_images.shape[1:3])
    dense.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = inspect.getsource(train) + inspect.getsource(distillation_loss) + inspect.getsource(models)
    key = [source, images.used.sha256, seed, config.model, config.dense_examples, config.learning_rates]
    load_or_train(dense, key, lambda net: train(net, config, images, seed)).eval()

    def fine_tune(net: nn.Module) -> None:
        train(net, config, images, seed, logits_of(dense, images.train_images))

    reference = load_or_train(copy.deepcopy(dense), [*key, config.fine_tune_examples], fine_tune)
    return dense, reference.eval()


def train(
    model: nn.Module,
    config: Config,
    images: Images,
    seed: int,
    teacher_logits: Tensor | None = None,
    masks: Masks | None = None,
) -> None:
    """Train in place, or fine-tune where there is a teacher; weights outside `masks` stay zero."""
    tuning = teacher_logits is not None
    rate = config.learning_rates[tuning]
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(seed + 1_000_000 * tuning)
    count, examples = len(images.train_images), config.fine_tune_examples if tuning else config.dense_examples
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + examples // count)])
    steps = examples // 128
    model.train()
    for step in range(steps):  # the rate rises over a fifth of the steps, then falls
        triangle = min((step + 1) / (0.2 * steps), (steps - step) / (0.8 * steps))
        optimizer.param_groups[0]["lr"] = rate * triangle
        chosen = order[128 * step : 128 * (step + 1)]
        with training_autocast():
            logits = model(images.train_images[chosen]).float()
        if teacher_logits is None:
            loss = F.cross_entropy(logits, images.train_labels[chosen], label_smoothing=0.05)
        else:
            loss = distillation_loss(logits, teacher_logits[chosen], images.train_labels[chosen])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if masks is not None:  # the one place where the training of the arms differs
            apply_masks(model, masks)
    model.eval()


def accuracy_on_validation(model: nn.Module, images: Images, count: int | None = None) -> float:
    """Return the accuracy on the first validation images, on all where `count` is None."""
    return accuracy(model, images.validation_images[:count], images.validation_labels[:count])


# --- Curves ----------------------------------------------------------------------------------------------
# Curves of modelled energy against accuracy: how deep to prune next, and the energy at a given accuracy.

FURTHEST_STEP = 2.0
"""Ratio of neighbouring allowed losses while no two of them enclose the accuracy asked for."""


@dataclass(frozen=True)
class Point:
    """One net of a curve: what it costs and how good it is; a row of the detail `curve`."""

    allowed_loss_before_fine_tuning: float
    """Validation accuracy that the pruning could lose, as a fraction; 0 for the dense net."""
    validation_accuracy: float
    """Fraction, on all validation images, after fine-tuning."""
    nonzero_weights: int
    """Weights that are not zero."""
    energy_batch_1: float
    """Modelled energy of one inference, in multiples of one 16-bit MAC; weights read for each image."""
    energy_batch_48: float
    """The same with weights read once for 48 images."""

    def energy(self, batch_size: int) -> float:
        """Return the modelled energy at batch 1 or 48."""
        return {1: self.energy_batch_1, 48: self.energy_batch_48}[batch_size]


def describe(allowed_loss: float, model: nn.Module, images: Tensor, accuracy: float) -> Point:
    """Describe a fine-tuned net, and say on stderr how it turned out.

    Args:
        allowed_loss: Validation accuracy that its pruning could lose, as a fraction.
        model: The net.
        images: Training images; the first ones give the zeros of the activations.
        accuracy: Its validation accuracy, as a fraction.
    """
    weights = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(model).values())
    found = Point(allowed_loss, accuracy, weights, *(modelled(model, images, n).total for n in BATCH_SIZES))
    print(  # noqa: T201 - a recipe talks on stderr
        f"allowing {allowed_loss:.2%} before fine-tuning: {weights:,} weights, modelled energy "
        f"{found.energy_batch_1:,.0f} at batch 1 and {found.energy_batch_48:,.0f} at batch 48, "
        f"validation accuracy {accuracy:.2%}",
        file=sys.stderr,
    )
    return found


def next_allowed_loss(points: Sequence[Point], least_accuracy: float) -> float:
    """Return the allowed loss to try next, so that the curve closes in on an accuracy.

    Twice or half the outermost one until two enclose the accuracy; then between these two, where a straight
    line over the logarithm of the allowed loss meets it, but at least a quarter of the way off either.

    Args:
        points: What has been tried, in any order; at least one.
        least_accuracy: Validation accuracy asked for, as a fraction.
    """
    bad = [p for p in points if p.validation_accuracy < least_accuracy]
    first_bad = min(bad, key=lambda p: p.allowed_loss_before_fine_tuning, default=None)
    limit = first_bad.allowed_loss_before_fine_tuning if first_bad else math.inf
    good = [p for p in points if p not in bad and p.allowed_loss_before_fine_tuning < limit]
    last_good = max(good, key=lambda p: p.allowed_loss_before_fine_tuning, default=None)
    if last_good is None:
        return limit / FURTHEST_STEP
    if first_bad is None:
        return last_good.allowed_loss_before_fine_tuning * FURTHEST_STEP
    above = last_good.validation_accuracy - least_accuracy
    share = above / (last_good.validation_accuracy - first_bad.validation_accuracy)
    low = last_good.allowed_loss_before_fine_tuning
    return low * float((limit / low) ** min(max(share, 0.25), 0.75))


def energy_at(dense: Point, pruned: Sequence[Point], least_accuracy: float, batch_size: int) -> float:
    """Read the modelled energy at an accuracy off the curve of the pruned nets.

    Neighbouring points whose accuracy falls while the energy rises are averaged, as in isotonic regression;
    between what is then left, the logarithm of the energy is linear in the accuracy. Never beyond the ends:
    a curve that is more accurate throughout gives its lowest energy.

    Args:
        dense: Ends the curve where no pruned net is accurate enough.
        pruned: Points in any order; may be none.
        least_accuracy: Validation accuracy asked for, as a fraction.
        batch_size: 1 or 48 images that share one reading of the weights.
    """
    blocks: list[tuple[float, float, int]] = []  # mean accuracy, mean logarithm of the energy, points
    for p in sorted(pruned, key=lambda p: p.energy(batch_size)):
        block = (p.validation_accuracy, math.log(p.energy(batch_size)), 1)
        while blocks and blocks[-1][0] >= block[0]:
            block = _averaged(blocks.pop(), block)
        blocks.append(block)
    if not blocks or blocks[-1][0] < least_accuracy:
        blocks.append((dense.validation_accuracy, math.log(dense.energy(batch_size)), 1))
    accuracies, logarithms, _ = zip(*blocks, strict=True)
    return math.exp(float(np.interp(least_accuracy, accuracies, logarithms)))


def _averaged(first: tuple[float, float, int], second: tuple[float, float, int]) -> tuple[float, float, int]:
    count = first[2] + second[2]
    accuracy, logarithm = ((first[i] * first[2] + second[i] * second[2]) / count for i in (0, 1))
    return accuracy, logarithm, count


def equal_accuracy_metrics(dense: Point, pruned: Sequence[Point], least_accuracy: float) -> dict[str, Metric]:
    """Return the energies at an accuracy, read off the curve, as metrics.

    Args:
        dense: The equally trained dense net.
        pruned: The nets of the arm; none for the baseline.
        least_accuracy: Validation accuracy that all arms of a seed are compared at, as a fraction.
    """
    return {
        f"energy_batch_{n}_at_equal_accuracy": Metric(
            energy_at(dense, pruned, least_accuracy, n),
            "MAC energy",
            "lower",
            "modelled",
            "Modelled energy of one inference at the validation accuracy that the arms are compared at, "
            f"interpolated between pruned nets; weights read once for {n} image(s); {MODEL}.",
        )
        for n in BATCH_SIZES
    }


# --- Run -------------------------------------------------------------------------------------------------


def prune(arm: str, model: nn.Module, loss: float, config: Config, images: Images, seed: int) -> Masks:
    """Prune in place as the arm does, as deep as the loss allowed on the search images."""
    evaluate = partial(accuracy_on_validation, images=images, count=SEARCH_IMAGES)
    order = torch.randperm(len(images.train_images), generator=torch.Generator().manual_seed(seed))
    calibration = images.train_images[order[:CALIBRATION_IMAGES]]
    if arm in ("magnitude", "damped", "damped_repaired"):
        damped = None if arm == "magnitude" else damped_factors(model, calibration[:256], config.batch_size)
        inputs = calibration if arm == "damped_repaired" else None
        return prune_by_threshold(model, evaluate, loss, factors=damped, repair_inputs=inputs)
    prune_layers = partial(prune_energy_aware, model, calibration, evaluate=evaluate, largest_loss=loss)
    if arm == "weight_ordered":
        return prune_layers(cost_by_layer={name: mask.numel() for name, mask in masks_of(model).items()})
    other = {1: 48, 48: 1}[config.batch_size]
    return prune_layers(batch_size=other if arm == "other_batch_size" else config.batch_size)


def trace_curve(
    arm: str, dense: nn.Module, least_accuracy: float, config: Config, images: Images, seed: int
) -> list[tuple[Point, nn.Module]]:
    """Prune the dense net to several depths and fine-tune each; the depths close in on the accuracy."""
    teacher_logits = logits_of(dense, images.train_images)
    loss = config.first_losses[arm in ("magnitude", "damped")]
    found: list[tuple[Point, nn.Module]] = []
    for _ in range(config.depths):
        net = copy.deepcopy(dense)
        masks = prune(arm, net, loss, config, images, seed)
        train(net, config, images, seed, teacher_logits, masks)
        found.append((describe(loss, net, images.train_images, accuracy_on_validation(net, images)), net))
        loss = next_allowed_loss([point for point, _ in found], least_accuracy)
    return found


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images_or_cifar10(config.data, config.data_dir)
    dense, net = trained_nets(config, images, seed)
    inputs, batch_size = images.train_images, config.batch_size
    evaluate_test = partial(accuracy, images=images.test_images, labels=images.test_labels)
    baseline = describe(0.0, net, inputs, accuracy_on_validation(net, images))
    least = baseline.validation_accuracy - config.accuracy_budget
    metrics, points = dict[str, Metric](), list[Point]()
    if arm != "baseline":
        with meter.window("tactic") as window:
            found = trace_curve(arm, dense, least, config, images, seed)
        points = [point for point, _ in found]
        accurate = [pair for pair in found if pair[0].validation_accuracy >= least] or [(baseline, net)]
        net = min(accurate, key=lambda pair: pair[0].energy(batch_size))[1]
        metrics["tactic_cpu_s"] = report.cpu_metric(window.cpu_s)
    if arm == "tactic":
        cut = copy.deepcopy(dense)
        with meter.window("pruning") as window:
            prune(arm, cut, config.cut_loss, config, images, seed)
        metrics |= report.cut_metrics(dense, cut, inputs, evaluate_test, batch_size, window.cpu_s)
    metrics["test_accuracy"] = report.accuracy_metric(evaluate_test(net))
    metrics |= report.cost_metrics(net, inputs) | equal_accuracy_metrics(baseline, points, least)
    details: dict[str, Json] = {"curve": [asdict(point) for point in points or [baseline]]}
    details["layers"] = report.layer_table(net, inputs)
    shipped = Deployable(net, inputs[:256], images.test_images[:2000], images.test_labels[:2000])
    return Outcome(metrics, images.used, details, shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
