"""The sample, the choice of its size, and what each arm spends on the digits."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn

from recipes import apply_sampling_techniques as recipe
from recipes.common.run.contract import CannotRun
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter


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


def test_an_error_is_the_distance_of_the_probabilities_from_the_class() -> None:
    logits = torch.tensor([[0.5, 0.5], [0.25, 0.75]]).log()
    found = recipe.error_norms(nn.Identity(), logits, torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([0.5**0.5, 0.125**0.5])


def test_the_numbers_of_a_sample_are_those_of_the_training() -> None:
    subject, drawn = load_subject("digits_cnn"), list[torch.Tensor]()
    inputs, _ = subject.module.labelled_training_examples()
    net, chosen = subject.build_model(), torch.arange(7, 640, 9)
    net.register_forward_pre_hook(lambda _, arguments: drawn.append(arguments[0]))
    subject.train(net, 1.0, chosen)
    batch = torch.cat(drawn)
    assert len(batch) == 64
    assert (batch[:, None] == inputs[chosen]).flatten(2).all(2).any(1).all()


def test_all_but_the_search_spend_the_passes_of_the_tactic() -> None:
    torch.set_num_threads(1)
    subject = load_subject("digits_cnn")
    subject.epochs = {"smoke": (8.0, 0.0)}
    trial = run_trial(recipe, subject, 0, "smoke", FakeMeter())
    assert trial.left_out == {}
    assert {name: arrived.chosen.label for name, arrived in trial.arms.items()} == {
        "baseline": "whole training",
        "tactic": "674 examples",
        "random_sample": "674 examples",
        "shorter_on_all": "all 897 examples",
        "hardest": "674 examples",
        "grown_sample": "100% of the examples",
        "baseline_again": "whole training",
    }
    passes = {name: arrived.chosen.costs["training_passes"] for name, arrived in trial.arms.items()}
    assert passes["tactic"] == passes["random_sample"] == passes["shorter_on_all"]
    assert passes["tactic"] == pytest.approx(recipe.SHARE * passes["baseline"], rel=0.02)
    assert passes["hardest"] == pytest.approx(passes["tactic"], abs=3 * 32)  # half a batch, learned from
    held_out = trial.arms["grown_sample"].ledger.judged
    assert held_out == len(recipe.SIZES) * subject.count("search")
    assert passes["grown_sample"] == pytest.approx(1.75 * passes["baseline"] + held_out, rel=0.02)


def test_a_file_that_does_not_number_its_examples_is_told_how() -> None:
    reader = load_subject(str(Path(__file__).parents[1] / "examples" / "subjects" / "residual.py"))
    with pytest.raises(CannotRun, match=r"residual: expected labelled_training_examples\(\), .* got none"):
        run_trial(recipe, reader, 0, "smoke", FakeMeter())
