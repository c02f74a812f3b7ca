"""Transfer: a net that was trained on other classes gives the features, and only a last layer is learnt.

Record: tactics/consider-transfer-learning.yaml. Each seed draws which half of the classes is old and which is
new; the new ones are learnt from few labels, of several counts. The baseline trains a net from random
weights. The tactic takes a net that has learnt the old classes, stores its features of the labelled images,
and fits a last layer on them. Rivals: the whole net or its last block trained on from there; features of
random weights (Jarrett et al., ICCV 2009); a linear model on pixels; and the baseline for several times as
long, as He, Girshick and Dollár ("Rethinking ImageNet Pre-training", ICCV 2019) ask.

    python -m recipes.consider_transfer_learning --arm tactic --seed 0 --preset default

`training_cpu_s` charges no pre-training, as where a published net is taken; `shared_cpu_s` charges a share of
it, and `break_even_tasks` says how many tasks pay for it. On one processor core the baseline takes about
four seconds with DEFAULT, which needs Fashion-MNIST. Rates, steps and decays of each arm were found with
seeds 0 and 1; of lengths that differ by less than a point the shorter was taken. Seeds below 1000 report the
accuracy on validation images.
"""

from __future__ import annotations

import copy
import sys
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.common.trial.costs import MacsCounter
from recipes.use_early_stopping import judged, small_net

