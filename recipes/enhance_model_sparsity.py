"""Sparsity by groups: a log-sum penalty drives whole filters and units to zero, and they are cut out.

Record: tactics/enhance-model-sparsity.yaml. Adapted: the reweighted log-sum penalty on groups comes from
Yang, Hua, Shi, Wang, Zhang, Letaief, "Sparse Optimization for Green Edge AI Inference", JCIN 5(1), 2020
(arXiv 2002.10080), of which the abstract was read. That paper selects inference tasks and prunes no network
(see recipes/select_inference_tasks_for_the_edge.py); here the groups are the filters of a network, as in
Wen et al. 2016 (arXiv 1608.03665). The reweighting is that of Candès, Wakin, Boyd 2008 (arXiv 0711.1612).

A LeNet; a group is a filter or hidden unit with all weights into and out of it. All arms learn from the same
dense net on equally many examples, and all but `thin` start from it, which draws those of the dense training
again. Each arm yields a net that is reported and a larger one for the curve. Rivals leave about as many
weights: `group_lasso` (the penalty without reweighting), `magnitude` (single zeros, which stay in place),
`group_norm` (torch-pruning), `thin` (a net of the very shape that the tactic yields, from random weights; the
search for the shape is charged to it, too). In bfloat16 where the processor has it.

    python -m recipes.enhance_model_sparsity --arm tactic --seed 0 --preset default

On one processor core an arm takes about 120 s with DEFAULT and 8 s with SMOKE. Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import inspect
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from recipes.common.nets import models
from recipes.common.nets.checkpoints import load_or_train
from recipes.common.nets.checks import (
    computed_weights,
    depthwise,
    fault,
    frozen,
    label,
    outputs_of,
    tied,
    unfit_to_mask,
    without_gradients,
    wrapped,
)
from recipes.common.nets.data import Images, load_images_or_cifar10
from recipes.common.nets.distillation import distillation_loss, logits_of
from recipes.common.nets.precision import training_autocast
from recipes.common.nets.report import accuracy, accuracy_metric, net_metrics, training_cost_metric
from recipes.common.pruning.channels import SIZES, broken, cut_channels, torch_pruning
from recipes.common.pruning.weights import (
    Masks,
    apply_masks,
    masks_of,
    prunable_layers,
    prune_global_magnitude,
)
from recipes.common.run import cli
from recipes.common.run.contract import Deployable, Json, Meter, Metric, Outcome

TACTIC = "enhance-model-sparsity"
ARMS = ("baseline", "tactic", "group_lasso", "magnitude", "group_norm", "thin")


@dataclass(frozen=True)
class Config:
    """Settings of a run; training is counted in examples, so that it lasts as long on any data set."""

    data: tuple[str, ...] = ("fashion-mnist", "digits")
    """Data sets in order of preference; the first whose files are found is used."""
    data_dir: Path | None = None
    """Folder that holds the data; None searches the usual places."""
    model: str = "lenet"
    """Net, `lenet` (for grey 28x28 images) or `mini_alexnet`; digits always take `small_lenet`."""
    dense_examples: int = 220_000
    """Examples drawn to train the dense net; 55,000 are one epoch of Fashion-MNIST."""
    shrink_examples: int = 55_000
    """Examples drawn under the penalty."""
    tune_examples: int = 385_000
    """Examples drawn to fine-tune what is left; arms without a penalty draw both together."""
    learning_rate: float = 0.1
    """Peak of the learning rate in each training, at 128 examples a step."""
    strengths: tuple[float, ...] = (1.5, 0.65)
    """Strengths of the log-sum penalty, in typical norms of a group by step and learning rate: of the net
    reported, then of another for the curve."""
    lasso_strengths: tuple[float, ...] = (0.18, 0.11)
    """Strengths of the penalty of `group_lasso`, which needs less to leave as many weights."""
    epsilon: float = 0.1
    """Norm at which the log-sum penalty bends, in typical norms of a group."""
    reweight_steps: int = 50
    """Steps between two computations of the penalty's slopes."""
    kept_fractions: tuple[float, ...] = (0.07, 0.15)
    """Shares of the weights left in `magnitude` and `group_norm`: those of `tactic`, rounded."""


