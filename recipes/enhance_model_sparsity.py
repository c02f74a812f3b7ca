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
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn

from recipes.common import cifar10, cli, models
from recipes.common.channel_groups import ChannelGroups, count_weights, find_groups, remove_zero_groups
from recipes.common.channels import cut_channels
from recipes.common.checkpoints import load_or_train
from recipes.common.contract import Deployable, Json, Meter, Metric, Outcome
from recipes.common.data import Images
from recipes.common.distillation import distillation_loss, logits_of
from recipes.common.net_curve import curve_rows
from recipes.common.net_report import accuracy, accuracy_metric, net_metrics, training_cost_metric
from recipes.common.precision import training_autocast
from recipes.common.pruning import Masks, apply_masks, masks_of, prunable_layers, prune_global_magnitude

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
    images = cifar10.load_images(config.data, config.data_dir)
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
