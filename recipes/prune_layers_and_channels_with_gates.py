"""Gates: learn which channels and layers to remove while the net trains, then cut them out.

After Zhi et al., "Learning a Consensus Sub-Network with Polarization Regularization and One Pass Training"
(arXiv 2302.10798), of which the abstract was read: binary gates trained with the weights, a loss with the
sparsity wanted, one training. How, is ours. A gate is 0 or 1 forwards and a sigmoid backwards
(straight-through: Bengio, Leonard, Courville, arXiv 1308.3432). Channels have gates where they can go one by
one; layers only where the module around them hands its input on without them, as a residual block does that
keeps the shape. Rivals: channels cut at once, by norm (torch-pruning) or by chance; the found architecture
from random weights; all layers thinner alike, and taught by the net as given.

    python -m recipes.prune_layers_and_channels_with_gates --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode
from torch.utils.hooks import RemovableHandle

from recipes.common.nets.report import without_fused_kernels
from recipes.common.pruning.channels import ChannelGroups, Slice, find_groups, torch_pruning, without_groups
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, cut_by_chance, cut_by_norm, found_from_random, thin_distilled
from recipes.common.trial.study import Ledger, StopTraining, Study, life_of

TACTIC = "prune-layers-and-channels-with-gates"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "macs"
SHARES = (0.8, 0.6)  # of the multiply-accumulates (MACs) of the net as given: the nets of a curve
GATED_FRACTION = 0.2  # of the budget, with gates; the rest trains what is left
LEAST_STEPS = 40  # with gates: fewer close none
GATED_RATE = 0.3  # of the subject's learning rate, while gates move
GATE_RATE = 0.04  # learning rate of the gates' scores
STRENGTH = 2.0  # of the pull to the share, where the loss of the task is about 1

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
LEAST_SCORE, SCORE_RANGE = 0.5, 2.0  # at first: all open, the least important nearest to closing


def opened(scores: Tensor, at_least: int) -> Tensor:
    """Return 1 where a score is above 0, else 0, (gates,), with the gradient of the scores' sigmoid.

    Args:
        scores: Of gates, (gates,).
        at_least: So many of the highest are open whatever they are.
    """
    soft, is_open = scores.sigmoid(), scores > 0
    is_open[scores.topk(at_least).indices] = True
    return soft - soft.detach() + is_open.to(soft)


@dataclass
class Gates:
    """All gates of a net, and what they save."""

    groups: list[ChannelGroups]
    """Channels, with a gate each."""
    channels: list[Tensor]
    """Scores by group, (gates,) each."""
    layers: dict[str, Tensor]
    """Score by the name of a module that can be skipped, (1,) each."""
    work: Work
    hooks: list[RemovableHandle] = field(default_factory=list)
    """Of what skips modules."""

    def __post_init__(self) -> None:
        """Make the optimiser, without weight decay, which would draw all scores to closing."""
        self.optimizer = torch.optim.Adam([*self.channels, *self.layers.values()])

    def macs_share(self) -> Tensor:
        """Return the share of the multiply-accumulates (MACs) that is open, with gradient; 0 to 1."""
        work, closed = self.work, torch.stack([(1 - opened(scores, 1)).sum() for scores in self.channels])
        left = (1 - work.sides @ closed).prod(1)  # (parts,)
        for number, score in enumerate(self.layers.values()):
            left = left * torch.where(work.inside == number, opened(score, 0), 1)
        return work.macs @ left / work.macs.sum()

    def pull(self, share: float, done: float) -> Tensor:
        """Return a loss that pulls the share of MACs to one from both sides, so that gates can open again.

        Args:
            share: Of the MACs, wanted.
            done: Share of the training with gates that is over; the loss rises over the first 60 %.
        """
        return min(1, done / 0.6) * (self.macs_share() - share).abs()

    def step(self, rate: float, done: float) -> None:
        """Move the scores, after each step of the weights; they slow down over the last 40 %."""
        self.optimizer.param_groups[0]["lr"] = rate * min(1, (1 - done) / 0.4)
        self.optimizer.step()
        self.optimizer.zero_grad()


def insert_gates(model: nn.Module, example_inputs: Tensor) -> Gates:
    """Put gates on the channels and layers of a net, in place; all are open, so the outputs stay the same.

    Train the net with `Gates.pull` in the loss and `Gates.step` after each step of the optimiser, then cut
    with `remove_closed`. A gate of a channel is on the weights that read it; the best of a layer stays open.
    Channels start the nearer to closing the smaller the norm of their group.

    Args:
        model: Net in evaluation mode.
        example_inputs: Inputs, (inputs, ...), to trace the net with and to count MACs.

    Raises:
        ValueError: The net is not one that `find_groups` of `recipes.common.pruning.channels` takes; it is
            not changed then.
    """
    groups, modules = find_groups(model, example_inputs), skippable(model, example_inputs)
    ranks = [group.norms().argsort().argsort() / (group.count - 1) for group in groups]
    channels = [(LEAST_SCORE + SCORE_RANGE * rank).requires_grad_() for rank in ranks]
    middle = ranks[0].new_full((1,), LEAST_SCORE + SCORE_RANGE / 2)
    layers = {name: middle.clone().requires_grad_() for name in modules}
    gates = Gates(groups, channels, layers, work_of(model, groups, modules, example_inputs))
    owners: dict[Tensor, nn.Module] = {
        weight: module for module in model.modules() for weight in module.parameters(recurse=False)
    }
    for group, scores in zip(groups, channels, strict=True):
        for part in group.slices:
            if part.dim == 1:  # it reads
                parametrize.register_parametrization(owners[part.weight], "weight", ReadGate(part, scores))
    for name, score in layers.items():

        def skip(_: nn.Module, given: tuple[Tensor], outputs: Tensor, score: Tensor = score) -> Tensor:
            gate = opened(score, 0).to(outputs)
            return gate * outputs + (1 - gate) * given[0]

        gates.hooks.append(model.get_submodule(name).register_forward_hook(skip))
    return gates


def remove_closed(model: nn.Module, gates: Gates, example_inputs: Tensor) -> nn.Module:
    """Take the gates off a net, in place, and return it without what they have closed: the same outputs.

    Args:
        model: Net that `insert_gates` has gated, in evaluation mode.
        gates: Its gates.
        example_inputs: Inputs, (inputs, ...), on which the outputs are compared.

    Raises:
        ValueError: All gates are open, and they are still on the net; or the outputs differ.
    """
    closed = [opened(scores.detach(), 1) == 0 for scores in gates.channels]
    skipped = [name for name, score in gates.layers.items() if score.item() <= 0]
    if not skipped and not torch.cat(closed).any():
        raise ValueError("no gate has closed; train for longer, or allow a smaller share of MACs")
    for hook in gates.hooks:
        hook.remove()
    for layer in [each for each in model.modules() if parametrize.is_parametrized(each, "weight")]:
        parametrize.remove_parametrizations(layer, "weight", leave_parametrized=False)
    for group, gone in zip(gates.groups, closed, strict=True):
        group.scale(1 - gone.float())
    for name in skipped:
        model.set_submodule(name, nn.Identity().eval())
    groups = find_groups(model, example_inputs)
    return without_groups(model, groups, [group.norms() == 0 for group in groups], example_inputs)


# --8<-- [end:tactic]
# --- A gate on weights, and what gates save --------------------------------------------------------------


class ReadGate(nn.Module):
    """Multiplies the weights that read a channel by its gate, as a parametrisation of a layer's weight.

    Outputs and gradients are those of a gate behind the channel, and weights are far fewer than activations.
    """

    def __init__(self, part: Slice, scores: Tensor) -> None:
        """Gate these places of a weight by scores, (gates,), which are no parameter of the net."""
        super().__init__()
        self.part, self.scores = part, scores

    def forward(self, weight: Tensor) -> Tensor:
        """Return the gated weight, of the same shape."""
        values = opened(self.scores, 1)[self.part.groups].to(weight)
        by_place = weight.new_ones(weight.shape[self.part.dim]).index_put((self.part.places,), values)
        return weight * by_place.view(self.part.shape())


@dataclass(frozen=True)
class Work:
    """MACs of one input in parts that depend on gates in one way: layers, and the rest of each module."""

    macs: Tensor
    """With all gates open, (parts,)."""
    sides: Tensor
    """Share of a layer's outputs and of its inputs that a gate of a group is worth, (parts, 2, groups)."""
    inside: Tensor
    """Number of the module that can be skipped around a part; -1 where there is none, (parts,)."""