SMOKE = Config(
    data=("digits",),
    dense_examples=8_000,
    shrink_examples=4_000,
    tune_examples=4_000,
    strengths=(4.0, 3.0),
    lasso_strengths=(0.7, 0.55),
    reweight_steps=5,
    kept_fractions=(0.6, 0.8),
)
DEFAULT = Config()
FULL = Config(
    data=("cifar-10", "fashion-mnist"),
    model="mini_alexnet",
    dense_examples=450_000,
    shrink_examples=90_000,
    tune_examples=720_000,
)

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
def log_sum_slopes(groups: Sequence[ChannelGroups], epsilon: float) -> list[Tensor]:
    """Return the slopes of the log-sum penalty at the present norms, (channels,) for each of `groups`.

    The penalty is epsilon log(1 + r / epsilon), r being a norm over the root mean square of all norms above
    zero in the net: the smaller a group, the harder it is pushed. An infinite epsilon gives the group lasso.

    Raises:
        ValueError: No norm is above zero, or one is not finite.
    """
    norms = [group.norms() for group in groups]
    every = torch.cat(norms)
    if not every.any() or not every.isfinite().all():
        raise ValueError(
            "groups: expected finite norms and one above zero, got zeros only, NaN or infinity; lower the "
            "strength or the learning rate, and begin again with the net from before"
        )
    typical = every[every > 0].square().mean().sqrt()
    return [typical / (1 + norm / typical / epsilon) for norm in norms]


@torch.no_grad()
def shrink_groups(groups: Sequence[ChannelGroups], slopes: Sequence[Tensor], strength: float) -> None:
    """Take a proximal step on the groups, in place: call it after each step of the optimiser.

    Each norm falls by `strength` times its slope, to zero at least. The largest group of a layer is spared,
    so that no layer vanishes. After the training, `remove_zero_groups` returns the net without the others
    that are zero, and raises where none is.

    Args:
        groups: From `find_groups`.
        slopes: From `log_sum_slopes`, computed anew every now and then.
        strength: Strength of the penalty times the learning rate.
    """
    for group, slope in zip(groups, slopes, strict=True):
        norms = group.norms()
        factors = (1 - strength * slope / norms.clamp_min(1e-12)).clamp_min(0)
        factors[norms.argmax()] = 1
        group.scale(factors)


# --8<-- [end:tactic]
# --- Groups of weights -----------------------------------------------------------------------------------
# Filters and hidden units as groups of weights: found by tracing, scaled together, cut out when zero.
#
# A channel that leaves one layer enters others, so it goes only with its weights in all of them.
# torch-pruning finds which belong together (Fang, Ma, Song, Mi, Wang, "DepGraph: Towards Any Structural
# Pruning", CVPR 2023).

_MIXING = ("LayerNorm", "GroupNorm", "InstanceNorm", "RmsNorm")
"""Parts of names of backward functions of normalisations that see how many channels there are."""
_NORMALISATIONS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@dataclass(frozen=True)
class Slice:
    """The places of one parameter that belong to the channels of one `ChannelGroups`."""

    weight: Tensor
    """A parameter of any shape."""
    dim: int
    """The dimension along which the places lie."""
    places: Tensor
    """Positions along `dim`, (places,)."""
    channels: Tensor
    """The channel that each place belongs to, (places,)."""

    def shape(self) -> list[int]:
        """Return the shape that broadcasts one number for each position along `dim` over the parameter."""
        return [size if dim == self.dim else 1 for dim, size in enumerate(self.weight.shape)]


@dataclass(frozen=True)
class ChannelGroups:
    """The channels of one layer, or of several that are tied, each a group of weights."""

    layer: nn.Conv2d | nn.Linear
    """A layer that has these channels as its outputs."""
    count: int
    """Number of channels."""
    slices: tuple[Slice, ...]
    """Where their weights are."""

    @torch.no_grad()
    def norms(self) -> Tensor:
        """Return the Euclidean norm of each group, (channels,), in float32 at least."""
        weight = self.slices[0].weight
        squares = weight.new_zeros(self.count, dtype=torch.promote_types(weight.dtype, torch.float32))
        for part in self.slices:
            by_place = part.weight.to(squares).square().sum_to_size(part.shape()).flatten()
            squares.index_add_(0, part.channels, by_place[part.places])
        return squares.sqrt()

    @torch.no_grad()
    def scale(self, factors: Tensor) -> None:
        """Multiply the weights of each group by its factor, (channels,), in place."""
        for part in self.slices:
            by_place = part.weight.new_ones(part.weight.shape[part.dim])
            by_place[part.places] = factors[part.channels].to(by_place)
            part.weight.mul_(by_place.view(part.shape()))


