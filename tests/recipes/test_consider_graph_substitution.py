"""Rules keep the outputs and do what they are named for; the search goes by price, through detours."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, fx, nn

from recipes import consider_graph_substitution as recipe
from recipes.common.graphs import rules
from recipes.common.nets import branches
from tests.recipes.fake_meter import FakeMeter


def trained_like(net: nn.Module) -> nn.Module:
    """Give normalisations statistics that make them do something."""
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            for scale in (module.running_var, module.weight):
                nn.init.uniform_(scale, 0.5, 2)
            for shift in (module.running_mean, module.bias):
                nn.init.uniform_(shift, -1, 1)
    return net.eval()


def layers_of(net: nn.Module) -> Counter[str]:
    return Counter(type(layer).__name__ for layer in net.modules() if not list(layer.children()))


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        # what RepVGG does by hand: one convolution is left of three branches
        (branches.repvgg(4), {"Conv2d": 1, "ReLU": 1}),
        # 1x1 convolutions of the same input are one, and that of the pooling changes places with it
        (branches.inception(4, 4, 4), {"Conv2d": 4, "ReLU": 5, "AvgPool2d": 1, "Channels": 5}),
        # the 1x1 kernel grows to 3x3, both are one, and nothing has to be joined
        (branches.fire(4, 2, 4), {"Conv2d": 2, "ReLU": 2}),
    ],
)  # fmt: skip
def test_all_rules_together_leave_the_layers_that_the_literature_has(
    block: nn.Module, expected: dict[str, int]
) -> None:
    torch.manual_seed(0)
    net, inputs = fx.symbolic_trace(trained_like(block)), torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        wanted = net(inputs)
        found = fx.GraphModule(net, recipe.everywhere(net, net.graph, rules.RULES))
        assert torch.allclose(found(inputs), wanted, atol=1e-5)
    found.delete_all_unused_submodules()
    assert layers_of(found) == expected


def test_a_pooling_that_counts_zeros_around_the_maps_stays_where_it_is() -> None:
    for counts, moves in ((True, False), (False, True)):
        pool = nn.AvgPool2d(3, 1, padding=1, count_include_pad=counts)
        net = fx.symbolic_trace(nn.Sequential(pool, nn.Conv2d(2, 3, 1)).eval())
        node = list(net.graph.nodes)[2]
        assert (rules.pool_later(net, node) is not None) == moves


def test_kernels_keep_the_outputs() -> None:
    torch.manual_seed(0)
    inputs = torch.randn(2, 3, 4, 6)
    net = fx.symbolic_trace(nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.Conv2d(5, 4, 3, 2)).eval())
    for kernel in rules.KERNELS:
        found = fx.GraphModule(net, recipe.everywhere(net, net.graph, [kernel]))
        assert torch.allclose(found(inputs), net(inputs), atol=1e-5)


def prices(monkeypatch: pytest.MonkeyPatch, of: Callable[[nn.Module], float]) -> None:
    """Let operations cost what a function says of their layer."""

    def priced(call: Callable[[], Tensor]) -> float:
        target = call.args[0]  # type: ignore[attr-defined]
        owner: recipe.Prices = call.func.__self__  # type: ignore[attr-defined]
        return of(owner.module.get_submodule(target)) if isinstance(target, str) else 1.0

    monkeypatch.setattr(recipe, "least_cpu_s", priced)


def test_a_detour_leads_to_a_cheaper_graph_that_no_single_step_does(monkeypatch: pytest.MonkeyPatch) -> None:
    # two convolutions cost 9 + 3; enlarged, 9 + 9; as one, 9 and the slices nothing
    def price(layer: nn.Module) -> float:
        return 3.0 * layer.kernel_size[0] if isinstance(layer, nn.Conv2d) else 0.0  # type: ignore[operator]

    prices(monkeypatch, price)
    sides = (nn.Conv2d(2, 3, 1), nn.Conv2d(2, 3, 3, padding=1))
    net, inputs = branches.Branches(*sides, added=False).eval(), torch.randn(1, 2, 5, 5)
    with pytest.raises(ValueError, match="no cheaper graph"):
        recipe.substitute(net, inputs, detour=1.0, kernels=())
    found = recipe.substitute(net, inputs, detour=1.5, kernels=())
    assert layers_of(found) == {"Conv2d": 1}
    assert layers_of(net) == {"Conv2d": 2}  # as it was


@pytest.mark.parametrize("arm", ["baseline", "tactic", "every_rule", "folding_alone", "torchscript"])
def test_each_arm_computes_the_same_and_pays_for_its_preparation(
    arm: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    assert meter.names == ["preparation"]
    assert outcome.metrics["output_difference_fraction"] < 1e-4
    assert outcome.metrics["preparation_cpu_s"] == (0 if arm == "baseline" else 1.5)
    assert (outcome.data.train_count, outcome.data.test_count) == (200, 20)


def test_without_a_compiler_the_arm_is_left_out(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("GREENTACTICS_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(recipe.CannotRun, match="C\\+\\+ compiler"):
        recipe.compiled(nn.ReLU(), torch.zeros(1), "inductor")
