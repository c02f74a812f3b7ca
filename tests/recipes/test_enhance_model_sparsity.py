"""Groups of weights, the log-sum penalty on them, their removal, and the recipe's arms."""

from __future__ import annotations

import copy
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recipes import enhance_model_sparsity as recipe
from recipes.common.nets import data
from recipes.common.nets.report import accuracy
from recipes.common.nets.resnet import resnet8
from recipes.common.pruning.weights import prunable_layers
from recipes.common.run.contract import Outcome, UserError
from recipes.enhance_model_sparsity import (
    ChannelGroups,
    Slice,
    count_weights,
    find_groups,
    remove_zero_groups,
)
from tests.recipes.fake_meter import FakeMeter

pytest.importorskip("torch_pruning")


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def two_layers() -> nn.Sequential:
    """Return a net of three hidden units with the norms 5, 13 and 1."""
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[3.0, 0.0], [12.0, 0.0], [0.0, 0.6]]))
        net[0].bias.copy_(torch.tensor([0.0, 3.0, 0.0]))
        net[2].weight.copy_(torch.tensor([[4.0, 4.0, 0.8]]))
    return net.eval()


def one_group(norms: list[float]) -> ChannelGroups:
    """Return channels of one weight each."""
    weight = nn.Parameter(torch.tensor(norms)[:, None])
    places = torch.arange(len(norms))
    return ChannelGroups(nn.Linear(1, 1), len(norms), (Slice(weight, 0, places, places),))


def test_a_group_is_a_unit_with_the_weights_into_and_out_of_it() -> None:
    (hidden,) = find_groups(two_layers(), torch.zeros(1, 2))
    assert hidden.norms().tolist() == pytest.approx([5, 13, 1])


def test_scaling_a_group_scales_all_its_weights_and_no_other() -> None:
    net = two_layers()
    (hidden,) = find_groups(net, torch.zeros(1, 2))
    hidden.scale(torch.tensor([1.0, 0.5, 0.0]))
    assert net[0].weight.tolist() == [[3, 0], [6, 0], [0, 0]]
    assert net[0].bias.tolist() == [0, 1.5, 0]
    assert net[2].weight.tolist() == [[4, 2, 0]]


def test_a_filter_reaches_a_linear_layer_through_all_its_pixels() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3)).eval()
    (filters,) = find_groups(net, torch.zeros(1, 1, 4, 4))
    filters.scale(torch.tensor([1.0, 0.0]))
    assert net[3].weight[:, :4].all()
    assert not net[3].weight[:, 4:].any()
    smaller = remove_zero_groups(net, torch.randn(5, 1, 4, 4))
    assert (smaller[0].weight.shape, smaller[3].weight.shape) == ((1, 1, 3, 3), (3, 4))


def test_in_front_of_a_normalisation_the_filters_own_weights_do_not_count() -> None:
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1, bias=False)
    ).eval()
    (filters,) = find_groups(net, torch.zeros(1, 1, 5, 5))
    before = filters.norms()
    with torch.no_grad():
        net[0].weight.mul_(100)
    assert torch.equal(filters.norms(), before)
    assert before.tolist() == pytest.approx((1 + net[3].weight.square().sum((0, 2, 3))).sqrt().tolist())


def test_the_slope_of_the_log_sum_by_hand() -> None:
    # norms 1 and 7: root mean square 5, relative norms 0.2 and 1.4, in one layer or in two
    (slopes,) = recipe.log_sum_slopes([one_group([1.0, 7.0])], 0.2)
    assert slopes.tolist() == pytest.approx([5 / 2, 5 / 8])
    first, second = recipe.log_sum_slopes([one_group([1.0, 0.0]), one_group([7.0])], 0.2)
    assert (first.tolist(), second.tolist()) == (pytest.approx([5 / 2, 5]), pytest.approx([5 / 8]))
    (slopes,) = recipe.log_sum_slopes([one_group([1.0, 7.0])], math.inf)
    assert slopes.tolist() == pytest.approx([5, 5])


