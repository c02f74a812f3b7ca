"""Successive halving on numbers worked by hand, and what its rivals spend."""

import pytest

from recipes import search_by_successive_halving as recipe
from recipes.search_by_successive_halving import Config, successive_halving

SETTINGS = [*range(9)]


def test_a_third_goes_on_each_time_and_the_best_of_the_last_is_returned() -> None:
    asked = list[tuple[int, int]]()

    def score(candidate: int, epochs: int) -> float:
        asked.append((candidate, epochs))
        return -abs(candidate - 5)

    assert successive_halving(SETTINGS, score, first=1, last=9) == 5
    assert [epochs for _, epochs in asked] == [1] * 9 + [3] * 3 + [9]
    assert {candidate for candidate, epochs in asked if epochs == 3} == {4, 5, 6}


def test_a_candidate_that_starts_slowly_is_lost() -> None:
    def score(candidate: int, epochs: int) -> float:
        return 100.0 if candidate == 8 and epochs == 9 else -candidate

    assert successive_halving(SETTINGS, score, first=1, last=9) == 0


@pytest.mark.parametrize(("first", "last", "keep"), [(9, 9, 3), (0, 9, 3), (1, 9, 1)])
def test_a_search_that_would_save_nothing_is_refused(first: int, last: int, keep: int) -> None:
    with pytest.raises(ValueError, match="nothing would be saved"):
        successive_halving(SETTINGS, lambda *_: 0.0, first=first, last=last, keep=keep)


def test_rivals_spend_no_more_epochs_than_the_tactic_and_nearly_as_many() -> None:
    config = Config()  # 27 candidates for 1 epoch, 9 for 2 more, 3 for 6 more
    assert recipe.epochs_of_tactic(config) == 27 + 9 * 2 + 3 * 6 == 63
    for arm, expected in (("fewer_candidates", 7 * 9), ("one_short_trial", 27 * 2 + 7), ("baseline", 27 * 9)):
        had = dict.fromkeys(range(config.candidates), 0)

        def score(candidate: int, epochs: int, had: dict[int, int] = had) -> float:
            had[candidate] = epochs
            return float(candidate == 3)

        assert recipe.search(arm, config, [*had], score) == 3
        assert sum(had.values()) == expected
