"""Gates: learn which channels and layers to remove while the net trains, then cut them out.

Record: tactics/prune-layers-and-channels-with-gates.yaml. Paper: Zhi et al., "Learning a Consensus
Sub-Network with Polarization Regularization and One Pass Training" (arXiv 2302.10798). Only its abstract was
read: binary gates trained with the weights, a loss with the sparsity wanted, one training. How, is ours.

A ResNet-8, with gates on inner channels and residual paths of its blocks, not on the channels between blocks.
A dense net is the teacher of all arms and the start of all but narrow nets. The tactic trains it with gates,
cuts out what they closed and ends the same training with the smaller net. Rivals have as many examples:
`group_norm`, `random_channels` cut by torch-pruning; from random weights `thin_distilled` of the MACs wanted
and `thin_aligned` of the latency of `tactic_aligned`. Training passes forward in bfloat16 where it can.

    python -m recipes.prune_layers_and_channels_with_gates --arm tactic --seed 0 --preset default

On one processor core an arm takes 60 to 120 s with DEFAULT and 5 s with SMOKE. Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import inspect
import statistics
import sys
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize
from torch.utils.flop_counter import FlopCounterMode

from recipes.common.nets import report, resnet
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.checks import (
    computed_weights,
    fault,
    frozen,
    imprecise,
    label,
    registered_twice,
    several_outputs,
    tied,
    wrapped,
)
from recipes.common.nets.data import Images, load_images_or_cifar10
from recipes.common.nets.distillation import distillation_loss, logits_of
from recipes.common.nets.precision import training_autocast
from recipes.common.pruning.channels import cut_channels, narrow_net
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome

TACTIC = "prune-layers-and-channels-with-gates"
ARMS = (
    "baseline", "tactic", "tactic_aligned", "thin_distilled", "thin_aligned", "group_norm", "random_channels"
)  # fmt: skip
BATCH = 128
Steps = Sequence[tuple[Tensor, float]]
Rows = list[dict[str, Json]]
LossOf = Callable[[nn.Module, Tensor], Tensor]


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    widths: tuple[int, int, int] = (32, 64, 128)
    """Channels of the dense net's blocks."""
    dense_examples: int = 165_000
    """Examples drawn to train the dense net; 55,000 are one epoch of Fashion-MNIST."""
    gated_examples: int = 55_000
    """Examples drawn with gates; those of the other arms are drawn without."""
    final_examples: int = 110_000
    """Examples drawn after the removal."""
    learning_rate: float = 0.1
    """Peak of all trainings, at 128 examples a step."""
    macs_fraction: float = 0.4
    """Share of the dense net's MACs that the tactic aims at; no rival but `thin_aligned` exceeds it."""
    channel_multiple: int = 16
    """Channels of `tactic_aligned` come in multiples of this."""
    aligned_widths: tuple[int, int, int] = (16, 48, 96)
    """Channels of `thin_aligned`: untrained, it took ONNX Runtime about as long as `tactic_aligned`."""
    gate_rate: float = 0.04
    """Learning rate of the gates' scores."""
    gate_strength: float = 2.0
    """Weight of the gate loss at its full height."""