def test_a_step_shrinks_by_the_slope_and_spares_the_largest() -> None:
    groups = one_group([4.0, 1.0, 8.0])
    recipe.shrink_groups([groups], [torch.tensor([2.0, 3.0, 1.0])], 0.5)
    assert groups.norms().tolist() == pytest.approx([3, 0, 8])
    recipe.shrink_groups([groups], [torch.full((3,), 100.0)], 0.5)
    assert groups.norms().tolist() == pytest.approx([0, 0, 8])


@given(norms=st.lists(st.floats(0.01, 100), min_size=2, max_size=8, unique=True), epsilon=st.floats(0.01, 10))
@settings(max_examples=30, deadline=None)
def test_the_smaller_a_group_the_steeper_its_penalty(norms: list[float], epsilon: float) -> None:
    (slopes,) = recipe.log_sum_slopes([one_group(sorted(norms))], epsilon)
    (lasso,) = recipe.log_sum_slopes([one_group(sorted(norms))], math.inf)
    assert (slopes.diff() <= 0).all()
    assert (slopes <= lasso).all()


def test_removal_keeps_the_outputs_of_a_residual_net_with_moving_averages() -> None:
    net, inputs = resnet8((8, 8, 16)), torch.randn(16, 1, 12, 12)
    for _ in range(3):
        net(inputs)  # sets the moving averages
    net.eval()
    dense = copy.deepcopy(net.state_dict())
    for group in find_groups(net, inputs):
        group.scale((torch.arange(group.count) % 2).float())
    smaller = remove_zero_groups(net, inputs)
    assert (net(inputs) - smaller(inputs)).abs().max() < 1e-5
    assert not torch.equal(net.state_dict()["bn.weight"], dense["bn.weight"])  # zeroed, yet still there
    assert count_weights(smaller) < 0.3 * count_weights(net)
    assert smaller.stem.out_channels == 4


def test_removal_raises_where_nothing_is_zero_or_the_outputs_change() -> None:
    net = two_layers()
    with pytest.raises(ValueError, match="no group is zero, so nothing can be removed"):
        remove_zero_groups(net, torch.randn(4, 2))
    counting = nn.Sequential(nn.Linear(2, 3), nn.Softmax(1), nn.Linear(3, 1)).eval()
    for group in find_groups(counting, torch.zeros(1, 2)):
        group.scale(torch.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match="changed the outputs"):
        remove_zero_groups(counting, torch.randn(4, 2))
    for group in find_groups(net, torch.zeros(1, 2)):
        group.scale(torch.zeros(3))
    with pytest.raises(
        ValueError, match=r"^0 \(Linear\): expected channels that are not zero, got none; lower"
    ):
        remove_zero_groups(net, torch.randn(4, 2))


def test_without_the_extra_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(
        UserError, match=r'the extra prune is not installed .*; run: pip install -e "\.\[prune\]"'
    ):
        find_groups(two_layers(), torch.zeros(1, 2))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def value(outcome: Outcome, metric: str) -> float:
    return outcome.metrics[metric].value


