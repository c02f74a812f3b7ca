"""A habit to avoid: every image goes to all members of a large ensemble, for the last tenth of a point.

Record: tactics/keep-ensembles-for-the-last-tenth.yaml. Members are dense nets of one hidden layer that start
from other weights and see the images in other orders; the mean of their probabilities decides
(Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty Estimation using Deep Ensembles",
NeurIPS 2017, arXiv 1612.01474). The baseline has two members, the habit eight, further arms one, three or
four. Cures of a large ensemble: its members are asked in turn until they are sure; a student of the size of
one member learns from what it says (Hinton et al., 2015, arXiv 1503.02531). A rival is one net as wide as
both members of the baseline.

    python -m recipes.keep_ensembles_for_the_last_tenth --arm tactic --seed 0 --preset default

On one processor core the habit takes a quarter of a minute with DEFAULT, which needs Fashion-MNIST, and two
seconds with SMOKE. Seeds below 1000, with which settings were found, answer validation images.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.use_data_projection import dense_net

TACTIC = "keep-ensembles-for-the-last-tenth"
ARMS = ("baseline", "tactic", "one", "three", "four", "in_turn", "student", "one_wide_net")
METRICS: MetricTable = {
    "answer_cpu_ms": ("ms", "lower", "measured", "Processor time of an answer, of 500 at a time."),
    "asked": ("count", "lower", "counted", "Members that are asked for an answer, on average."),
    "training_cpu_s": ("s", "lower", "measured", "Processor time of all trainings, teachers included."),
    "teacher_cpu_s": ("s", "lower", "measured", "Of it, training and asking the teachers of a student."),
    "both_cpu_s": ("s", "lower", "measured", "Processor time of trainings and of 10,000 answers."),
    "test_accuracy": ("fraction", "higher", "measured", "Held-out images that are sorted rightly."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    data: str = "fashion-mnist"
    """`fashion-mnist` or `digits`."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    images: int = 10_000
    """Training images, at most; all members learn from the same."""
    epochs: int = 8
    """Epochs of each net."""
    batch: int = 64
    """Images of a step."""
    rate: float = 3e-3
    """Learning rate of Adam at the start; it falls to zero along half a cosine."""
    hidden: int = 128
    """Width of the hidden layer of a member, and of the student."""
    few: int = 2
    """Members of the baseline."""
    many: int = 8
    """Members of the habit; they are also those asked in turn, and the teachers."""
    sure: float = 0.9
    """Mean probability of a class from which on no further member is asked."""
    temperature: float = 2.0
    """What the teachers' mean probabilities are softened by before the student learns them."""
    rounds: int = 5
    """How often all held-out images are answered."""


SMOKE = Config(data="digits", images=400, epochs=3, hidden=32, rounds=1)
DEFAULT = Config()
FULL = Config(images=55_000, epochs=20, hidden=512)

# --- The habit and its cures ------------------------------------------------------------------------------


# --8<-- [start:tactic]
def ask_all(members: Sequence[nn.Module], rows: Tensor) -> tuple[Tensor, int]:
    """Return the sum of all members' probabilities, (rows, classes), and how often a member was asked."""
    summed: Tensor = sum(member(rows).softmax(1) for member in members)
    return summed, len(members) * len(rows)


def ask_in_turn(members: Sequence[nn.Module], rows: Tensor, *, sure: float) -> tuple[Tensor, int]:
    """Ask a further member only about rows of which those before it are not sure; return what `ask_all` does.

    Args:
        members: Nets that give logits, (rows, classes).
        rows: What is asked about, (rows, values).
        sure: Mean probability of a class, over the members asked, that ends the asking.
    """
    summed = members[0](rows).softmax(1)
    asked, left = len(rows), torch.arange(len(rows))
    for count, member in enumerate(members[1:], 1):
        left = left[summed[left].amax(1) < sure * count]
        if not len(left):
            break
        summed[left] += member(rows[left]).softmax(1)
        asked += len(left)
    return summed, asked


# --8<-- [end:tactic]


@torch.no_grad()
def taught(teachers: Sequence[nn.Module], rows: Tensor, temperature: float) -> Tensor:
    """Return softened mean probabilities, (rows, classes), for a student to learn in place of classes."""
    mean = torch.cat([ask_all(teachers, some)[0] for some in torch.split(rows, 500)]) / len(teachers)
    return (mean.clamp_min(1e-12).log() / temperature).softmax(1)


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train the nets of an arm, and let them answer."""
    data = load_images((config.data,), config.data_dir)
    first = data.train_images[: config.batch].flatten(1), data.train_labels[: config.batch]
    # memory and threads are set up
    dense_net(*first, hidden=config.hidden, epochs=1, batch=config.batch, rate=config.rate)
    torch.manual_seed(seed)  # an arm's first members are those of an arm with fewer
    chosen = torch.randperm(len(data.train_images))[: config.images]
    rows, labels = data.train_images[chosen].flatten(1), data.train_labels[chosen]  # (images, values)
    held_out, wanted = data.validation_images.flatten(1), data.validation_labels
    if seed >= 1000:
        held_out, wanted = data.test_images.flatten(1), data.test_labels
    train = partial(dense_net, rows, epochs=config.epochs, batch=config.batch, rate=config.rate)
    numbers = {"baseline": config.few, "one": 1, "three": 3, "four": 4, "one_wide_net": 1}
    hidden = config.few * config.hidden if arm == "one_wide_net" else config.hidden
    with meter.window("training") as training:
        members = [train(labels, hidden=hidden) for _ in range(numbers.get(arm, config.many))]
        targets = taught(members, rows, config.temperature) if arm == "student" else labels
    training_cpu_s, teacher_cpu_s = training.cpu_s, 0.0
    if arm == "student":
        with meter.window("student") as learning:
            members = [train(targets, hidden=hidden)]
        training_cpu_s, teacher_cpu_s = training.cpu_s + learning.cpu_s, training.cpu_s
    ask = partial(ask_in_turn, sure=config.sure) if arm == "in_turn" else ask_all
    batches = [*zip(torch.split(held_out, 500), torch.split(wanted, 500), strict=True)]
    right = asked = 0
    with torch.inference_mode():
        ask(members, batches[0][0])  # the same for answers
        with meter.window("answers") as answering:
            for _ in range(config.rounds):
                for some, classes in batches:
                    summed, count = ask(members, some)
                    right += int((summed.argmax(1) == classes).sum())
                    asked += count
    answers = config.rounds * len(wanted)
    metrics = {
        "answer_cpu_ms": 1000 * answering.cpu_s / answers,
        "asked": asked / answers,
        "training_cpu_s": training_cpu_s,
        "teacher_cpu_s": teacher_cpu_s,
        "both_cpu_s": training_cpu_s + 10_000 * answering.cpu_s / answers,
        "test_accuracy": right / answers,
    }
    used = replace(data.used, train_count=len(rows), test_count=len(wanted))
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