SMOKE = Config(
    data=("digits",), widths=(16, 16, 32), dense_examples=6_000, gated_examples=4_096, final_examples=3_584,
    channel_multiple=4, aligned_widths=(8, 12, 20), gate_rate=0.06
)  # fmt: skip
DEFAULT = Config()
FULL = Config(("cifar-10", "fashion-mnist"), None, (32, 64, 128), 900_000, 300_000, 600_000)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def prune_with_gates(
    model: nn.Module,
    steps: Steps,
    loss_of: LossOf,
    example_inputs: Tensor,
    *,
    macs_fraction: float,
    channel_multiple: int = 1,
    gate_rate: float = 0.04,
    gate_strength: float = 2.0,
) -> Rows:
    """Train a net with gates, then cut out what they have closed; in place.

    Args:
        model: Net with residual blocks as the section on gates describes them; in evaluation mode then.
        steps: A batch and its learning rate for each step; at least one.
        loss_of: Loss of the net on such a batch; called once more beforehand, on a copy of the net.
        example_inputs: Inputs, (inputs, ...), to count MACs with and to compare outputs on.
        macs_fraction: Share of the net's multiply-accumulates (MACs) to keep, between 0 and 1.
        channel_multiple: Each path keeps a multiple of so many channels.
        gate_rate: Learning rate of the gates.
        gate_strength: Weight of the gate loss, where the loss of the task is about 1.

    Returns:
        Share of the MACs and inner channels left in each block, over the steps.

    Raises:
        ValueError: An argument is out of range, the first loss is not finite, or the net has no block to put
            gates on; it is not changed then. Or no gate has closed; then begin again with a copy of the net
            from before, as this one is trained and has gates on it.
    """
    if not steps:
        raise ValueError("steps: expected one or more, got none; pass batches to train with")
    if not 0 < macs_fraction < 1:
        raise ValueError(
            f"macs_fraction: expected more than 0 and less than 1, got {macs_fraction}; pass a share"
        )
    if channel_multiple < 1:
        raise ValueError(
            f"channel_multiple: expected 1 or more, got {channel_multiple}; pass 1 for any number"
        )
    if wrapped(model) or computed_weights(model) or frozen(model):
        raise ValueError(wrapped(model) or computed_weights(model) or frozen(model))
    if no_loss(model, loss_of, steps[0][0]):
        raise ValueError(no_loss(model, loss_of, steps[0][0]))
    gates = insert_gates(model, example_inputs, channel_multiple=channel_multiple)
    rows = train_with_gates(model, gates, steps, loss_of, macs_fraction, gate_rate, gate_strength)
    remove_closed(model, gates, example_inputs)
    return rows


