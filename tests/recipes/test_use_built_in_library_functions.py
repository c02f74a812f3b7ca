"""The swap of hand-written layers, on foreign nets too, and a run of each arm."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from recipes import use_built_in_library_functions as recipe
from recipes.common.nets.report import flops
from recipes.common.run.contract import CannotRun, Deployable, Outcome
from recipes.common.run.net_files import load_net, save_net
from tests.recipes.fake_meter import FakeMeter

LAYERS = [
    (recipe.hand_convolution(2, 3, stride=1), (4, 2, 5, 6)),
    (recipe.hand_convolution(2, 3, stride=2), (4, 2, 7, 8)),
    (recipe.hand_layer_norm(6), (4, 5, 6)),
    (recipe.HandAttention(nn.Linear(6, 18), nn.Linear(6, 6), heads=3), (4, 5, 6)),
]
IDS = ["convolution", "strided convolution", "layer norm", "attention"]


@pytest.fixture(autouse=True)
def one_thread_and_seed() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


def test_layer_norm_by_hand_worked_out() -> None:
    norm = recipe.HandLayerNorm(nn.Parameter(torch.tensor([1.0, 2.0])), nn.Parameter(torch.ones(2)), 0.0)
    assert norm(torch.tensor([[[3.0, 7.0]]])).tolist() == [[[0.0, 3.0]]]  # mean 5, standard deviation 2


def test_convolution_by_hand_worked_out() -> None:
    layer = recipe.HandConvolution(nn.Parameter(torch.ones(1, 1, 3, 3)), nn.Parameter(torch.ones(1)), 2, 1)
    images = torch.arange(9.0).view(1, 1, 3, 3)
    # windows round the corners: 0+1+3+4, 1+2+4+5, 3+4+6+7, 4+5+7+8, and a bias of 1
    assert layer(images).tolist() == [[[[9.0, 13.0], [21.0, 25.0]]]]


def test_attention_by_hand_worked_out() -> None:
    attention = recipe.HandAttention(nn.Linear(1, 3), nn.Linear(1, 1), heads=1)
    with torch.no_grad():
        attention.projection.weight.copy_(torch.tensor([[0.0], [1.0], [1.0]]))  # queries 0: equal scores
        attention.projection.bias.zero_()
        attention.output.weight.fill_(1)
        attention.output.bias.zero_()
    assert attention(torch.tensor([[[2.0], [4.0]]])).flatten().tolist() == [3.0, 3.0]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=IDS)
def test_replacements_agree_in_outputs_and_gradients(layer, shape) -> None:
    inputs = torch.randn(shape)
    replaced = recipe.use_library_functions(layer.eval(), recipe.LIBRARY, inputs)
    assert type(replaced) is not type(layer)
    gradients = []
    for module in (layer, replaced):
        outputs = module(inputs)
        gradients.append(torch.autograd.grad(outputs.square().sum(), list(layer.parameters())))
    torch.testing.assert_close(outputs, layer(inputs))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


class ForeignNet(nn.Module):
    """One layer used under two names, a buffer, and a layer of another type."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.again = recipe.hand_layer_norm(4)
        self.linear = nn.Linear(4, 4)
        self.register_buffer("offset", torch.ones(4))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.again(self.linear(self.first(inputs))) + self.offset


def test_the_tactic_on_a_foreign_net_shares_weights_and_leaves_the_net_whole() -> None:
    net, inputs = ForeignNet().eval(), torch.randn(8, 3, 4)
    replaced = recipe.use_library_functions(net, recipe.LIBRARY, inputs)
    assert isinstance(replaced.first, nn.LayerNorm)
    assert replaced.first is replaced.again
    assert not replaced.first.training
    assert isinstance(net.first, recipe.HandLayerNorm)
    assert replaced.linear is not net.linear
    assert {id(weight) for weight in replaced.parameters()} == {id(weight) for weight in net.parameters()}
    assert replaced.offset is net.offset
    with torch.no_grad():
        net.linear.weight.mul_(2)
    torch.testing.assert_close(replaced(inputs), net(inputs))


def test_a_net_without_hand_written_layers_is_refused() -> None:
    message = r"nothing was replaced: the net has no module of type HandConvolution, HandLayerNorm, HandAtt"
    with pytest.raises(ValueError, match=message):
        recipe.use_library_functions(nn.Linear(2, 2).eval(), recipe.LIBRARY, torch.randn(1, 2))


class Returning(nn.Module):
    """Answers in the form that a test asks for, and changes its input, as some nets do."""

    def __init__(self, answer: Callable[[torch.Tensor], object]) -> None:
        super().__init__()
        self.norm, self.answer = recipe.hand_layer_norm(4), answer

    def forward(self, inputs: torch.Tensor) -> object:
        return self.answer(self.norm(inputs.mul_(2)))


@pytest.mark.parametrize(
    "answer",
    [
        lambda outputs: (outputs, {"other": [outputs > 0, 2 * outputs.argmax(-1)]}),
        lambda outputs: 0 * outputs,
        lambda outputs: nn.functional.dropout(outputs, 0.5),
        lambda outputs: outputs.square().mean(),
    ],
    ids=["nested", "zeros", "random", "scalar"],
)
def test_outputs_of_any_form_are_compared_and_nothing_is_changed(answer) -> None:
    inputs, state = torch.randn(8, 4), torch.get_rng_state()
    before = inputs.clone()
    replaced = recipe.use_library_functions(Returning(answer).eval(), recipe.LIBRARY, inputs)
    assert type(replaced.norm) is nn.LayerNorm
    assert torch.equal(inputs, before)
    assert torch.equal(torch.get_rng_state(), state)


