"""Choose an algorithm: of those that are good enough, the one that needs least for the expected load.

Record: tactics/choose-an-energy-efficient-algorithm.yaml. After Verdecchia et al., "Data-Centric Green AI",
ICT4S 2022, whose six algorithms are candidates, with e-mails in place of text messages; a linear model and
naive Bayes join them. The baseline is a forest, the best and dearest of the study. The tactic trains each
candidate on three quarters of the e-mails to learn from, and scores and times it on the rest, which it pays
for; it takes the one with the least processor time, training and expected answers together, of those within a
tolerance. One rival looks as well, and takes the best score. Others do not look: they take a tree, a linear
model, or nearest neighbours.

    python -m recipes.choose_an_energy_efficient_algorithm --arm tactic --seed 0 --preset default

On one processor core an arm takes up to 20 seconds with DEFAULT, which needs `greentactics data fetch
spam`. SMOKE has e-mails that are made up. Published seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.naive_bayes import ComplementNB

from recipes.common.run import cli
from recipes.common.run.contract import Json, Meter, MetricTable, Outcome
from recipes.language.texts import e_mails, made_up_e_mails
from recipes.language.words import ALGORITHMS, Counted, Learner, counted

TACTIC = "choose-an-energy-efficient-algorithm"
ARMS = ("baseline", "tactic", "best_score", "decision_tree", "linear_model", "nearest_neighbours")
METRICS: MetricTable = {
    "load_cpu_s": ("s", "lower", "measured", "Processor time of choice, training and expected answers."),
    "choice_cpu_s": ("s", "lower", "measured", "Processor time of trying the candidates."),
    "training_cpu_s": ("s", "lower", "measured", "Processor time of training the one that is used."),
    "answer_cpu_ms": ("ms", "lower", "measured", "Processor time of one answer, of many at a time."),
    "f1": ("fraction", "higher", "measured", "F1 of spam among held-out e-mails."),
}
CANDIDATES: dict[str, Learner] = ALGORITHMS | {
    "linear_model": lambda seed: LogisticRegression(solver="liblinear", random_state=seed),
    "naive_bayes": lambda _: ComplementNB(),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    texts: str = "e-mails"
    """`e-mails`, or `made-up`."""
    data_dir: Path | None = None
    """Folder that holds the e-mails; None searches the usual places."""
    train: int = 2_000
    """E-mails to learn from, at most."""
    held_out: int = 1_000
    """E-mails to answer, at most."""
    load: int = 100_000
    """Answers that are expected of one training; their cost is that of those held out, times as many."""
    tolerance: float = 0.01
    """F1 that the tactic may give up on validation e-mails."""
    validation_fraction: float = 0.25
    """E-mails to learn from that candidates are scored on."""


SMOKE = Config(texts="made-up", train=100, held_out=50)
DEFAULT = Config()
FULL = Config(train=2_400, held_out=2_400)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
@dataclass(frozen=True)
class Tried:
    """What a trial of a candidate showed; energy in place of time where there is a meter."""

    score: float
    """On validation data; more is better."""
    training_s: float
    """Processor time of one training."""
    answer_s: float
    """Processor time of one answer."""

    def cost_of(self, load: int) -> float:
        """Return what a training and so many answers cost."""
        return self.training_s + load * self.answer_s


def cheapest_good_enough(tried: Mapping[str, Tried], *, load: int, tolerance: float) -> str:
    """Return the name of the candidate that costs least of those that score nearly as well as the best one.

    Args:
        tried: Candidates by name, at least one.
        load: Answers that are expected of one training.
        tolerance: What may be lost against the best score.
    """
    needed = max(each.score for each in tried.values()) - tolerance
    good_enough = [name for name, each in tried.items() if each.score >= needed]
    return min(good_enough, key=lambda name: tried[name].cost_of(load))


# --8<-- [end:tactic]
# --- Run -------------------------------------------------------------------------------------------------


def try_out(name: str, seed: int, train: Counted, held_out: Counted, meter: Meter) -> Tried:
    """Train a candidate, and time and score its answers to other e-mails."""
    with meter.window("training") as training:
        learned = CANDIDATES[name](seed).fit(train.words, train.is_spam)
    with meter.window("answers") as answering:
        answers = learned.predict(held_out.words)
    score = float(f1_score(held_out.is_spam, answers))
    return Tried(score, training.cpu_s, answering.cpu_s / len(answers))


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Choose an algorithm, or take the one of the arm; train it and let it answer."""
    texts = made_up_e_mails() if config.texts == "made-up" else e_mails(config.data_dir)
    train, held_out, used = counted(texts, train=config.train, held_out=config.held_out, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(used.train_count)
    count = round(config.validation_fraction * used.train_count)
    validation, rest = train.of(shuffled[:count]), train.of(shuffled[count:])
    tried, chosen = dict[str, Tried](), "random_forest" if arm == "baseline" else arm
    with meter.window("choice") as choice:
        if arm in ("tactic", "best_score"):
            tried = {name: try_out(name, seed, rest, validation, meter) for name in CANDIDATES}
            tolerance = config.tolerance if arm == "tactic" else 0.0
            chosen = cheapest_good_enough(tried, load=config.load, tolerance=tolerance)
    used_one = try_out(chosen, seed, train, held_out, meter)
    metrics = {
        "load_cpu_s": choice.cpu_s + used_one.cost_of(config.load),
        "choice_cpu_s": choice.cpu_s,
        "training_cpu_s": used_one.training_s,
        "answer_cpu_ms": 1000 * used_one.answer_s,
        "f1": used_one.score,
    }
    rows: list[Json] = [
        {
            "algorithm": name,
            "f1": each.score,
            "training_cpu_s": each.training_s,
            "answer_cpu_s": each.answer_s,
        }
        for name, each in tried.items()
    ]
    return Outcome(metrics, used, {"chosen": chosen, "tried": rows})


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
