"""Whole channels of a residual net, removed where an energy model says that it pays, activations included.

Record: tactics/remove-channels-by-modelled-energy.yaml. After NetAdapt (Yang et al., ECCV 2018, arXiv
1804.03230): small removals, each followed by a short training, until a budget is met. Simplified: modelled
energy instead of measured tables; candidates are scored, not trained. The block that its shortcut can replace
goes at the start or stays, whichever is more accurate on validation images at the budget.

A ResNet-8 at batch 48, where most modelled energy goes into activations. All arms start from one dense net,
which teaches them, and draw equally many examples. Rivals: `macs` (the same steps, led by MACs), `group_norm`
(torch-pruning, at once), `scattered` (smallest weights, zeros held), and from scratch `thin` (narrower) and
`shallow` (narrower, without that block). Forward passes of training in bfloat16 where the processor has it.

    python -m recipes.remove_channels_by_modelled_energy --arm tactic --seed 0 --preset default

On one processor core an arm takes 45 to 95 s with DEFAULT, the tactic 200 s with its curve, and 5 s with
SMOKE. Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import inspect
import itertools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from scipy.stats import spearmanr
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.energy.model import NetworkEnergy, estimate
from recipes.common.energy.report import BATCH_SIZES, MODEL, energy_metric, modelled
from recipes.common.nets import resnet
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.checks import in_training
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
from recipes.common.pruning import channels
from recipes.common.pruning.channels import Scores, group_norms, unfit_for_removal, without_channels
from recipes.common.pruning.weights import Masks, apply_masks, masks_of, prune_global_magnitude
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome

TACTIC = "remove-channels-by-modelled-energy"
Start = tuple[Images, nn.Module, Tensor, int]  # data, dense net, its logits for the training images, seed
ARMS = ("baseline", "tactic", "macs", "group_norm", "thin", "shallow", "scattered")
BATCH_SIZE = 48  # images that share one reading of the weights, where channels are chosen


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    widths: tuple[int, int, int] = (16, 32, 64)
    """Channels that leave each block of the dense net."""
    dense_examples: int = 220_000
    """Examples drawn to train the dense net; 55,000 are one epoch of Fashion-MNIST."""
    more_examples: int = 275_000
    """Examples drawn after that, between removals too; `thin` and `shallow` draw both from scratch."""
    step_examples: int = 1_280
    """Examples drawn after each removal."""
    scoring_examples: int = 512
    """Training images that the importance of channels is read from."""
    learning_rates: tuple[float, float, float, float] = (0.2, 0.05, 0.3, 0.05)
    """Peaks: first training; between removals; after them; further training of the baseline. 128 a step."""
    targets: tuple[float, ...] = (0.34, 0.28, 0.22)
    """Modelled energies aimed at, as fractions of the dense net's; after the first for the tactic's curve."""
    kept_fraction: float = 0.1
    """Share of the weights that `scattered` keeps."""


SMOKE = Config(("digits",), None, (8, 16, 32), 6_000, 16_000, 768, 64, targets=(0.75,))
DEFAULT = Config()
FULL = Config(("cifar-10", "fashion-mnist"), None, (32, 64, 128), 900_000, 900_000, 6_400)

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
LEAST_CHANNELS = 2  # that a group keeps
STEP_FRACTION = 0.125  # share of a group's channels that one removal takes, one channel at least


def remove_channels_by_energy(
    model: nn.Module,
    example_inputs: Tensor,
    *,
    target_energy: float,
    batch_size: int,
    importance: Callable[[nn.Module], Scores] | None = None,
    recover: Callable[[nn.Module], None] | None = None,
    cost: Callable[[nn.Module], float] | None = None,
) -> nn.Module:
    """Return a smaller net, without the channels that are worth least for the modelled energy they cost.

    Single channels go, so that widths may become odd; `cut_channels` of `recipes.common.pruning.channels`
    takes a `multiple`. Outputs of the net stay, and so do channels that no gradient reaches: those of frozen
    layers in front of all others.

    Args:
        model: Trained net in evaluation mode; not changed.
        example_inputs: Inputs like those of training, (images, ...); zeros in the activations count.
        target_energy: Modelled energy of one image to get down to, in multiples of one 16-bit MAC.
        batch_size: Images that share one reading of the weights.
        importance: Scores the channels; `group_norms` where None.
        recover: Trains the net a little, in place, after each removal, and leaves it in evaluation mode;
            without it, energies are off.
        cost: What the choice counts as saved instead of modelled energy; the target stays energy.

    Raises:
        ValueError: The net is one from which single channels cannot be removed, or the target is met already,
            or cannot be met.
    """

    def energy(net: nn.Module) -> float:
        return estimate(net, example_inputs, batch_size=batch_size).total

    if unfit_for_removal(model, example_inputs):
        raise ValueError(unfit_for_removal(model, example_inputs))
    if not target_energy > 0:
        raise ValueError(
            f"target_energy: expected more than 0, got {target_energy}; pass a share of estimate's"
        )
    smaller, score = model, importance or partial(group_norms, example_inputs=example_inputs)
    if (now := energy(model)) <= target_energy:
        raise ValueError(f"target_energy: expected less than the net's {now:,.0f}, got {target_energy:,.0f}")
    while energy(smaller) > target_energy:
        smaller = best_removal(smaller, score(smaller), cost or energy, example_inputs)
        if recover is not None:
            recover(smaller)
            if in_training(smaller):
                raise ValueError(f"after recover: {in_training(smaller)}")
    return smaller


def best_removal(
    model: nn.Module, scores: Scores, cost: Callable[[nn.Module], float], example_inputs: Tensor
) -> nn.Module:
    """Try a removal in every group, and return the net that loses the least importance per cost saved."""
    if not all(bool(importance.isfinite().all()) for importance in scores.values()):
        raise ValueError(
            "importance: expected finite scores, got NaN or infinity; look for NaN in weights and losses"
        )
    before, tried = cost(model), []
    for group, importance in scores.items():
        count = max(1, round(STEP_FRACTION * len(importance)))
        if len(importance) - count < LEAST_CHANNELS:
            continue
        lowest = importance.argsort()[:count]
        smaller = without_channels(model, group, lowest.tolist(), example_inputs)
        if (saved := before - cost(smaller)) > 0:
            tried.append((float(importance[lowest].sum()) / saved, smaller))
    if not tried:
        raise ValueError("the target cannot be met: no group of channels can lose more; allow more energy")
    return min(tried, key=lambda each: each[0])[1]


# --8<-- [end:tactic]
# --- Data, model and training ---------------------------------------------------------------------------


def build_model(widths: tuple[int, int, int], images: Images, seed: int) -> nn.Module:
    """Return a ResNet-8 for these images, with the seed's initial weights."""
    torch.manual_seed(seed)
    net = resnet.resnet8(widths, in_channels=images.train_images.shape[1])
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def trained_dense_net(config: Config, images: Images, seed: int) -> nn.Module:
    """Return the dense net of this seed, trained once for all arms."""
    net, rate = build_model(config.widths, images, seed), config.learning_rates[0]
    source = [inspect.getsource(part) for part in (train, build_model, resnet)]
    key = [source, images.used.sha256, seed, config.widths, config.dense_examples, rate]
    load_or_train(net, key, lambda net: train(net, images, None, config.dense_examples, rate, seed))
    return net.eval()