def test_outputs_that_change_their_form_are_refused() -> None:
    def in_double(hand: recipe.HandLayerNorm) -> nn.Module:
        return nn.Sequential(recipe.library_layer_norm(hand), nn.Flatten(0)).eval()

    with pytest.raises(ValueError, match=r"same of both nets, got .*\(8, 4\).* and .*\(32,\)"):
        recipe.use_library_functions(
            Returning(lambda outputs: outputs).eval(), {recipe.HandLayerNorm: in_double}, torch.randn(8, 4)
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_tolerance_is_that_of_the_weights(dtype: torch.dtype) -> None:
    net = nn.Sequential(*(recipe.hand_layer_norm(16) for _ in range(4))).to(dtype).eval()
    inputs = torch.randn(64, 16, dtype=dtype)
    recipe.use_library_functions(net, recipe.LIBRARY, inputs)
    with pytest.raises(ValueError, match="expected at most 0"):
        recipe.use_library_functions(net, recipe.LIBRARY, inputs, tolerance=0.0)


def test_a_net_in_training_mode_is_refused_and_its_statistics_stay() -> None:
    net = nn.Sequential(recipe.hand_layer_norm(4), nn.BatchNorm1d(4)).eval()
    net[1].train()
    with pytest.raises(ValueError, match=r"1 \(BatchNorm1d\): expected evaluation mode"):
        recipe.use_library_functions(net, recipe.LIBRARY, torch.randn(8, 4))
    assert int(net[1].num_batches_tracked) == 0


class OtherLayerNorm(recipe.HandLayerNorm):
    """Divides by the sample's standard deviation plus epsilon, which is not what the library computes."""

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        centred = inputs - inputs.mean(-1, keepdim=True)
        return centred / (inputs.std(-1, keepdim=True) + self.epsilon) * self.weight + self.bias


class BrokenLayerNorm(recipe.HandLayerNorm):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return inputs * torch.nan


@pytest.mark.parametrize(("kind", "found"), [(OtherLayerNorm, r"0\.\d+"), (BrokenLayerNorm, "inf")])
def test_a_layer_that_computes_something_else_is_not_replaced(kind, found) -> None:
    norm = kind(nn.Parameter(torch.ones(4)), nn.Parameter(torch.zeros(4))).eval()
    with pytest.raises(
        ValueError, match=rf"outputs differ by {found} of the largest, expected at most 0.0001"
    ):
        recipe.use_library_functions(norm, {kind: recipe.library_layer_norm}, torch.randn(8, 3, 4))


def test_a_compiled_net_is_saved_as_the_net_and_compiles_anew(tmp_path) -> None:
    net = recipe.HandVisionTransformer(8, 2, 1).eval()
    compiled, images = recipe.Compiled(net, "aot_eager"), torch.randn(2, 1, 8, 8)
    shipped = Deployable(compiled, images, images)
    with torch.no_grad():
        compiled(images)
        save_net(tmp_path / "net.pt", shipped)
        loaded = load_net(tmp_path / "net.pt", "--net").model
        assert isinstance(loaded, recipe.Compiled)
        assert not loaded.training
        assert flops(compiled, images) == flops(net, images) > 0
        torch.testing.assert_close(loaded(images), net(images))
    assert list(torch.export.export(compiled, (images,)).state_dict) == [
        f"net.{name}" for name in net.state_dict()
    ]


def test_without_a_compiler_the_rival_says_so(monkeypatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(CannotRun, match="expected the C\\+\\+ compiler no-such-compiler, found none"):
        recipe.Compiled(nn.Linear(1, 1), "inductor")


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    torch.set_num_threads(1)
    return {arm: recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()) for arm in recipe.ARMS}


def test_all_arms_learn_the_same_with_as_many_operations(outcomes: dict[str, Outcome]) -> None:
    baseline = outcomes["baseline"].metrics
    assert baseline["test_accuracy"] > 0.4
    for arm, outcome in outcomes.items():
        found = outcome.metrics
        lacking = {"baseline": {"compile_cpu_s", "largest_output_difference"}, "tactic": {"compile_cpu_s"}}
        assert set(recipe.METRICS) - set(found) == lacking.get(arm, {"step_allocated_bytes"})
        assert found["training_cpu_s"] == pytest.approx(1.5)
        assert found["forward_flops"] == baseline["forward_flops"]
        assert found["test_accuracy"] == pytest.approx(baseline["test_accuracy"], abs=0.05)
        assert found.get("largest_output_difference", 0) < 1e-4


def test_the_library_allocates_less(outcomes: dict[str, Outcome]) -> None:
    baseline, tactic = (outcomes[arm].metrics["step_allocated_bytes"] for arm in recipe.ARMS[:2])
    assert tactic < baseline


def test_each_arm_ships_the_net_that_was_judged(outcomes: dict[str, Outcome]) -> None:
    for outcome in outcomes.values():
        shipped = outcome.deployable
        assert not shipped.model.training
        answers = shipped.model(shipped.test_inputs).argmax(1)
        found = float((answers == shipped.test_labels).double().mean())
        assert found == outcome.metrics["test_accuracy"]


def test_each_kind_of_operation_has_its_row(outcomes: dict[str, Outcome]) -> None:
    assert [list(outcomes[arm].details) for arm in recipe.ARMS] == [[], ["operations"], []]
    rows = outcomes["tactic"].details["operations"]
    assert [(row["operation"], row["input"]) for row in rows] == [
        ("Convolution", "64 x 1 x 16 x 16"),
        ("Convolution", "64 x 32 x 8 x 8"),
        ("LayerNorm", "64 x 16 x 64"),
        ("Attention", "64 x 16 x 64"),
        ("Attention", "64 x 64 x 64"),
    ]
    for row in rows:
        assert row["low_end"] <= row["times_lower_by_library"] <= row["high_end"]
        assert row["largest_output_difference"] < 1e-5
