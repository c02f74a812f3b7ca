"""Groups of weights, the log-sum penalty on them, their removal, and what the arms yield on the digits."""

from __future__ import annotations

import copy
import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from recipes import enhance_model_sparsity as recipe
from recipes.common.nets.resnet import resnet8
from recipes.common.pruning.channels import ChannelGroups, Slice, find_groups
from recipes.common.run.contract import UserError
from recipes.common.trial.harness import run_trial
from recipes.common.trial.study import lifetime_examples
from recipes.common.trial.subject import load_subject
from recipes.enhance_model_sparsity import remove_zero_groups, shrink_groups
from tests.recipes.digits_trial import digits_trial
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
    return ChannelGroups("", len(norms), len(norms), (Slice(weight, 0, places, places),))


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


def test_a_step_by_hand() -> None:
    # norms 1 and 7: root mean square 5, relative norms 0.2 and 1.4; at epsilon 0.2 slopes 5 / 2 and 5 / 8
    both, small, large = one_group([1.0, 7.0, 7.0, 1.0]), one_group([1.0, 1.0]), one_group([7.0, 7.0])
    shrink_groups([both], 0.1, 0.2)
    assert both.norms().tolist() == pytest.approx([0.75, 7, 7 - 0.0625, 0.75])  # one of the largest is spared
    shrink_groups([small, large], 0.1, 0.2)
    assert torch.cat([small.norms(), large.norms()]).tolist() == pytest.approx([1, 0.75, 7, 7 - 0.0625])
    lasso = one_group([1.0, 7.0, 7.0, 1.0])
    shrink_groups([lasso], 0.1, math.inf)
    assert lasso.norms().tolist() == pytest.approx([0.5, 7, 6.5, 0.5])


def test_groups_end_at_zero_but_for_the_largest() -> None:
    groups = one_group([4.0, 1.0, 8.0])
    shrink_groups([groups], 100.0, 0.1)
    assert groups.norms().tolist() == [0, 0, 8]
    for wrong in ([0.0, 0.0], [1.0, math.nan]):
        with pytest.raises(ValueError, match="finite norms and one above zero"):
            shrink_groups([one_group(wrong)], 0.1, 0.1)


@given(norms=st.lists(st.floats(0.01, 100), min_size=3, max_size=8, unique=True), epsilon=st.floats(0.01, 10))
@settings(max_examples=30, deadline=None)
def test_the_smaller_a_group_the_more_it_loses(norms: list[float], epsilon: float) -> None:
    shrunk, lasso = one_group(sorted(norms)), one_group(sorted(norms))
    before = shrunk.norms()
    shrink_groups([shrunk], 1e-4, epsilon)
    shrink_groups([lasso], 1e-4, math.inf)
    lost = (before - shrunk.norms())[:-1]
    assert (lost.diff() <= 1e-4 * before.max()).all()
    assert (shrunk.norms() >= lasso.norms() - 1e-5 * before.max()).all()


@pytest.mark.parametrize(
    ("middle", "counts"),
    [
        (nn.Conv2d(8, 8, 3, padding=1, groups=8), [8]),  # depthwise: its channels are those in front of it
        (nn.Conv2d(8, 8, 3, padding=1, groups=4), [2, 2]),  # one channel of each block at a time
        (nn.Conv2d(8, 16, 3, padding=1, groups=8), [2]),  # blocks of one input cannot lose it
    ],
)
def test_channels_of_a_grouped_convolution_go_together(middle: nn.Conv2d, counts: list[int]) -> None:
    last = nn.Conv2d(middle.out_channels, 3, 1)
    net, inputs = (
        nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), middle, nn.ReLU(), last).eval(),
        torch.randn(4, 1, 6, 6),
    )
    groups = find_groups(net, inputs)
    assert sorted(group.count for group in groups) == counts
    for group in groups:
        group.scale((torch.arange(group.count) > 0).float())
        assert (group.norms() == 0).tolist() == [True] + [False] * (group.count - 1)
    smaller = remove_zero_groups(net, inputs)
    assert torch.allclose(net(inputs), smaller(inputs), atol=1e-6)
    assert size(smaller) < size(net)


def size(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


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
    assert size(smaller) < 0.3 * size(net)
    assert smaller.stem.out_channels == 4


def test_removal_raises_where_nothing_or_a_whole_layer_is_zero() -> None:
    net = two_layers()
    with pytest.raises(ValueError, match="no group is zero, so nothing can be removed"):
        remove_zero_groups(net, torch.randn(4, 2))
    for group in find_groups(net, torch.zeros(1, 2)):
        group.scale(torch.zeros(3))
    with pytest.raises(
        ValueError, match=r"^0 \(Linear\): expected channels that are not zero, got none; lower"
    ):
        remove_zero_groups(net, torch.randn(4, 2))


def test_a_net_that_counts_its_channels_is_refused_before_any_training() -> None:
    counting = nn.Sequential(nn.Linear(2, 3), nn.Softmax(1), nn.Linear(3, 1)).eval()
    with pytest.raises(ValueError, match="changed the outputs"):
        find_groups(counting, torch.randn(4, 2))


def test_without_the_extra_the_cure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_pruning", None)
    with pytest.raises(
        UserError, match=r'the extra prune is not installed .*; run: pip install -e "\.\[prune\]"'
    ):
        find_groups(two_layers(), torch.zeros(1, 2))


@pytest.fixture
def short_trial(tmp_path, monkeypatch):
    """Return the trial of the arms on digits, trained for two epochs and one."""
    monkeypatch.setitem(load_subject("digits_cnn").module.EPOCHS, "smoke", (2.0, 1.0))
    monkeypatch.setattr(recipe, "STRENGTHS", (4.0, 10.0))  # few steps need a harder push
    monkeypatch.setattr(recipe, "LASSO_STRENGTHS", (0.6, 1.2))
    return digits_trial(recipe, tmp_path)


def test_the_arms_yield_curves_from_nets_of_one_budget(short_trial) -> None:
    arms, whole = short_trial.arms, short_trial.arms["baseline"].chosen
    assert not short_trial.left_out
    for name, strengths in (("tactic", recipe.STRENGTHS), ("group_lasso", recipe.LASSO_STRENGTHS)):
        costs = [point.costs["parameters"] for point in arms[name].points]
        labels = [f"strength {strength:g}" for strength in strengths]
        assert [point.label for point in arms[name].points] == labels[-len(costs) :]
        assert costs == sorted(costs, reverse=True)
    for point, share in zip(arms["group_norm"].points, recipe.SHARES, strict=True):
        assert point.costs["parameters"] <= share * whole.costs["parameters"]
    found = arms["tactic"].chosen.costs["parameters"]
    assert all(
        arms[name].chosen.costs["parameters"] <= found for name in ("random_channels", "found_from_random")
    )
    for arm in arms.values():
        for point in arm.points:
            assert lifetime_examples(point.net) <= 1.02 * lifetime_examples(whole.net)
            assert (point.costs["parameters"] < whole.costs["parameters"]) == (
                arm not in (arms["baseline"], arms["as_given"])
            )


def test_too_weak_a_penalty_is_an_error_and_not_a_result(monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    monkeypatch.setitem(load_subject("digits_cnn").module.EPOCHS, "smoke", (2.0, 1.0))
    monkeypatch.setattr(recipe, "STRENGTHS", (0.0,))
    with pytest.raises(UserError, match="raise the strength"):
        run_trial(recipe, load_subject("digits_cnn"), 0, "smoke", FakeMeter())
