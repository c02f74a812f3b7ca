"""The penalty on small inputs, the training it changes, and a run of each arm."""

from __future__ import annotations

import copy
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from recipes import train_for_sparse_activations as recipe
from recipes.common.nets.data import load_images
from recipes.common.nets.report import accuracy
from recipes.common.run.contract import Outcome
from recipes.train_for_sparse_activations import count_accesses, nonzero_fraction
from tests.recipes.fake_meter import FakeMeter


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_the_penalty_is_a_mean_of_smooth_counts() -> None:
    first, second = torch.tensor([[0.0, 1.0], [3.0, 0.0]]), torch.tensor([2.0])
    # 0, 1/2 and 9/10 of four elements, then 4/5 of one, with sigma 1
    assert recipe.activation_l0([first, second], 1.0).item() == pytest.approx(0.575)
    assert recipe.activation_l0([first], 1e-12).item() == pytest.approx(0.5)


def test_the_gradient_of_the_penalty_is_that_of_its_formula() -> None:
    outputs = torch.rand(3, 4, dtype=torch.float32).relu().requires_grad_()
    recipe.activation_l0([outputs], 0.1).backward()
    expected = 2 * 0.1 * outputs / (outputs.square() + 0.1).square() / outputs.numel()
    assert torch.allclose(outputs.grad, expected, rtol=1e-5)
    half = outputs.detach().bfloat16().requires_grad_()
    recipe.activation_l0([half], 0.1).backward()
    assert half.grad.dtype == torch.bfloat16
    assert torch.allclose(half.grad.float(), expected, rtol=0.02, atol=1e-4)


def test_a_step_along_the_penalty_lowers_it() -> None:
    net, inputs = nn.Sequential(nn.Linear(4, 50), nn.ReLU()), torch.randn(64, 4)
    optimizer = torch.optim.SGD(net.parameters(), 1.0)
    counts = []
    with recipe.record_activations(net) as activations:
        for _ in range(30):
            activations.clear()
            fired = net(inputs).count_nonzero().item()
            penalty = recipe.activation_l0(activations, 0.01)
            optimizer.zero_grad()
            penalty.backward()
            optimizer.step()
            counts.append(fired)
    assert counts[-1] < 0.7 * counts[0]


@pytest.mark.parametrize(
    ("activations", "sigma"), [([], 0.1), ([torch.ones(2)], 0.0), ([torch.ones(2)], math.nan)]
)
def test_the_penalty_refuses_no_activations_and_a_sigma_of_zero(activations: list, sigma: float) -> None:
    with pytest.raises(ValueError, match="expected activations and sigma above 0"):
        recipe.activation_l0(activations, sigma)


