"""Convolutions taken apart, by hand-counted operations, and what the arms yield."""

from __future__ import annotations

import copy
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from recipes import choose_a_lightweight_algorithm_alternative as recipe
from recipes.common.run.contract import CannotRun
from recipes.common.trial.costs import cost_of
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter

IMAGES = torch.randn(2, 8, 10, 10)


@pytest.mark.parametrize(("stride", "pixels"), [(1, 100), (2, 25)])
def test_operations_of_what_takes_the_place_of_a_convolution(stride: int, pixels: int) -> None:
    full = nn.Conv2d(8, 16, 3, stride, padding=1)
    macs = partial(cost_of, inputs=IMAGES, name="macs")
    assert macs(full) == pixels * 9 * 8 * 16
    apart, spatial = recipe.separable(full).eval(), recipe.along_height_and_width(full).eval()
    assert macs(apart) == pixels * (9 * 8 + 8 * 16)
    assert macs(spatial) == pixels * stride * 3 * 8 * 8 + pixels * 3 * 8 * 16
    assert apart(IMAGES).shape == spatial(IMAGES).shape == full(IMAGES).shape


def test_the_dearest_convolution_goes_first() -> None:
    net = nn.Sequential(nn.Conv2d(8, 8, 3), nn.Conv2d(8, 64, 3), nn.Conv2d(64, 4, 1)).eval()
    macs = partial(cost_of, inputs=IMAGES, name="macs")
    before = copy.deepcopy(net.state_dict())
    light = recipe.with_lighter_convolutions(net, macs, 0.5 * macs(net))
    assert [type(layer) for layer in light] == [nn.Conv2d, nn.Sequential, nn.Conv2d]
    least = recipe.with_lighter_convolutions(net, macs, 0.0)
    assert [type(layer) for layer in least] == [nn.Sequential, nn.Sequential, nn.Conv2d]
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())


def test_a_net_without_full_convolutions_is_refused() -> None:
    net = nn.Sequential(nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 4, 1)).eval()
    with pytest.raises(ValueError, match="expected full convolutions"):
        recipe.with_lighter_convolutions(net, partial(cost_of, inputs=IMAGES, name="macs"), 1.0)


def test_arms_yield_nets_of_lower_cost() -> None:
    trial = run_trial(recipe, load_subject("digits_cnn"), 0, "smoke", FakeMeter())
    whole = trial.arms["baseline"].chosen.costs["macs"]
    for name in ("tactic", "fewer_channels", "spatially_separable"):
        costs = [point.costs["macs"] for point in trial.arms[name].points]
        assert costs == sorted(set(costs))
        assert costs[-1] < whole


@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_nets_of_readers_without_full_convolutions_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    subject = load_subject(str(Path(__file__).parents[1] / "examples" / "subjects" / f"{name}.py"))
    with pytest.raises(CannotRun, match=r"expected full convolutions .*; take another tactic"):
        run_trial(recipe, subject, 0, "smoke", FakeMeter())
