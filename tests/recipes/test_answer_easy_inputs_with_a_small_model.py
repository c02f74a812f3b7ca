"""The threshold of a cascade, who answers which input, and the recipe's arms."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from recipes import answer_easy_inputs_with_a_small_model as recipe
from recipes.common.nets.data import load_images
from recipes.common.nets.report import macs_per_image
from recipes.common.nets.resnet import resnet8
from recipes.common.run.contract import Outcome
from tests.recipes.fake_meter import FakeMeter


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


def test_confidence_is_the_top_probability_or_its_distance_to_the_next() -> None:
    assert recipe.top_probability(PROBABILITIES.log()).tolist() == pytest.approx([0.9, 0.5, 0.7])
    assert recipe.margin(PROBABILITIES.log()).tolist() == pytest.approx([0.85, 0.2, 0.5])


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
        (HALF, TRUTH, TRUTH, 1.0, "largest_loss: expected a fraction from 0 to below 1, got 1"),
        (HALF, TRUTH, TRUTH, math.nan, "largest_loss: .* got nan"),
        (HALF, TRUTH, TRUTH[:1], 0.1, r"large_is_right: .* got \(1,\) beside \(2,\)"),
        (HALF[:0], TRUTH[:0], TRUTH[:0], 0.1, "confidence: expected one value an input, .* at least one"),
        (
            HALF,
            TRUTH.long(),
            TRUTH,
            0.1,
            "expected truth values of both nets, got torch.int64 and torch.bool",
        ),
        (HALF.tolist(), TRUTH, TRUTH, 0.1, "confidence: expected a tensor, got list; torch.as_tensor makes"),
        (TRUTH, TRUTH, TRUTH, 0.1, "confidence: expected real numbers, got torch.bool"),
    ],
)
def test_answers_that_do_not_fit_together_are_refused(
    confidence: Tensor, small: Tensor, large: Tensor, loss: float, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        recipe.choose_threshold(confidence, small, large, largest_loss=loss)


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
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("checkpoints")))
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def test_a_smoke_run_reports_cost_and_quality(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert all(math.isfinite(metric.value) for metric in outcome.metrics.values())
        assert outcome.metrics["test_accuracy"].value > 0.7
        assert outcome.data.name == "digits"


def test_an_answer_costs_the_small_net_and_the_share_of_the_large_one(outcomes: dict[str, Outcome]) -> None:
    image = load_images(("digits",)).test_images[:1]
    large = macs_per_image(resnet8(recipe.SMOKE.large_widths).eval(), image)
    small = macs_per_image(recipe.small_net(recipe.SMOKE.small_widths, image[0]), image)
    assert outcomes["baseline"].metrics["macs"].value == large
    for arm in ("tactic", "margin"):
        metrics = outcomes[arm].metrics
        assert 0 < metrics["small_share"].value < 1
        assert metrics["macs"].value == pytest.approx(small + (1 - metrics["small_share"].value) * large)


def test_each_arm_is_charged_for_what_it_trains_beside_the_large_net(outcomes: dict[str, Outcome]) -> None:
    for arm, outcome in outcomes.items():
        extra = 0.0 if arm == "baseline" else 1.5
        assert outcome.metrics["extra_training_cpu_s"].value == extra
        ledger = outcome.details["trainings"]
        assert sum(row["cpu_s"] for row in ledger if row["charged"] == "yes") == extra
        assert ledger[0]["examples"] == recipe.SMOKE.large_examples
        assert [row["examples"] for row in ledger[1:]] == ([recipe.SMOKE.second_examples] if extra else [])


def test_the_baseline_is_the_large_net_of_every_arm(outcomes: dict[str, Outcome]) -> None:
    baseline = outcomes["baseline"].metrics
    for outcome in outcomes.values():
        for name in ("test_accuracy", "macs"):
            assert outcome.metrics[f"large_{name}"].value == baseline[name].value
        assert outcome.metrics["large_inference_cpu_ms"].value > 0


def test_the_curve_costs_less_where_more_may_be_lost(outcomes: dict[str, Outcome]) -> None:
    macs = [row["macs"] for row in outcomes["tactic"].details["curve"]]
    assert len(macs) == len({*recipe.SMOKE.curve_losses, recipe.SMOKE.largest_loss})
    assert macs == sorted(macs, reverse=True)


def test_a_seed_gives_the_same_cascade_again(
    outcomes: dict[str, Outcome], tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("elsewhere")))
    config = replace(recipe.SMOKE, timing_cap_s=0.0)
    again = recipe.run(config, arm="tactic", seed=0, meter=FakeMeter()).metrics
    for name in ("test_accuracy", "macs", "small_share"):
        assert again[name].value == outcomes["tactic"].metrics[name].value
