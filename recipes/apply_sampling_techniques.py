"""Stratified sampling: learn from a tenth of the points, with six algorithms, and see what F1 it costs.

Record: tactics/apply-sampling-techniques.yaml. Study: Verdecchia, Cruz, Sallou, Lin, Wickenden, Hotellier,
"Data-Centric Green AI: An Exploratory Empirical Study", ICT4S 2022 (arXiv 2204.02766).

Different from the study: images instead of 5,574 text messages, which are not at hand; processor time instead
of energy; a linear SVM instead of one with a kernel; a small net instead of bagged trees, which the random
forest stands for; deeper trees in AdaBoost, as there are ten classes. All arms predict the same test images;
the study drew its sample before it split, so that its test set shrank with it.

Rivals: `quarter` and `half` are larger samples; `random` ignores the classes; `progressive` grows the sample
until the rest can hardly add anything, and pays for the search. A tenth of the points is a tenth of the
steps, so two controls run what is trained in steps: `sample_same_steps` gives the sample all steps back,
`all_points_few_steps` takes the tactic's few steps over all points.

    python -m recipes.apply_sampling_techniques --arm tactic --seed 0 --preset default

On one processor core the longest arm takes about 40 s with DEFAULT and 5 s with SMOKE.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from sklearn.ensemble import AdaBoostClassifier, RandomForestClassifier
from sklearn.metrics import precision_recall_fscore_support
from sklearn.tree import DecisionTreeClassifier
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.nets.data import Images, load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, Metric, Outcome

TACTIC = "apply-sampling-techniques"
ARMS = (
    "baseline", "tactic", "quarter", "half", "random", "progressive",
    "sample_same_steps", "all_points_few_steps",
)  # fmt: skip
FRACTIONS = {"baseline": 1.0, "quarter": 0.25, "half": 0.5, "all_points_few_steps": 1.0}
TENTH = 0.1  # what the other arms sample
STEPS_FACTOR = {"sample_same_steps": 1 / TENTH, "all_points_few_steps": TENTH}
LEARNERS = ("nearest_neighbours", "linear_svm", "small_net", "decision_tree", "random_forest", "adaboost")
IN_STEPS = ("linear_svm", "small_net")
Predict = Callable[[Tensor], Tensor]
Loss = Callable[[Tensor, Tensor], Tensor]
Row = dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Settings of a run; those of the learners were chosen on validation images with all points."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    points: int = 20_000
    """Training points there are before sampling, drawn by the seed; all where the data set has fewer."""
    fractions: tuple[float, ...] = (0.1, 0.25, 0.5, 1.0)
    """Sizes that `progressive` goes through, as shares of the points."""
    tolerance: float = 0.01
    """Macro F1 that `progressive` may give away, as a fraction."""
    epochs: int = 20
    """Passes over the points of what is trained in steps."""
    rates: tuple[float, float] = (0.03, 0.01)
    """Peak learning rates of the linear SVM and the net."""
    boosted: tuple[int, int] = (20, 10)
    """Trees of AdaBoost and their depth; its learning rate is 0.5."""


SMOKE = Config(data=("digits",), epochs=5, boosted=(10, 4))
DEFAULT = Config()
FULL = Config(points=55_000)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def stratified_sample(labels: Tensor, *, fraction: float, generator: torch.Generator) -> Tensor:
    """Draw the same share of every class; generators of one seed give nested samples.

    Args:
        labels: Classes, whole numbers, (points,), on the CPU.
        fraction: Share of each class to keep, above 0 and below 1; at least one point of each is kept.
        generator: Source of randomness.

    Returns:
        Indices of the chosen points, ascending, (chosen,).

    Raises:
        ValueError: `labels` is of another form or holds NaN; `fraction` is out of range, so large that no
            point would be left out, or so small that one point of each class is more than twice the share.
    """
    if not isinstance(labels, Tensor):
        raise ValueError(
            f"labels: expected a tensor, got {type(labels).__name__}; pass torch.as_tensor(labels)"
        )
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(
            f"labels: expected one class a point, (points,), got {tuple(labels.shape)}; of one-hot rows pass "
            "labels.argmax(1)"
        )
    if labels.device.type != "cpu":
        raise ValueError(f"labels: expected them on the CPU, got {labels.device}; pass labels.cpu()")
    if not labels.isfinite().all():
        raise ValueError(
            "labels: expected a class for each point, got NaN or infinity; leave these points out"
        )
    if not 0 < fraction < 1:
        raise ValueError(f"fraction: expected above 0 and below 1, got {fraction:g}")
    order = torch.randperm(len(labels), generator=generator)
    classes = [order[labels[order] == label] for label in torch.unique(labels)]
    chosen = torch.cat([members[: max(1, round(fraction * len(members)))] for members in classes])
    if len(chosen) == len(labels):
        raise ValueError(
            f"a share of {fraction:g} leaves out none of {len(labels)} points; take a smaller one"
        )
    if len(chosen) > 2 * math.ceil(fraction * len(labels)):
        raise ValueError(
            f"a share of {fraction:g} would keep {len(chosen)} of {len(labels)} points, as one of each of "
            f"{len(classes)} classes is kept; take a larger share, or join rare classes"
        )
    return chosen.sort().values


def smallest_sufficient_fraction(
    score: Callable[[float], float], *, fractions: Sequence[float], tolerance: float
) -> float:
    """Grow a sample until the points left out can hardly add anything.

    A learning curve flattens over the logarithm of the number of points, so the last gain per doubling, times
    the doublings still to come, bounds what is given away. The sizes before the answer are learned from too.

    Args:
        score: Learns from a sample of this size and returns its quality on held-out data; higher is better.
        fractions: Sizes to try, ascending, the last one 1.
        tolerance: Quality that may be given away, in the unit of `score`.

    Returns:
        The size to use; it is the last one that `score` was called with.

    Raises:
        ValueError: `fractions` has fewer than two sizes, does not ascend, or does not end with 1.
    """
    if (
        len(fractions) < 2
        or fractions[-1] != 1
        or any(small >= large for small, large in pairwise(fractions))
    ):
        raise ValueError(f"fractions: expected two or more, ascending, the last one 1, got {list(fractions)}")
    quality = score(fractions[0])
    for smaller, fraction in pairwise(fractions):
        before, quality = quality, score(fraction)
        gain_per_doubling = (quality - before) / math.log2(fraction / smaller)
        if gain_per_doubling * math.log2(1 / fraction) <= tolerance:
            break
    return fraction


# --8<-- [end:tactic]
# --- Data and learners -----------------------------------------------------------------------------------


def load_small_images(config: Config, seed: int) -> Images:
    """Return images averaged to 7x7 pixels (digits to 8x8), with the seed's draw of training points."""
    images = load_images(config.data, config.data_dir)
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(len(images.train_labels), generator=generator)[: config.points]
    shrink = partial(F.avg_pool2d, kernel_size=images.train_images.shape[-1] // 7)
    return replace(
        images,
        train_images=shrink(images.train_images[drawn]),
        train_labels=images.train_labels[drawn],
        validation_images=shrink(images.validation_images),
        test_images=shrink(images.test_images),
        used=replace(images.used, train_count=len(drawn)),
    )


def fit(learner: str, inputs: Tensor, labels: Tensor, config: Config, seed: int, epochs: float) -> Predict:
    """Learn from all points given, (points, features) and (points,); return what predicts classes."""
    if learner == "nearest_neighbours":
        return partial(vote_of_nearest, inputs, labels)
    if learner in IN_STEPS:
        torch.manual_seed(seed)
        net: nn.Module = nn.Linear(inputs.shape[1], 10)
        loss: Loss = F.multi_margin_loss
        if learner == "small_net":
            net = nn.Sequential(nn.Linear(inputs.shape[1], 128), nn.ReLU(), nn.Linear(128, 10))
            loss = F.cross_entropy
        train(net, inputs, labels, loss, config.rates[learner == "small_net"], epochs, seed)
        return torch.no_grad()(lambda queries: net(queries).argmax(1))
    count, depth = config.boosted
    weak = DecisionTreeClassifier(max_depth=depth)
    model = {
        "decision_tree": DecisionTreeClassifier(random_state=seed),
        "random_forest": RandomForestClassifier(random_state=seed),
        "adaboost": AdaBoostClassifier(weak, n_estimators=count, learning_rate=0.5, random_state=seed),
    }[learner]
    model.fit(inputs.numpy(), labels.numpy())
    return lambda queries: torch.from_numpy(model.predict(queries.numpy()))


def vote_of_nearest(inputs: Tensor, labels: Tensor, queries: Tensor) -> Tensor:
    """Return the class that most of the five nearest points have; the lowest one in a draw."""
    votes = []
    for chunk in torch.split(queries, 500):
        nearest = torch.cdist(chunk, inputs).topk(5, largest=False).indices
        votes.append(F.one_hot(labels[nearest], 10).sum(1))
    return torch.cat(votes).argmax(1)


def train(
    net: nn.Module, inputs: Tensor, labels: Tensor, loss: Loss, rate: float, epochs: float, seed: int
) -> None:
    """Train in place with 64 points a step; the rate falls to zero, however many steps there are."""
    optimizer = torch.optim.Adam(net.parameters(), rate)
    generator, count = torch.Generator().manual_seed(seed), len(labels)
    steps = max(1, round(epochs * count / 64))
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + 64 * steps // count)])
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        chosen = order[64 * step : 64 * (step + 1)]
        value = loss(net(inputs[chosen]), labels[chosen])
        optimizer.zero_grad()
        value.backward()  # type: ignore[no-untyped-call]
        optimizer.step()


def scores(predicted: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the F1 averaged over classes and the recall of the worst class, both 0 to 1."""
    _, recall, f1, _ = precision_recall_fscore_support(labels, predicted, zero_division=0.0)
    return {"macro_f1": float(f1.mean()), "worst_class_recall": float(recall.min())}


# --- Run -------------------------------------------------------------------------------------------------


def learn_from(fraction: float, learner: str, arm: str, images: Images, config: Config, seed: int) -> Predict:
    """Draw the arm's sample and learn from it; from all points where the fraction is 1."""
    inputs, labels = images.train_images.flatten(1), images.train_labels
    generator = torch.Generator().manual_seed(seed)
    if fraction == 1:
        chosen = torch.arange(len(labels))
    elif arm == "random":
        chosen = torch.randperm(len(labels), generator=generator)[: round(fraction * len(labels))]
    else:
        chosen = stratified_sample(labels, fraction=fraction, generator=generator)
    epochs = config.epochs * STEPS_FACTOR.get(arm, 1)
    return fit(learner, inputs[chosen], labels[chosen], config, seed, epochs)


def learn(learner: str, arm: str, images: Images, config: Config, seed: int, meter: Meter) -> Row:
    """Sample, learn and predict as the arm does; the test labels are read when all choices have been made."""
    learned: dict[float, Predict] = {}

    def score(fraction: float) -> float:
        learned[fraction] = learn_from(fraction, learner, arm, images, config, seed)
        predicted = learned[fraction](images.validation_images.flatten(1))
        return scores(predicted, images.validation_labels)["macro_f1"]

    with meter.window(learner) as window:
        if arm == "progressive":
            sizes, tolerance = config.fractions, config.tolerance
            fraction = smallest_sufficient_fraction(score, fractions=sizes, tolerance=tolerance)
        else:
            fraction = FRACTIONS.get(arm, TENTH)
            learned[fraction] = learn_from(fraction, learner, arm, images, config, seed)
        predicted = learned[fraction](images.test_images.flatten(1))
    reached = scores(predicted, images.test_labels)
    return {"learner": learner, "fraction": fraction, "cpu_s": window.cpu_s, **reached}


def metrics_of(rows: list[Row]) -> dict[str, Metric]:
    """Return cost and F1 of each algorithm and, where all were run, the sum and the means."""
    seconds = partial(Metric, unit="s", better="lower", provenance="measured")
    share = partial(Metric, unit="fraction", better="higher", provenance="measured")
    cost = "Processor time to sample, learn and predict the test images, with any search"
    f1, recall = "F1 on the test images, averaged over classes", "Recall of the worst class, test images"
    metrics = dict[str, Metric]()
    if len(rows) == len(LEARNERS):
        mean = {name: fmean(row[name] for row in rows) for name in ("macro_f1", "worst_class_recall")}
        metrics["learning_cpu_s"] = seconds(sum(row["cpu_s"] for row in rows), description=f"{cost}: all.")
        metrics["macro_f1_fraction"] = share(mean["macro_f1"], description=f"{f1}: mean of six.")
        metrics["worst_class_recall"] = share(mean["worst_class_recall"], description=f"{recall}: mean.")
    for row in rows:
        name, words = row["learner"], row["learner"].replace("_", " ")
        metrics[f"{name}_macro_f1"] = share(row["macro_f1"], description=f"{f1}: {words}.")
        metrics[f"{name}_cpu_s"] = seconds(row["cpu_s"], description=f"{cost}: {words}.")
    return metrics


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; each algorithm is called once before it is metered."""
    images = load_small_images(config, seed)
    learners = IN_STEPS if arm in STEPS_FACTOR else LEARNERS
    few = images.train_images[:200].flatten(1)
    for learner in learners:
        fit(learner, few, images.train_labels[:200], config, seed, 1.0)(few)
    rows = [learn(learner, arm, images, config, seed, meter) for learner in learners]
    return Outcome(metrics_of(rows), images.used, {"learners": rows})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