def work_of(
    model: nn.Module, groups: Sequence[ChannelGroups], modules: Sequence[str], inputs: Tensor
) -> Work:
    """Find what MACs depend on by removing one gate of each group from a copy."""
    with torch.no_grad(), without_fused_kernels(), FlopCounterMode(display=False) as counter:
        model(inputs[:1])
    root = type(model).__name__
    counts = {name: sum(flops.values()) / 2 for name, flops in counter.get_flop_counts().items()}
    macs = {name: counts.get(f"{root}.{name}".rstrip("."), 0.0) for name, _ in model.named_modules()}
    smaller = copy.deepcopy(model)
    layers = {
        name: layer for name, layer in smaller.named_modules() if macs[name] and hasattr(layer, "weight")
    }
    sizes = {name: torch.tensor(layer.weight.shape[:2]) for name, layer in layers.items()}
    graph = torch_pruning().DependencyGraph().build_dependency(smaller, [inputs[:1]])
    sides = torch.zeros(len(layers) + len(modules) + 1, 2, len(groups))
    for number, group in enumerate(groups):
        before = {name: torch.tensor(layer.weight.shape[:2]) for name, layer in layers.items()}
        layer = smaller.get_submodule(group.layer)
        remove = graph.get_pruner_of_module(layer).prune_out_channels
        graph.get_pruning_group(layer, remove, list(range(0, group.channels, group.count))).prune()
        for row, (name, layer) in enumerate(layers.items()):
            sides[row, :, number] = (before[name] - torch.tensor(layer.weight.shape[:2])) / sizes[name]
    around = [
        next((i for i, module in enumerate(modules) if name.startswith(f"{module}.")), -1) for name in layers
    ]
    parts = torch.tensor([*(macs[name] for name in layers), *(macs[module] for module in modules), macs[""]])
    inside = torch.tensor([*around, *range(len(modules)), -1])
    for i in range(len(modules)):  # what is in no layer, such as products of attention
        parts[len(layers) + i] -= parts[: len(layers)][inside[: len(layers)] == i].sum()
    parts[-1] -= parts[:-1].sum()
    return Work(*(each.to(inputs.device) for each in (parts, sides, inside)))


