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
from recipes.common.contract import Outcome
from recipes.common.data import load_images
from recipes.common.net_report import macs_per_image
from recipes.common.resnet import resnet8
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


PROBABILITIES = torch.tensor([[0.90, 0.05, 0.05], [0.50, 0.30, 0.20], [0.10, 0.70, 0.20]])


@pytest.mark.parametrize(("threshold", "asked"), [(0.8, [1, 2]), (0.7, [1]), (0.5, []), (0.95, [0, 1, 2])])
def test_only_inputs_below_the_threshold_go_to_the_large_net(threshold: float, asked: list[int]) -> None:
    large = Listening()
    answers = recipe.Cascade(nn.Identity(), large, threshold)(PROBABILITIES.log()).argmax(1).tolist()
    assert answers == [2 if row in asked else (0, 0, 1)[row] for row in range(3)]
    assert [row for batch in large.asked for row in batch.exp().tolist()] == [
        pytest.approx(PROBABILITIES[row].tolist()) for row in asked
    ]


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


@given(
    st.lists(
        st.tuples(st.sampled_from([0.25, 0.5, 0.75, 1.0]), st.booleans(), st.booleans()),
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
        kept = confidence == confidence.max()
        assert (large[kept].sum() - small[kept].sum()) > loss * len(rows)
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


def test_each_arm_is_charged_for_all_nets_it_needs_stored_ones_too(outcomes: dict[str, Outcome]) -> None:
    charged = {arm: outcome.metrics["training_cpu_s"].value for arm, outcome in outcomes.items()}
    assert charged == {arm: 1.5 if arm == "baseline" else 3.0 for arm in recipe.ARMS}


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
