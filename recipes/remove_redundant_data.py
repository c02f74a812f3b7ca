"""Redundant data: learn from one e-mail of each group of near-copies.

Record: tactics/remove-redundant-data.yaml. Mails to many stand in a mailbox again and again, each a little
different. The baseline trains a net of one hidden layer on all of them. The tactic drops mails that are close
to one kept before, by the cosine of their word vectors, which the net reads anyway; the search is charged to
it. After Abbas et al., "SemDeDup", 2023 (arXiv 2303.09540), without clusters, as the set is small. A looser
threshold is an arm. Rivals: exact copies alone, found by a hash; as many mails dropped by chance; and all
mails for fewer epochs, so that the net takes as many steps as the tactic's. All are held to mails that have
no near-copy among those to learn from, as a copy on both sides flatters whoever learnt it by heart.

    python -m recipes.remove_redundant_data --arm tactic --seed 0 --preset default

On one processor core the baseline takes a quarter of a minute with DEFAULT, which needs `greentactics data
fetch spam`. SMOKE has made-up e-mails. Published seeds, from 1000, answer other e-mails than those below.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import f1_score
from sklearn.neural_network import MLPClassifier

from recipes.common.run import cli
from recipes.common.run.contract import Meter, MetricTable, Outcome
from recipes.language.texts import Text, every_e_mail, made_up_e_mails

TACTIC = "remove-redundant-data"
ARMS = ("baseline", "tactic", "tactic_with_looser_threshold", "exact_copies", "random_mails", "fewer_epochs")
METRICS: MetricTable = {
    "training_cpu_s": ("s", "lower", "measured", "Processor time of the search for copies and of training."),
    "search_cpu_s": ("s", "lower", "measured", "Processor time of the search for copies alone."),
    "learned_from": ("count", "lower", "counted", "E-mails that are learned from."),
    "trained_steps": ("count", "lower", "counted", "Steps of the training."),
    "f1": ("fraction", "higher", "measured", "F1 of spam among held-out e-mails without near-copies."),
}


@dataclass(frozen=True)
class Config:
    """Settings of a run."""

    texts: str = "e-mails"
    """`e-mails`, or `made-up`."""
    data_dir: Path | None = None
    """Folder that holds the e-mails; None searches the usual places."""
    train: int = 4_000
    """E-mails to learn from, at most, copies included."""
    set_aside: int = 950
    """E-mails that are not learned from."""
    held_out: int = 400
    """How many of them are answered: the first without a near-copy among those that are learned from."""
    threshold: float = 0.8
    """Cosine of two mails from which they are near-copies."""
    looser: float = 0.6
    """The same in the arm with a looser threshold, and between mails to learn from and mails to answer."""
    epochs: int = 6
    """Times that all mails are learned from."""
    hidden: int = 32
    """Width of the hidden layer."""
    batch: int = 32
    """Mails of a step."""


SMOKE = Config(texts="made-up", train=100, set_aside=50, held_out=50, threshold=0.85, looser=0.8, epochs=2)
DEFAULT = Config()
FULL = Config(epochs=20, hidden=128)

# --- The tactic and its rivals: which e-mails are learned from --------------------------------------------

Rows = NDArray[np.intp]
"""Numbers of e-mails, in order."""


# --8<-- [start:tactic]
def without_near_copies(vectors: csr_array, threshold: float) -> Rows:
    """Return the items that are kept: the first of each group, and what is close to none of those.

    Every pair is compared, which a set of some ten thousand sparse vectors bears. Cluster larger ones first,
    and compare within clusters.

    Args:
        vectors: Items as rows of length 1, (items, features); none below 0.
        threshold: Cosine above which two items are near-copies.
    """
    cosines = csr_array(vectors @ vectors.T)  # (items, items)
    close = csr_array(cosines > threshold)
    kept = np.ones(vectors.shape[0], dtype=bool)
    for item in range(len(kept)):
        like_it = close.indices[close.indptr[item] : close.indptr[item + 1]]
        kept[item] = not kept[like_it[like_it < item]].any()
    return np.flatnonzero(kept)


# --8<-- [end:tactic]


def without_exact_copies(mails: Sequence[Text]) -> Rows:
    """Return the first mail of each text, whatever its spaces and capitals."""
    first = dict[str, int]()
    for row, mail in enumerate(mails):
        first.setdefault(" ".join(mail.text.lower().split()), row)
    return np.array(list(first.values()))


def learned_from(arm: str, config: Config, mails: Sequence[Text], vectors: csr_array, seed: int) -> Rows:
    """Return the e-mails that an arm learns from."""
    if arm == "tactic":
        return without_near_copies(vectors, config.threshold)
    if arm == "tactic_with_looser_threshold":
        return without_near_copies(vectors, config.looser)
    if arm == "exact_copies":
        return without_exact_copies(mails)
    if arm == "random_mails":
        count = len(without_near_copies(vectors, config.threshold))
        return np.sort(np.random.default_rng(seed).choice(len(mails), count, replace=False))
    return np.arange(len(mails))


# --- Run -------------------------------------------------------------------------------------------------


def trained(
    config: Config, vectors: csr_array, is_spam: NDArray[np.bool_], steps: int, seed: int
) -> MLPClassifier:
    """Train a net on e-mails, in random order again and again, until it has had so many steps."""
    net = MLPClassifier((config.hidden,), batch_size=config.batch, random_state=seed)
    draw = np.random.default_rng(seed)
    left = steps * config.batch  # e-mails
    while left > 0:
        order = draw.permutation(len(is_spam))[:left]
        net.partial_fit(vectors[order], is_spam[order], classes=[False, True])
        left -= len(order)
    return net


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Look for copies, learn from what is left, and answer."""
    made_up = config.texts == "made-up"
    texts = made_up_e_mails() if made_up else every_e_mail(config.data_dir)
    draw, is_published = random.Random(seed), seed >= 1000  # noqa: S311 - not for secrets
    others = [*(texts.test if is_published else texts.choice)]
    draw.shuffle(others)
    others, mails = others[: config.set_aside], [*others[config.set_aside :], *texts.search]
    mails = draw.sample([*mails, *texts.choice] if is_published else mails, min(config.train, len(mails)))
    words = TfidfVectorizer(min_df=2).fit(mail.text for mail in mails)
    vectors = csr_array(words.transform(mail.text for mail in mails))  # (mails, words)
    is_spam = np.array([bool(mail.is_spam) for mail in mails])
    asked = csr_array(words.transform(mail.text for mail in others))
    nearest = csr_array(asked @ vectors.T).max(axis=1).toarray()  # (others,)
    answered = np.flatnonzero(nearest <= (1 if made_up else config.looser))[: config.held_out]
    wanted = np.array([bool(others[row].is_spam) for row in answered])

    with meter.window("search") as search:
        rows = learned_from(arm, config, mails, vectors, seed)
    if arm == "random_mails":  # the search only tells how many
        with meter.window("search") as search:
            pass
    epoch_of = rows if arm != "fewer_epochs" else without_near_copies(vectors, config.threshold)
    steps = config.epochs * len(epoch_of) // config.batch
    with meter.window("training") as training:
        net = trained(config, vectors[rows], is_spam[rows], steps, seed)
    metrics = {
        "training_cpu_s": search.cpu_s + training.cpu_s,
        "search_cpu_s": search.cpu_s,
        "learned_from": float(len(rows)),
        "trained_steps": float(steps),
        "f1": float(f1_score(wanted, net.predict(asked[answered]))),
    }
    used = replace(texts.used, train_count=len(mails), validation_count=0, test_count=len(answered))
    return Outcome(metrics, used)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
