"""A grid over the ranges that chance draws from, and what each way of searching trains."""

from __future__ import annotations

import pytest

from recipes import search_by_successive_halving as halving
from recipes import search_hyper_parameters_by_brute_force as recipe
from tests.recipes.fake_meter import FakeMeter


def test_a_grid_stands_in_the_middles_of_equal_parts() -> None:
    assert recipe.grid_of((2, 1, 3)) == [
        (first, 0.5, third) for first in (1 / 4, 3 / 4) for third in (1 / 6, 1 / 2, 5 / 6)
    ]


def test_a_point_is_laid_into_the_ranges_of_the_search_by_chance() -> None:
    lowest, middle, highest = (
        halving.begun(recipe.Laid((place,) * 5), 16).settings for place in (0.0, 0.5, 0.999999)
    )
    assert (lowest["batch"], highest["batch"]) == (32, 256)
    assert (lowest["momentum"], highest["momentum"]) == (0, 0.9)
    assert middle["learning_rate"] == pytest.approx(10**-1.75)
    assert middle["weight_decay"] == pytest.approx(1e-4)
    assert highest["dropout"] == pytest.approx(0.6, rel=1e-4)


def test_the_best_is_chosen_after_all_were_trained_to_the_end() -> None:
    asked = list[tuple[int, int]]()

    def score(candidate: int, epochs: int) -> float:
        asked.append((candidate, epochs))
        return -abs(candidate - 2)

    assert recipe.try_all([*range(4)], score, last=9) == 2
    assert asked == [(candidate, 9) for candidate in range(4)]


def test_arms_draw_the_same_candidates_and_grids_heed_no_seed() -> None:
    def settings(arm: str, seed: int) -> list[dict[str, float]]:
        return [halving.begun(draw, 16).settings for draw in recipe.draws_of(arm, recipe.DEFAULT, seed)]

    drawn = settings("twice_as_many", 3)
    assert settings("baseline", 3) == drawn[:8]
    assert settings("half_as_many", 3) == drawn[:4]
    assert settings("tactic", 3) == settings("tactic", 4)
    assert len(settings("tactic", 3)) == 4 * 2 * 2 * 2
    narrow = settings("two_settings", 3)
    assert len(narrow) == 4 * 2
    assert {(point["dropout"], point["batch"]) for point in narrow} == {(0.3, 128)}


@pytest.mark.parametrize(
    ("arm", "epochs"),
    # nine candidates for one epoch, three of them for two more
    [("baseline", 4 * 3), ("tactic", 3 * 2 * 3), ("half_as_many", 2 * 3), ("halving", 9 + 3 * 2)],
)
def test_epochs_are_counted(arm: str, epochs: int) -> None:
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics
    assert set(metrics) == set(recipe.METRICS)
    assert metrics["trained_epochs"] == epochs
