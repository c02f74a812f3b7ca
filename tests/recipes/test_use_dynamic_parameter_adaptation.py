"""How long a leaf waits, what a check finds, and when the tree splits."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from recipes import use_dynamic_parameter_adaptation as recipe
from tests.recipes.fake_meter import FakeMeter


def test_a_leaf_needs_as_many_examples_as_bring_the_bound_down_to_the_lead() -> None:
    # span 1, delta 1e-6: ln(1e6) / (2 * 0.2 ** 2) = 13.8155 / 0.08 = 172.7
    assert recipe.examples_needed(0.2, span=1, delta=1e-6, tie=0.05) == 173
    for lead in (0.05, 0.1, 0.7):
        count = recipe.examples_needed(lead, span=2, delta=1e-6, tie=0.01)
        bounds = [2 * math.sqrt(math.log(1e6) / (2 * each)) for each in (count - 1, count)]
        assert bounds[0] > lead >= bounds[1]


def test_a_lead_within_the_tie_is_waited_for_no_longer_than_the_tie() -> None:
    tied = recipe.examples_needed(0.05, span=1, delta=1e-6, tie=0.05)
    assert recipe.examples_needed(0.0, span=1, delta=1e-6, tie=0.05) == tied == 2764


def test_statistics_of_a_leaf_are_means_and_squares_and_a_clean_cut_gains_all() -> None:
    draw = np.random.default_rng(0)
    values = draw.standard_normal((400, 2))
    labels = np.arange(400) % 2
    values[:, 0] += 100 * labels
    leaf = recipe.Node(np.zeros(2), 2, 1_000)
    for row, label in zip(values, labels.tolist(), strict=True):
        leaf.learn(row, label)
    for label in (0, 1):
        assert leaf.means[label] == pytest.approx(values[labels == label].mean(0))
        assert leaf.squares[label] / 200 == pytest.approx(values[labels == label].var(0))
    found, thresholds, left = recipe.gains(leaf)
    assert found.max(0) == pytest.approx([1, 0], abs=0.02)  # one bit, and nothing
    cut = found[:, 0].argmax()
    assert 4 < thresholds[cut, 0] < 96
    assert left[cut, :, 0] == pytest.approx([200, 0], abs=1e-6)


@pytest.mark.parametrize(
    ("adapted", "rest_only", "checks"), [(False, False, 29), (True, False, 2), (True, True, 2)]
)
def test_a_tie_is_split_when_the_bound_allows_it(adapted: bool, rest_only: bool, checks: int) -> None:
    config = replace(recipe.DEFAULT, first_check=96)
    draw = np.random.default_rng(0)
    tree = recipe.Tree(config, adapted, rest_only, recipe.Node(np.zeros(2), 2, config.first_check))
    splits_at = next(
        number + 1
        for number in range(5_000)
        if tree.step(draw.random(2), int(draw.integers(2))) is not None and tree.leaves > 1
    )
    # the bound is down to the tie at 2,764 examples: 29 checks of 96, or one at 96 and one once they are in
    assert splits_at == (29 * 96 if not adapted else 2764 if rest_only else 96 + 2764)
    assert tree.checks == checks


def test_a_pure_leaf_is_not_checked() -> None:
    tree = recipe.Tree(recipe.DEFAULT, False, False, recipe.Node(np.zeros(2), 1, 10))
    for number in range(500):
        tree.step(np.array([float(number)]), 0)
    assert tree.checks == 0


@pytest.mark.parametrize("generate", recipe.GENERATORS)
def test_streams_have_all_their_classes_and_hang_on_the_seed(generate: recipe.Generator) -> None:
    values, labels = generate(2_000, np.random.default_rng(1))
    assert values.shape[0] == len(labels) == 2_000
    assert set(labels.tolist()) == set(range(int(labels.max()) + 1))
    again, _ = generate(2_000, np.random.default_rng(1))
    other, _ = generate(2_000, np.random.default_rng(2))
    assert (again == values).all()
    assert not (other == values).all()


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_answers_the_same_examples(arm: str) -> None:
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    assert len(meter.names) == 6
    assert set(outcome.metrics) == set(recipe.METRICS)
    assert outcome.metrics["learning_cpu_s"] == 6 * 1.5
    assert outcome.data.test_count == 5 * recipe.SMOKE.examples + 448
