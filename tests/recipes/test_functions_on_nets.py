"""Every function that readers lift, on every kind of net: it works, or refuses before anything is changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from recipes.common.energy.model import estimate
from recipes.common.pruning.channels import cut_channels, find_groups
from recipes.common.pruning.weights import prunable_layers
from recipes.consider_energy_aware_pruning import prune_energy_aware
from recipes.enhance_model_sparsity import remove_zero_groups, shrink_groups
from recipes.prune_layers_and_channels_with_gates import insert_gates, remove_closed
from recipes.prune_without_retraining import prune_without_retraining
from recipes.redesign_distil_and_quantise import FoldingBlock, fold
from recipes.remove_channels_by_modelled_energy import remove_channels_by_energy
from tests.recipes.nets_of_readers import NETS, first_tensor, frozen, net_and_inputs

pytest.importorskip("torch_pruning")


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


# --- What each function is tried with --------------------------------------------------------------------


def closeness(net: nn.Module, inputs: Tensor) -> Callable[[nn.Module], float]:
    """Return a figure of merit: how near the outputs are to those that the net gives now, at most 0."""
    if net.training:
        return lambda _: 0.0
    with torch.no_grad():
        wanted = first_tensor(net(inputs)).double()
    return lambda model: -float((first_tensor(model(inputs)).double() - wanted).abs().mean())


def count_weights(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def energy(net: nn.Module, inputs: Tensor) -> nn.Module:
    assert estimate(net, inputs, batch_size=1).total > 0
    return net


def energy_aware(net: nn.Module, inputs: Tensor) -> nn.Module:
    with torch.no_grad():
        prune_energy_aware(net, inputs, evaluate=closeness(net, inputs), largest_loss=0.1)
    return net


def no_retraining(net: nn.Module, inputs: Tensor) -> nn.Module:
    prune_without_retraining(net, inputs, kept_fraction=0.5)
    return net


def by_energy(net: nn.Module, inputs: Tensor) -> nn.Module:
    target = 0.8 * estimate(net, inputs, batch_size=1).total
    return remove_channels_by_energy(net, inputs, target_energy=target, batch_size=1)


def cut(net: nn.Module, inputs: Tensor) -> nn.Module:
    return cut_channels(net, inputs, count_weights, 0.7 * count_weights(net))


def zero_groups(net: nn.Module, inputs: Tensor) -> nn.Module:
    find_groups(net, inputs)
    shrunk = copy.deepcopy(net)
    shrink_groups(find_groups(shrunk, inputs), 100.0, 0.1)
    return remove_zero_groups(shrunk, inputs)


def gates(net: nn.Module, inputs: Tensor) -> nn.Module:
    find_groups(net, inputs)
    gated = copy.deepcopy(net)
    inserted = insert_gates(gated, inputs)
    with torch.no_grad():
        for scores in inserted.channels:
            scores[0] = -1
    closed = first_tensor(gated(inputs))
    smaller = remove_closed(gated, inserted, inputs)
    assert torch.allclose(first_tensor(smaller(inputs)), closed, rtol=0.02, atol=1e-5)
    return smaller


FUNCTIONS = {
    "estimate": energy,
    "prune_energy_aware": energy_aware,
    "prune_without_retraining": no_retraining,
    "remove_channels_by_energy": by_energy,
    "cut_channels": cut,
    "remove_zero_groups": zero_groups,
    "remove_closed": gates,
}
PRUNED_IN_PLACE = ("prune_energy_aware", "prune_without_retraining")

# --- What each is expected to refuse: module, reason and cure --------------------------------------------

COMPUTED = (
    r"second \(\w*Conv2d\): expected a weight that is a parameter, got one computed from others.*; make it"
)
WATCHED = "expected a net whose layers can be watched, got"
TRACED = r"\(\w+\): expected .*, by which channels are followed, got outputs without; take torch.no_grad\(\)"
COARSE = (
    r"first \(Conv2d\): expected weights in float32 or float64, got torch.\w+, .* too coarse .*; pass a copy"
)
IN_TRAINING = (
    r"the net itself \(NormalisedNet\): expected evaluation mode, got training mode.*; call .eval\(\)"
)
TIED = r"third.weight: expected a parameter of its own, got that of second.weight, and the tie .*; untie them"
FROZEN = (
    r"the net itself \(Plain\): expected parameters that are not frozen, got none; call .requires_grad_\(\)"
)
SCALAR = (
    r"the net itself \(ScalarNet\): expected outputs with an axis of channels, got a single .*; pass the net"
)
GROUPED = (
    r"middle \(Conv2d\): expected an ordinary or depthwise convolution, got 8 to {} channels .*; use cut_ch"
)
SIZES = r"; look for sizes written out in forward"
UNMODELLED = (
    r"^AttentionNet: expected weights in .*, got attention \(MultiheadAttention\); estimate the parts"
)
TOKENS = (
    "^example_input: expected a floating-point tensor .*, got torch.int64; pass .* what follows its embedding"
)
OF_ALL = {
    "compiled": rf"the net itself \(OptimizedModule\): {WATCHED} a wrapper; pass its \._orig_mod",
    "scripted": rf"the net itself \(RecursiveScriptModule\): {WATCHED} TorchScript; pass the net from before",
    "data parallel": rf"the net itself \(DataParallel\): {WATCHED} a wrapper; pass its \.module",
}
OF_PRUNING = {
    "weight norm": COMPUTED,
    "old weight norm": COMPUTED,
    "attention": UNMODELLED,
    "tokens": TOKENS,
    "train mode": IN_TRAINING,
    "bfloat16": COARSE,
    "half": COARSE,
    "unused layer": r"spare \(Linear\): expected a call in forward, got none; put nn.Identity\(\) in place",
    "padding same": r"second \(Conv2d\): expected padding in numbers, got padding='same'.*; set padding to",
    "padding reflect": r"second \(Conv2d\): expected padding with zeros, got .*'reflect'.*; put .*Reflection",
    "in-place ReLU": r"first \(Conv2d\): expected .* that stay as they are, got a change .*; set inplace",
}
OF_FITTING = {
    name: OF_PRUNING[name] for name in ("weight norm", "old weight norm", "train mode", "bfloat16", "half")
}
OF_CHANNELS = {
    "weight norm": COMPUTED,
    "old weight norm": COMPUTED,
    "tied": TIED,
    "train mode": IN_TRAINING,
    "all frozen": FROZEN,
    "no grad": r"the net itself " + TRACED,
    "scalar": SCALAR,
}
REFUSALS: dict[str, dict[str, str]] = {
    "estimate": {"attention": UNMODELLED, "tokens": TOKENS},
    "prune_energy_aware": OF_PRUNING,
    "prune_without_retraining": OF_FITTING,
    "remove_channels_by_energy": OF_CHANNELS
    | {
        "attention": UNMODELLED,
        "tokens": TOKENS,
        "grouped": GROUPED.format(8),
        "grouped wide": GROUPED.format(32),
        "group norm": r"middle \(GroupNorm\): expected a normalisation without groups, got 8 .*; use",
        "written-out sizes": rf"^first: expected a net that works without one .*{SIZES}",
        "frozen path of a sum": rf"^second: expected a net that works without one .*{SIZES}",
    },
    "cut_channels": OF_CHANNELS
    | {
        "grouped wide": r"middle \(Conv2d\): expected as many channels in as out .*; pass by_norm",
        "written-out sizes": rf"the net itself \(WrittenOutSizes\): expected a net that works, got .*{SIZES}",
        "frozen path of a sum": rf"\(ResidualPlain\): expected a net that works, got .*{SIZES}",
    },
} | dict.fromkeys(
    ("remove_zero_groups", "remove_closed"),
    OF_CHANNELS
    | {
        "written-out sizes": rf"the net itself \(WrittenOutSizes\): expected a net that works .*{SIZES}",
        "frozen path of a sum": rf"\(ResidualPlain\): expected a net that works .*{SIZES}",
    },
)

# --- The table -------------------------------------------------------------------------------------------


def snapshot(net: nn.Module) -> dict[str, object]:
    """Return all of a net that a function must not change, bit by bit."""
    return {
        "weights and buffers": {
            name: (tensor.dtype, tensor.contiguous().view(-1).view(torch.uint8).tolist())
            for name, tensor in net.state_dict().items()
        },
        "modes": [module.training for module in net.modules()],
        "frozen": [parameter.requires_grad for parameter in net.parameters()],
        "ties": [id(parameter) for parameter in net.parameters()],
        "hooks": [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in net.modules()],
        "random state": torch.get_rng_state().tolist(),
    }


def without_seed(function: str, seen: dict[str, object]) -> dict[str, object]:
    """Leave out torch's random state where a function is documented to seed it."""
    return {key: each for key, each in seen.items() if (function, key) != ("cut_channels", "random state")}