TACTIC = "consider-transfer-learning"
ARMS = ("baseline", "tactic", "last_block", "whole_net", "random_features", "pixels", "longer")
PRETRAINED = ("tactic", "last_block", "whole_net")
METRICS: MetricTable = {
    "training_cpu_s": ("s", "lower", "measured", "Processor time of learning the new classes."),
    "shared_cpu_s": ("s", "lower", "measured", "The same with these tasks' share of pre-training."),
    "pretraining_cpu_s": ("s", "lower", "measured", "Processor time of learning the old classes, all of it."),
    "break_even_tasks": (
        "count",
        "lower",
        "counted",
        "Tasks after which pre-training has saved the multiplications that it took, against the baseline.",
    ),
    "answer_macs": ("count", "lower", "counted", "Multiply-accumulates of an answer."),
    "test_accuracy": (
        "fraction",
        "higher",
        "measured",
        "Held-out images of the new classes sorted rightly, on average over the counts of labels.",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    labels: tuple[int, ...] = (50, 200, 1_000)
    """Labelled images of the new classes; each count is a task of its own."""
    old_images: int = 20_000
    """Images of the old classes that the net is pre-trained on, at most."""
    old_steps: int = 1_500
    """Steps of pre-training."""
    old_rate: float = 3e-3
    """Learning rate of Adam in it; it falls to zero along half a cosine, here and below."""
    batch: int = 32
    """Images of a step."""
    rate: float = 1e-2
    """Learning rate from random weights."""
    steps: int = 200
    """Steps from random weights."""
    longer: int = 8
    """How many times as many of them the arm of that name takes."""
    tuning_rate: float = 3e-3
    """Learning rate from pre-trained weights."""
    tuning_steps: int = 100
    """Steps from there."""
    parts: int = 1
    """Parts of the net whose outputs are the features: 1 for the convolutions, 2 with the layer behind."""
    decay: float = 10.0
    """Decay of a last layer on these features."""
    random_decay: float = 1.0
    """The same on features of random weights."""
    pixel_decay: float = 30.0
    """The same on pixels."""
    tuning_decay: float = 1.0
    """The same behind both parts, where the net is then trained on."""
    shared_by: int = 20
    """Tasks that `shared_cpu_s` shares pre-training among."""


SMOKE = Config(data="digits", labels=(20, 60), old_steps=150, steps=100, tuning_steps=40)
DEFAULT = Config()
FULL = Config(labels=(50, 200, 1_000, 5_000, 25_000), old_images=27_500, old_steps=8_000, steps=4_000)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def fit_last_layer(
    features: nn.Module, images: Tensor, labels: Tensor, *, classes: int, decay: float
) -> nn.Linear:
    """Fit a last layer on the features that a frozen net gives; they are computed once.

    Args:
        features: The net without its last layer, in evaluation mode; to (images, features).
        images: Labelled inputs of the new task, (images, ...).
        labels: Their classes, (images,).
        classes: Classes of the new task.
        decay: Weight of the squared weights beside the summed loss, for features of mean square 1.

    Returns:
        The layer, to be put behind the features.
    """
    with torch.no_grad():
        stored = torch.cat([features(some) for some in torch.split(images, 500)])  # (images, features)
    scale = stored.square().mean().sqrt()  # so that one decay suits features of all sizes
    stored /= scale
    layer = nn.Linear(stored.shape[1], classes)
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    # convex, and all in memory: a quasi-Newton method needs neither rate nor schedule
    optimiser = torch.optim.LBFGS(layer.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        penalty = decay * layer.weight.square().sum() / len(labels)
        total = F.cross_entropy(layer(stored), labels) + penalty
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        layer.weight /= scale
    return layer


# --8<-- [end:tactic]
# --- The net, and training it by gradients -----------------------------------------------------------------


def in_parts(side: int, classes: int) -> nn.Sequential:
    """Return a small net in three parts: (batch, 1, side, side) to (batch, classes)."""
    layers = list(small_net(side).children())  # seven of convolutions, two of a dense layer, the last one
    return nn.Sequential(nn.Sequential(*layers[:7]), nn.Sequential(*layers[7:9]), nn.Linear(64, classes))


def train(net: nn.Module, inputs: Tensor, labels: Tensor, *, steps: int, batch: int, rate: float) -> None:
    """Train in place on batches drawn at random."""
    optimiser = torch.optim.Adam(net.parameters(), rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        chosen = torch.randint(len(inputs), (batch,))
        optimiser.zero_grad()
        F.cross_entropy(net(inputs[chosen]), labels[chosen]).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def learn(
    arm: str, config: Config, start: nn.Sequential, images: Tensor, labels: Tensor, classes: int
) -> nn.Sequential:
    """Learn a task as an arm does, from a copy of the net that it starts with."""
    net = copy.deepcopy(start)
    train_on = partial(train, steps=config.tuning_steps, batch=config.batch, rate=config.tuning_rate)
    if arm in ("baseline", "longer"):
        steps = config.steps * (config.longer if arm == "longer" else 1)
        train(net, images, labels, steps=steps, batch=config.batch, rate=config.rate)
        return net
    features, decay = {
        "tactic": (net[: config.parts], config.decay),
        "random_features": (net[: config.parts], config.random_decay),
        "pixels": (nn.Sequential(nn.Flatten()), config.pixel_decay),
    }.get(arm, (net[:2], config.tuning_decay))
    layer = fit_last_layer(features, images, labels, classes=classes, decay=decay)
    tuned = nn.Sequential(*features.children(), layer)
    if arm == "last_block":
        with torch.no_grad():
            stored = net[0](images)  # (images, side^2)
        train_on(tuned[1:], stored, labels)
    elif arm == "whole_net":
        train_on(tuned, images, labels)
    return tuned


# --- Run -------------------------------------------------------------------------------------------------


def of_classes(examples: tuple[Tensor, Tensor], classes: Tensor) -> tuple[Tensor, Tensor]:
    """Return the images of some classes, and their labels counted anew from 0."""
    images, labels = examples
    numbers = torch.full((10,), -1)
    numbers[classes] = torch.arange(len(classes))
    chosen = numbers[labels] >= 0
    return images[chosen], numbers[labels[chosen]]


@torch.inference_mode()
def macs_of(net: nn.Module, inputs: Tensor) -> float:
    """Count the multiply-accumulates of one input, (1, ...)."""
    with MacsCounter() as counter:
        net(inputs)
    return counter.macs


def learning_macs(arm: str, config: Config, net: nn.Sequential, image: Tensor) -> float:
    """Count what an arm multiplies to learn all tasks; a step counts three times an answer.

    Left out are the fits of a last layer; features are counted as answers of the whole net.
    """
    drawn = len(config.labels) * config.batch
    if arm in ("baseline", "longer"):
        return 3.0 * drawn * config.steps * (config.longer if arm == "longer" else 1) * macs_of(net, image)
    once = sum(config.labels) * macs_of(net, image)
    if arm == "whole_net":
        return once + 3 * drawn * config.tuning_steps * macs_of(net, image)
    if arm == "last_block":
        return once + 3 * drawn * config.tuning_steps * macs_of(net[1:], net[0](image))
    return once


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Pre-train where an arm asks for it, learn the new classes from each count of labels, judge the nets."""
    data = load_images((config.data,), config.data_dir)
    torch.manual_seed(seed)
    old, new = torch.randperm(10).view(2, 5)
    train_examples = data.train_images, data.train_labels
    old_images, old_labels = (each[: config.old_images] for each in of_classes(train_examples, old))
    images, labels = of_classes(train_examples, new)
    drawn = torch.randperm(len(images))[: max(config.labels)]
    held_out = data.validation_images, data.validation_labels
    if seed >= 1000:
        held_out = data.test_images, data.test_labels
    held_out = of_classes(held_out, new)
    start = in_parts(images.shape[-1], len(new))
    learn("whole_net", replace(config, tuning_steps=5), start, images[:100], labels[:100], len(new))  # warm
    pretraining_cpu_s = 0.0
    if arm in PRETRAINED:
        with meter.window("pretraining") as pretraining:
            train(
                start,
                old_images,
                old_labels,
                steps=config.old_steps,
                batch=config.batch,
                rate=config.old_rate,
            )
        pretraining_cpu_s = pretraining.cpu_s
    rows = list[dict[str, Json]]()
    spent_s, nets = list[float](), list[nn.Sequential]()
    for count in config.labels:
        torch.manual_seed(seed)  # of batches; a task does not hang on the ones before
        chosen = drawn[:count]
        with meter.window("learning") as learning:
            nets.append(learn(arm, config, start, images[chosen], labels[chosen], len(new)))
        spent_s.append(learning.cpu_s)
    qualities = [judged(net, held_out)[0] for net in nets]
    for count, cpu_s, accuracy in zip(config.labels, spent_s, qualities, strict=True):
        rows.append({"labels": count, "training_cpu_s": cpu_s, "test_accuracy": accuracy})
    share = len(config.labels) / config.shared_by
    metrics = {
        "training_cpu_s": sum(spent_s),
        "shared_cpu_s": sum(spent_s) + share * pretraining_cpu_s,
        "pretraining_cpu_s": pretraining_cpu_s,
        "answer_macs": macs_of(nets[0], images[:1]),
        "test_accuracy": mean(qualities),
    }
    if arm in PRETRAINED:
        macs = [learning_macs(each, config, start, images[:1]) for each in ("baseline", arm)]
        pretraining_macs = 3 * config.old_steps * config.batch * macs_of(start, images[:1])
        if (saved := macs[0] - macs[1]) > 0:
            metrics["break_even_tasks"] = len(config.labels) * pretraining_macs / saved
    used = replace(
        data.used,
        train_count=max(config.labels) + len(old_images),
        validation_count=len(data.validation_labels),
        test_count=len(held_out[1]),
    )
    return Outcome(metrics, used, {"by_labels": rows})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
