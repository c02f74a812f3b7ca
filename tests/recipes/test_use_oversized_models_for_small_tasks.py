"""Nets tried in turn, a large net asked where a small one is unsure, and what is trained and charged."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from torch import nn

from recipes import use_oversized_models_for_small_tasks as recipe
from tests.recipes.fake_meter import FakeMeter


@pytest.mark.parametrize(
    ("scores", "found", "trained"),
    [
        ({8: 0.70, 16: 0.80, 32: 0.805, 64: 0.99}, 16, [8, 16, 32]),  # stops before what it cannot know
        ({8: 0.70, 16: 0.69, 32: 0.90, 64: 0.99}, 8, [8, 16]),
        ({8: 0.70, 16: 0.75, 32: 0.80, 64: 0.85}, 64, [8, 16, 32, 64]),
    ],
)
def test_sizes_are_tried_until_one_gains_too_little(
    scores: dict[int, float], found: int, trained: list[int]
) -> None:
    nets = {size: nn.Identity() for size in scores}
    sizes, asked = {id(net): size for size, net in nets.items()}, list[int]()

    def train(size: int) -> nn.Module:
        asked.append(size)
        return nets[size]

    best = recipe.smallest_sufficient([*scores], train, lambda net: scores[sizes[id(net)]], least_gain=0.01)
    assert best is nets[found]
    assert asked == trained


def test_only_rows_of_which_the_small_net_is_unsure_reach_the_large_one() -> None:
    odds = torch.tensor([[9.0, 1.0], [1.0, 1.0], [1.0, 3.0]]).log()  # sure by 0.9, 0.5 and 0.75
    large = nn.Linear(2, 2, bias=False)
    with torch.no_grad():
        large.weight.copy_(torch.eye(2) + 1)
    with torch.inference_mode():
        logits, asked = recipe.ask_large_where_unsure(nn.Identity(), large, odds.clone(), sure=0.75)
        assert asked == 1
        assert torch.equal(logits[[0, 2]], odds[[0, 2]])
        assert torch.equal(logits[1:2], large(odds[1:2]))


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_multiplications_and_weights_are_those_of_the_nets_that_answer(arm: str) -> None:
    meter = FakeMeter()
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    assert set(metrics) == set(recipe.METRICS)
    assert meter.names == ["training", "answers", "single answers"]
    width = {"quarter_width": 4, "half_width": 8, "four_times_width": 64, "tactic": 128, "tried_in_turn": 4}
    narrow = width.get(arm, 16)  # nothing gains a whole point of 1, so that the first width is kept
    by_large = 128 * (256 + 10) if arm == "where_unsure" else 0
    asked = metrics["large_asked_fraction"]
    assert metrics["answer_macs"] == pytest.approx(narrow * (256 + 10) + asked * by_large)
    biases = narrow + 10 + (128 + 10 if by_large else 0)
    assert metrics["model_bytes"] == 4 * (narrow * 266 + by_large + biases)
    assert asked == (arm == "tactic") or arm == "where_unsure"


def test_a_small_net_that_is_always_sure_answers_as_the_baseline() -> None:
    def metrics(arm: str, sure: float) -> tuple[float, float]:
        config = dataclasses.replace(recipe.SMOKE, sure=sure)
        told = recipe.run(config, arm=arm, seed=0, meter=FakeMeter()).metrics
        return told["test_accuracy"], told["large_asked_fraction"]

    assert metrics("where_unsure", 0.0) == metrics("baseline", 0.0)
    assert metrics("where_unsure", math.inf)[1] == 1