def nonzeros(net: nn.Module) -> int:
    return sum(int(layer.weight.count_nonzero()) for layer in prunable_layers(net).values())


@pytest.mark.filterwarnings("ignore:Unwrapped parameters")
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("name", NETS)
def test_a_function_works_on_a_net_or_refuses_it_unchanged(name: str, function: str) -> None:
    net, inputs = net_and_inputs(name)
    before, weights = snapshot(net), count_weights(net)
    refusal = (OF_ALL | REFUSALS[function]).get(name)
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal):
            FUNCTIONS[function](net, inputs)
        assert without_seed(function, snapshot(net)) == without_seed(function, before)
        return
    left = nonzeros(net)
    result = FUNCTIONS[function](net, inputs)
    after = snapshot(net)
    if function in PRUNED_IN_PLACE:
        assert nonzeros(net) < left
        del before["weights and buffers"], after["weights and buffers"]
    elif function != "estimate":
        assert count_weights(result) < weights
    assert without_seed(function, after) == without_seed(function, before)
    assert [module.training for module in result.modules()].count(True) == before["modes"].count(True)
    outputs = first_tensor(result(inputs))
    assert outputs.isfinite().all()
    assert outputs.dtype == first_tensor(net(inputs)).dtype


@pytest.mark.parametrize(
    ("wrong", "refusal"),
    [
        (
            {"evaluate": lambda _: float("nan")},
            "^evaluate: expected a finite quality .*, got nan; look for NaN in",
        ),
        (
            {"largest_loss": float("nan")},
            "^largest_loss: expected a finite number, got nan; pass the quality",
        ),
        (
            {"calibration_inputs": torch.full((4, 1, 8, 8), torch.nan)},
            "^inputs: expected finite .*; leave out",
        ),
        (
            {"calibration_inputs": torch.ones(4, 1, 8, 8, dtype=torch.int64)},
            "expected a floating-point tensor",
        ),
        ({"calibration_inputs": [[1.0]]}, "expected a floating-point tensor .*, got list; pass one batch"),
    ],
)
def test_what_cannot_be_judged_is_refused_before_pruning(wrong: dict[str, object], refusal: str) -> None:
    net, inputs = net_and_inputs("plain")
    before = snapshot(net)
    arguments = {"calibration_inputs": inputs, "evaluate": lambda _: 1.0, "largest_loss": 0.1} | wrong
    with pytest.raises(ValueError, match=refusal):
        prune_energy_aware(net, **arguments)
    assert snapshot(net) == before