def find_groups(model: nn.Module, example_inputs: Tensor) -> list[ChannelGroups]:
    """Find the filters and hidden units of a net, each with the weights into and out of it.

    Filters in front of a batch normalisation have a size that is free: such a group is the scale and offset
    of the normalisation and the weights that read the channel. Left out are the outputs of the net; channels
    with frozen weights; and those that zeros do not switch off, or that cannot go one by one, because a
    grouped convolution, attention, a recurrent layer, a parameter of its own or a normalisation other than
    that of a batch takes part.

    Args:
        model: Net in any mode; not changed.
        example_inputs: At least one input, (images, ...), to trace the net with.

    Raises:
        ValueError: The channels of the net cannot be followed from layer to layer, or no group is left.
    """
    for unfit in (wrapped, computed_weights, tied, frozen):
        if reason := unfit(model):
            raise ValueError(reason)
    with _traceable(model):
        if reason := without_gradients(model, example_inputs):
            raise ValueError(reason)
        graph = torch_pruning().DependencyGraph().build_dependency(model, [example_inputs])
    groups = []
    for coupled in graph.get_all_groups(root_module_types=(nn.Conv2d, nn.Linear)):
        parts = [(item, item.dep.target.module) for item in coupled]
        if not all(_goes_by_channel(item.dep.target) for item in coupled):
            continue
        normalised = any(isinstance(module, _NORMALISATIONS) for _, module in parts)
        slices: list[Slice] = []
        read = False
        for item, module in parts:
            places, channels = (
                torch.tensor(each, device=example_inputs.device) for each in (item.idxs, item.root_idxs)
            )
            layer = isinstance(module, nn.Conv2d | nn.Linear)
            reads = graph.is_in_channel_pruning_fn(item.dep.handler) and getattr(module, "groups", 1) == 1
            if layer and reads:
                slices.append(Slice(module.weight, 1, places, channels))
                read = True
            elif isinstance(module, _NORMALISATIONS) or (layer and not normalised):
                own = module.weight, module.bias
                slices += [Slice(weight, 0, places, channels) for weight in own if weight is not None]
        if read:
            groups.append(ChannelGroups(parts[0][1], len(parts[0][0].idxs), tuple(slices)))
    if not groups:
        cure = "pass a net with a hidden layer whose weights are not frozen"
        raise ValueError(fault(label("", model), "channels that can go one by one", "none", cure))
    first: dict[nn.Module, Tensor] = {
        group.layer: torch.arange(group.count) == 0 for group in groups if group.count > 1
    }
    if got := broken(_without(model, first, example_inputs).eval(), example_inputs):
        raise ValueError(fault(label("", model), "a net that works without one channel a group", got, SIZES))
    return groups


def remove_zero_groups(model: nn.Module, example_inputs: Tensor, *, tolerance: float = 1e-5) -> nn.Module:
    """Return a smaller net without the groups that are zero; its weights are copies.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: Inputs on which the outputs of both nets are compared, (images, ...).
        tolerance: Largest difference of an output allowed, in units of the largest output or 1; in half
            precision two roundings at least.

    Raises:
        ValueError: The net is not one that `find_groups` takes, or is in training mode; no group is zero, or
            all of a layer are; or the outputs differ.
    """
    if reason := unfit_to_mask(model):
        raise ValueError(reason)
    zero: dict[nn.Module, Tensor] = {
        group.layer: group.norms() == 0 for group in find_groups(model, example_inputs)
    }
    if not any(bool(channels.any()) for channels in zero.values()):
        raise ValueError("no group is zero, so nothing can be removed; raise the strength of the penalty")
    names = {module: name for name, module in model.named_modules()}
    for layer, channels in zero.items():
        if channels.all():
            cure = "lower the strength of the penalty, or take the layer out of the net"
            raise ValueError(fault(label(names[layer], layer), "channels that are not zero", "none", cure))
    smaller = _without(model, zero, example_inputs)
    pairs = zip(outputs_of(model, example_inputs), outputs_of(smaller, example_inputs), strict=True)
    for before, after in pairs:
        allowed = max(tolerance, 2 * torch.finfo(before.dtype).eps) if before.is_floating_point() else 0.0
        difference = float((before - after).abs().max() / before.abs().max().clamp_min(1))
        if not difference <= allowed:
            raise ValueError(
                f"removing the zero groups changed the outputs by {difference:.1e} of the largest; look for "
                "what else in forward reads the channels"
            )
    return smaller


