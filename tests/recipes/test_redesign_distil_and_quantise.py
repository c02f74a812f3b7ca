"""Branches that fold, nets that are redesigned, and what the arms of the recipe yield."""

from __future__ import annotations

import types
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes import redesign_distil_and_quantise as recipe
from recipes.common.nets.resnet import resnet8
from recipes.common.run.contract import CannotRun
from recipes.common.trial.costs import cost_of
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
from recipes.redesign_distil_and_quantise import FoldingBlock, fold, redesigned
from tests.recipes.fake_meter import FakeMeter


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def with_statistics(block: FoldingBlock) -> FoldingBlock:
    """Give the branches scales, offsets and statistics as after a training."""
    for norm in (module for module in block.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, -1, 2)
        nn.init.normal_(norm.bias)
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.3, 3)
    return block.eval()


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 6, 1), (4, 6, 2), (6, 6, 2)])
def test_a_folded_block_computes_the_same(inputs: int, outputs: int, stride: int) -> None:
    block = with_statistics(FoldingBlock(inputs, outputs, stride=stride))
    images = torch.randn(5, inputs, 9, 9)
    with torch.no_grad():
        torch.testing.assert_close(block.folded()(images), block(images), rtol=1e-5, atol=1e-5)
    assert (block.identity_bn is not None) == (inputs == outputs and stride == 1)


def test_the_branches_add_up_by_hand() -> None:
    block = FoldingBlock(1, 1).eval()
    nn.init.constant_(block.wide.weight, 1)
    nn.init.constant_(block.narrow.weight, 10)
    for norm in (block.wide_bn, block.narrow_bn, block.identity_bn):
        norm.running_var.fill_(1 - norm.eps)
    block.wide_bn.running_mean.fill_(2)
    block.identity_bn.bias.data.fill_(5)
    layer = block.folded()[0]
    wanted = torch.ones(3, 3)
    wanted[1, 1] = 1 + 10 + 1
    torch.testing.assert_close(layer.weight[0, 0], wanted)
    assert layer.bias.item() == pytest.approx(5 - 2)


def test_folding_replaces_every_block_of_a_copy() -> None:
    net = nn.Sequential(FoldingBlock(2, 4), nn.Sequential(FoldingBlock(4, 4))).eval()
    folded = fold(net)
    assert not any(isinstance(module, FoldingBlock) for module in folded.modules())
    assert sum(isinstance(module, FoldingBlock) for module in net.modules()) == 2
    assert not folded.training


def test_folding_raises_where_nothing_folds_or_statistics_still_change() -> None:
    with pytest.raises(ValueError, match="nothing to fold"):
        fold(nn.Sequential(nn.Conv2d(1, 1, 3)).eval())
    with pytest.raises(ValueError, match="evaluation mode"):
        fold(nn.Sequential(FoldingBlock(1, 1)))


class Outputs(nn.Module):
    """Gives what it is told to, whatever the input."""

    def __init__(self, outputs: object) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, _: Tensor) -> object:
        return self.outputs


@pytest.mark.parametrize(
    ("shape", "classes", "last_map"), [((3, 28, 28), 5, 4), ((1, 8, 8), 10, 4), ((2, 64, 48), 3, 3)]
)
def test_a_redesign_takes_and_gives_what_the_net_does_and_ends_in_small_maps(
    shape: tuple[int, ...], classes: int, last_map: int
) -> None:
    net = redesigned(Outputs(torch.zeros(2, classes)).eval(), torch.zeros(2, *shape), width=4).eval()
    seen: list[Tensor] = []
    net[-3].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0]))
    for whole in (net, fold(net)):
        assert whole(torch.randn(7, *shape)).shape == (7, classes)
    assert seen[0].shape[1] == 16
    assert min(seen[0].shape[2:]) == last_map


def test_a_redesign_has_fewer_macs_the_narrower_it_is() -> None:
    inputs, dense = torch.randn(2, 1, 28, 28), resnet8((16, 32, 64)).eval()
    macs = [cost_of(redesigned(dense, inputs, width=width).eval(), inputs, "macs") for width in (8, 16)]
    stem, head = 9 * 14 * 14, 10 * 4
    folding = (9 + 1) * (2 * 7 * 7 + 8 * 4 * 4)  # a 3x3 and a 1x1 convolution, to 2 and to 4 times the width
    residual = 2 * 9 * 8 * 4 * 4
    assert macs == [width * (stem + head) + width**2 * (folding + residual) for width in (8, 16)]
    assert macs[0] < macs[1] < cost_of(dense, inputs, "macs")


IMAGES = torch.zeros(2, 1, 8, 8)


@pytest.mark.parametrize(
    ("outputs", "inputs", "refusal"),
    [
        (None, torch.zeros(2, 64, dtype=torch.long), r"^example_inputs: .* got torch.int64 of shape \(2, 64"),
        (
            None,
            torch.zeros(2, 1, 3, 8),
            r"^example_inputs: .* of 4 pixels or more, got .* \(2, 1, 3, 8\)",
        ),
        (
            (IMAGES,),
            IMAGES,
            r"^the net itself \(Outputs\): expected one tensor .*, got tuple; o",
        ),
        (
            IMAGES,
            IMAGES,
            r"expected .* \(images, classes\), got shape \(2, 1, 8, 8\); only nets",
        ),
    ],
)
def test_a_net_that_does_not_classify_images_is_refused(
    outputs: object, inputs: Tensor, refusal: str
) -> None:
    with pytest.raises(ValueError, match=refusal):
        redesigned(Outputs(outputs).eval(), inputs, width=8)


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    subject = load_subject("digits_cnn")
    subject.epochs = {"smoke": (3.0, 2.0)}
    return subject


def test_arms_yield_plain_nets_of_the_cost_of_the_tactic_and_see_no_more_than_the_baseline(digits) -> None:
    trial = run_trial(recipe, digits, 0, "smoke", FakeMeter())
    points = trial.arms["tactic"].points
    assert [point.label for point in points] == ["width 2", "width 3", "width 4"]
    macs = [point.costs["macs"] for point in points]
    whole = trial.arms["baseline"].chosen
    assert macs == sorted(macs)
    assert macs[-1] <= recipe.LARGEST_SHARE * whole.costs["macs"]
    found = trial.arms["tactic"].chosen
    assert trial.left_out == {}
    assert trial.arms["without_branches"].chosen.costs["macs"] == found.costs["macs"]
    assert trial.arms["shallower_and_thin"].chosen.costs["macs"] <= found.costs["macs"]
    for arrived in trial.arms.values():
        assert not any(isinstance(part, FoldingBlock) for part in arrived.chosen.net.modules())
    for arm in trial.arms:
        if arm != "as_given":
            seen = {point.costs["seen_examples"] for point in trial.arms[arm].points}
            assert seen == {whole.costs["seen_examples"]}


def test_the_present_net_loses_its_dearest_block_before_it_is_made_thinner(digits) -> None:
    digits.module = types.SimpleNamespace(**vars(digits.module))
    digits.module.build_model = lambda: resnet8((8, 16, 32))
    digits.epochs = {"smoke": (1.0, 0.5)}
    trial = run_trial(recipe, digits, 0, "smoke", FakeMeter())
    assert trial.arms["shallower_and_thin"].chosen.label == "without block1, thin"


def test_a_net_that_is_small_already_is_left_alone(digits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "LARGEST_SHARE", 0.2)
    with pytest.raises(CannotRun, match=r"^digits_cnn: expected 3 redesigns of at most .* macs, .*, got 1"):
        run_trial(recipe, digits, 0, "smoke", FakeMeter())
