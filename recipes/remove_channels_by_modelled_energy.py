"""Whole channels, removed where an energy model says that it pays, activations included.

After NetAdapt (Yang et al., ECCV 2018, arXiv 1804.03230): small removals, each followed by a short training,
until a budget is met. Simplified: modelled energy at batch 48 instead of measured tables; candidates are
scored, not trained. The rivals take the same steps led by multiply-accumulates, or by chance; cut at once by
norm (torch-pruning); make all layers thinner alike; or train the found architecture from random weights.

    python -m recipes.remove_channels_by_modelled_energy --seed 0 --preset smoke

Needs the extra `prune`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.energy.model import estimate
from recipes.common.nets.checks import in_training
from recipes.common.pruning.channels import (
    Scores,
    cut_channels,
    group_norms,
    unfit_for_removal,
    without_channels,
)
from recipes.common.trial import command
from recipes.common.trial.costs import cost_of
from recipes.common.trial.rivals import Nets, distillation, found_from_random, thin_distilled
from recipes.common.trial.study import Study

TACTIC = "remove-channels-by-modelled-energy"
SUBJECTS = {"smoke": "digits_cnn", "default": "resnet8_fashion", "full": "mobilenet_fashion"}
COST = "energy_batch_48"
TAUGHT = True
ENERGIES = (0.75, 0.6, 0.45)  # of the net as given: the nets of a curve
STEP_EPOCHS = 0.03  # after each removal
STEP_RATE = 0.25  # of the subject's learning rate, between removals
BATCH_SIZE = 48  # inputs that share one reading of the weights

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
LEAST_CHANNELS = 2  # that a group keeps
STEP_FRACTION = 0.125  # share of a group's channels that one removal takes, one channel at least


def remove_channels_by_energy(
    model: nn.Module,
    example_inputs: Tensor,
    *,
    target_energy: float,
    batch_size: int,
    importance: Callable[[nn.Module], Scores] | None = None,
    recover: Callable[[nn.Module], None] | None = None,
    cost: Callable[[nn.Module], float] | None = None,
) -> nn.Module:
    """Return a smaller net, without the channels that are worth least for the modelled energy they cost.

    Single channels go, so that widths may become odd; `cut_channels` of `recipes.common.pruning.channels`
    takes a `multiple`. Outputs of the net stay, and so do channels that no gradient reaches: those of frozen
    layers in front of all others.

    Args:
        model: Trained net in evaluation mode; not changed.
        example_inputs: Inputs like those of training, (images, ...); zeros in the activations count.
        target_energy: Modelled energy of one image to get down to, in multiples of one 16-bit MAC.
        batch_size: Images that share one reading of the weights.
        importance: Scores the channels; `group_norms` where None.
        recover: Trains the net a little, in place, after each removal, and leaves it in evaluation mode;
            without it, energies are off.
        cost: What the choice counts as saved instead of modelled energy; the target stays energy.

    Raises:
        ValueError: The net is one from which single channels cannot be removed, or the target is met already,
            or cannot be met.
    """

    def energy(net: nn.Module) -> float:
        return estimate(net, example_inputs, batch_size=batch_size).total

    if unfit_for_removal(model, example_inputs):
        raise ValueError(unfit_for_removal(model, example_inputs))
    if not target_energy > 0:
        raise ValueError(
            f"target_energy: expected more than 0, got {target_energy}; pass a share of estimate's"
        )
    smaller, score = model, importance or partial(group_norms, example_inputs=example_inputs)
    if (now := energy(model)) <= target_energy:
        raise ValueError(f"target_energy: expected less than the net's {now:,.0f}, got {target_energy:,.0f}")
    while energy(smaller) > target_energy:
        smaller = best_removal(smaller, score(smaller), cost or energy, example_inputs)
        if recover is not None:
            recover(smaller)
            if in_training(smaller):
                raise ValueError(f"after recover: {in_training(smaller)}")
    return smaller


def best_removal(
    model: nn.Module, scores: Scores, cost: Callable[[nn.Module], float], example_inputs: Tensor
) -> nn.Module:
    """Try a removal in every group, and return the net that loses the least importance per cost saved."""
    if not all(bool(importance.isfinite().all()) for importance in scores.values()):
        raise ValueError(
            "importance: expected finite scores, got NaN or infinity; look for NaN in weights and losses"
        )
    before, tried = cost(model), []
    for group, importance in scores.items():
        count = max(1, round(STEP_FRACTION * len(importance)))
        if len(importance) - count < LEAST_CHANNELS:
            continue
        lowest = importance.argsort()[:count]
        smaller = without_channels(model, group, lowest.tolist(), example_inputs)
        if (saved := before - cost(smaller)) > 0:
            tried.append((float(importance[lowest].sum()) / saved, smaller))
    if not tried:
        raise ValueError("the target cannot be met: no group of channels can lose more; allow more energy")
    return min(tried, key=lambda each: each[0])[1]


# --8<-- [end:tactic]
# --- Arms: all learn from the net as given, which the baseline trains on ----------------------------------


def in_steps(
    study: Study,
    cost: Callable[[nn.Module], float] | None = None,
    importance: Callable[[nn.Module], Scores] | None = None,
) -> Nets:
    """Remove channels with short trainings between; train a copy at each energy for what is left."""
    net, energy = study.copy(), study.cost(study.copy())
    taught = distillation(study.dense)
    for share in ENERGIES:
        net = remove_channels_by_energy(
            net,
            study.inputs[:64],
            target_energy=share * energy,
            batch_size=BATCH_SIZE,
            recover=lambda smaller: study.train(smaller, STEP_EPOCHS, rate=STEP_RATE, **taught),
            cost=cost,
            importance=importance,
        )
        finished = copy.deepcopy(net)
        study.train(finished, study.epochs_left(finished), **taught)
        yield f"{share:.0%} of the energy", finished


def tactic(study: Study) -> Nets:
    """Remove next what is worth least for the modelled energy it costs."""
    yield from in_steps(study)


def led_by_macs(study: Study) -> Nets:
    """Remove next what is worth least for its multiply-accumulates."""
    yield from in_steps(study, cost=partial(cost_of, inputs=study.inputs, name="macs"))


def random_channels(study: Study) -> Nets:
    """Remove next what chance says: the tactic's choice replaced by none."""

    def chance(net: nn.Module) -> Scores:
        return {name: torch.rand(len(norms)) for name, norms in group_norms(net, study.inputs).items()}

    yield from in_steps(study, importance=chance)


def at_once(study: Study) -> Nets:
    """Cut at once by the norm of a group, wherever it is least in the net, as torch-pruning does."""
    for share in ENERGIES:
        net = cut_channels(study.copy(), study.inputs, study.cost, share * study.cost(study.copy()))
        study.train(net, study.budget_epochs, **distillation(study.dense))
        yield f"{share:.0%} of the energy", net


ARMS = (tactic, led_by_macs, random_channels, at_once, found_from_random, thin_distilled)


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
