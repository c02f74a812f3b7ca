"""The learner's table, what each way does, and what every arm pays."""

from __future__ import annotations

import random

import pytest
import torch

from recipes import consider_reinforcement_learning_for_energy_efficiency as recipe
from tests.recipes.fake_meter import FakeMeter


def test_each_way_is_tried_then_the_cheapest_is_taken_and_its_price_followed() -> None:
    prices, draw = [0.0] * 3, random.Random(0)
    for way, price in enumerate((4.0, 1.0, 2.0)):
        assert recipe.choose_way(prices, explore=0, draw=draw) == way
        recipe.learn_price(prices, way, price, step=0.5)
    assert recipe.choose_way(prices, explore=0, draw=draw) == 1
    recipe.learn_price(prices, 1, 5.0, step=0.5)
    assert prices == [4.0, 3.0, 2.0]
    assert recipe.choose_way(prices, explore=0, draw=draw) == 2


@pytest.mark.parametrize("explore", [0.0, 0.1])
def test_a_way_that_has_become_cheaper_is_found_by_exploring_alone(explore: float) -> None:
    prices, draw = [0.0, 0.0], random.Random(0)
    for number in range(1000):
        way = recipe.choose_way(prices, explore=explore, draw=draw)
        recipe.learn_price(prices, way, (2.0, 3.0 if number < 500 else 1.0)[way], step=0.2)
    assert (prices[1] < prices[0]) == (explore > 0)


def test_walks_turn_back_at_both_ends() -> None:
    walks = recipe.wander(5_000, 3, 0.05, torch.Generator().manual_seed(0))
    assert walks.shape == (5_000, 3)
    assert float(walks.min()) >= 0
    assert float(walks.max()) <= 1
    assert float(walks.diff(dim=0).abs().max()) < 0.05 * 6
    assert walks.mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.2)


def test_each_way_takes_its_time_and_pays_its_fine() -> None:
    requests = recipe.Requests(
        chosen=torch.tensor([0, 1]),
        sending=torch.tensor([0.5, 2.0]),
        slowing=torch.tensor([5.0, 1.0]),
        delay=torch.tensor([1.0, 3.0]),
    )
    right, sure = torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([0.9, 0.4])
    done = recipe.outcomes(requests, right, sure, share=0.25, threshold=0.5, deadline=4.0)
    # small, large, small then large, remote; the small net is sure of the first image alone
    assert done.computing.tolist() == [[0.25, 1, 0.25, 0], [0.25, 1, 1.25, 0]]
    assert done.sending.tolist() == [[0, 0, 0, 0.5], [0, 0, 0, 2]]
    assert done.late.tolist() == [[0, 1, 0, 0], [0, 0, 0, 1]]
    assert done.right.tolist() == [[1, 0, 1, 0], [0, 1, 1, 1]]
    price = done.price(torch.tensor([0.5, 0.5, 0.0, 0.5]), 10.0)
    assert price.tolist() == [[5.25, 11, 0.25, 5.5], [5.25, 6, 1.25, 12]]


def test_a_delay_is_seen_only_after_it_was_met_and_is_forgotten() -> None:
    count, seen = 6, []
    requests = recipe.Requests(*(torch.arange(count),), *(torch.ones(count),) * 2, torch.arange(count) + 10.0)

    def choose(sight: recipe.Seen) -> int:
        seen.append(sight[2])
        return 3 if len(seen) == 2 else 0

    recipe.serve(requests, torch.zeros(count, 4), 2, choose)()
    assert seen == [0, 0, 11, 11, 0, 0]


def test_the_rule_stays_here_where_the_other_place_is_slow() -> None:
    choose = recipe.rule(longest=3.0, slowest=4.0)
    assert [choose(seen) for seen in ((1, 9, 1), (1, 1, 2), (1, 9, 2))] == [3, 1, 0]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_pays_for_what_it_chooses_and_for_choosing(arm: str) -> None:
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter(cpu_s=0.003))
    metrics, nets = outcome.metrics, outcome.details["net_ms"]
    assert set(metrics) == set(recipe.METRICS)
    assert isinstance(nets, dict)
    assert metrics["choosing_ms"] == pytest.approx(3 / recipe.SMOKE.requests)
    cost = (metrics["processor_ms"] + metrics["sending_ms"]) / nets["large"]
    assert metrics["device_cost_fraction"] == pytest.approx(cost)
    assert metrics["regret_fraction"] >= 0
    assert metrics["right_in_time_fraction"] <= metrics["test_accuracy"]
    assert (metrics["setup_answers"] == 0) == (arm in ("baseline", "always_small", "always_remote"))
    if arm == "baseline":
        assert metrics["processor_ms"] - metrics["choosing_ms"] == pytest.approx(nets["large"])
    assert outcome.data.test_count == recipe.SMOKE.requests