def train_with_gates(
    model: nn.Module,
    gates: Gates,
    steps: Steps,
    loss_of: LossOf,
    macs_fraction: float,
    gate_rate: float,
    gate_strength: float,
) -> Rows:
    """Train weights and gates together, in place.

    The gate loss rises over 60 % of the steps, then the gates slow down until none moves. It pulls the share
    of MACs to the one wanted from both sides, so that gates can open again.
    """
    scores, rows = gates.scores(), Rows()
    weights = [weight for weight in model.parameters() if all(weight is not score for score in scores)]
    optimizer, gate_optimizer = sgd(weights), torch.optim.Adam(scores)
    model.train()
    for step, (batch, rate) in enumerate(steps):
        done = step / len(steps)
        optimizer.param_groups[0]["lr"] = rate
        gate_optimizer.param_groups[0]["lr"] = gate_rate * min(1, (1 - done) / 0.4)
        gate_loss = min(1, done / 0.6) * (gates.macs_fraction() - macs_fraction).abs()
        loss = loss_of(model, batch) + gate_strength * gate_loss
        optimizer.zero_grad()
        gate_optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        gate_optimizer.step()
        if step % max(1, len(steps) // 10) == 0 or step == len(steps) - 1:
            channels = {path.name: path.open_channels() for path in gates.paths}
            rows.append({"step": step, "open_share_of_macs": gates.macs_fraction().item(), **channels})
    model.eval()
    return rows


# --8<-- [end:tactic]


def no_loss(model: nn.Module, loss_of: LossOf, batch: Tensor) -> str:
    """Return why a loss cannot be trained on, as `recipes.common.nets.checks` does, or an empty text."""
    with torch.random.fork_rng(devices=[]):
        loss = loss_of(copy.deepcopy(model), batch)
    if not bool(loss.isfinite()):
        return (
            f"loss_of: expected a finite loss, got {loss.item()}; look for NaN in inputs, labels and weights"
        )
    if not loss.requires_grad:
        return "loss_of: expected a loss with gradients, got one without; take torch.no_grad() out of forward"
    return ""


# --- Gates -----------------------------------------------------------------------------------------------
# Binary gates on the residual paths of a net, learned with its weights, and the removal of what they close.
#
# A gate is 1 where its score is positive and 0 elsewhere; the gradient passes as if it were the score's
# sigmoid (straight-through: Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through
# Stochastic Neurons for Conditional Computation", arXiv 1308.3432). It multiplies weights, not activations:
# zeroing the weights that read a channel gives the outputs and gradients of zeroing the channel, and
# weights are far fewer.
#
# A net can be gated where it has blocks with the parts `conv1`, `bn1`, `conv2`, `bn2`, `shortcut` and
# `relu2` that compute `relu2(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))`, as
# `recipes.common.nets.resnet.ResidualBlock` does. The convolutions are not grouped, and the normalisations
# have scale and offset.

_ATTRIBUTES = ("conv1", "bn1", "conv2", "bn2", "shortcut", "relu2")
_LEAST_SCORE, _SCORE_RANGE = 0.5, 2.0  # first scores: all open, the least important nearest to closing


class Gate(nn.Module):
    """Multiplies slices of a tensor by 0 or 1, as a parametrisation of a layer's weight.

    Attributes:
        scores: Trainable, (gates,); open where positive.
    """

    def __init__(self, scores: Tensor) -> None:
        """Start from these scores, (gates,)."""
        super().__init__()
        self.scores = nn.Parameter(scores)

    def values(self) -> Tensor:
        """Return exact zeros and ones, (gates,), whose gradient is that of the scores' sigmoid."""
        soft = torch.sigmoid(self.scores)
        return (soft - soft.detach()) + (self.scores > 0).to(soft.dtype)

    def forward(self, weight: Tensor) -> Tensor:
        """Gate dimension 1 of a convolution's weight, or with one gate all of a vector."""
        values = self.values()
        return weight * (values if weight.dim() == 1 else values.view(1, -1, *[1] * (weight.dim() - 2)))


@dataclass(frozen=True)
class GatedPath:
    """The residual path of one block: a gate on each inner channel, and one on the whole path."""

    name: str
    """Of the block in the net."""
    channels: Gate
    """One gate for each channel between the convolutions."""
    whole: Gate
    """One gate; a closed path leaves the shortcut."""
    macs: float
    """Multiply-accumulates of both convolutions for one input, all channels open."""
    channel_multiple: int
    """Channels that are kept come in multiples of this."""

    def open_channels(self) -> int:
        """Count the channels to be kept, rounded up to the multiple; 0 where the path is closed."""
        if self.whole.scores.item() <= 0:
            return 0
        multiple, gates = self.channel_multiple, self.channels.scores
        return min(len(gates), -(-int((gates > 0).sum()) // multiple) * multiple)

    def open_fraction(self) -> Tensor:
        """Return the share of the path to be kept, with gradient; 0 to 1."""
        soft = self.whole.values()[0] * self.channels.values().mean()
        return soft - soft.detach() + self.open_channels() / len(self.channels.scores)


@dataclass(frozen=True)
class Gates:
    """All gates of a net."""

    paths: tuple[GatedPath, ...]
    """In the order of the net."""
    total_macs: float
    """Of the net with all gates open, for one input."""

    def scores(self) -> list[nn.Parameter]:
        """Return what the gates' optimiser trains; without weight decay, which would draw all to closing."""
        return [gate.scores for path in self.paths for gate in (path.channels, path.whole)]

    def macs_fraction(self) -> Tensor:
        """Return the share of the multiply-accumulates that is open, with gradient; 0 to 1."""
        closed = [path.macs * (1 - path.open_fraction()) for path in self.paths]
        return 1 - torch.stack(closed).sum() / self.total_macs


def insert_gates(model: nn.Module, example_inputs: Tensor, *, channel_multiple: int = 1) -> Gates:
    """Put gates on the residual paths of a net, in place; all are open, so the outputs stay the same.

    Channels start the nearer to closing the less they matter: by the rank of the scale of `bn1` times the
    norm of the weights in `conv2` that read them.

    Args:
        model: Net with residual blocks as the module describes them.
        example_inputs: At least one input, (inputs, ...), to count multiply-accumulates with.
        channel_multiple: Paths keep a multiple of so many channels; kernels, those of 8-bit integers above
            all, work on whole vectors of 8 or 16.

    Raises:
        ValueError: The net has no such block, or one that computes something else; it is not changed then.
    """
    if wrapped(model):
        raise ValueError(wrapped(model))
    blocks: dict[str, Any] = {
        name: block
        for name, block in model.named_modules()
        if name and all(hasattr(block, part) for part in _ATTRIBUTES)
    }
    if not blocks:
        raise ValueError(f"no block to put gates on: {_no_block(model)}")
    if unfit_for_gates(model, blocks, example_inputs):
        raise ValueError(unfit_for_gates(model, blocks, example_inputs))
    macs = _macs_by_module(model, example_inputs)
    paths = []
    for name, block in blocks.items():
        importance = block.bn1.weight.detach().abs() * torch.linalg.vector_norm(
            block.conv2.weight.detach(), dim=(0, 2, 3)
        )
        rank = importance.argsort().argsort() / max(1, len(importance) - 1)
        channels = Gate(_LEAST_SCORE + _SCORE_RANGE * rank)
        whole = Gate(rank.new_full((1,), _LEAST_SCORE + _SCORE_RANGE / 2))
        parametrize.register_parametrization(block.conv2, "weight", channels)
        for vector in ("weight", "bias"):
            parametrize.register_parametrization(block.bn2, vector, whole)
        path_macs = macs[f"{name}.conv1"] + macs[f"{name}.conv2"]
        paths.append(GatedPath(name, channels, whole, path_macs, channel_multiple))
    return Gates(tuple(paths), macs[""])


@torch.no_grad()
def settle(gates: Gates) -> None:
    """Make the net what `remove_closed` will leave of it, in place.

    The closed channels with the highest scores open, until each open path has a multiple of channels. A path
    without open channels closes: it would add the offset of `bn2` and nothing else.
    """
    for path in gates.paths:
        scores, count = path.channels.scores, path.open_channels()
        opened = scores.argsort(descending=True)[:count]
        scores[opened] = scores[opened].clamp_min(_LEAST_SCORE)
        if count == 0:
            path.whole.scores.fill_(-_LEAST_SCORE)


@torch.no_grad()
def remove_closed(model: nn.Module, gates: Gates, example_inputs: Tensor) -> None:
    """Cut closed channels and paths out of a net and take the gates off, in place, having settled the gates.

    The outputs stay those of the net with settled gates. A block whose path is closed becomes its shortcut
    and its last activation. The net is in evaluation mode then, and its new parameters need a new optimiser.

    Args:
        model: Net that `insert_gates` has gated.
        gates: Its gates.
        example_inputs: Inputs, (inputs, ...), on which the outputs are compared.

    Raises:
        ValueError: All gates are open; they are still on the net.
        AssertionError: An output has changed by more than 0.00001 of the largest one.
    """
    if all(path.open_channels() == len(path.channels.scores) for path in gates.paths):
        raise ValueError("no gate has closed: train for longer, or allow a smaller share of MACs")
    settle(gates)
    expected = model.eval()(example_inputs)
    for path in gates.paths:
        block: Any = model.get_submodule(path.name)
        for layer, name in ((block.conv2, "weight"), (block.bn2, "weight"), (block.bn2, "bias")):
            parametrize.remove_parametrizations(layer, name)
        if path.open_channels():
            kept = (path.channels.scores > 0).nonzero().flatten()
            _slice_path(block.conv1, block.bn1, block.conv2, kept)
        else:
            rest = nn.Sequential(OrderedDict(shortcut=block.shortcut, relu2=block.relu2))
            model.set_submodule(path.name, rest.eval())
    difference = (model(example_inputs) - expected).abs().max()
    if difference > 1e-5 * expected.abs().max():
        raise AssertionError(f"without the closed parts an output differs by {difference:.1e}")


def _slice_path(conv1: nn.Conv2d, bn1: nn.BatchNorm2d, conv2: nn.Conv2d, kept: Tensor) -> None:
    """Keep these channels between the convolutions, in place."""
    for layer in (conv1, bn1):
        for name, tensor in [*layer.named_parameters(), *layer.named_buffers()]:
            if tensor.dim() > 0:  # all but the count of batches
                sliced = tensor[kept].clone()
                setattr(layer, name, nn.Parameter(sliced) if isinstance(tensor, nn.Parameter) else sliced)
    conv2.weight = nn.Parameter(conv2.weight[:, kept].clone())
    conv1.out_channels = bn1.num_features = conv2.in_channels = len(kept)


def unfit_for_gates(model: nn.Module, blocks: dict[str, Any], example_inputs: Tensor) -> str:
    """Return why gates on these blocks would not do, as `model_checks` does, or an empty text.

    Args:
        model: Net in any mode; not changed.
        blocks: Its residual blocks by name.
        example_inputs: At least one input, (inputs, ...).
    """
    reason = (
        computed_weights(model)
        or imprecise(model, "the gates' gradients")
        or tied(model)
        or registered_twice(model, list(blocks.values()))
        or several_outputs(model, example_inputs)
    )
    if reason:
        return reason
    for name, block in blocks.items():
        for part in ("conv1", "conv2"):
            conv = getattr(block, part)
            if not isinstance(conv, nn.Conv2d) or conv.groups > 1:
                cure = "write the layer as an nn.Conv2d with groups=1"
                return fault(label(f"{name}.{part}", conv), "a convolution without groups", f"{conv}", cure)
        for part in ("conv1", "bn1", "conv2", "bn2"):
            layer = getattr(block, part)
            if getattr(layer, "weight", None) is None or (part.startswith("bn") and layer.bias is None):
                cure = "set affine=True, which gives a normalisation its scale and offset"
                return fault(label(f"{name}.{part}", layer), "trained weights", "none", cure)
            if not layer.weight.requires_grad:
                cure = "call .requires_grad_() on the block, and freeze it again afterwards"
                return fault(
                    label(f"{name}.{part}", layer), "weights that are not frozen", "frozen ones", cure
                )
    net = copy.deepcopy(model).eval()
    for name in blocks:
        seen: list[Tensor] = []
        path: Any = net.get_submodule(name)
        handle = path.register_forward_pre_hook(lambda _, arguments, seen=seen: seen.append(arguments[0]))
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            net(example_inputs)
            handle.remove()
            got = _unlike(path, seen[0]) if seen else "no call in forward"
        if got:
            expected = "relu2(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x))"
            example = "recipes.common.nets.resnet.ResidualBlock"
            cure = f"compute it so, as {example} does, or rename the parts of the block"
            return fault(label(name, path), expected, got, cure)
    return ""


def _no_block(model: nn.Module) -> str:
    """Say which module comes nearest to a residual block, and what it lacks."""
    lacks = {
        label(name, module): [part for part in _ATTRIBUTES if not hasattr(module, part)]
        for name, module in model.named_modules()
    }
    nearest = min(lacks, key=lambda name: len(lacks[name]))
    parts, cure = ", ".join(_ATTRIBUTES), "build blocks as recipes.common.nets.resnet.ResidualBlock does"
    if len(lacks[nearest]) > 3:
        return fault(label("", model), f"modules with {parts}", "none", cure)
    if not lacks[nearest]:
        return fault(nearest, f"modules with {parts}", "one alone", "wrap it: nn.Sequential(block)")
    return fault(nearest, f"a module with {parts}", f"one without {', '.join(lacks[nearest])}", cure)


def _unlike(block: Any, inputs: Tensor) -> str:  # noqa: ANN401 - a module whose parts have no types
    """Say in what a block differs from the one described: what is closed cannot be cut out of it."""
    without_channel, smaller, without_path = (copy.deepcopy(block) for _ in range(3))
    count = len(block.bn1.weight)
    without_path.bn2.weight.zero_()
    without_path.bn2.bias.zero_()
    try:
        pairs = [(without_path(inputs), block.relu2(block.shortcut(inputs)))]
        if count > 1:
            without_channel.conv2.weight[:, 0] = 0
            _slice_path(smaller.conv1, smaller.bn1, smaller.conv2, torch.arange(1, count))
            pairs.append((without_channel(inputs), smaller(inputs)))
        if all(torch.allclose(closed, cut, rtol=1e-3, atol=1e-4) for closed, cut in pairs):
            return ""
    except Exception as error:  # whatever the block's forward raises
        return repr(error)
    return "other outputs when a channel or the path is cut out"


@torch.no_grad()
def _macs_by_module(model: nn.Module, inputs: Tensor) -> dict[str, float]:
    """Count multiply-accumulates for one input by the module's name; the empty name is the whole net."""
    counter = FlopCounterMode(display=False)
    with counter:
        copy.deepcopy(model).eval()(inputs[:1])
    root = type(model).__name__
    return {
        name.removeprefix(root).removeprefix("."): sum(flops.values()) / 2
        for name, flops in counter.get_flop_counts().items()
        if name != "Global"
    }


# --- Data, model, training -------------------------------------------------------------------------------


def build_model(widths: tuple[int, int, int], images: Images, seed: int) -> nn.Module:
    """Return a ResNet-8 for these images, with the seed's initial weights."""
    torch.manual_seed(seed)
    net = resnet.resnet8(widths, in_channels=images.train_images.shape[1])
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def trained_dense_net(config: Config, images: Images, seed: int, meter: Meter) -> tuple[nn.Module, float]:
    """Return the dense net of this seed, and the processor time of its training whenever that was."""
    dense, rate = build_model(config.widths, images, seed), config.learning_rate
    source = [inspect.getsource(part) for part in (train, sgd, steps_of, loss_function, resnet)]
    key = [source, images.used.sha256, seed, config.widths, config.dense_examples, rate]
    dense.register_buffer("training_cpu_s", torch.zeros((), dtype=torch.float64))

    def train_timed(net: nn.Module) -> None:
        with meter.window("dense training") as window:
            train(net, steps_of(config.dense_examples, rate, images, seed), loss_function(images))
        net.training_cpu_s.fill_(window.cpu_s)  # type: ignore[operator]

    load_or_train(dense, key, train_timed)
    cpu_s = float(dense.training_cpu_s)  # type: ignore[arg-type]
    del dense.training_cpu_s
    return dense.eval(), cpu_s


def loss_function(images: Images, teacher_logits: Tensor | None = None) -> LossOf:
    """Return the loss on the training images of given numbers; distilled where there is a teacher."""

    def loss_of(model: nn.Module, chosen: Tensor) -> Tensor:
        with training_autocast():
            logits = model(images.train_images[chosen])
        labels = images.train_labels[chosen]
        if teacher_logits is None:
            return F.cross_entropy(logits.float(), labels)
        return distillation_loss(logits.float(), teacher_logits[chosen], labels)

    return loss_of


def steps_of(examples: int, peak: float, images: Images, seed: int) -> list[tuple[Tensor, float]]:
    """Return the image numbers and the learning rate of each step; it rises to `peak`, then falls."""
    generator = torch.Generator().manual_seed(seed)
    count, steps = len(images.train_images), examples // BATCH
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + examples // count)])
    triangle = [min((step + 1) / (0.2 * steps), (steps - step) / (0.8 * steps)) for step in range(steps)]
    return [(order[BATCH * step : BATCH * (step + 1)], peak * triangle[step]) for step in range(steps)]


def sgd(weights: Iterable[nn.Parameter]) -> torch.optim.SGD:
    """Return the optimiser of all trainings; each step sets its learning rate."""
    return torch.optim.SGD(weights, 0.1, momentum=0.9, nesterov=True, weight_decay=5e-4)


def train(model: nn.Module, steps: Steps, loss_of: LossOf) -> None:
    """Train in place; `train_with_gates` is the same with gates."""
    optimizer = sgd(model.parameters())
    model.train()
    for batch, rate in steps:
        optimizer.param_groups[0]["lr"] = rate
        optimizer.zero_grad()
        loss_of(model, batch).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    model.eval()


# --- Run -------------------------------------------------------------------------------------------------


def finish(arm: str, dense: nn.Module, config: Config, images: Images, seed: int) -> tuple[nn.Module, Rows]:
    """Do all that an arm does after the dense training; return its net and what the gates did."""
    inputs = images.train_images
    loss_of = loss_function(images, logits_of(dense, inputs))
    macs = partial(report.macs_per_image, images=inputs)
    limit, examples = config.macs_fraction * macs(dense), config.gated_examples + config.final_examples
    steps = steps_of(examples, config.learning_rate, images, seed + 1_000_000)
    net, rows = copy.deepcopy(dense), Rows()
    if arm.startswith("thin"):
        build, aligned = partial(build_model, images=images, seed=seed), arm == "thin_aligned"
        net = build(config.aligned_widths) if aligned else narrow_net(build, config.widths, macs, limit)
        steps = steps_of(config.dense_examples + examples, config.learning_rate, images, seed)
    elif arm in ("group_norm", "random_channels"):
        net = cut_channels(dense, inputs, macs, limit, by_norm=arm == "group_norm", seed=seed)
    elif arm != "baseline":
        cut, multiple = config.gated_examples // BATCH, 1 if arm == "tactic" else config.channel_multiple
        rows = prune_with_gates(
            net, steps[:cut], loss_of, inputs[:256], macs_fraction=config.macs_fraction,
            channel_multiple=multiple, gate_rate=config.gate_rate, gate_strength=config.gate_strength,
        )  # fmt: skip
        steps = steps[cut:]  # the same training goes on with the smaller net
    train(net, steps, loss_of)
    return net, rows


def gate_overhead(dense: nn.Module, config: Config, images: Images, seed: int, meter: Meter) -> Metric:
    """Time the training with gates and without, in turns of five steps on copies of the dense net."""
    loss_of, steps = loss_function(images), steps_of(BATCH * 5, config.learning_rate, images, seed)
    gated, plain, ratios = copy.deepcopy(dense), copy.deepcopy(dense), []
    gates = insert_gates(gated, images.train_images[:1])
    for _ in range(9):
        with meter.window("with gates") as with_gates:
            train_with_gates(gated, gates, steps, loss_of, 0.5, config.gate_rate, config.gate_strength)
        with meter.window("without gates") as without:
            train(plain, steps, loss_of)
        ratios.append(with_gates.cpu_s / without.cpu_s)
    about = "Processor time of a training step with gates over one without; median of turns."
    return Metric(statistics.median(ratios), "ratio", "lower", "measured", about)


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after every choice has been made."""
    images = load_images_or_cifar10(config.data, config.data_dir)
    dense, dense_cpu_s = trained_dense_net(config, images, seed, meter)
    with meter.window("training after the dense net") as window:
        net, rows = finish(arm, dense, config, images, seed)
    cost, of = dense_cpu_s + window.cpu_s, "all training, that of the dense net included"
    quality = report.accuracy(net, images.test_images, images.test_labels)
    metrics = {"test_accuracy": report.accuracy_metric(quality)}
    metrics |= report.net_metrics(net, images.train_images)
    metrics["training_cpu_s"] = report.training_cost_metric(cost, of)
    if arm == "tactic":
        metrics["gate_training_overhead"] = gate_overhead(dense, config, images, seed, meter)
    test = images.test_images[:2000], images.test_labels[:2000]
    shipped = Deployable(net, images.train_images[:256], *test)
    return Outcome(metrics, images.used, {"gates": rows} if rows else {}, deployable=shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
