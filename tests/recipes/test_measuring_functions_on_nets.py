"""The other functions that readers lift, on nets such as readers bring: each works, or says what to do.

A refusal names what is in the way and the cure. Whether a function works or refuses, the net, its mode, its
hooks, the inputs and torch's random state are afterwards what they were before.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from recipes.answer_easy_inputs_with_a_small_model import Cascade
from recipes.common.run.contract import Deployable, UserError
from recipes.common.run.net_files import load_net, load_or_train, save_net
from recipes.common.timing.engines import CannotRunError, agreement, build, outputs_of, require_usable
from recipes.train_for_sparse_activations import activation_l0, record_activations
from recipes.use_built_in_library_functions import use_library_functions
from recipes.use_checkpoints_during_training import train_with_checkpoints
from tests.recipes.nets_of_readers import NETS, net_and_inputs


def record(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    net = copy.deepcopy(net) if net.training else net  # a forward pass in training mode changes it
    with torch.random.fork_rng(), record_activations(net) as activations:
        net(inputs)
    penalty = activation_l0(activations, 0.01)
    assert penalty.requires_grad
    assert 0 < penalty < 1


def small_in_cascade(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    cascade(net, other_net(inputs), inputs)


def large_in_cascade(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    cascade(other_net(inputs), net, inputs)


def cascade(small: nn.Module, large: nn.Module, inputs: Tensor) -> None:
    sure = torch.arange(len(inputs)) % 2 == 0
    with torch.no_grad():
        answers = Cascade(small, large, 1.0, lambda _: sure.float())(inputs)
        for net, asked in ((small, sure), (large, ~sure)):
            expected = net(inputs)[asked].to(answers.dtype)
            torch.testing.assert_close(answers[asked], expected, rtol=0.02, atol=0.02)


def other_net(inputs: Tensor) -> nn.Module:
    """Return a net of ten classes for the same inputs, in their precision."""
    dtype = inputs.dtype if inputs.is_floating_point() else torch.float32
    with torch.random.fork_rng():
        net = nn.Sequential(nn.Flatten(), nn.Linear(inputs[0].numel(), 10, dtype=dtype))
    net.register_forward_pre_hook(lambda _, given: (given[0].to(dtype),))
    return net.eval()


def swap_linear(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    def copied(linear: nn.Linear) -> nn.Module:
        layer = nn.Linear(linear.in_features, linear.out_features, linear.bias is not None, device="meta")
        layer.weight, layer.bias = linear.weight, linear.bias
        return layer

    replaced = use_library_functions(net, {nn.Linear: copied}, inputs)
    assert {id(weight) for weight in replaced.parameters()} == {id(weight) for weight in net.parameters()}
    with torch.no_grad():
        torch.testing.assert_close(replaced(inputs), net(inputs))


def save_and_load(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    save_net(folder / "net.pt", Deployable(net, inputs, inputs))
    read = load_net(folder / "net.pt", "--net")
    with torch.no_grad():
        expected = copy.deepcopy(net).eval()(inputs) if net.training else net(inputs)
        torch.testing.assert_close(read.model(inputs), expected)


def time_eagerly(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    net = copy.deepcopy(net).eval() if net.training else net  # as `load_net` does
    deployable = Deployable(net, inputs, inputs)
    form = build("pytorch", deployable, folder, batch_size=4, threads=1)
    require_usable("tactic", deployable, form, 4)
    found = outputs_of(form, deployable, 4)
    assert agreement("tactic", "pytorch", found, outputs_of(form, deployable, 4), None).difference < 1e-6


def train_in_parts(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    untouched = net.state_dict()
    train_with_checkpoints({"net": net}, lambda _: None, steps=4, interval=2, folder=folder)
    again = copy.deepcopy(untouched)
    assert train_with_checkpoints({"net": net}, lambda _: None, steps=4, interval=2, folder=folder) == 2
    torch.testing.assert_close(dict(net.state_dict()), dict(again))


def store_and_load(net: nn.Module, inputs: Tensor, folder: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GREENTACTICS_CACHE", str(folder))
        load_or_train(net, "key", lambda _: None)
        load_or_train(net, "key", pytest.fail)


NO_MODULE = r"the net itself \(\w+\): expected nn\.ReLU or nn\.ReLU6 modules, .* write each call of F\.relu"
NO_GRADIENT = (
    r"relu1: expected a gradient, .* got none, .*; unfreeze a layer in front of one, and take torch\.no"
)
WRAPPED = {
    "compiled": r"the net itself \(OptimizedModule\): .* got a wrapper; pass its \._orig_mod",
    "scripted": r"the net itself \(RecursiveScriptModule\): .* got TorchScript; pass the net from before",
    "data parallel": r"the net itself \(DataParallel\): .* got a wrapper; pass its \.module",
}


def no_logits(size: str) -> dict[str, str]:
    """Return what a cascade says of its small or its large net."""
    return {
        "train mode": f"the {size} net, NormalisedNet, is in training mode, .*: call eval",
        "tuple": f"the {size} net, TwoHeads, returns tuple, expected one tensor of logits.*; wrap it",
        "dict": f"the {size} net, DictNet, returns dict, expected one tensor of logits.*; wrap it",
        "scalar": rf"the {size} net, ScalarNet, returns torch.float32 of shape \(\) .* let a wrapper return",
    }


FUNCTIONS: dict[Callable[[nn.Module, Tensor, Path], None], dict[str, str]] = {
    record: {
        **dict.fromkeys(("depthwise", "grouped", "grouped wide", "group norm", "tied"), NO_MODULE),
        **dict.fromkeys(("layer norm", "attention", "tokens"), NO_MODULE),
        **dict.fromkeys(("all frozen", "no grad"), NO_GRADIENT),
        "functional ReLU": r"relu1, relu2: expected a call in forward, got none; call these modules in place",
        "in-place addition": r"relu2: expected an output that stays as it is, .* write y = y \+ x for y",
        **WRAPPED,
    },
    small_in_cascade: no_logits("small"),
    large_in_cascade: no_logits("large"),
    swap_linear: {
        "old weight norm": r"second \(Conv2d\), weight: .* computed from others; use .*remove_weight_norm",
        "train mode": r"the net itself \(NormalisedNet\): expected evaluation mode, .* call \.eval\(\)",
        **WRAPPED,
    },
    save_and_load: {
        "weight norm": r"second \(.*\): expected a weight that is .*remove_parametrizations\(module",
        "scripted": r"the net itself \(\w+\): .* got TorchScript; pass the net from before torch\.jit",
    },
    time_eagerly: {
        **dict.fromkeys(("half", "bfloat16"), r"arm tactic: .* end forward with \.float\(\)"),
        **dict.fromkeys(("tuple", "dict"), "arm tactic: expected a net that returns one tensor of finite"),
        "scalar": "arm tactic: expected a net that returns one tensor, a row .* take a loss out of forward",
    },
    train_in_parts: {},
    store_and_load: {},
}
"""What each function says of the nets that it refuses; it works on all others."""


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda function: function.__name__)
def test_a_net_is_measured_or_refused_and_left_as_it_was(
    function: Callable[[nn.Module, Tensor, Path], None], name: str, tmp_path: Path
) -> None:
    net, inputs = net_and_inputs(name)
    state = {key: tensor.clone() for key, tensor in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    before, random_state = inputs.clone(), torch.get_rng_state()
    words = FUNCTIONS[function].get(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if words is None:
            function(net, inputs, tmp_path)
        else:
            with pytest.raises((ValueError, UserError, CannotRunError), match=words):
                function(net, inputs, tmp_path)
    torch.testing.assert_close(dict(net.state_dict()), state, rtol=0, atol=0)
    assert [module.training for module in net.modules()] == modes
    assert not any(module._forward_hooks for module in net.modules())
    assert torch.equal(inputs, before)
    assert torch.equal(torch.get_rng_state(), random_state)