def test_a_removal_says_what_is_wrong_with_its_arguments() -> None:
    net, inputs = net_and_inputs("normalised")
    remove = partial(remove_channels_by_energy, net, inputs, batch_size=1)
    target = 0.8 * estimate(net, inputs, batch_size=1).total
    with pytest.raises(ValueError, match="target_energy: expected more than 0, got nan"):
        remove(target_energy=float("nan"))
    with pytest.raises(ValueError, match=r"^after recover: .* expected evaluation mode, .*; call .eval\(\)"):
        remove(target_energy=target, recover=lambda model: model.train())
    with pytest.raises(ValueError, match="importance: expected finite scores, got NaN"):
        remove(target_energy=target, importance=lambda _: {"first": torch.full((8,), torch.nan)})
    with (
        torch.no_grad(),
        pytest.raises(ValueError, match=r"got a call under torch.no_grad\(\).*; call the func"),
    ):
        remove(target_energy=target)


# --- Folding ---------------------------------------------------------------------------------------------


class TupleNet(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return self.net(inputs), inputs


def with_part(name: str, part: nn.Module) -> Callable[[nn.Module], nn.Module]:
    def put(net: nn.Module) -> nn.Module:
        net.set_submodule(name, part)
        return net

    return put


def normalise_weights(net: nn.Module, name: str) -> nn.Module:
    parametrizations.weight_norm(net.get_submodule(name))
    return net


CHANGES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "evaluation mode": nn.Module.eval,
    "training mode": nn.Module.train,
    "float64": nn.Module.double,
    "bfloat16": nn.Module.bfloat16,
    "half": nn.Module.half,
    "all frozen": frozen,
    "compiled": lambda net: torch.compile(net, backend="eager"),
    "data parallel": nn.DataParallel,
    "tuple": lambda net: TupleNet(net).train(net.training),
}
OF_FOLDING = {
    "compiled": OF_ALL["compiled"],
    "data parallel": OF_ALL["data parallel"],
    "no block": r"^nothing to fold: .*\(Plain\): expected a FoldingBlock in the net, got none; build the net",
    "block alone": r"\(FoldingBlock\): expected a net that holds blocks, got .* alone; wrap it",
    "registered twice": r"1 \(FoldingBlock\): expected a block of its own, got the block of 0 .*; put",
    "weight norm": r"0.wide \(ParametrizedConv2d\): expected a weight that .*, got .*; make it one",
    "no statistics": r"0.wide_bn \(BatchNorm2d\): expected running statistics, .*, got one without; build it",
}
FOLDED = CHANGES | {
    "no block": lambda _: net_and_inputs("plain")[0],
    "block alone": lambda _: FoldingBlock(1, 8).eval(),
    "registered twice": lambda net: with_part("1", net[0])(net),
    "weight norm": lambda net: normalise_weights(net, "0.wide"),
    "no statistics": with_part("0.wide_bn", nn.BatchNorm2d(1, track_running_stats=False)),
}


def student() -> nn.Module:
    torch.manual_seed(0)
    blocks = FoldingBlock(1, 1), FoldingBlock(1, 8, stride=2)
    return nn.Sequential(*blocks, nn.Flatten(), nn.Linear(8 * 16, 10)).eval()


@pytest.mark.parametrize("name", FOLDED)
def test_folding_works_on_a_net_or_refuses_it_unchanged(name: str) -> None:
    net = FOLDED[name](student())
    before = snapshot(net)
    refusal = OF_FOLDING.get(name)
    if name == "training mode":
        refusal = (
            r"the net itself \(Sequential\): expected evaluation mode, got training mode.*; call .eval\(\)"
        )
    if refusal is not None:
        with pytest.raises(ValueError, match=refusal):
            fold(net)
    else:
        inputs = torch.rand(16, 1, 8, 8).to(next(net.parameters()).dtype)
        wanted, got = first_tensor(net(inputs)), first_tensor(fold(net)(inputs))
        assert got.dtype == wanted.dtype
        assert torch.allclose(got, wanted, atol=1e-5 if wanted.dtype.itemsize > 2 else 0.05)
        before["random state"] = torch.get_rng_state().tolist()
    assert snapshot(net) == before
