"""Near-copies by cosine, exact ones by text, and steps that go with what is left."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_array

from recipes import remove_redundant_data as recipe
from recipes.language.texts import Text
from tests.recipes.fake_meter import FakeMeter


def unit(*angles: float) -> csr_array:
    """Vectors of length 1 in a plane, by their angles in degrees."""
    radians = np.deg2rad(angles)
    return csr_array(np.stack((np.cos(radians), np.sin(radians)), axis=1))


@pytest.mark.parametrize(
    ("degrees", "kept"),
    [
        (5, [0, 1, 2, 3]),
        (15, [0, 2, 3]),  # 10 is close to 0
        (25, [0, 2]),  # 20 is close to 10 and 0 alike; 60 is close to none, 80 to 60
        (70, [0, 3]),
    ],
)
def test_the_first_of_each_group_is_kept(degrees: float, kept: list[int]) -> None:
    found = recipe.without_near_copies(unit(0, 10, 60, 80), float(np.cos(np.deg2rad(degrees))))
    assert found.tolist() == kept


def test_what_is_close_to_a_dropped_one_alone_is_kept() -> None:
    assert recipe.without_near_copies(unit(0, 20, 40), float(np.cos(np.deg2rad(25)))).tolist() == [0, 2]


def test_exact_copies_differ_in_spaces_and_capitals_at_most() -> None:
    mails = [Text(str(n), text) for n, text in enumerate(("Buy now", "buy  NOW\n", "Buy nothing"))]
    assert recipe.without_exact_copies(mails).tolist() == [0, 2]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_search_is_paid_for_where_it_decides_what_is_learned_from(arm: str) -> None:
    meter = FakeMeter()
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    assert set(metrics) == set(recipe.METRICS)
    assert metrics["training_cpu_s"] == pytest.approx(2 * metrics["search_cpu_s"])
    learned = metrics["learned_from"]
    if arm == "fewer_epochs":  # as many steps as the tactic takes
        tactic = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter()).metrics
        learned = tactic["learned_from"]
        assert learned < metrics["learned_from"]  # made-up mails share their words
    assert metrics["trained_steps"] == recipe.SMOKE.epochs * learned // recipe.SMOKE.batch
