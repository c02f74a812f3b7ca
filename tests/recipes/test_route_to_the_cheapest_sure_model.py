"""Routing on answers worked by hand, and what each arm passes on."""

import math

import pytest

from recipes import route_to_the_cheapest_sure_model as recipe
from recipes.route_to_the_cheapest_sure_model import least_sureness, routed
from tests.recipes.fake_meter import FakeMeter

SURENESS = [0.9, 0.8, 0.7, 0.6]


def test_the_cheap_model_answers_down_to_where_it_would_lose() -> None:
    cheap, dear = [True, True, False, False], [True, False, True, True]
    # gained so far: 0, 1, 0, -1
    assert least_sureness(SURENESS, cheap, dear, tolerance=0) == pytest.approx(0.65)
    assert least_sureness(SURENESS, cheap, dear, tolerance=0.25) == -math.inf  # one in four may be lost


def test_a_cheap_model_that_is_wrong_where_it_is_sure_answers_nothing() -> None:
    assert least_sureness(SURENESS, [False] * 4, [True] * 4, tolerance=0) == math.inf


def test_equally_sure_answers_stay_together() -> None:
    least = least_sureness([0.9, 0.7, 0.7], [True, True, False], [True, True, True], tolerance=0)
    assert least == pytest.approx(0.8)


def test_only_what_is_not_sure_enough_reaches_the_dear_model() -> None:
    asked = list[str]()

    def dear(request: str) -> str:
        asked.append(request)
        return "dear"

    answers = [
        routed(request, lambda text: ("cheap", len(text) / 10), dear, 0.5) for request in ("a" * 5, "b")
    ]
    assert answers == [("cheap", False), ("dear", True)]
    assert asked == ["b"]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_says_what_it_passed_on(arm: str) -> None:
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter())
    assert set(outcome.metrics) == set(recipe.METRICS)
    assert outcome.metrics["email_cpu_s"] == pytest.approx(1.5 / 20)
    passed = outcome.metrics["passed_fraction"]
    assert {"baseline": passed == 1, "cheap_only": passed == 0}.get(arm, 0 <= passed <= 1)