def _without(model: nn.Module, lost: Mapping[nn.Module, Tensor], example_inputs: Tensor) -> nn.Module:
    """Return a copy without the channels that are True, (channels,), by the layer that writes them."""
    smaller = copy.deepcopy(model)
    names = {module: name for name, module in model.named_modules()}
    with _traceable(smaller):
        graph = torch_pruning().DependencyGraph().build_dependency(smaller, [example_inputs])
    for written_by, channels in lost.items():
        layer = smaller.get_submodule(names[written_by])
        if channels.any():
            prune = graph.get_pruner_of_module(layer).prune_out_channels
            graph.get_pruning_group(layer, prune, channels.nonzero().flatten().tolist()).prune()
    return smaller


@contextmanager
def _traceable(model: nn.Module) -> Iterator[None]:
    """Let gradients reach all weights of a net in evaluation mode while the block runs."""
    modes = [(module, module.training) for module in model.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    model.eval().requires_grad_()
    try:
        with torch.enable_grad():
            yield
    finally:
        for module, training in modes:
            module.training = training
        for parameter, requires_grad in flags:
            parameter.requires_grad_(requires_grad)


def _goes_by_channel(node: Any) -> bool:  # noqa: ANN401 - the package has no types
    """Whether zeros switch off channels of a node of torch-pruning's graph, which can then go one by one."""
    module = node.module
    if not isinstance(module, nn.Module) or not all(weight.requires_grad for weight in module.parameters()):
        return False  # a parameter of its own, or a layer with frozen weights
    if isinstance(module, nn.Conv2d):
        return module.groups == 1 or depthwise(module)
    if isinstance(module, (nn.Linear, nn.PReLU, *_NORMALISATIONS)):
        return True
    function = type(module).__module__.startswith("torch_pruning.")
    return function and not any(kind in str(node.grad_fn) for kind in _MIXING)


def count_weights(model: nn.Module) -> int:
    """Return the number of trainable numbers, zeros included."""
    return sum(parameter.numel() for parameter in model.parameters())


# --- Data and model --------------------------------------------------------------------------------------


def build_model(config: Config, images: Images, seed: int) -> nn.Module:
    """Return the net for these images, with the seed's initial weights."""
    torch.manual_seed(seed)
    channels, size, _ = images.train_images.shape[1:]
    if size == 16:
        model = models.small_lenet()
    elif config.model == "mini_alexnet":
        model = models.mini_alexnet(channels, size)
    else:
        model = models.lenet()
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def trained_dense_net(config: Config, images: Images, seed: int) -> nn.Module:
    """Return the dense net of this seed: all arms but `thin` start from it, and it is their teacher."""
    dense, rate = build_model(config, images, seed), config.learning_rate
    source = [inspect.getsource(part) for part in (train, build_model, models)]
    key = [source, images.used.sha256, seed, config.model, config.dense_examples, rate]
    load_or_train(dense, key, lambda net: train(net, images, config.dense_examples, rate, seed))
    return dense.eval()


# --- Train and evaluate ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Penalty:
    """A penalty on groups: of these, and with this slope."""

    groups: list[ChannelGroups]
    strength: float
    epsilon: float
    reweight_steps: int


def train(
    model: nn.Module,
    images: Images,
    examples: int,
    rate: float,
    seed: int,
    *,
    teacher_logits: Tensor | None = None,
    penalty: Penalty | None = None,
    masks: Masks | None = None,
) -> None:
    """Train in place; the learning rate rises to `rate`, then falls; weights outside `masks` stay zero."""
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9, nesterov=True, weight_decay=5e-4)
    count, steps = len(images.train_images), examples // 128
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, steps, pct_start=0.2, anneal_strategy="linear", cycle_momentum=False
    )
    generator = torch.Generator().manual_seed(seed)
    order = torch.cat([torch.randperm(count, generator=generator) for _ in range(1 + examples // count)])
    model.train()
    for step in range(steps):
        chosen = order[128 * step : 128 * (step + 1)]
        with training_autocast():
            logits = model(images.train_images[chosen])
        labels = images.train_labels[chosen]
        if teacher_logits is None:
            loss = nn.functional.cross_entropy(logits.float(), labels)
        else:
            loss = distillation_loss(logits.float(), teacher_logits[chosen], labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        # Soft targets at temperature 4 have steep gradients; without a limit, narrow nets died.
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if masks is not None:
            apply_masks(model, masks)
        if penalty is not None:
            if step % penalty.reweight_steps == 0:
                slopes = log_sum_slopes(penalty.groups, penalty.epsilon)
            shrink_groups(penalty.groups, slopes, penalty.strength * float(schedule.get_last_lr()[0]))
        schedule.step()
    model.eval()


# --- Run -------------------------------------------------------------------------------------------------


def curve_rows(nets: Sequence[nn.Module], images: Images) -> list[dict[str, Json]]:
    """Return one flat row a net: validation accuracy, MACs and weights, and how many of these are not zero.

    Args:
        nets: Nets in evaluation mode, the one that the run reports first.
        images: The first training image is used to count MACs with.
    """
    return [
        {
            "validation_accuracy": accuracy(net, images.validation_images, images.validation_labels),
            **{name: metric.value for name, metric in net_metrics(net, images.train_images).items()},
            "nonzero_parameters": float(sum(int(weight.count_nonzero()) for weight in net.parameters())),
        }
        for net in nets
    ]


def yield_net(
    arm: str, dense: nn.Module, config: Config, images: Images, seed: int, *, size: int = 0
) -> nn.Module:
    """Return a net of an arm; all draw as many examples, those of the dense training included."""
    net, inputs, rate = copy.deepcopy(dense), images.train_images[:256], config.learning_rate
    examples, masks = config.tune_examples, None
    learn = partial(train, images=images, rate=rate, teacher_logits=logits_of(dense, images.train_images))
    if arm in ("tactic", "group_lasso", "thin"):
        reweighted = arm != "group_lasso"
        strength = (config.strengths if reweighted else config.lasso_strengths)[size]
        epsilon = config.epsilon if reweighted else math.inf
        penalty = Penalty(find_groups(net, inputs), strength, epsilon, config.reweight_steps)
        learn(net, examples=config.shrink_examples, seed=seed + 2_000_000, penalty=penalty)
        net = remove_zero_groups(net, inputs)
    else:
        examples += config.shrink_examples
    if arm == "magnitude":
        prune_global_magnitude(net, config.kept_fractions[size])
        masks = masks_of(net)
    if arm == "group_norm":
        limit = config.kept_fractions[size] * count_weights(dense)
        net = cut_channels(dense, inputs, count_weights, limit)
    if arm == "thin":
        # Only the shape is kept of what was found; the weights draw what all that led to it drew.
        torch.manual_seed(seed)
        for layer in net.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.reset_parameters()
        examples += config.dense_examples + config.shrink_examples
    learn(net, examples=examples, seed=seed + 1_000_000, masks=masks)
    return net


def layer_table(dense: nn.Module, net: nn.Module) -> list[dict[str, Json]]:
    """Return one flat row a layer: its outputs and weights, in the dense net and in the one yielded."""
    layers = prunable_layers(net)
    return [
        {
            "layer": name,
            "dense_outputs": len(before.weight),
            "outputs": len(layers[name].weight),
            "dense_weights": before.weight.numel(),
            "nonzero_weights": int(layers[name].weight.count_nonzero()),
        }
        for name, before in prunable_layers(dense).items()
    ]


def run(config: Config, *, arm: str, seed: int, meter: Meter) -> Outcome:
    """Run one arm with one seed; the test images are read only after the net is ready."""
    images = load_images_or_cifar10(config.data, config.data_dir)
    dense = trained_dense_net(config, images, seed)
    with meter.window("training") as window:
        net = yield_net(arm, dense, config, images, seed)
    sizes = range(1, 1 if arm == "baseline" else len(config.kept_fractions))
    curve = curve_rows([net, *(yield_net(arm, dense, config, images, seed, size=k) for k in sizes)], images)
    nonzero = sum(int(parameter.count_nonzero()) for parameter in net.parameters())
    metrics = {
        "test_accuracy": accuracy_metric(accuracy(net, images.test_images, images.test_labels)),
        **net_metrics(net, images.train_images),
        "nonzero_parameters": Metric(float(nonzero), "count", "lower", "counted", "Those that are not zero."),
        "training_cpu_s": training_cost_metric(window.cpu_s, "all training that follows on the dense net's"),
    }
    details: dict[str, Json] = {"curve": curve, "layers": layer_table(dense, net)}
    test = images.test_images[:2000], images.test_labels[:2000]
    shipped = Deployable(net, images.train_images[:256], *test)
    return Outcome(metrics, images.used, details, deployable=shipped)


def main() -> None:
    """Run one arm with one seed from the command line."""
    sys.exit(cli.main(sys.modules[__name__]))


if __name__ == "__main__":
    main()
