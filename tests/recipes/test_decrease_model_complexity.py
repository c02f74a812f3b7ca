"""Nets of the same kind with fewer channels, and what the arms yield."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from recipes import decrease_model_complexity as recipe
from recipes.common.trial.costs import cost_of
from recipes.common.trial.harness import run_trial
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter


@pytest.mark.parametrize("share", recipe.SHARES)
def test_a_narrower_net_has_a_share_of_the_operations_and_weights_of_its_own_scale(share: float) -> None:
    torch.manual_seed(0)
    subject = load_subject("resnet8_fashion")
    net, inputs = subject.build_model().eval(), torch.randn(4, 1, 28, 28)

    def macs(model: torch.nn.Module) -> float:
        return cost_of(model, inputs=inputs, name="macs")

    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    small = recipe.narrower(net, inputs, macs, share=share)
    assert 0.5 * share < macs(small) / macs(net) <= share
    assert all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())
    assert small(inputs).shape == net(inputs).shape
    wide, narrow = ([m for m in each.modules() if isinstance(m, torch.nn.Conv2d)] for each in (net, small))
    for one, other in zip(wide, narrow, strict=True):
        assert other.out_channels < one.out_channels
        fan_in = other.weight[0].numel()
        assert float(other.weight.detach().std()) == pytest.approx((3 * fan_in) ** -0.5, rel=0.15)


def test_smaller_nets_cost_less_and_are_trained_as_long_as_the_baseline() -> None:
    trial = run_trial(recipe, load_subject("digits_cnn"), 0, "smoke", FakeMeter())
    whole = trial.arms["baseline"].chosen
    costs = [point.costs["macs"] / whole.costs["macs"] for point in trial.arms["tactic"].points]
    assert costs == sorted(costs)
    assert all(cost <= share for cost, share in zip(costs, recipe.SHARES, strict=True))
    seen = {point.costs["seen_examples"] for point in trial.arms["tactic"].points}
    assert max(seen) <= whole.costs["seen_examples"]


@pytest.mark.filterwarnings("ignore:Unwrapped parameters")  # torch-pruning's word on the positions
@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_it_runs_on_nets_of_readers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    subject = load_subject(str(Path(__file__).parents[1] / "examples" / "subjects" / f"{name}.py"))
    trial = run_trial(recipe, subject, 0, "smoke", FakeMeter())
    points = trial.arms["tactic"].points
    assert points[0].costs["macs"] < trial.arms["baseline"].chosen.costs["macs"]
