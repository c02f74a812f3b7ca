"""Select features: learn from the words that tell spam best, and drop the rest.

Record: tactics/reduce-number-of-data-features.yaml. The six algorithms and the tenth of the words are those
of Verdecchia et al., "Data-Centric Green AI", ICT4S 2022, with e-mails in place of text messages. The
baseline learns from the counts of all words. The tactic ranks words by chi-squared on the training data,
which it pays for, and keeps the best tenth; arms with half and a fiftieth of them show what that share is
worth. Rivals keep as many words by chance, or the commonest; keep those that a linear model with a penalty on
their number leaves; or keep all words, and learn from fewer e-mails. Counting words costs all arms the same,
and is left out.

    python -m recipes.reduce_number_of_data_features --arm tactic --seed 0 --preset default

On one processor core an arm takes up to 20 seconds with DEFAULT, which needs `greentactics data fetch
spam`. SMOKE has e-mails that are made up. Published seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_selection import chi2
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score

from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.language.texts import e_mails, made_up_e_mails
from recipes.language.words import ALGORITHMS, Counted, counted

TACTIC = "reduce-number-of-data-features"
ARMS = (
    "baseline",
    "tactic",
    "tactic_with_half_of_the_words",
    "tactic_with_fiftieth_of_the_words",
    "random_words",
    "commonest_words",
    "words_of_a_linear_model",
    "fewer_mails",
)
LEARNING = "Processor time of the choice, one training, and all answers"
METRICS: MetricTable = {
    "selection_cpu_s": ("s", "lower", "measured", "Processor time of choosing what to learn from."),
    "features": ("count", "lower", "counted", "Words that are learned from."),
    **{f"{name}_cpu_s": ("s", "lower", "measured", f"{LEARNING}: {name}.") for name in ALGORITHMS},
    **{f"{name}_f1": ("fraction", "higher", "measured", f"F1 of spam: {name}.") for name in ALGORITHMS},
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
    kept_fraction: float = 0.1
    """Words that the tactic keeps, as a share of all."""
    mails_fraction: float = 0.35
    """E-mails that the rival with fewer learns from, as a share: it then costs about what the tactic does."""


SMOKE = Config(texts="made-up", train=100, held_out=50)
DEFAULT = Config()
FULL = Config(train=2_400, held_out=2_400)

# --- The tactic and its rivals: each says which words, or which e-mails, are learned from -----------------

Chosen = NDArray[np.intp]
"""Numbers of columns or rows, in order."""


# --8<-- [start:tactic]
def best_features(table: csr_array, labels: NDArray[np.bool_], count: int) -> Chosen:
    """Rank the columns of a table of counts by chi-squared, and return the best ones.

    Rank on training data alone: scores on data that had a say in the choice are too good.

    Args:
        table: Counts, none below 0, (examples, features).
        labels: Classes, (examples,).
        count: Columns to keep.
    """
    scores = np.nan_to_num(chi2(table, labels)[0])  # (features,); NaN where a column is empty
    return np.sort(np.argsort(-scores, kind="stable")[:count])


# --8<-- [end:tactic]


def commonest(table: csr_array, count: int) -> Chosen:
    """Return the columns with the largest sums: what `max_features` of a vectoriser keeps."""
    return np.sort(np.argsort(-table.sum(axis=0), kind="stable")[:count])


def of_a_linear_model(table: csr_array, labels: NDArray[np.bool_], count: int) -> Chosen:
    """Return the columns with the largest weights in a logistic regression that favours zeros."""
    linear = LogisticRegression(l1_ratio=1.0, C=1.0, solver="liblinear", random_state=0).fit(table, labels)
    weights = np.abs(linear.coef_[0])  # (features,)
    return np.sort(np.argsort(-weights, kind="stable")[: min(count, np.count_nonzero(weights))])


def learned_from(arm: str, config: Config, train: Counted, seed: int) -> tuple[Chosen, Chosen]:
    """Return the rows and the columns that an arm learns from."""
    draw = np.random.default_rng(seed)
    mails, features = train.words.shape
    every_mail, count = np.arange(mails), max(1, round(config.kept_fraction * features))
    if arm == "baseline":
        return every_mail, np.arange(features)
    if arm == "fewer_mails":
        kept = draw.choice(mails, round(config.mails_fraction * mails), replace=False)
        return np.sort(kept), np.arange(features)
    if arm == "random_words":
        return every_mail, np.sort(draw.choice(features, count, replace=False))
    if arm == "commonest_words":
        return every_mail, commonest(train.words, count)
    if arm == "words_of_a_linear_model":
        return every_mail, of_a_linear_model(train.words, train.is_spam, count)
    count = {
        "tactic_with_half_of_the_words": features // 2,
        "tactic_with_fiftieth_of_the_words": features // 50,
    }.get(arm, count)
    return every_mail, best_features(train.words, train.is_spam, count)


# --- Run -------------------------------------------------------------------------------------------------


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Choose what to learn from, and let each algorithm learn and answer."""
    texts = made_up_e_mails() if config.texts == "made-up" else e_mails(config.data_dir)
    train, held_out, used = counted(texts, train=config.train, held_out=config.held_out, seed=seed)
    with meter.window("selection") as selection:
        rows, columns = learned_from(arm, config, train, seed)
        table, labels = train.words[rows][:, columns], train.is_spam[rows]
    metrics = {"selection_cpu_s": selection.cpu_s, "features": float(len(columns))}
    for name, learner in ALGORITHMS.items():
        with meter.window(name) as window:
            answers = learner(seed).fit(table, labels).predict(held_out.words[:, columns])
        metrics[f"{name}_cpu_s"] = selection.cpu_s + window.cpu_s
        metrics[f"{name}_f1"] = float(f1_score(held_out.is_spam, answers))
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
