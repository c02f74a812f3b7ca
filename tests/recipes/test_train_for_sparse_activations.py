"""The penalty on small inputs, the training it changes, and a run of each arm."""

from __future__ import annotations

import math
import types
from dataclasses import replace

import pytest
import torch
from torch import nn

from recipes import train_for_sparse_activations as recipe
from recipes.common.run.contract import CannotRun
from recipes.common.trial.harness import Trial, run_trial
from recipes.common.trial.subject import Subject, load_subject
from recipes.train_for_sparse_activations import use_thresholds
from tests.recipes.digits_trial import digits_trial
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


def test_what_an_evaluation_between_two_steps_leaves_is_not_counted() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    with recipe.record_activations(net) as activations:
        with torch.no_grad():
            net(torch.randn(7, 2))
            net(torch.randn(7, 2))
        net(torch.randn(5, 2))
        assert [tuple(recorded.shape) for recorded in activations] == [(5, 3)]


def test_the_l1_penalty_is_a_mean_with_a_gradient_where_a_unit_fires() -> None:
    outputs = torch.tensor([0.0, 1.0, 3.0, 0.0], requires_grad=True)
    penalty = recipe.activation_l1([outputs])
    penalty.backward()
    assert penalty.item() == 1.0
    assert outputs.grad.tolist() == [0.0, 0.25, 0.25, 0.0]


def test_each_relu_gets_the_threshold_that_drops_the_fraction() -> None:
    net = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU()))
    images = torch.tensor([[-1.0, 1.0, 2.0, 3.0, 4.0]])
    use_thresholds(net, images, 0.25)
    assert net(images).tolist() == [[0, 0, 0, 3.0, 4.0]]  # 1 of 4 is below 2, which is not above 2


def test_a_relu_that_is_called_twice_gets_the_threshold_of_both_calls() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.act = nn.ReLU()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            return self.act(10 * self.act(inputs))

    net = Twice()
    use_thresholds(net, torch.tensor([[1.0, 2.0, 3.0, 4.0]]), 0.25)  # 1 to 4, then 10 to 40
    assert net.act.threshold == 3.0


def test_a_relu_that_never_fires_stays() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Threshold(10.0, -1.0), nn.ReLU())
    use_thresholds(net, torch.tensor([[1.0, 2.0]]), 0.5)
    assert [type(module) for module in net] == [nn.Threshold, nn.Threshold, nn.ReLU]


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="removed_fraction: expected at least 0 and below 1"):
        use_thresholds(nn.Sequential(nn.ReLU()), torch.ones(1, 2), fraction)


def test_a_net_without_relus_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an nn\.ReLU module that fires, found none"):
        use_thresholds(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2), 0.5)


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    return digits_trial(recipe, tmp_path_factory.mktemp("checkpoints"))


def test_more_of_a_knob_leaves_fewer_activations_and_less_energy(trial: Trial) -> None:
    baseline = trial.arms["baseline"].chosen
    for arm in ("tactic", "l1", "thresholds", "thresholds_afterwards"):
        points = trial.arms[arm].points
        assert len(points) == 3
        for cost in ("nonzero_activations_fraction", "energy_batch_48"):
            costs = [baseline.costs[cost], *(point.costs[cost] for point in points)]
            assert costs == sorted(costs, reverse=True)


def test_nets_are_trained_as_long_as_the_baseline_and_keep_no_hook(trial: Trial) -> None:
    seen = {point.costs["seen_examples"] for name, arm in trial.arms.items() for point in arm.points
            if name != "as_given"}  # fmt: skip
    assert len(seen) == 1
    nets = [point.net for arm in trial.arms.values() for point in arm.points]
    assert not any(module._forward_hooks for net in nets for module in net.modules())


def test_a_net_that_is_never_zero_is_refused() -> None:
    with pytest.raises(CannotRun, match=r"put nn\.ReLU in place of GELU, Hardswish"):
        run_trial(recipe, hard_swish(), 0, "smoke", FakeMeter())


def hard_swish() -> Subject:
    """Return the digits net with another activation function."""
    subject = load_subject("digits_cnn")
    build = subject.module.build_model

    def build_model() -> nn.Module:
        net = build()
        for name in ("relu1", "relu2", "relu3"):
            setattr(net, name, nn.Hardswish())
        return net

    functions = (
        "train",
        "evaluate",
        "example_inputs",
        "EPOCHS",
        "QUALITY",
        "BETTER",
        "TOLERANCE",
        "__file__",
        "__name__",
    )
    module = types.SimpleNamespace(
        build_model=build_model, **{name: getattr(subject.module, name) for name in functions}
    )
    return replace(subject, module=module)
