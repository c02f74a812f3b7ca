"""Sparsity by groups: a log-sum penalty drives whole filters and units to zero, and they are cut out.

The reweighted log-sum penalty on groups comes from Yang, Hua, Shi, Wang, Zhang, Letaief, "Sparse
Optimization for Green Edge AI Inference", JCIN 5(1), 2020 (arXiv 2002.10080), of which the abstract was
read. That paper selects inference tasks and prunes no network; here the groups are the channels of a
network, as in Wen et al. 2016 (arXiv 1608.03665). The reweighting is that of Candès, Wakin, Boyd 2008
(arXiv 0711.1612), simplified: anew in each step. The strength of the penalty is the knob. Rivals: the
penalty without the logarithm (group lasso); channels cut at once, by norm (torch-pruning) or by chance; the
found architecture from random weights.

    python -m recipes.enhance_model_sparsity --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from recipes.common.nets.checks import fault, label
from recipes.common.pruning.channels import ChannelGroups, find_groups, without_groups
from recipes.common.trial import command
from recipes.common.trial.rivals import Nets, cut_by_chance, cut_by_norm, found_from_random
from recipes.common.trial.study import StopTraining, Study, life_of

TACTIC = "enhance-model-sparsity"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "mobilenet_fashion"}
COST = "parameters"
STRENGTHS = (6.0, 9.0, 20.0)  # of the log-sum penalty, over all steps
LASSO_STRENGTHS = (0.65, 0.8, 2.0)  # of the group lasso, which needs less to leave as few weights
NETS = 2  # of a curve: from the first strengths that remove anything
EPSILON = 0.1  # norm at which the logarithm bends, in typical norms
SHRINK_FRACTION = 0.2  # of the budget, under the penalty; the rest trains what is left
SHARES = (0.3, 0.22)  # of the parameters, left by the cut at once

# --- The tactic ------------------------------------------------------------------------------------------


# --8<-- [start:tactic]
@torch.no_grad()
def shrink_groups(groups: Sequence[ChannelGroups], strength: float, epsilon: float) -> None:
    """Take a step down a log-sum penalty on the groups, in place: call it after each step of the optimiser.

    The penalty is epsilon log(1 + r / epsilon), r being a norm over the root mean square of all norms above
    zero in the net: the smaller a group, the harder it is pushed. The step is not part of the gradient,
    because an optimiser that rescales gradients, such as Adam, would rescale the penalty. The largest group
    of a layer is spared, so that no layer vanishes. After the training, `remove_zero_groups` returns the
    net without the others that are zero, and raises where none is.

    Args:
        groups: From `find_groups`.
        strength: What a step takes from a group near zero, in such typical norms.
        epsilon: Norm at which the logarithm bends, in typical norms; infinity gives the group lasso.

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
    for group, norm in zip(groups, norms, strict=True):
        slope = typical / (1 + norm / typical / epsilon)  # (groups,)
        factors = (1 - strength * slope / norm.clamp_min(1e-12)).clamp_min(0)
        factors[norm.argmax()] = 1
        group.scale(factors)


def remove_zero_groups(model: nn.Module, example_inputs: Tensor) -> nn.Module:
    """Return a smaller net without the groups that are zero, which has the same outputs.

    Args:
        model: Net in evaluation mode; not changed.
        example_inputs: Inputs on which the outputs of both nets are compared, (inputs, ...).

    Raises:
        ValueError: The net is not one that `find_groups` takes; no group is zero, or all of a layer are; or
            the outputs differ.
    """
    groups = find_groups(model, example_inputs)
    zero = [group.norms() == 0 for group in groups]
    if not torch.cat(zero).any():
        raise ValueError("no group is zero, so nothing can be removed; raise the strength of the penalty")
    for group, gone in zip(groups, zero, strict=True):
        if gone.all():
            cure = "lower the strength of the penalty, or take the layer out of the net"
            where = label(group.layer, model.get_submodule(group.layer))
            raise ValueError(fault(where, "channels that are not zero", "none", cure))
    return without_groups(model, groups, zero, example_inputs)


# --8<-- [end:tactic]
# --- Arms: each trains as long as the baseline ------------------------------------------------------------


def in_two_parts(study: Study, strengths: Sequence[float], epsilon: float) -> Nets:
    """Train under a penalty, cut out what it has driven to zero, train what is left; for each strength."""
    first = life_of(study.copy())
    steps = max(1, round(SHRINK_FRACTION * study.budget_epochs / study.dense_epochs * first.steps))
    yielded = 0
    for strength in strengths:
        if yielded == NETS:
            return
        net = study.copy()
        groups = find_groups(net, study.inputs[:64])

        def shrink(
            net: nn.Module = net, groups: Sequence[ChannelGroups] = groups, all_in_all: float = strength
        ) -> None:
            # Each step takes a share of the strength, so that more of them press no harder in all.
            shrink_groups(groups, all_in_all / steps, epsilon)
            # Stopped in its stride: a schedule that ended here would let the net settle once for nothing.
            if life_of(net).steps >= first.steps + steps:
                raise StopTraining

        study.train(net, study.budget_epochs, after_step=shrink)
        if strength < max(strengths) and all(bool(group.norms().all()) for group in groups):
            continue  # too weak for this net; where the strongest removes nothing, that is an error
        net = remove_zero_groups(net, study.inputs[:64])
        study.train(net, study.epochs_left(net))
        yielded += 1
        yield f"strength {strength:g}", net


def tactic(study: Study) -> Nets:
    """Drive groups to zero with the log-sum penalty."""
    yield from in_two_parts(study, STRENGTHS, EPSILON)


def group_lasso(study: Study) -> Nets:
    """Drive groups to zero with the sum of their norms: the penalty without the logarithm."""
    yield from in_two_parts(study, LASSO_STRENGTHS, math.inf)


def group_norm(study: Study) -> Nets:
    """Cut at once by norm."""
    yield from cut_by_norm(study, SHARES, "parameters")


def random_channels(study: Study) -> Nets:
    """Cut at once by chance."""
    yield from cut_by_chance(study, "as few parameters")


ARMS = (tactic, group_lasso, group_norm, random_channels, found_from_random)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