class AddsInPlace(nn.Module):
    """Changes the output of a rectifier once it has been recorded; so does dropout in place."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.rectifier = nn.Linear(2, 2), nn.ReLU()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        outputs = self.rectifier(self.linear(inputs))
        outputs += 1
        return outputs


@pytest.mark.parametrize("gradients", [True, False])
def test_an_output_that_is_changed_in_place_behind_a_relu_is_refused(gradients: bool) -> None:
    net = nn.Sequential(AddsInPlace(), nn.Linear(2, 2))
    with (
        torch.set_grad_enabled(gradients),
        pytest.raises(ValueError, match=r"0\.rectifier: expected an output that stays as it is.* y = y \+ x"),
        recipe.record_activations(net),
    ):
        net(torch.rand(3, 2))
    assert net(torch.rand(3, 2)).shape == (3, 2), "no hook is left"


@pytest.mark.parametrize(
    ("net", "words"),
    [
        (
            nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.Softmax(1)),
            r"got 1 \(GELU\); write each call of F\.relu",
        ),
        (nn.Sequential(nn.Linear(2, 2)), r"the net itself .* got no module of an activation function"),
    ],
)
def test_recording_refuses_a_net_without_rectifiers(net: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words), recipe.record_activations(net):
        pass


def test_relu6_is_recorded_and_what_is_not_is_named() -> None:
    kinds = nn.ReLU6(), nn.Hardswish(), nn.SiLU(), nn.GELU(), nn.ELU(), nn.Sigmoid()
    net, words = (
        nn.Sequential(nn.Linear(2, 2), *kinds),
        r"not recorded: 2 \(Hardswish\), 3 .*, 4 .* and 1 more;",
    )
    with pytest.warns(UserWarning, match=words), recipe.record_activations(net) as activations:
        net(torch.rand(3, 2))
    assert len(activations) == 1


def test_rectified_outputs_of_calls_are_counted_as_missed_once() -> None:
    class Calls(nn.Sequential):
        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return super().forward(inputs).relu() + torch.relu_(self[0](inputs))

    net = Calls(nn.Linear(2, 2), nn.ReLU(inplace=True), nn.Linear(2, 2))
    with recipe.record_activations(net):
        with pytest.warns(UserWarning, match="recorded: 1 of 3 rectified outputs; write each call of F.relu"):
            net(torch.rand(3, 2))
        net(torch.rand(3, 2))  # a warning is an error in these tests


def test_a_penalty_without_gradient_is_refused_and_a_part_without_named() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2), nn.ReLU())
    net[0].requires_grad_(requires_grad=False)
    with recipe.record_activations(net), pytest.warns(UserWarning, match="no gradient at 1, as all in front"):
        net(torch.rand(3, 2))
    net.requires_grad_(requires_grad=False)
    with (
        pytest.raises(ValueError, match=r"1: expected a gradient, .* got none, .*; unfreeze a layer"),
        recipe.record_activations(net),
    ):
        net(torch.rand(3, 2))
    with torch.no_grad(), recipe.record_activations(net) as activations:
        net(torch.rand(3, 2))
    assert len(activations) == 2


def test_recording_sees_every_relu_and_leaves_no_hook() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Sequential(nn.ReLU()))
    with recipe.record_activations(net) as activations:
        outputs = net(torch.randn(5, 2))
    assert [tuple(recorded.shape) for recorded in activations] == [(5, 3), (5, 3)]
    assert activations[-1] is outputs
    net(torch.randn(5, 2))
    assert len(activations) == 2


def test_the_l1_penalty_is_a_mean_with_a_gradient_where_a_unit_fires() -> None:
    outputs = torch.tensor([0.0, 1.0, 3.0, 0.0], requires_grad=True)
    penalty = recipe.activation_l1([outputs])
    penalty.backward()
    assert penalty.item() == 1.0
    assert outputs.grad.tolist() == [0.0, 0.25, 0.25, 0.0]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outcome]:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("checkpoints")))
        return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def value(outcome: Outcome, name: str) -> float:
    return outcome.metrics[name].value


def test_smoke_run_of_each_arm_gives_the_metrics_of_the_record(outcomes: dict[str, Outcome]) -> None:
    named = {
        "test_accuracy", "energy_ratio", "energy_ratio_batch_1", "energy_ratio_relu_not_in_place",
        "nonzero_activations_fraction", "energy_batch_1", "energy_batch_48",
        "training_cpu_s", "one_training_cpu_s",
    }  # fmt: skip
    for outcome in outcomes.values():
        assert named <= set(outcome.metrics)
        assert outcome.data.name == "digits"
        assert 0.8 < value(outcome, "test_accuracy") <= 1
        json.dumps(outcome.details, allow_nan=False)


def test_all_rivals_try_as_many_settings(outcomes: dict[str, Outcome]) -> None:
    rows = {arm: outcome.details["curve"] for arm, outcome in outcomes.items()}
    assert {arm: len(tried) for arm, tried in rows.items()} == {
        "baseline": 1, "tactic": 4, "l1": 4, "threshold": 4,
    }  # fmt: skip
    for arm, outcome in outcomes.items():
        assert value(outcome, "training_cpu_s") == 1.5 * len(rows[arm])
        assert value(outcome, "one_training_cpu_s") == 1.5


def test_the_tactic_leaves_fewer_activations_and_less_modelled_energy(outcomes: dict[str, Outcome]) -> None:
    baseline, tactic = outcomes["baseline"], outcomes["tactic"]
    for name in ("nonzero_activations_fraction", "energy_ratio", "energy_batch_1", "energy_batch_48"):
        assert value(tactic, name) < value(baseline, name)
    tried = [row["nonzero_activations_fraction"] for row in tactic.details["curve"]]
    assert tried == sorted(tried, reverse=True)  # a larger weight, fewer activations


def test_each_arm_yields_the_net_that_it_reports(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        shipped = outcome.deployable
        assert not any(module._forward_hooks for module in shipped.model.modules())
        images, labels = shipped.test_inputs, shipped.test_labels  # all of digits' test images
        assert accuracy(shipped.model, images, labels) == value(outcome, "test_accuracy")
        fraction = nonzero_fraction(count_accesses(shipped.model, images))
        assert fraction == value(outcome, "nonzero_activations_fraction")
        assert len(shipped.calibration_inputs) == 256


def test_a_run_repeats_itself_exactly(outcomes: dict[str, Outcome], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    again = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter())
    assert again.metrics == outcomes["tactic"].metrics


TINY = replace(recipe.SMOKE, dense_examples=1280, fine_tune_examples=768, l0_weights=(0.5,))


def test_where_no_setting_is_accurate_enough_the_baseline_is_reported(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    hopeless = replace(TINY, accuracy_budget=-1.0)
    tactic, baseline = (
        recipe.run(hopeless, arm=arm, seed=0, meter=FakeMeter()) for arm in ("tactic", "baseline")
    )
    assert value(tactic, "energy_ratio") == value(baseline, "energy_ratio")


def test_a_residual_net_can_be_trained_too() -> None:
    images = load_images(("digits",))
    config = replace(TINY, model="resnet8")
    first = recipe.build_model(config, images, seed=0)
    for arm in recipe.ARMS:
        net = copy.deepcopy(first)
        recipe.train(net, images, config, 0, arm, 0.5)
        assert len([call for call in count_accesses(net, images.test_images[:8]) if call.rectifies]) == 7
