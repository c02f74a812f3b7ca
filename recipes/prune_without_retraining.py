"""Pruning without retraining: one threshold for all weights, each layer's weights refitted in closed form.

Record: tactics/prune-without-retraining.yaml. From Yang, Chen, Sze, CVPR 2017 (arXiv 1611.05128): the energy
model, the weights brought back by joint influence, and the refit. How many weights a layer keeps comes from
one threshold on magnitudes damped by the fourth root of what a weight of the layer costs, so that squares
are divided by the square root; Yang, Zhu, Liu (ICLR 2019) divide by all of it, while they train. The setting,
a trained net and a few inputs without labels, is that of Frantar, Singh, Alistarh (NeurIPS 2022).

A LeNet; no arm takes a gradient step. Each prunes the same dense net as deep as an allowed loss on validation
images lets it. The net of the first of several allowed losses is reported, the others make the curve.
Rivals: `layer_by_layer`, the order of the 2017 paper, dearest layer first; `magnitude_repaired`, the tactic
without energies; `damped`, the tactic without repair; `magnitude`, with neither.

    python -m recipes.prune_without_retraining --arm tactic --seed 0 --preset default

On one processor core an arm takes 10 to 60 s with DEFAULT, the first of a seed 25 s more; 3 s with SMOKE.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets import models
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.data import Images, load_images_or_cifar10
from recipes.common.nets.precision import training_autocast
from recipes.common.nets.report import accuracy
from recipes.common.pruning import report
from recipes.common.pruning.weights import Masks, damped_factors, prune_by_threshold
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome
from recipes.consider_energy_aware_pruning import prune_energy_aware

TACTIC = "prune-without-retraining"
ARMS = ("baseline", "tactic", "layer_by_layer", "magnitude_repaired", "damped", "magnitude")
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
    learning_rate: float = 0.1
    """Peak of the learning rate, at 128 examples a step."""
    largest_losses: tuple[float, ...] = (0.008, 0.002, 0.02)
    """Validation accuracy that may be lost, a fraction: by the net reported, then by those of the curve."""
    calibration_images: int = 1024
    """Training images whose layer outputs the repair keeps; their labels are not used."""
    batch_size: int = 1
    """Images that share one reading of the weights in the energy model; 1 or 48."""


SMOKE = Config(("digits",), dense_examples=18_000, largest_losses=(0.02, 0.1))
DEFAULT = Config()
FULL = Config(data=("cifar-10", "fashion-mnist"), model="mini_alexnet", batch_size=48)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def prune_without_retraining(
    model: nn.Module,
    calibration_inputs: Tensor,
    *,
    evaluate: Evaluate,
    largest_loss: float,
    batch_size: int = 1,
) -> Masks:
    """Prune a trained net in place as deep as its quality allows, with closed forms instead of training.

    One threshold on the magnitudes, damped by the modelled energy of a weight of the layer, says how many
    weights each layer keeps. Then layer by layer, first layer first: small weights go, those that change the
    outputs of the layer most come back, and all that are left are fitted to the dense net's outputs by least
    squares.
    Bisection finds the threshold. A net with batch normalisation needs its statistics computed anew in
    `evaluate`, on a copy, and at the end; see `recipes.common.pruning.channels.recalibrate`.

    Args:
        model: Net in evaluation mode; its `nn.Conv2d` and `nn.Linear` layers are pruned, frozen ones too.
        calibration_inputs: Inputs like those of training, (images, ...); no labels needed.
        evaluate: Returns the quality of a net on held-out data; higher is better.
        largest_loss: Quality that may be lost, in the unit of `evaluate`.
        batch_size: Images that share one reading of the weights; decides which layers are dear.

    Returns:
        Masks by layer name, True where a weight is kept.

    Raises:
        ValueError: The net cannot be pruned so (it is in training mode, in half precision, holds a layer that
            `forward` does not call, ...), or its quality is no finite number; both are seen before it is
            changed. Or nothing could be removed within `largest_loss`; the net is then as it was.
    """
    factors = damped_factors(model, calibration_inputs[:256], batch_size)
    return prune_by_threshold(
        model, evaluate, largest_loss, factors=factors, repair_inputs=calibration_inputs
    )


# --8<-- [end:tactic]
# --- Data, model, training -------------------------------------------------------------------------------


def trained_dense_net(config: Config, images: Images, seed: int) -> nn.Module:
    """Return the net of this seed that all arms prune."""
    torch.manual_seed(seed)
    dense = models.for_images(config.model, *images.train_images.shape[1:3])
    dense.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    source = inspect.getsource(train) + inspect.getsource(models)
    key = [source, images.used.sha256, seed, config.model, config.dense_examples, config.learning_rate]
    return load_or_train(dense, key, lambda net: train(net, config, images, seed)).eval()


def train(model: nn.Module, config: Config, images: Images, seed: int) -> None:
    """Train the dense net in place; the only training here, forward in bfloat16 where the processor can."""
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)
    generator = torch.Generator().manual_seed(seed)
    count, steps = len(images.train_images), config.dense_examples // 128
    epochs = 1 + config.dense_examples // count
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(epochs)])
    model.train()
    for step in range(steps):  # the rate rises over a fifth of the steps, then falls
        triangle = min((step + 1) / (0.2 * steps), (steps - step) / (0.8 * steps))
        optimizer.param_groups[0]["lr"] = config.learning_rate * triangle
        chosen = order[128 * step : 128 * (step + 1)]
        with training_autocast():
            logits = model(images.train_images[chosen])
        loss = F.cross_entropy(logits.float(), images.train_labels[chosen], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


# --- Run -------------------------------------------------------------------------------------------------


def prune(arm: str, dense: nn.Module, loss: float, config: Config, images: Images, seed: int) -> nn.Module:
    """Return a copy of the dense net, pruned as the arm does, as deep as the loss allows."""
    net = copy.deepcopy(dense)
    order = torch.randperm(len(images.train_images), generator=torch.Generator().manual_seed(seed))
    inputs = images.train_images[order[: config.calibration_images]]
    evaluate = partial(accuracy, images=images.validation_images, labels=images.validation_labels)
    layerwise = {"evaluate": evaluate, "largest_loss": loss, "batch_size": config.batch_size}
    if arm == "tactic":
        prune_without_retraining(net, inputs, **layerwise)  # type: ignore[arg-type]
    elif arm == "layer_by_layer":
        prune_energy_aware(net, inputs, **layerwise)  # type: ignore[arg-type]
    elif arm == "magnitude_repaired":
        prune_by_threshold(net, evaluate, loss, repair_inputs=inputs)
    elif arm == "damped":
        factors = damped_factors(net, inputs[:256], config.batch_size)
        prune_by_threshold(net, evaluate, loss, factors=factors)
    elif arm == "magnitude":
        prune_by_threshold(net, evaluate, loss)
    return net


def curve_row(model: nn.Module, images: Images) -> dict[str, Json]:
    """Return what a net costs and how accurate it is on validation, as a row of the detail `curve`."""
    costs = report.cost_metrics(model, images.train_images)
    found = accuracy(model, images.validation_images, images.validation_labels)
    return {"validation_accuracy": found, **{name: metric.value for name, metric in costs.items()}}


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images_or_cifar10(config.data, config.data_dir)
    dense, inputs = trained_dense_net(config, images, seed), images.train_images
    evaluate_test = partial(accuracy, images=images.test_images, labels=images.test_labels)
    first, *others = config.largest_losses
    with meter.window("pruning") as window:
        net = prune(arm, dense, first, config, images, seed)
    nets = [net]
    metrics = dict[str, Metric]()
    if arm != "baseline":
        nets += [prune(arm, dense, loss, config, images, seed) for loss in others]
        cut = report.cut_metrics(dense, net, inputs, evaluate_test, config.batch_size, window.cpu_s)
        metrics = {name: cut[name] for name in ("gain_over_magnitude_before_fine_tuning", "pruning_cpu_s")}
    metrics["test_accuracy"] = report.accuracy_metric(evaluate_test(net))
    metrics |= report.cost_metrics(net, inputs)
    curve: list[Json] = [curve_row(each, images) for each in nets]
    details: dict[str, Json] = {"curve": curve, "layers": report.layer_table(net, inputs)}
    shipped = Deployable(net, inputs[:256], images.test_images[:2000], images.test_labels[:2000])
    return Outcome(metrics, images.used, details, shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
