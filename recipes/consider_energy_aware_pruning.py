"""Energy-aware pruning: cut the layers that use the most modelled energy first, repair each in closed form.

Record: tactics/consider-energy-aware-pruning.yaml. Paper: Yang, Chen, Sze, "Designing Energy-Efficient
Convolutional Neural Networks using Energy-Aware Pruning", CVPR 2017 (arXiv 1611.05128).

Simplified against the paper: a LeNet instead of AlexNet; squared error in the restore step, which has a cheap
update; the bias is refitted too; each layer gets half of the accuracy that may still be lost; every round
starts from the dense net. Two rivals have as many rounds and as much fine-tuning: `magnitude` (one threshold
for the whole net) and `weight_ordered` (this algorithm, in the order of weight count).

    python -m recipes.consider_energy_aware_pruning --arm tactic --seed 0 --preset default

On one processor core an arm takes about 45 s with DEFAULT and 5 s with SMOKE.
"""

from __future__ import annotations

import copy
import inspect
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common import cli, models, pruning_report
from recipes.common.checkpoints import load_or_train
from recipes.common.contract import Deployable, Json, Meter, Metric, Outcome
from recipes.common.data import Images, load_images
from recipes.common.energy_model import estimate
from recipes.common.pruning import (
    LayerMoments,
    Masks,
    apply_masks,
    cut_and_repair,
    masks_of,
    prunable_layers,
    prune_magnitude_while,
    sample_moments,
)

TACTIC = "consider-energy-aware-pruning"
ARMS = ("baseline", "tactic", "magnitude", "weight_ordered")
Evaluate = Callable[[nn.Module], float]


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    model: str = "lenet"
    """Net for 28x28 images, `lenet` or `mini_alexnet`; digits always take `small_lenet`."""
    dense_examples: int = 110_000
    """Examples drawn to train the dense net; 55,000 are one epoch of Fashion-MNIST."""
    fine_tune_examples: int = 16_000
    """Examples drawn to fine-tune a pruned net, and the dense net that it is compared with."""
    learning_rates: tuple[float, float] = (0.05, 0.02)
    """Peaks of the dense training and of the fine-tuning, at 64 examples a step."""
    rounds: int = 2
    """Depths that an arm tries: deeper while a net is accurate enough, else between the last two."""
    accuracy_budget: float = 0.008
    """Validation accuracy a net may lose against the equally trained dense net, as a fraction."""
    first_loss: float = 0.010
    """Validation accuracy that the first pruning may lose before fine-tuning, as a fraction."""
    magnitude_first_loss: float = 0.045
    """The same for `magnitude`, which loses more at first and gets more of it back."""
    cut_loss: float = 0.015
    """Validation accuracy that the net reported before any gradient step may lose, as a fraction."""
    batch_size: int = 1
    """Images that share one reading of the weights, for the order of the layers."""
    calibration_images: int = 1024
    """Training images for the closed-form repair."""
    search_images: int = 2000
    """Validation images that judge each step of a search; all of them judge a round."""


SMOKE = Config(data=("digits",), dense_examples=5_000, fine_tune_examples=2_000, accuracy_budget=0.02)
DEFAULT = Config()
FULL = Config(
    model="mini_alexnet", dense_examples=440_000, fine_tune_examples=165_000, rounds=5, batch_size=48
)

# --- The tactic ------------------------------------------------------------------------------------------

KEPT_STEP = 0.8  # ratio of the weights kept at neighbouring depths of the search
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
        model: Net in evaluation mode; its `nn.Conv2d` and `nn.Linear` layers are pruned.
        calibration_inputs: Inputs like those of training, (images, ...); no labels needed.
        evaluate: Returns the quality of a net on held-out data; higher is better.
        largest_loss: Quality that may be lost in all, in the unit of `evaluate`.
        batch_size: Images that share one reading of the weights; decides which layers are dear.
        cost_by_layer: Orders the layers instead of their modelled energy.

    Returns:
        Masks by layer name, True where a weight is kept: hold them in any fine-tuning.

    Raises:
        ValueError: Nothing could be removed within `largest_loss`.
    """
    dense = copy.deepcopy(model)
    energies = estimate(model, calibration_inputs[:256], batch_size=batch_size).layers
    costs = cost_by_layer or {layer.name: layer.energy for layer in energies}
    generator = torch.Generator().manual_seed(0)
    quality = evaluate(model)
    floor = quality - largest_loss
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
# --- Data and model --------------------------------------------------------------------------------------


def build_model(config: Config, images: Images, seed: int) -> nn.Module:
    """Return the net for these images, with the seed's initial weights."""
    torch.manual_seed(seed)
    name = config.model if images.train_images.shape[-1] == 28 else "small_lenet"
    model: nn.Sequential = getattr(models, name)()
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def trained_nets(config: Config, images: Images, seed: int) -> tuple[nn.Module, nn.Module]:
    """Return the dense net, and the same net after as much fine-tuning as a pruned net gets."""
    dense, rate = build_model(config, images, seed), config.learning_rates[0]
    source = inspect.getsource(train) + inspect.getsource(fine_tune) + inspect.getsource(models)
    key = [source, images.used.sha256, seed, config.model, config.dense_examples, rate]
    load_or_train(dense, key, lambda net: train(net, images, config.dense_examples, rate, seed))
    key += [config.fine_tune_examples, config.learning_rates[1]]
    reference = copy.deepcopy(dense)
    load_or_train(reference, key, lambda net: fine_tune(net, config, images, seed))
    return dense.eval(), reference.eval()


