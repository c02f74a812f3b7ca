"""Rivals that a sceptic asks for, as arms that any model recipe can list, and what they are made of."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from recipes.common.pruning.channels import cut_channels
from recipes.common.run.contract import CannotRun
from recipes.common.trial.study import AddedLoss, Study, seed_all

Nets = Iterator[tuple[str, nn.Module]]
"""What an arm yields: the nets of its curve, each with what tells it from the others."""


class TrainingArguments(TypedDict):
    """Arguments of `Study.train` with which a net learns from a teacher, too."""

    add: AddedLoss
    own_weight: float


def distillation(
    teacher: nn.Module | None, *, temperature: float = 4.0, teacher_fraction: float = 0.7
) -> TrainingArguments:
    """Return what makes `study.train(net, epochs, **distillation(study.dense))` learn from a teacher as well.

    Hinton, Vinyals, Dean, "Distilling the Knowledge in a Neural Network" (arXiv 1503.02531), but the softened
    divergence is multiplied by the temperature, not its square: the learning rate belongs to the subject's
    own loss, and with steeper gradients loops diverge that were stable. The teacher runs on every batch, and
    its time is in the ledger.

    Args:
        teacher: Net in evaluation mode that takes the same inputs; outputs are logits, (..., classes), or
            one number, (..., 1), which is learnt by its squared error.
        temperature: Divides both sets of logits before the softmax; above 0.
        teacher_fraction: Weight of the divergence, 0 to 1; the subject's own loss has the rest.
    """
    if teacher is None:
        raise CannotRun("expected a trained net to learn from, got none; this recipe starts from nothing")

    def divergence(outputs: Tensor, inputs: Tensor) -> Tensor:
        with torch.no_grad():
            told = teacher(inputs).float()  # (batch, ..., classes)
        if told.shape[-1] == 1:
            return teacher_fraction * F.mse_loss(outputs.float(), told)
        wanted, got = ((each.float() / temperature).log_softmax(-1) for each in (told, outputs))
        rows = wanted.numel() // wanted.shape[-1]
        mean = F.kl_div(got, wanted, reduction="sum", log_target=True) / rows
        loss: Tensor = teacher_fraction * temperature * mean
        return loss

    return {"add": divergence, "own_weight": 1 - teacher_fraction}


def with_random_weights(net: nn.Module, study: Study) -> nn.Module:
    """Return a net of the same architecture with random weights, as far as those can be known from outside.

    A module that can reset itself does. Any other parameter is drawn normally, with mean and deviation of the
    parameter of its name in the subject's own fresh net. Weights that are zero in the net, such as pruned
    ones, do not stay zero.

    Raises:
        CannotRun: A parameter is in no module that resets itself, and the subject's net has none of its name.
    """
    drawn = dict(study.fresh().named_parameters())
    seed_all(study.seed, 4)
    fresh = copy.deepcopy(net)
    for module in fresh.modules():
        vars(module).pop("_life", None)  # it has seen nothing yet
    for name, module in fresh.named_modules():
        reset = getattr(module, "reset_parameters", None) or getattr(module, "_reset_parameters", None)
        if reset is not None:
            reset()
            continue
        for own, parameter in module.named_parameters(recurse=False):
            place = f"{name}.{own}".lstrip(".")
            if place not in drawn:
                raise CannotRun(
                    f"{place}: expected a parameter whose random weights are known, got one that the subject "
                    "does not have; give its module a reset_parameters()"
                )
            like = drawn[place].detach().float()
            nn.init.normal_(parameter, float(like.mean()), float(like.std(correction=0)))
    return fresh.eval()


def found_from_random(study: Study) -> Nets:
    """Train the architecture that the tactic found from random weights, for the baseline's whole life.

    Liu, Sun, Zhou, Huang, Darrell, "Rethinking the Value of Network Pruning" (arXiv 1810.05270).
    """
    net = with_random_weights(_found_by_the_tactic(study), study)
    study.train(net, study.epochs_left(net))
    yield "found architecture", net


def thin_distilled(study: Study) -> Nets:
    """Make all layers thinner by one share, to the cost of the tactic's net; train it with a teacher."""
    limit = study.cost(_found_by_the_tactic(study))
    thin = cut_channels(study.fresh(), study.inputs, study.cost, limit, by_norm=False, in_each=True)
    net = with_random_weights(thin, study)
    study.train(net, study.epochs_left(net), **distillation(study.dense))
    yield "thin, distilled", net


def cut_by_norm(study: Study, shares: Sequence[float], of: str) -> Nets:
    """Cut channels at once by the norm of a group, wherever it is least in the net, as torch-pruning does.

    Args:
        study: Of the arm.
        shares: Of the cost of the net as given, to cut to: the nets of the curve.
        of: What the cost counts.
    """
    for share in shares:
        net = cut_channels(study.copy(), study.inputs, study.cost, share * study.cost(study.copy()))
        study.train(net, study.budget_epochs)
        yield f"{share:.0%} of the {of}", net


def cut_by_chance(study: Study, label: str) -> Nets:
    """Cut channels by chance to the cost of the net that the tactic found: its choice replaced by none."""
    limit = study.cost(_found_by_the_tactic(study))
    net = cut_channels(study.copy(), study.inputs, study.cost, limit, by_norm=False, seed=study.seed)
    study.train(net, study.budget_epochs)
    yield label, net


def _found_by_the_tactic(study: Study) -> nn.Module:
    if study.found is None:
        raise CannotRun("expected a net that the tactic found, got none; list this arm behind the tactic")
    return study.found
