"""A habit to avoid: a net far larger than a small task needs answers all of it.

Record: tactics/use-oversized-models-for-small-tasks.yaml. The task is to sort small images; all nets are
dense, with one hidden layer. That of the baseline is the narrowest, of those tried with seeds below 1000,
whose accuracy lies within a point of the habit's, which has eight times its width. Further arms have a
quarter, half and four times the width. Three cures: ever wider nets are tried until a wider one gains too
little; the large net tells a student of the baseline's width what it thinks (Hinton et al., 2015, arXiv
1503.02531); or it answers only where the net of the baseline is unsure. All that is trained is charged.

    python -m recipes.use_oversized_models_for_small_tasks --arm tactic --seed 0 --preset default

On one processor core the habit takes a quarter of a minute with DEFAULT, which needs Fashion-MNIST, and a
second with SMOKE. Seeds below 1000, with which settings were found, answer validation images.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from recipes.common.nets.data import load_images
from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.keep_ensembles_for_the_last_tenth import taught
from recipes.use_data_projection import dense_net
from recipes.use_early_stopping import judged

TACTIC = "use-oversized-models-for-small-tasks"
ARMS = (
    "baseline",
    "tactic",
    "quarter_width",
    "half_width",
    "four_times_width",
    "tried_in_turn",
    "student",
    "where_unsure",
)
WIDTHS = {"baseline": 1.0, "tactic": 8.0, "quarter_width": 0.25, "half_width": 0.5, "four_times_width": 4.0}
"""Width of the hidden layer by arm, as a multiple of the baseline's."""
METRICS: MetricTable = {
    "answer_cpu_ms": ("ms", "lower", "measured", "Processor time of an answer, of 500 at a time."),
    "single_answer_cpu_ms": ("ms", "lower", "measured", "Processor time of an answer, one at a time."),
    "answer_macs": ("count", "lower", "counted", "Multiply-accumulates of an answer, on average."),
    "training_cpu_s": ("s", "lower", "measured", "Processor time of all trainings that lead to the answer."),
    "model_bytes": ("bytes", "lower", "counted", "Weights and biases of all nets that answer."),
    "large_asked_fraction": ("fraction", "lower", "counted", "Images that the net of the habit answers."),
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
    """Training images, at most."""
    epochs: int = 8
    """Epochs of each net."""
    batch: int = 64
    """Images of a step."""
    rate: float = 3e-3
    """Learning rate of Adam at the start; it falls to zero along half a cosine."""
    hidden: int = 128
    """Width of the hidden layer of the baseline."""
    tried: tuple[int, ...] = (8, 32, 128, 512)
    """Widths that are tried in turn."""
    least_gain: float = 0.01
    """Accuracy that the next of them has to gain, or the one before is taken."""
    sure: float = 0.6
    """Probability of a class from which on the large net is not asked."""
    temperature: float = 2.0
    """What probabilities of the large net are softened by before a student learns them."""
    rounds: int = 5
    """How often all held-out images are answered."""
    singles: int = 1_000
    """Images that are answered one at a time, in each round."""


SMOKE = Config(
    data="digits", images=400, epochs=3, hidden=16, tried=(4, 16), least_gain=1, rounds=1, singles=50
)
DEFAULT = Config()
FULL = Config(images=55_000, epochs=20, hidden=256, tried=(16, 64, 256, 1_024))

# --- Cures of the habit -----------------------------------------------------------------------------------


# --8<-- [start:tactic]
def smallest_sufficient(
    sizes: Sequence[int],
    train: Callable[[int], nn.Module],
    score: Callable[[nn.Module], float],
    *,
    least_gain: float,
) -> nn.Module:
    """Train ever larger nets until the next one gains too little; return the one before it.

    Args:
        sizes: From the smallest on, best as multiples of each other.
        train: Trains a net of a size.
        score: Quality of a net on data for choices; more is better.
        least_gain: What a larger net has to be better by; above what scores of equal nets differ by.
    """
    found = train(sizes[0])
    reached = score(found)
    for size in sizes[1:]:
        larger = train(size)
        if (better := score(larger)) < reached + least_gain:
            break
        found, reached = larger, better
    return found


def ask_large_where_unsure(
    small: nn.Module, large: nn.Module, rows: Tensor, *, sure: float
) -> tuple[Tensor, int]:
    """Ask a large net about rows of which no class is as probable to a small net as `sure`.

    Returns:
        Logits, (rows, classes), and of how many rows they are the large net's.
    """
    logits = small(rows)
    unsure = (logits.softmax(1).amax(1) < sure).nonzero()[:, 0]  # (asked,)
    if len(unsure):
        logits[unsure] = large(rows[unsure])
    return logits, len(unsure)


# --8<-- [end:tactic]


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Train the net or the nets of an arm, and let them answer."""
    data = load_images((config.data,), config.data_dir)
    first = data.train_images[: config.batch].flatten(1), data.train_labels[: config.batch]
    # memory and threads are set up
    dense_net(*first, hidden=config.hidden, epochs=1, batch=config.batch, rate=config.rate)
    torch.manual_seed(seed)
    chosen = torch.randperm(len(data.train_images))[: config.images]
    rows, labels = data.train_images[chosen].flatten(1), data.train_labels[chosen]  # (images, values)
    held_out, wanted = data.validation_images.flatten(1), data.validation_labels
    half = len(wanted) // 2
    for_choice = held_out[:half], wanted[:half]
    held_out, wanted = held_out[half:], wanted[half:]
    if seed >= 1000:
        held_out, wanted = data.test_images.flatten(1), data.test_labels

    def train(width: float, targets: Tensor = labels) -> nn.Module:
        settings = {"epochs": config.epochs, "batch": config.batch}
        return dense_net(rows, targets, hidden=round(width), rate=config.rate, **settings)

    def score(net: nn.Module) -> float:
        return judged(net, for_choice)[0]

    narrow, wide = (WIDTHS[name] * config.hidden for name in ("baseline", "tactic"))
    with meter.window("training") as training:
        if arm == "tried_in_turn":
            nets = [smallest_sufficient(config.tried, train, score, least_gain=config.least_gain)]
        elif arm == "student":
            nets = [train(narrow, taught([train(wide)], rows, config.temperature))]
        elif arm == "where_unsure":
            nets = [train(narrow), train(wide)]
        else:
            nets = [train(WIDTHS[arm] * config.hidden)]

    def answer(some: Tensor) -> tuple[Tensor, int]:
        if arm == "where_unsure":
            return ask_large_where_unsure(nets[0], nets[1], some, sure=config.sure)
        return nets[0](some), len(some) if arm == "tactic" else 0

    right = asked = 0
    batches = [*zip(torch.split(held_out, 500), torch.split(wanted, 500), strict=True)]
    with torch.inference_mode():
        answer(held_out[:500])  # the same for answers
        with meter.window("answers") as answering:
            for some, classes in batches * config.rounds:
                logits, count = answer(some)
                right += int((logits.argmax(1) == classes).sum())
                asked += count
        with meter.window("single answers") as alone:
            for one in torch.split(held_out[: config.singles], 1) * config.rounds:
                answer(one)
    answers, weights = config.rounds * len(wanted), [sum(p.numel() for p in net.parameters()) for net in nets]
    macs = [sum(p.numel() for p in net.parameters() if p.ndim == 2) for net in nets]
    metrics = {
        "answer_cpu_ms": 1000 * answering.cpu_s / answers,
        "single_answer_cpu_ms": 1000 * alone.cpu_s / (config.rounds * min(config.singles, len(wanted))),
        "answer_macs": macs[0] + asked / answers * sum(macs[1:]),
        "training_cpu_s": training.cpu_s,
        "model_bytes": 4.0 * sum(weights),
        "large_asked_fraction": asked / answers,
        "test_accuracy": right / answers,
    }
    used = replace(data.used, train_count=len(rows), validation_count=half, test_count=len(wanted))
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