@torch.no_grad()
def skippable(model: nn.Module, example_inputs: Tensor) -> list[str]:
    """Return the names of the smallest modules that hand their input on where all parameters are zero."""
    calls: list[tuple[str, nn.Module, tuple[Any, ...]]] = []
    watched = {name: module for name, module in model.named_modules() if name and list(module.parameters())}
    handles = [
        module.register_forward_hook(
            lambda module, given, options, _, name=name: calls.append((name, module, (*given, *options))),
            with_kwargs=True,
        )
        for name, module in watched.items()
    ]
    model(example_inputs[:2])
    for handle in handles:
        handle.remove()
    names, found = [name for name, _, _ in calls], []
    for name, module, given in calls:
        if names.count(name) > 1 or len(given) != 1 or not isinstance(given[0], Tensor):
            continue
        zeroed, inputs = copy.deepcopy(module), given[0].clone()
        for parameter in zeroed.parameters():
            parameter.zero_()
        before, outputs = inputs._version, zeroed(inputs)
        is_whole = isinstance(outputs, Tensor) and outputs.shape == inputs.shape and inputs._version == before
        if is_whole and inputs.any() and torch.allclose(outputs.to(inputs), inputs):
            found.append(name)
    return [name for name in found if not any(other.startswith(f"{name}.") for other in found)]


# --- Arms: all nets but those from random weights start from the net as given -----------------------------


def tactic(study: Study) -> Nets:
    """Train with gates towards each share, cut out what they closed, train what is left."""
    first = life_of(study.copy()).steps
    steps = max(LEAST_STEPS, round(GATED_FRACTION * study.budget_epochs / study.dense_epochs * first))
    for share in SHARES:
        net = study.copy()
        gates, life = insert_gates(net, study.inputs[:64]), life_of(net)

        def pull(*_: Tensor, gates: Gates = gates, life: Ledger = life, share: float = share) -> Tensor:
            return STRENGTH * gates.pull(share, (life.steps - first) / steps)

        def step(gates: Gates = gates, life: Ledger = life) -> None:
            done = (life.steps - first) / steps
            gates.step(GATE_RATE, done)
            if done >= 1:  # stopped in its stride: a schedule that ended here would settle once for nothing
                raise StopTraining

        study.train(net, study.budget_epochs, add=pull, after_step=step, rate=GATED_RATE)
        net = remove_closed(net, gates, study.inputs[:64])
        study.train(net, study.epochs_left(net))
        yield f"{share:.0%} of the MACs", net


def group_norm(study: Study) -> Nets:
    """Cut at once by norm."""
    yield from cut_by_norm(study, SHARES, "MACs")


def random_channels(study: Study) -> Nets:
    """Cut at once by chance."""
    yield from cut_by_chance(study, "as few MACs")


ARMS = (tactic, group_norm, random_channels, found_from_random, thin_distilled)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
