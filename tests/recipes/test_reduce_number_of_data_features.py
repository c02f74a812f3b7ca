"""Columns chosen by chi-squared, and the ways beside it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from recipes import reduce_number_of_data_features as recipe
from recipes.language.texts import made_up_e_mails
from recipes.language.words import counted
from tests.recipes.fake_meter import FakeMeter

LABELS = np.array([True, True, False, False])
TABLE = csr_array(np.array([[3, 1, 0, 9, 0], [1, 1, 0, 8, 0], [0, 1, 0, 9, 1], [0, 1, 0, 8, 0]]))
"""Column 0 tells the class, 4 tells it of one row, 1 and 3 do not, 2 is empty."""


def test_columns_that_tell_the_class_come_first() -> None:
    assert recipe.best_features(TABLE, LABELS, 1).tolist() == [0]
    assert recipe.best_features(TABLE, LABELS, 2).tolist() == [0, 4]
    assert recipe.commonest(TABLE, 2).tolist() == [0, 3]
    assert recipe.of_a_linear_model(TABLE, LABELS, 3).tolist()[:1] == [0]


def test_words_are_counted_over_those_that_are_learned_from() -> None:
    train, held_out, used = counted(made_up_e_mails(), train=40, held_out=10, seed=3)
    assert train.words.shape[0] == used.train_count == 40
    assert held_out.words.shape == (10, train.words.shape[1])
    assert (train.words.sum(axis=1) == 90).all()  # words of a made-up e-mail
    assert train.words.sum(axis=0).min() > 0
    again = counted(made_up_e_mails(), train=40, held_out=10, seed=3)[0]
    assert (again.words != train.words).nnz == 0


def test_published_seeds_answer_e_mails_that_no_other_seed_sees() -> None:
    texts = made_up_e_mails()
    assert counted(texts, train=1000, held_out=1000, seed=0)[2].train_count == len(texts.search)
    used = counted(texts, train=1000, held_out=1000, seed=1000)[2]
    assert (used.train_count, used.test_count) == (len(texts.search) + len(texts.choice), len(texts.test))


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_algorithm_pays_for_the_choice(arm: str) -> None:
    meter = FakeMeter()
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    assert meter.names == ["selection", *recipe.ALGORITHMS]
    assert set(metrics) == set(recipe.METRICS)
    assert all(metrics[f"{name}_cpu_s"] == 2 * metrics["selection_cpu_s"] for name in recipe.ALGORITHMS)
    shares = {
        "tactic": 0.1,
        "random_words": 0.1,
        "commonest_words": 0.1,
        "tactic_with_half_of_the_words": 0.5,
    }
    words = recipe.run(recipe.SMOKE, arm="baseline", seed=0, meter=FakeMeter()).metrics["features"]
    if arm in shares:
        assert metrics["features"] == pytest.approx(shares[arm] * words, abs=1)
