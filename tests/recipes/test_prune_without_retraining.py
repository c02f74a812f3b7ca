# ruff: noqa: N806 - X and B are the papers' names
"""Pruning without retraining: the tactic on foreign nets, the rivals by hand, and a trial on the digits."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes import prune_without_retraining as recipe
from recipes.common.pruning.weights import rows_of
from recipes.common.trial.harness import Trial, run_trial
from recipes.common.trial.subject import load_subject
from tests.recipes.fake_meter import FakeMeter
from tests.recipes.small_nets import GroupedNet


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def linear(*rows: list[float], bias: bool = True) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(len(rows[0]), len(rows), bias=bias)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(rows))
    return net


# --- The tactic ------------------------------------------------------------------------------------------


def test_a_foreign_net_keeps_the_share_of_its_weights_and_gets_no_gradient() -> None:
    net, inputs = GroupedNet().eval(), torch.randn(100, 2, 6, 6)
    masks = recipe.prune_without_retraining(net, inputs, kept_fraction=0.3)
    assert set(masks) == {"first", "grouped", "output"}
    assert all(torch.equal(mask, net.get_submodule(name).weight != 0) for name, mask in masks.items())
    total = sum(mask.numel() for mask in masks.values())
    assert sum(int(mask.sum()) for mask in masks.values()) == pytest.approx(0.3 * total, rel=0.01)
    assert all(parameter.grad is None for parameter in net.parameters())


def test_the_weight_left_takes_over_from_the_one_removed() -> None:
    net, inputs = linear([1.0, 1.1]), torch.randn(200, 1).expand(-1, 2).contiguous()
    recipe.prune_without_retraining(net, inputs, kept_fraction=0.5)
    assert net[0].weight.tolist() == [[0.0, pytest.approx(2.1, rel=2e-3)]]


def test_the_bias_takes_over_from_an_input_that_is_constant() -> None:
    net, inputs = linear([1.0, 2.0]), torch.stack([torch.full((200,), 3.0), torch.randn(200)], 1)
    bias = float(net[0].bias.detach())
    recipe.prune_without_retraining(net, inputs, kept_fraction=0.5)
    assert float(net[0].bias.detach()) == pytest.approx(bias + 3, rel=1e-3)


@pytest.mark.parametrize("choose", [None, recipe.by_magnitude, recipe.by_chance])
def test_with_the_fit_the_outputs_stay_nearer(choose: recipe.Choice | None) -> None:
    dense, inputs = GroupedNet().eval(), torch.randn(300, 2, 6, 1).expand(-1, -1, -1, 6).contiguous()
    fitted, cut = copy.deepcopy(dense), copy.deepcopy(dense)
    recipe.prune_without_retraining(fitted, inputs, kept_fraction=0.4, choose=choose)
    recipe.prune_layer_by_layer(cut, inputs, 0.4, recipe.above_threshold)
    with torch.no_grad():
        assert (fitted(inputs) - dense(inputs)).norm() < 0.7 * (cut(inputs) - dense(inputs)).norm()


def test_inputs_that_pass_once_meet_each_layer_as_two_nets_side_by_side_do() -> None:
    net, inputs = GroupedNet().eval(), torch.randn(60, 2, 6, 6)
    dense, by_hand = copy.deepcopy(net), copy.deepcopy(net)
    seen = list[recipe.Part]()

    def note(part: recipe.Part) -> tuple[Tensor, Tensor | None]:
        seen.append(part)
        return recipe.refitted(part, recipe.by_magnitude, None)

    recipe.prune_layer_by_layer(net, inputs, 0.4, note, to_outputs=True)
    rows = []
    for name in ("first", "grouped", "output"):
        X = rows_of(by_hand, by_hand.get_submodule(name), inputs)[0]
        rows += zip(X, rows_of(dense, dense.get_submodule(name), inputs)[1], strict=True)
        by_hand.get_submodule(name).load_state_dict(net.get_submodule(name).state_dict())
    assert len(rows) == len(seen) == 6  # the second layer has four groups
    for part, (X, B) in zip(seen, rows, strict=True):
        assert torch.equal(part.X, X)
        assert torch.equal(part.B, B)


def test_each_layer_may_keep_one_share_in_place_of_one_threshold() -> None:
    net = GroupedNet().eval()
    with torch.no_grad():
        net.first.weight.mul_(100)
    masks = recipe.prune_without_retraining(net, torch.randn(50, 2, 6, 6), kept_fraction=0.5, in_each=True)
    assert all(float(mask.double().mean()) == pytest.approx(0.5, abs=0.02) for mask in masks.values())


def test_a_layer_that_is_called_again_is_fitted_on_its_first_call() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 6)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(self.layer(x).relu())

    net = Twice().eval()
    masks = recipe.prune_without_retraining(net, torch.randn(40, 6), kept_fraction=0.5)
    assert int(masks["layer"].sum()) == 18
    assert not net.layer._forward_pre_hooks


def test_a_fit_in_steps_holds_the_outputs_about_as_well_as_an_exact_one() -> None:
    dense, inputs = linear(*torch.randn(4, 12).tolist()), torch.randn(300, 6).repeat(1, 2)
    inputs += 0.3 * torch.randn(300, 12)

    def error(**named: object) -> float:
        net = copy.deepcopy(dense)
        recipe.prune_without_retraining(net, inputs, kept_fraction=0.5, choose=recipe.by_magnitude, **named)
        with torch.no_grad():
            return float((net(inputs) - dense(inputs)).norm())

    cut = copy.deepcopy(dense)
    recipe.prune_layer_by_layer(cut, inputs, 0.5, recipe.above_threshold)
    assert error() <= error(steps=6) < 1.1 * error()
    assert error(steps=6) < 0.7 * float((cut(inputs) - dense(inputs)).detach().norm())


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (nn.Conv2d(4, 8, 3, stride=2, padding=1, dilation=2), (4, 9, 9)),
        (nn.Conv2d(4, 8, 3, groups=2, bias=False), (4, 6, 6)),
        (nn.Conv2d(4, 4, (3, 5), padding="same", groups=4), (4, 6, 6)),
        (nn.Conv2d(1, 2, 3, padding=1, padding_mode="reflect"), (1, 6, 6)),
        (nn.Linear(8, 5), (8,)),
        (nn.Linear(8, 5, bias=False), (4, 8)),
    ],
)
def test_rows_times_weights_are_what_comes_out(layer: nn.Conv2d | nn.Linear, shape: tuple[int, ...]) -> None:
    net = nn.Sequential(layer, nn.ReLU(inplace=True))  # what is changed in place was sampled before
    X, B = rows_of(net, layer, torch.randn(5, *shape))
    weights = layer.weight.reshape(len(X), B.shape[2], -1)
    bias = 0 if layer.bias is None else layer.bias.view(len(X), 1, -1)
    torch.testing.assert_close(X @ weights.mT + bias, B, atol=1e-5, rtol=1e-5)


def test_layers_that_forward_does_not_call_are_left_alone() -> None:
    class Attends(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention, self.output = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.output(self.attention(x, x, x, need_weights=False)[0])

    net = Attends().eval()
    assert set(recipe.prune_without_retraining(net, torch.randn(9, 4, 8), kept_fraction=0.5)) == {"output"}


@pytest.mark.parametrize(
    ("net", "inputs", "share", "refusal"),
    [
        (linear([1.0, 2.0]), torch.ones(5, 2), 1.0, "^kept_fraction: expected .* less than 1, got 1.0; pass"),
        (
            linear([1.0, 2.0]),
            torch.ones(5, 2),
            float("nan"),
            "^kept_fraction: expected more .* got nan; pass",
        ),
        (
            linear([1.0, 0.0]),
            torch.ones(5, 2),
            0.9,
            "^kept_fraction: .* as many weights at 0.9; pass a smaller",
        ),
        (linear([1.0, 2.0]), torch.full((5, 2), torch.nan), 0.5, "^inputs: expected finite .*; leave out"),
        (linear([1.0, 2.0]), [[1.0, 1.0]], 0.5, r"^inputs: expected a tensor .*, got list; pass one batch"),
        (linear([1.0, 2.0]).train(), torch.ones(5, 2), 0.5, r"expected evaluation mode, .*; call .eval\(\)"),
        (
            nn.ReLU().eval(),
            torch.ones(5, 2),
            0.5,
            "expected nn.Conv2d or nn.Linear .*, got none; pass the net",
        ),
    ],
)
def test_what_cannot_be_pruned_is_refused_unchanged(
    net: nn.Module, inputs: Tensor, share: float, refusal: str
) -> None:
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(ValueError, match=refusal):
        recipe.prune_without_retraining(net, inputs, kept_fraction=share)
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())


# --- Rivals ----------------------------------------------------------------------------------------------


def part_of(weights: list[list[float]], kept: list[list[int]], inputs: Tensor) -> recipe.Part:
    made = torch.tensor(weights)
    return recipe.Part(made, torch.tensor(kept).bool(), inputs, inputs @ made.T, None)


def test_wanda_weighs_a_weight_by_its_input_and_keeps_as_many_of_each_filter() -> None:
    part = part_of([[1.0, 2.0], [5.0, 6.0]], [[0, 0], [1, 1]], torch.tensor([[3.0, 1.0], [4.0, 0.0]]))
    assert recipe.wanda_part(part)[0].tolist() == [[1.0, 0.0], [5.0, 0.0]]  # the inputs' norms are 5 and 1


def test_sparsegpt_removes_what_harms_least_and_makes_it_good() -> None:
    inputs = torch.randn(500, 3)
    inputs[:, 1] = inputs[:, 0] + 0.1 * torch.randn(500)
    part = part_of([[1.0, -2.0, 0.5]], [[1, 1, 0]], inputs)
    weights = recipe.sparsegpt_part(part, damping=0.0)[0]
    # of the two inputs that are nearly equal one goes, and the optimal brain surgeon's step fits the rest
    inverse = torch.linalg.inv(inputs.T @ inputs)
    wanted = part.weights - part.weights[0, 0] / inverse[0, 0] * inverse[0]
    torch.testing.assert_close(weights, wanted, atol=1e-3, rtol=1e-3)
    assert weights[0, 0] == 0


def test_sparsegpt_goes_on_in_the_next_block_and_drops_inputs_that_never_fire() -> None:
    inputs = torch.randn(200, 1).repeat(1, 4) + 0.01 * torch.randn(200, 4)
    inputs[:, 1] = 0
    part = part_of([[1.0, 1.0, 1.0, 1.0]], [[0, 0, 1, 1]], inputs)
    weights = recipe.sparsegpt_part(part, block=2)[0]
    assert weights[0].count_nonzero() == 2
    assert float(weights.sum()) == pytest.approx(3, rel=0.02)


# --- A trial ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trial(tmp_path_factory: pytest.TempPathFactory) -> Trial:
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(tmp_path_factory.mktemp("cache")))
        subject = load_subject("digits_cnn")
        subject.epochs = {"smoke": (4.0, 2.0)}
        return run_trial(recipe, subject, 0, "smoke", FakeMeter())


def test_every_arm_yields_a_net_of_each_share(trial: Trial) -> None:
    assert list(trial.arms) == ["baseline", *(arm.__name__ for arm in recipe.ARMS)]
    assert not trial.left_out
    wanted = [f"{share:.0%} of the weights" for share in recipe.KEPT]
    baseline = trial.arms["baseline"].chosen
    tactic = [point.costs[recipe.COST] for point in trial.arms["tactic"].points]
    assert [baseline.costs[recipe.COST], *tactic] == sorted(
        [baseline.costs[recipe.COST], *tactic], reverse=True
    )
    for name in list(trial.arms)[1:]:
        points = trial.arms[name].points
        assert [point.label for point in points] == wanted
        assert [point.costs[recipe.COST] for point in points] == pytest.approx(tactic, rel=0.1)
        assert trial.arms[name].ledger.examples == 0
        assert all(point.costs["seen_examples"] == baseline.costs["seen_examples"] for point in points)


def test_what_is_fitted_is_better_than_what_is_only_cut(trial: Trial) -> None:
    quality = {name: sum(point.quality for point in arrived.points) for name, arrived in trial.arms.items()}
    assert quality["tactic"] > quality["magnitude"]
    assert quality["tactic"] > quality["random_fitted"]


def test_a_large_language_model_loses_weights_of_its_linear_layers_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipe, "LARGE_PARAMETERS", 10_000)
    trial = run_trial(recipe, load_subject("tiny_llama"), 0, "smoke", FakeMeter())
    assert set(trial.left_out) == {"random_fitted"}
    whole, (first, *_) = trial.arms["baseline"].chosen, trial.arms["tactic"].points
    linear_weights = 2 * (2 * 48 * 48 + 2 * 16 * 48 + 3 * 48 * 96)
    for share, point in zip(recipe.KEPT_OF_LARGE, trial.arms["tactic"].points, strict=True):
        gone = whole.costs["nonzero_weights"] - point.costs["nonzero_weights"]
        assert gone == pytest.approx((1 - share) * linear_weights, rel=0.01)
    chosen = trial.arms["tactic"].chosen.net
    assert torch.equal(chosen.get_parameter("embedding.weight"), whole.net.get_parameter("embedding.weight"))
    assert trial.arms["tactic"].metrics["choice_loss"].unit == "nats"
    assert "energy_batch_1" in first.missing


@pytest.mark.parametrize("name", ["residual", "transformer"])
def test_it_runs_on_nets_of_readers(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    subject = load_subject(str(Path(__file__).parents[1] / "examples" / "subjects" / f"{name}.py"))
    trial = run_trial(recipe, subject, 0, "smoke", FakeMeter())
    assert not trial.left_out
    assert (
        trial.arms["tactic"].points[-1].costs[recipe.COST] < trial.arms["baseline"].chosen.costs[recipe.COST]
    )
