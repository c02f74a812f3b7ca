"""The sample, the choice of its size, the algorithms written here, and a run of each arm."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from recipes import apply_sampling_techniques as recipe
from recipes.common.run.contract import Outcome
from tests.recipes.fake_meter import FakeMeter

RECORD = Path(__file__).parents[2] / "tactics" / "apply-sampling-techniques.yaml"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_each_class_keeps_its_share_and_at_least_one_point() -> None:
    labels = torch.tensor([0] * 10 + [1] * 20 + [2])
    chosen = recipe.stratified_sample(labels, fraction=0.1, generator=generator())
    assert labels[chosen].tolist() == [0, 1, 1, 2]
    assert chosen.tolist() == sorted(chosen.tolist())


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    fractions=st.tuples(st.floats(0.05, 0.45), st.floats(0.5, 0.95)),
    seed=st.integers(0, 99),
)
def test_samples_of_one_seed_are_nested_and_stratified(
    sizes: list[int], fractions: tuple[float, float], seed: int
) -> None:
    labels = torch.cat([torch.full((size + 5,), label) for label, size in enumerate(sizes)])
    # a sample that would leave out nothing, or is far larger than asked for, is refused, as other tests show
    assume(sum(round(fractions[1] * (size + 5)) for size in sizes) < len(labels))
    assume(fractions[0] * (min(sizes) + 5) >= 0.5)
    small, large = (
        recipe.stratified_sample(labels, fraction=fraction, generator=generator(seed))
        for fraction in fractions
    )
    assert set(small.tolist()) <= set(large.tolist())
    for label, size in enumerate(sizes):
        assert int((labels[small] == label).sum()) == max(1, round(fractions[0] * (size + 5)))


@pytest.mark.parametrize("fraction", [0.0, 1.0, -0.1, math.nan])
def test_a_share_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="above 0 and below 1"):
        recipe.stratified_sample(torch.zeros(9), fraction=fraction, generator=generator())


def test_a_sample_that_leaves_out_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="leaves out none of 3 points"):
        recipe.stratified_sample(torch.tensor([0, 1, 2]), fraction=0.1, generator=generator())


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 0, 1], r"expected a tensor, got list; pass torch.as_tensor\(labels\)"),
        (np.zeros(4), "expected a tensor, got ndarray"),
        (torch.eye(4), r"got \(4, 4\); of one-hot rows pass labels.argmax\(1\)"),
        (torch.zeros(0), r"got \(0,\)"),
        (torch.tensor([0.0, math.nan, 1.0, 0.0]), "expected a class for each point, got NaN"),
        (
            torch.arange(100).repeat(3),
            "a share of 0.1 would keep 100 of 300 points, as one of each of 100 classes is kept; take a",
        ),
    ],
    ids=["list", "array", "one-hot", "none", "NaN", "rare classes"],
)
def test_labels_that_give_another_sample_than_asked_for_are_refused(labels: object, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipe.stratified_sample(labels, fraction=0.1, generator=generator())


@pytest.mark.parametrize(
    ("tolerance", "answer", "tried"),
    [
        (0.01, 1.0, [0.125, 0.25, 0.5, 1.0]),  # 0.04 gained by the last doubling, one doubling to come
        (0.05, 0.5, [0.125, 0.25, 0.5]),
        (0.25, 0.25, [0.125, 0.25]),  # 0.10 gained, two doublings to come: at most 0.20
    ],
)
def test_the_sample_grows_until_the_rest_can_hardly_add_anything(
    tolerance: float, answer: float, tried: list[float]
) -> None:
    curve, asked = {0.125: 0.70, 0.25: 0.80, 0.5: 0.84, 1.0: 0.86}, []

    def score(fraction: float) -> float:
        asked.append(fraction)
        return curve[fraction]

    found = recipe.smallest_sufficient_fraction(score, fractions=tuple(curve), tolerance=tolerance)
    assert (found, asked) == (answer, tried)


@pytest.mark.parametrize("fractions", [(), (1.0,), (0.5, 0.5, 1.0), (0.5, 0.25, 1.0), (0.1, 0.5)])
def test_sizes_that_do_not_lead_to_all_points_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="two or more, ascending, the last one 1"):
        recipe.smallest_sufficient_fraction(lambda _: 0.5, fractions=fractions, tolerance=0.01)


def test_the_nearest_five_vote_and_the_lowest_class_wins_a_draw() -> None:
    inputs = torch.tensor([[0.0], [0.1], [0.2], [0.3], [0.4], [9.0], [9.1], [9.2], [9.3]])
    labels = torch.tensor([3, 3, 7, 7, 5, 2, 2, 2, 2])
    assert recipe.vote_of_nearest(inputs, labels, torch.tensor([[0.2], [9.1]])).tolist() == [3, 2]


@pytest.mark.parametrize(("epochs", "steps"), [(2.0, 20), (0.2, 2), (0.001, 1)])
def test_training_takes_as_many_steps_as_the_passes_need(epochs: float, steps: int) -> None:
    sizes = []

    def loss(outputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        sizes.append(len(labels))
        return F.cross_entropy(outputs, labels)

    recipe.train(nn.Linear(3, 10), torch.randn(640, 3), torch.arange(640) % 10, loss, 0.01, epochs, seed=0)
    assert sizes == [64] * steps


def test_scores_by_hand() -> None:
    found = recipe.scores(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 0, 1, 1]))
    assert found == pytest.approx({"macro_f1": (4 / 5 + 2 / 3) / 2, "worst_class_recall": 0.5})


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    torch.set_num_threads(1)
    return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_each_arm_gives_the_metrics_that_the_record_names(outcomes: dict[str, Outcome]) -> None:
    use = yaml.safe_load(RECORD.read_text())["recipe"]
    named = {use["cost_metric"], use["quality_metric"], *use["also_metrics"]}
    for arm, outcome in outcomes.items():
        controls = {name for name in named if name.startswith(recipe.IN_STEPS)}
        assert set(outcome.metrics) == (controls if arm in recipe.STEPS_FACTOR else named)
        json.dumps(outcome.details, allow_nan=False)


def test_each_algorithm_is_charged_and_counted_once(outcomes: dict[str, Outcome]) -> None:
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=meter)
    assert meter.names == list(recipe.LEARNERS)
    assert value(outcome, "learning_cpu_s") == 6 * 1.5
    rows = outcome.details["learners"]
    assert value(outcome, "macro_f1_fraction") == pytest.approx(sum(row["macro_f1"] for row in rows) / 6)
    assert rows == outcomes["tactic"].details["learners"]  # and a run repeats itself exactly


def test_more_points_are_worth_more(outcomes: dict[str, Outcome]) -> None:
    quality = {arm: value(outcomes[arm], "macro_f1_fraction") for arm in ("tactic", "quarter", "baseline")}
    assert quality["tactic"] < quality["quarter"] < quality["baseline"]
    assert value(outcomes["random"], "macro_f1_fraction") != quality["tactic"]
    for arm, fraction in (("baseline", 1.0), ("tactic", 0.1), ("quarter", 0.25), ("half", 0.5)):
        assert {row["fraction"] for row in outcomes[arm].details["learners"]} == {fraction}


def test_the_search_ends_with_a_size_it_may_use(outcomes: dict[str, Outcome]) -> None:
    sizes = {row["fraction"] for row in outcomes["progressive"].details["learners"]}
    assert sizes <= set(recipe.SMOKE.fractions[1:])


def test_the_controls_split_points_from_steps(outcomes: dict[str, Outcome]) -> None:
    sample, few = outcomes["sample_same_steps"], outcomes["all_points_few_steps"]
    assert {row["fraction"] for row in sample.details["learners"]} == {0.1}
    assert {row["fraction"] for row in few.details["learners"]} == {1.0}
    for learner in recipe.IN_STEPS:
        name = f"{learner}_macro_f1"
        assert value(outcomes["tactic"], name) < value(sample, name) < value(outcomes["baseline"], name)
        assert value(few, name) < value(outcomes["baseline"], name)
