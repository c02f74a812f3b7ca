"""The cheapest of those that are good enough, and what choosing it costs."""

from __future__ import annotations

import pytest

from recipes import choose_an_energy_efficient_algorithm as recipe
from recipes.choose_an_energy_efficient_algorithm import Tried, cheapest_good_enough
from tests.recipes.fake_meter import FakeMeter

TRIED = {
    "forest": Tried(score=0.90, training_s=10.0, answer_s=0.01),
    "neighbours": Tried(score=0.895, training_s=0.0, answer_s=0.1),
    "tree": Tried(score=0.80, training_s=1.0, answer_s=0.0),
}


@pytest.mark.parametrize(
    ("load", "tolerance", "chosen"),
    [
        (0, 0.01, "neighbours"),
        (111, 0.01, "neighbours"),  # 11.1 s against 11.11 s
        (112, 0.01, "forest"),  # 11.2 s against 11.12 s
        (10, 0.0, "forest"),
        (10_000, 0.1, "tree"),
    ],
)
def test_the_load_and_the_tolerance_decide(load: int, tolerance: float, chosen: str) -> None:
    assert cheapest_good_enough(TRIED, load=load, tolerance=tolerance) == chosen


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_only_arms_that_look_pay_for_it(arm: str) -> None:
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    assert set(outcome.metrics) == set(recipe.METRICS)
    looks = arm in ("tactic", "best_score")
    assert len(meter.names) == (1 + 2 * len(recipe.CANDIDATES) if looks else 1) + 2
    tried = outcome.details["tried"]
    assert isinstance(tried, list)
    assert [row["algorithm"] for row in tried] == (list(recipe.CANDIDATES) if looks else [])
    metrics = outcome.metrics
    parts = metrics["choice_cpu_s"] + metrics["training_cpu_s"]
    assert metrics["load_cpu_s"] == pytest.approx(parts + 100 * metrics["answer_cpu_ms"])
