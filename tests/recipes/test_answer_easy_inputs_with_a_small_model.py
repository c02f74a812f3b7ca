"""The threshold of a cascade, who answers which input, and the recipe's arms."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from recipes import answer_easy_inputs_with_a_small_model as recipe
from recipes.common.trial.costs import cost_of
from recipes.common.trial.harness import Trial
from recipes.common.trial.study import lifetime_examples
from recipes.subjects import images
from tests.recipes.digits_trial import digits_trial


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


class Listening(nn.Module):
    """Answers class 2 and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.asked.append(inputs)
        return torch.tensor([0.0, 0.0, 9.0]).expand(len(inputs), 3)


class Returning(nn.Module):
    """Returns what it was given, and keeps it, as a net with a cache does."""

    def __init__(self, outputs: object) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, inputs: Tensor) -> object:
        return self.outputs


def cascade(small: nn.Module, large: nn.Module, threshold: float = 0.8) -> recipe.Cascade:
    return recipe.Cascade(small.eval(), large.eval(), threshold)


PROBABILITIES = torch.tensor([[0.90, 0.05, 0.05], [0.50, 0.30, 0.20], [0.10, 0.70, 0.20]])


@pytest.mark.parametrize(("threshold", "asked"), [(0.8, [1, 2]), (0.7, [1]), (0.5, []), (0.95, [0, 1, 2])])
def test_only_inputs_below_the_threshold_go_to_the_large_net(threshold: float, asked: list[int]) -> None:
    large = Listening()
    answers = cascade(nn.Identity(), large, threshold)(PROBABILITIES.log()).argmax(1).tolist()
    assert answers == [2 if row in asked else (0, 0, 1)[row] for row in range(3)]
    assert [row for batch in large.asked for row in batch.exp().tolist()] == [
        pytest.approx(PROBABILITIES[row].tolist()) for row in asked
    ]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_what_is_not_a_number_goes_to_the_large_net_and_no_output_is_written_into(dtype: torch.dtype) -> None:
    kept = PROBABILITIES.log().to(dtype)
    kept[0, 0] = torch.nan
    before = kept.clone()
    answers = cascade(Returning(kept), Listening(), 0.6)(torch.zeros(3, 1))
    assert answers.argmax(1).tolist() == [2, 2, 1]
    assert answers.dtype == torch.promote_types(dtype, torch.float32)
    torch.testing.assert_close(kept, before, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize(
    ("small", "words"),
    [
        (Returning((PROBABILITIES,)).eval(), "the small net, Returning, returns tuple, expected one tensor"),
        (Returning({"logits": PROBABILITIES}).eval(), "returns dict, .*; wrap it in a module"),
        (Returning(torch.zeros(3, 3, 3)).eval(), r"of shape \(3, 3, 3\) for 3 inputs, .* each token"),
        (Returning(torch.zeros(2, 3)).eval(), r"of shape \(2, 3\) for 3 inputs"),
        (Returning(torch.ones(3, 3, dtype=torch.int64)).eval(), "returns torch.int64"),
        (Returning(torch.zeros(3, 4)).eval(), "large net gives 3 classes, and the small one 4: expected"),
        (Returning(PROBABILITIES), r"is in training mode, expected evaluation mode: call eval\(\)"),
    ],
)
def test_a_net_that_does_not_fit_is_refused(small: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        recipe.Cascade(small, Listening().eval(), 0.8)(torch.zeros(3, 1))


def test_a_large_net_or_inputs_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="the large net, Returning, returns NoneType"):
        cascade(nn.Identity(), Returning(None), 2.0)(PROBABILITIES)
    with pytest.raises(ValueError, match=r"inputs: expected one tensor, .* got dict"):
        cascade(nn.Identity(), Listening())({"input_ids": PROBABILITIES})


def test_confidence_is_the_top_probability() -> None:
    assert recipe.top_probability(PROBABILITIES.log()).tolist() == pytest.approx([0.9, 0.5, 0.7])


@pytest.mark.parametrize(("loss", "threshold"), [(0.0, 0.9), (0.25, 0.7), (0.5, 0.6)])
def test_the_threshold_is_the_lowest_that_loses_no_more(loss: float, threshold: float) -> None:
    small, large = torch.tensor([True, False, True, False]), torch.ones(4, dtype=torch.bool)
    confidence = torch.tensor([0.9, 0.8, 0.7, 0.6])
    order = torch.tensor([2, 0, 3, 1])
    found = recipe.choose_threshold(confidence[order], small[order], large[order], largest_loss=loss)
    assert found == pytest.approx(threshold)


def test_an_answer_that_only_the_small_net_has_right_makes_up_for_a_lost_one() -> None:
    small, large = torch.tensor([False, True]), torch.tensor([True, False])
    assert recipe.choose_threshold(torch.tensor([0.9, 0.5]), small, large, largest_loss=0.0) == 0.5


def test_a_loss_that_may_be_chance_is_held_to_the_limit_by_its_standard_errors() -> None:
    confidence, small = torch.linspace(0.9, 0.1, 100), torch.ones(100)
    small[[9, 19, 29, 39]] = 0  # a mean loss of 0.01 and 0.02 from the 10th and the 20th surest answer on
    choose = partial(recipe.choose_threshold, confidence, small, torch.ones(100), largest_loss=0.035)
    assert choose() == pytest.approx(float(confidence[38]))
    # standard errors of 0.00995 and 0.014: at 1.96 of them 0.01 + 0.0195 is within, 0.02 + 0.0274 is not
    assert choose(standard_errors=1.96) == pytest.approx(float(confidence[18]))


def test_inputs_of_equal_confidence_are_not_told_apart() -> None:
    confidence, small = torch.tensor([0.5, 0.5, 0.25]), torch.tensor([True, False, True])
    assert (
        recipe.choose_threshold(confidence, small, torch.tensor([True, True, False]), largest_loss=0) == 0.25
    )
    with pytest.raises(ValueError, match="nothing was changed"):
        recipe.choose_threshold(confidence, small, torch.ones(3, dtype=torch.bool), largest_loss=0)


def test_a_confidence_that_is_not_a_number_is_never_enough() -> None:
    confidence = torch.tensor([torch.nan, 0.9, torch.nan, 0.7])
    right, wrong = torch.ones(4, dtype=torch.bool), torch.zeros(4, dtype=torch.bool)
    assert recipe.choose_threshold(confidence, right, wrong, largest_loss=0) == pytest.approx(0.7)
    with pytest.raises(ValueError, match="nothing was changed"):
        recipe.choose_threshold(torch.full((4,), torch.nan), right, wrong, largest_loss=0)


HALF, TRUTH = torch.tensor([0.5, 0.25]), torch.tensor([True, False])


@pytest.mark.parametrize(
    ("confidence", "small", "large", "loss", "words"),
    [
        (HALF, TRUTH, TRUTH, -0.1, "largest_loss: expected 0 or more, got -0.1; say"),
        (HALF, TRUTH, TRUTH, math.nan, "largest_loss: .* got nan"),
        (HALF, TRUTH, TRUTH[:1], 0.1, r"large_scores: expected a tensor of one value an input, .* \(1,\);"),
        (HALF[:0], TRUTH[:0], TRUTH[:0], 0.1, "confidence: expected a tensor of one .*, at least one, got"),
        (HALF.tolist(), TRUTH, TRUTH, 0.1, "confidence: .* got list; torch.as_tensor makes one of a list"),
    ],
)
def test_answers_that_do_not_fit_together_are_refused(
    confidence: Tensor, small: Tensor, large: Tensor, loss: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        recipe.choose_threshold(confidence, small, large, largest_loss=loss)


def test_scores_may_be_other_than_right_and_wrong() -> None:
    confidence, small = torch.tensor([0.9, 0.8, 0.7]), torch.tensor([-0.1, -0.5, -3.0])  # log-likelihoods
    large = torch.tensor([-0.1, -0.2, -0.3])
    assert recipe.choose_threshold(confidence, small, large, largest_loss=0.1) == pytest.approx(0.8)


@given(
    st.lists(
        st.tuples(st.sampled_from([0.25, 0.5, 0.75, 1.0, math.nan]), st.booleans(), st.booleans()),
        min_size=1,
        max_size=20,
    ),
    st.sampled_from([0.0, 0.1, 0.3]),
)
def test_the_cascade_loses_no_more_than_allowed(rows: list[tuple[float, bool, bool]], loss: float) -> None:
    confidence, small, large = (torch.tensor(column) for column in zip(*rows, strict=True))
    try:
        threshold = recipe.choose_threshold(confidence, small, large, largest_loss=loss)
    except ValueError:
        known = confidence[~confidence.isnan()]
        kept = confidence == (known.max() if len(known) else 0)
        assert not kept.any() or (large[kept].sum() - small[kept].sum()) > loss * len(rows)
        return
    right = torch.where(confidence >= threshold, small, large)
    assert int(large.sum() - right.sum()) <= loss * len(rows) + 1e-9


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return digits_trial(recipe, tmp_path_factory.mktemp("checkpoints"))


def test_a_cascade_of_the_net_in_use_costs_less_where_more_may_be_lost(trial: Trial) -> None:
    points = trial.arms["tactic"].points
    assert [point.label for point in points] == [f"loss of {loss:g} tolerances" for loss in recipe.LOSSES]
    macs = [point.costs["macs"] for point in points]
    assert macs == sorted(macs)
    in_use, given = trial.arms["as_given"].chosen.net.state_dict(), points[0].net.large.state_dict()
    assert all(torch.equal(tensor, given[name]) for name, tensor in in_use.items())


def test_an_answer_costs_the_small_net_and_the_share_of_the_large_one(trial: Trial) -> None:
    held, _ = images.split("digits", "choice")
    for point in trial.arms["tactic"].points:
        cascade = point.net
        share = float((cascade.confidence(cascade.small(held)) < cascade.threshold).double().mean())
        small, large = (cost_of(net, trial.inputs, "macs") for net in (cascade.small, cascade.large))
        assert small < recipe.SMALL * large
        assert point.costs["macs"] == pytest.approx(small + share * large)


def test_rivals_hold_the_work_of_the_cascade_and_no_net_has_learned_longer(trial: Trial) -> None:
    assert not trial.left_out
    tactic, whole = trial.arms["tactic"], trial.arms["baseline"].chosen
    chosen = {name: arrived.chosen for name, arrived in trial.arms.items()}
    # the share that is asked is of 225 images to search with, the work of 225 others: a few points apart
    apart = 0.1 * whole.costs["macs"]
    for rival in ("random_routing", "one_thin_net"):
        assert chosen[rival].costs["macs"] == pytest.approx(chosen["tactic"].costs["macs"], abs=apart)
    small = cost_of(chosen["tactic"].net.small, trial.inputs, "macs")
    assert chosen["small_alone"].costs["macs"] == small
    assert chosen["random_routing"].quality < chosen["tactic"].quality
    for arrived in trial.arms.values():
        assert lifetime_examples(arrived.chosen.net) <= lifetime_examples(whole.net)
    assert tactic.ledger.judged == 2 * 225