def test_each_arm_gives_the_metrics_of_the_record(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        assert set(outcome.metrics) == {
            "test_accuracy", "parameters", "nonzero_parameters", "macs", "training_cpu_s",
        }  # fmt: skip
        assert outcome.data.name == "digits"
        assert 0.8 < value(outcome, "test_accuracy") <= 1
        assert value(outcome, "training_cpu_s") == 1.5
        json.dumps(outcome.details, allow_nan=False)


def test_only_removal_makes_the_net_smaller(outcomes: dict[str, Outcome]) -> None:
    dense = outcomes["baseline"]
    for arm, outcome in outcomes.items():
        assert value(outcome, "nonzero_parameters") <= value(outcome, "parameters")
        if arm not in ("baseline", "magnitude"):
            assert value(outcome, "parameters") < 0.9 * value(dense, "parameters")
            assert value(outcome, "macs") < value(dense, "macs")
    magnitude = outcomes["magnitude"]
    assert value(magnitude, "parameters") == value(dense, "parameters")
    assert value(magnitude, "macs") == value(dense, "macs")
    assert value(magnitude, "nonzero_parameters") < 0.7 * value(dense, "parameters")


def test_each_arm_yields_the_net_that_it_reports(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        shipped = outcome.deployable
        assert accuracy(shipped.model, shipped.test_inputs, shipped.test_labels) == value(
            outcome, "test_accuracy"
        )
        point = outcome.details["curve"][0]
        costs = ("parameters", "nonzero_parameters", "macs")
        assert [point[name] for name in costs] == [value(outcome, name) for name in costs]
        rows = outcome.details["layers"]
        assert [row["layer"] for row in rows] == ["conv1", "conv2", "linear1", "linear2"]
        weights = sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(shipped.model).values())
        assert sum(row["nonzero_weights"] for row in rows) == weights


def test_the_curve_goes_on_with_a_larger_net(outcomes: dict[str, Outcome]) -> None:
    dense = value(outcomes["baseline"], "parameters")
    for arm, outcome in outcomes.items():
        first, *others = outcome.details["curve"]
        assert len(others) == (0 if arm == "baseline" else len(recipe.SMOKE.kept_fractions) - 1)
        for row in others:
            assert first["nonzero_parameters"] < row["nonzero_parameters"] < dense
            assert (row["parameters"] == dense) == (arm == "magnitude")
            assert 0.5 < row["validation_accuracy"] <= 1


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    again = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter())
    for name in again.metrics:
        assert value(again, name) == value(outcomes["tactic"], name), name


def test_too_weak_a_penalty_is_an_error_and_not_a_result(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    weak = replace(recipe.SMOKE, strengths=(0.0,), dense_examples=1280, shrink_examples=1280)
    with pytest.raises(ValueError, match="raise the strength"):
        recipe.run(weak, arm="tactic", seed=0, meter=FakeMeter())


def test_every_arm_draws_as_many_examples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENTACTICS_DATA", "/nonexistent")
    config, drawn = recipe.SMOKE, dict[str, int]()
    images = data.load_images_or_cifar10(config.data, None)
    dense = recipe.build_model(config, images, seed=0).eval()
    monkeypatch.setattr(recipe, "remove_zero_groups", lambda net, inputs: net)
    for arm in recipe.ARMS:
        counts: list[int] = []
        monkeypatch.setattr(
            recipe, "train", lambda *_, examples, counts=counts, **__: counts.append(examples)
        )
        recipe.yield_net(arm, dense, config, images, seed=0)
        # What a weight learns from: the search for its shape gives `thin` no weights.
        learned = counts[1:] if arm == "thin" else counts
        drawn[arm] = sum(learned) + (config.dense_examples if arm != "thin" else 0)
    assert len(drawn) == 6
    assert set(drawn.values()) == {16_000}


def test_thin_has_the_shape_that_the_tactic_finds_and_none_of_its_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("GREENTACTICS_DATA", "/nonexistent")
    config = replace(recipe.SMOKE, tune_examples=0, shrink_examples=2_560, strengths=(9.0, 6.0))
    images = data.load_images_or_cifar10(config.data, None)
    dense = recipe.build_model(config, images, seed=0).eval()
    starts: dict[str, list[torch.Tensor]] = {}
    trained = recipe.train

    def train(net, *arguments, penalty=None, **options):
        if penalty is not None:
            trained(net, *arguments, penalty=penalty, **options)

    monkeypatch.setattr(recipe, "train", train)
    for arm in ("tactic", "thin"):
        starts[arm] = list(recipe.yield_net(arm, dense, config, images, seed=0).state_dict().values())
    shapes = {arm: [value.shape for value in values] for arm, values in starts.items()}
    assert shapes["thin"] == shapes["tactic"] != [value.shape for value in dense.state_dict().values()]
    assert not any(torch.equal(one, other) for one, other in zip(*starts.values(), strict=True))