# --- Train and evaluate ----------------------------------------------------------------------------------


def train(
    model: nn.Module, images: Images, examples: int, rate: float, seed: int, masks: Masks | None = None
) -> None:
    """Train in place; the learning rate rises to `rate`, then falls; weights outside `masks` stay zero."""
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(seed)
    count, steps = len(images.train_images), examples // 64
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + examples // count)])
    model.train()
    for step in range(steps):
        triangle = min((step + 1) / (0.2 * steps), (steps - step) / (0.8 * steps))
        optimizer.param_groups[0]["lr"] = rate * triangle
        chosen = order[64 * step : 64 * (step + 1)]
        logits = model(images.train_images[chosen])
        loss = F.cross_entropy(logits, images.train_labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if masks is not None:  # the one place where the training of the arms differs
            apply_masks(model, masks)
    model.eval()


def fine_tune(
    model: nn.Module, config: Config, images: Images, seed: int, masks: Masks | None = None
) -> None:
    """Fine-tune in place, with the same order of examples in all arms."""
    train(model, images, config.fine_tune_examples, config.learning_rates[1], seed + 1_000_000, masks)


@torch.inference_mode()
def accuracy(model: nn.Module, images: Tensor, labels: Tensor) -> float:
    """Return the fraction of images whose label the net predicts."""
    batches = (model(images[first : first + 250]) for first in range(0, len(images), 250))
    return float((torch.cat([logits.argmax(1) for logits in batches]) == labels).double().mean())


def validation_accuracy(model: nn.Module, images: Images, count: int | None = None) -> float:
    """Return the accuracy on the first validation images, on all where `count` is None."""
    return accuracy(model, images.validation_images[:count], images.validation_labels[:count])


# --- Run -------------------------------------------------------------------------------------------------


def prune(arm: str, model: nn.Module, loss: float, config: Config, images: Images, seed: int) -> Masks:
    """Prune in place as the arm does, as deep as the loss allowed on the search images."""
    evaluate = partial(validation_accuracy, images=images, count=config.search_images)
    if arm == "magnitude":
        floor = evaluate(model) - loss
        return prune_magnitude_while(model, lambda pruned: evaluate(pruned) >= floor)
    order = torch.randperm(len(images.train_images), generator=torch.Generator().manual_seed(seed))
    calibration = images.train_images[order[: config.calibration_images]]
    prune_layers = partial(prune_energy_aware, model, calibration, evaluate=evaluate, largest_loss=loss)
    if arm == "weight_ordered":
        return prune_layers(cost_by_layer={name: mask.numel() for name, mask in masks_of(model).items()})
    return prune_layers(batch_size=config.batch_size)


def search(
    arm: str, dense: nn.Module, least_accuracy: float, config: Config, images: Images, seed: int
) -> tuple[nn.Module | None, list[dict[str, Json]]]:
    """Prune to several depths and fine-tune; return the deepest accurate net or None, and a row a round."""
    loss = config.magnitude_first_loss if arm == "magnitude" else config.first_loss
    kept, rows, good, bad = None, [], 0.0, math.inf
    for _ in range(config.rounds):
        net = copy.deepcopy(dense)
        masks = prune(arm, net, loss, config, images, seed)
        fine_tune(net, config, images, seed, masks)
        found = validation_accuracy(net, images)
        rows.append(pruning_report.round_row(loss, net, images.train_images, found, least_accuracy))
        if found >= least_accuracy:
            kept, good = net, loss
        else:
            bad = loss
        loss = min(1.4 * good, (good + bad) / 2) if good else 0.75 * bad
    return kept, rows


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images(config.data, config.data_dir)
    dense, reference = trained_nets(config, images, seed)
    evaluate_test = partial(accuracy, images=images.test_images, labels=images.test_labels)
    net, metrics, details = reference, dict[str, Metric](), dict[str, Json]()
    if arm != "baseline":
        least = validation_accuracy(reference, images) - config.accuracy_budget
        with meter.window("tactic") as window:
            kept, rows = search(arm, dense, least, config, images, seed)
        net, details = kept or reference, {"rounds": rows}
        if arm != "magnitude":
            cut = copy.deepcopy(dense)
            prune(arm, cut, config.cut_loss, config, images, seed)
            metrics |= pruning_report.cut_metrics(dense, cut, images.train_images, evaluate_test)
        metrics["tactic_cpu_s"] = pruning_report.cpu_metric(window.cpu_s)
    test_accuracy = pruning_report.accuracy_metric(evaluate_test(net))
    metrics |= pruning_report.cost_metrics(net, images.train_images)
    details["layers"] = pruning_report.layer_table(net, images.train_images)
    test = images.test_images[:2000], images.test_labels[:2000]
    shipped = Deployable(net, images.train_images[:256], *test)
    return Outcome({"test_accuracy": test_accuracy, **metrics}, images.used, details, deployable=shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
