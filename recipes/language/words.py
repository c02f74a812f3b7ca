"""E-mails as counts of their words, a table of many columns, most of them empty, and what learns from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from sklearn.base import ClassifierMixin
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, RandomForestClassifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from recipes.common.run.contract import DataUsed
from recipes.language.texts import Text, Texts

Learner = Callable[[int], ClassifierMixin]
"""From a seed to a classifier with the settings that scikit-learn has by itself."""
ALGORITHMS: dict[str, Learner] = {
    "random_forest": lambda seed: RandomForestClassifier(random_state=seed),
    "decision_tree": lambda seed: DecisionTreeClassifier(random_state=seed),
    "bagging": lambda seed: BaggingClassifier(random_state=seed),
    "adaboost": lambda seed: AdaBoostClassifier(random_state=seed),
    "support_vectors": lambda _: SVC(),
    "nearest_neighbours": lambda _: KNeighborsClassifier(),
}
"""Those of the study on data-centric green AI (Verdecchia et al., ICT4S 2022)."""


@dataclass(frozen=True)
class Counted:
    """E-mails by their words."""

    words: csr_array
    """How often each word stands in each e-mail, (mails, words)."""
    is_spam: NDArray[np.bool_]
    """(mails,)."""

    def of(self, rows: NDArray[np.intp]) -> Counted:
        """Return some of the e-mails."""
        return Counted(self.words[rows], self.is_spam[rows])


def counted(texts: Texts, *, train: int, held_out: int, seed: int) -> tuple[Counted, Counted, DataUsed]:
    """Draw e-mails to learn from and others to answer, and count the words that stand in the first.

    Seeds below 1000 learn from the part to search with, and answer the part to choose with. Others learn from
    both, and answer the test part.

    Args:
        texts: E-mails in parts.
        train: E-mails to learn from, at most.
        held_out: E-mails to answer, at most.
        seed: What is drawn depends on it.
    """
    draw, is_published = random.Random(seed), seed >= 1000  # noqa: S311 - not for secrets
    learned = [*texts.search, *texts.choice] if is_published else [*texts.search]
    answered = [*(texts.test if is_published else texts.choice)]
    learned = draw.sample(learned, min(train, len(learned)))
    answered = draw.sample(answered, min(held_out, len(answered)))
    words = CountVectorizer().fit(mail.text for mail in learned)

    def part(mails: Sequence[Text]) -> Counted:
        counts = csr_array(words.transform(mail.text for mail in mails))
        return Counted(counts, np.array([bool(mail.is_spam) for mail in mails]))

    used = replace(texts.used, train_count=len(learned), validation_count=0, test_count=len(answered))
    return part(learned), part(answered), used