def train(
    model: nn.Module,
    images: Images,
    teacher_logits: Tensor | None,
    examples: int,
    rate: float,
    seed: int,
    masks: Masks | None = None,
) -> None:
    """Train in place; the learning rate rises to `rate`, then falls; weights outside `masks` stay zero."""
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    count, steps = len(images.train_images), max(6, examples // 128)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, steps, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False
    )
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + 128 * steps // count)])
    model.train()
    for step in range(steps):
        chosen = order[128 * step : 128 * (step + 1)]
        labels = images.train_labels[chosen]
        with training_autocast():
            logits = model(images.train_images[chosen].contiguous(memory_format=torch.channels_last)).float()
        if teacher_logits is None:
            loss = F.cross_entropy(logits, labels)
        else:
            loss = distillation_loss(logits, teacher_logits[chosen], labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
        if masks is not None:
            apply_masks(model, masks)
    model.eval()


# --- What a net is judged by -----------------------------------------------------------------------------
# What a net with fewer channels is judged by: modelled energy, words of activations moved, and size.


def activation_words(energy: NetworkEnergy) -> float:
    """Return the 16-bit words of activations, as coded, that go to or come from DRAM for one image."""
    return sum(layer.dram_accesses.inputs + layer.dram_accesses.outputs for layer in energy.layers)


def cost_metrics(model: nn.Module, images: Tensor) -> dict[str, Metric]:
    """Model the energy of a net and count its size.

    Args:
        model: Net in evaluation mode.
        images: Training images; the first 256 are used.
    """
    energy = {batch_size: modelled(model, images, batch_size) for batch_size in BATCH_SIZES}
    metrics = {f"energy_batch_{n}": energy_metric(energy[n].total, n) for n in BATCH_SIZES}
    words = f"Words of activations between chip and DRAM for one image, zeros coded, batch 48; {MODEL}."
    metrics["activation_words"] = Metric(activation_words(energy[48]), "count", "lower", "modelled", words)
    return metrics | net_metrics(model, images)


def point_rows(nets: Sequence[nn.Module], images: Images) -> list[dict[str, Json]]:
    """Return one flat row a net: the outputs of its convolutions, costs and accuracy.

    Args:
        nets: Nets in evaluation mode, final: their test accuracy is read.
        images: The first 256 training images are used for the costs.
    """
    inputs = images.train_images
    rows: list[dict[str, Json]] = []
    for net in nets:
        widths = [str(layer.out_channels) for layer in net.modules() if isinstance(layer, nn.Conv2d)]
        rows.append(
            {
                "channels": " ".join(widths),
                **{f"energy_batch_{n}": modelled(net, inputs, n).total for n in BATCH_SIZES},
                "macs": macs_per_image(net, inputs),
                "validation_accuracy": accuracy(net, images.validation_images, images.validation_labels),
                "test_accuracy": accuracy(net, images.test_images, images.test_labels),
            }
        )
    return rows


def channel_costs(dense: nn.Module, images: Tensor) -> list[dict[str, Json]]:
    """Return one flat row a group of channels: what removing one of them saves, energy beside MACs.

    Args:
        dense: Net in evaluation mode; of each group the channel with the smallest norm is removed.
        images: Training images; the first 256 are used.
    """
    scores = group_norms(dense, images)
    before, macs = modelled(dense, images, 48).total, macs_per_image(dense, images)
    rows: list[dict[str, Json]] = []
    saved: list[tuple[float, float]] = []
    for group, importance in scores.items():
        cut = without_channels(dense, group, [int(importance.argmin())], images)
        saved.append((1 - modelled(cut, images, 48).total / before, 1 - macs_per_image(cut, images) / macs))
        rows.append({"group": group, "channels": len(importance)})
    energies, others = [energy for energy, _ in saved], [fraction for _, fraction in saved]
    correlation = float(spearmanr(energies, others).statistic)
    for row, (energy_fraction, macs_fraction) in zip(rows, saved, strict=True):
        row["energy_saved_by_a_channel_fraction"] = energy_fraction
        row["macs_saved_by_a_channel_fraction"] = macs_fraction
        row["rank_correlation_of_both"] = correlation
    return rows


# --- Run -------------------------------------------------------------------------------------------------


def remove_in_steps(config: Config, start: Start, target: float, *, by_macs: bool) -> nn.Module:
    """Remove channels with short trainings between, and train what is left; `more_examples` in all."""
    images, dense, teacher, seed = start
    inputs, seeds = images.train_images, itertools.count(seed + 2_000_000)
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    batches = torch.split(order[: config.scoring_examples], 64)

    def importance(net: nn.Module) -> Scores:
        trios = ((net(inputs[batch]), teacher[batch], images.train_labels[batch]) for batch in batches)
        return channels.gate_importance(net, inputs, itertools.starmap(distillation_loss, trios))

    def recover(net: nn.Module) -> None:
        train(net, images, teacher, config.step_examples, config.learning_rates[1], next(seeds))

    shallow = copy.deepcopy(dense)
    shallow.set_submodule("block1", nn.Identity())
    recover(shallow)
    energies = [estimate(net, inputs[:64], batch_size=BATCH_SIZE).total for net in (dense, shallow)]
    shrink = partial(
        remove_channels_by_energy,
        example_inputs=inputs[:64],
        target_energy=target * energies[0],
        batch_size=BATCH_SIZE,
        importance=importance,
        recover=recover,
        cost=partial(macs_per_image, images=inputs) if by_macs else None,
    )
    candidates = [shrink(dense)] + ([shrink(shallow)] if energies[1] > target * energies[0] else [])
    net = max(candidates, key=lambda each: accuracy(each, images.validation_images, images.validation_labels))
    left = config.more_examples - config.step_examples * (next(seeds) - seed - 2_000_000)
    train(net, images, teacher, left, config.learning_rates[2], seed + 1_000_000)
    return net


def arm_net(arm: str, config: Config, start: Start) -> nn.Module:
    """Return the net that the arm reports."""
    (images, dense, teacher, seed), target, masks = start, config.targets[0], None
    inputs = images.train_images

    def energy(net: nn.Module) -> float:
        channels.recalibrate(net, inputs[:1024])  # so that as many activations are zero as in a trained net
        return estimate(net, inputs[:256], batch_size=BATCH_SIZE).total

    def build(widths: channels.Widths) -> nn.Module:
        net = build_model(widths, images, seed)
        if arm == "shallow":
            net.set_submodule("block1", nn.Identity())
        return net

    limit = target * energy(copy.deepcopy(dense))
    net, examples, rate = copy.deepcopy(dense), config.more_examples, config.learning_rates[2]
    if arm in ("tactic", "macs"):
        return remove_in_steps(config, start, target, by_macs=arm == "macs")
    if arm == "group_norm":
        net = channels.cut_channels(dense, inputs, energy, limit)
    elif arm == "scattered":
        prune_global_magnitude(net, config.kept_fraction)
        masks = masks_of(net)
    elif arm in ("thin", "shallow"):
        net = channels.narrow_net(build, config.widths, energy, limit)
        examples += config.dense_examples
    else:
        rate = config.learning_rates[3]
    train(net, images, teacher, examples, rate, seed + 1_000_000, masks)
    return net


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images_or_cifar10(config.data, config.data_dir)
    dense = trained_dense_net(config, images, seed)
    with meter.window(arm) as window:
        start = images, dense, logits_of(dense, images.train_images), seed
        net = arm_net(arm, config, start)
    targets = config.targets[1:] if arm == "tactic" else ()
    nets = [net, *(remove_in_steps(config, start, target, by_macs=False) for target in targets)]
    details: dict[str, Json] = {"curve": point_rows(nets, images)}
    if arm == "baseline":
        details["cost_of_a_channel"] = channel_costs(dense, images.train_images)
    metrics = {
        "test_accuracy": accuracy_metric(accuracy(net, images.test_images, images.test_labels)),
        **cost_metrics(net, images.train_images),
        "training_cpu_s": training_cost_metric(
            window.cpu_s, "all that follows the training of the dense net"
        ),
    }
    test = images.test_images[:2000], images.test_labels[:2000]
    return Outcome(metrics, images.used, details, Deployable(net, images.train_images[:256], *test))


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
