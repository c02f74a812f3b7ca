"""Training under a budget of modelled energy: weights are projected onto it every few steps, while it falls.

After Yang, Zhu, Liu, "Energy-Constrained Compression for Deep Neural Networks via Weighted Sparse Projection
and Layer Input Masking", ICLR 2019 (arXiv 1806.04321). Simplified: weights alone are projected, inputs of
layers are not masked; no teacher; one price for all weights of a layer, taken anew at each projection from
the energy model of this project, at batch 1. The net that is left is within the budget, as the model has it.

Rivals: the same projection, blind to prices; the smallest weights cut at once to the same energy, and the
zeros held; energy-aware pruning, which is told a loss in place of a budget; and a penalty on the energy of
weights in the loss, before a cut to the budget. The nets of an arm train, all together, as the baseline does.
Ramp and weight of the penalty were found with seed 0, of three each.

    python -m recipes.set_energy_consumption_as_a_model_constraint --seed 0 --preset smoke
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from recipes.common.energy.layers import LayerShape
from recipes.common.energy.model import EYERISS, LayerEnergy, NetworkEnergy, estimate, fewest_moves
from recipes.common.nets.checks import computed_weights, wrapped
from recipes.common.pruning.weights import PrunableLayer, apply_masks, masks_of, prunable_layers
from recipes.common.run.contract import Metric
from recipes.common.trial import command
from recipes.common.trial.costs import IMAGES_FOR_ENERGY, modelled_energy
from recipes.common.trial.rivals import Nets
from recipes.common.trial.study import Study, life_of
from recipes.consider_energy_aware_pruning import prune_energy_aware

TACTIC = "set-energy-consumption-as-a-model-constraint"
SUBJECTS = {"smoke": "digits_cnn", "default": "lenet_fashion", "full": "resnet8_fashion"}
COST = "energy_batch_1"
BUDGETS = (0.4, 0.2)  # shares of the modelled energy that weights cause: the nets of an arm
LOSSES = (0.5, 1.0)  # in tolerances: what energy-aware pruning is told in their place
PENALTY = 3.0  # weight of the penalty, whose unit is the energy of the net as given

# --- The tactic ------------------------------------------------------------------------------------------

# --8<-- [start:tactic]
EVERY = 20  # steps from one projection with new prices to the next
RAMP = 0.1  # share of the training after which the budget has fallen to what is allowed
TIGHTER = 0.995  # aim of each further try, over that of the one before, where prices were too low

Projection = Callable[[nn.Module, Tensor, float], dict[str, float]]
"""Brings a net within a budget; returns the least square of a weight that stays, by layer."""


def fall_to_budget(
    model: nn.Module,
    inputs: Tensor,
    budget: float,
    *,
    steps: int,
    project: Projection | None = None,
) -> Callable[[], None]:
    """Return what to call after each step of a training, so that the net's modelled energy falls to a budget.

    Between two projections weights that would not have outlasted the last one are zeroed after each step, and
    those that do may come back. After the last step call `project_onto_budget`.

    Args:
        model: Net that is trained; its weights are changed in place.
        inputs: Training inputs, (images, ...), whose zeros the energy depends on.
        budget: Energy of one inference that is allowed, in multiples of one 16-bit multiply-accumulate.
        steps: Of the training.
        project: What brings the net within a budget; `project_onto_budget` unless told.
    """
    before, taken, least = estimate(model, inputs, batch_size=1).total, 0, dict[str, float]()
    project = project or project_onto_budget

    def after_step() -> None:
        nonlocal taken, least
        taken += 1
        if taken % EVERY == 0:
            left = max(0.0, 1 - taken / (RAMP * steps))
            least = project(model, inputs, budget + left * (before - budget))
        else:
            zero_lesser(model, least)

    return after_step


@torch.no_grad()
def project_onto_budget(
    model: nn.Module, inputs: Tensor, budget: float, *, by_price: bool = True
) -> dict[str, float]:
    """Zero the weights that are worth least for their energy until the net is within a budget, in place.

    A knapsack, filled greedily: a weight is worth its square, which zeroing it would move the net by.

    Args:
        model: Net whose `nn.Conv2d` and `nn.Linear` layers may get zeros.
        inputs: As in `fall_to_budget`.
        budget: As there.
        by_price: Whether dear weights have to be worth more, which is the tactic.

    Returns:
        The least square of a weight that stays, by layer; empty where all do.

    Raises:
        ValueError: The net without any weight is above the budget, or its weights are computed from others.
    """
    if refusal := wrapped(model) or computed_weights(model):
        raise ValueError(refusal)
    layers, aim, least = prunable_layers(model), budget, dict[str, float]()
    while (used := estimate(model, inputs, batch_size=1)).total > budget:
        prices, without = weight_prices(used)
        if without >= aim:
            raise ValueError(f"budget: expected more than the {without:.4g} of no weights, got {budget:.4g}")
        price = torch.cat(
            [torch.full_like(layer.weight, prices.get(name, 0.0)).flatten() for name, layer in layers.items()]
        )  # (weights,)
        worth = torch.cat([layer.weight.flatten() for layer in layers.values()]).square()
        worth_of_all, order = (worth / price if by_price else worth).sort(descending=True)
        bought = int((price[order].cumsum(0) <= aim - without).sum())
        last = float(worth_of_all[bought - 1]) if bought else float("inf")
        least = {name: last * prices.get(name, 0.0) if by_price else last for name in layers}
        zero_lesser(model, least)
        aim *= TIGHTER
    return least


@torch.no_grad()
def zero_lesser(model: nn.Module, least: dict[str, float]) -> None:
    """Zero the weights whose squares are below the least, by layer."""
    layers = prunable_layers(model)
    for name, square in least.items():
        weight = layers[name].weight
        weight.mul_(weight.square() >= square)


def weight_prices(used: NetworkEnergy) -> tuple[dict[str, float], float]:
    """Return the modelled energy that a weight adds, by layer, and what the net would use without weights.

    Taken at half of the weights or less: the first quarter of zeros saves no memory traffic, as coding them
    would cost more.
    """
    prices, without = dict[str, float](), 0.0
    for layer in used.layers:
        for call in layer.calls:
            some = max(1, min(call.weight_nonzeros, call.weights // 2))
            macs = call.macs * some / max(1, call.weight_nonzeros)
            empty = call_energy(replace(call, weight_nonzeros=0, macs=0.0), used.batch_size)
            full = call_energy(replace(call, weight_nonzeros=some, macs=macs), used.batch_size)
            prices[layer.name] = prices.get(layer.name, 0.0) + (full - empty) / some
            without += empty
    return prices, without


def call_energy(call: LayerShape, batch_size: int) -> float:
    """Return the modelled energy of one call of a layer."""
    moves = fewest_moves(call, batch_size, EYERISS)
    return LayerEnergy(call.name, (call,), moves.rf, moves.array, moves.buffer, moves.dram, EYERISS).energy


# --8<-- [end:tactic]
# --- Arms: each net is a copy of the one given --------------------------------------------------------------


def epochs_of(study: Study) -> float:
    """Return how long one net trains: all nets of an arm together have what the baseline has."""
    return study.budget_epochs / len(BUDGETS)


def budgets(study: Study) -> list[tuple[str, nn.Module, float]]:
    """Return a copy of the net as given for each budget, and what is allowed."""
    used = estimate(study.copy(), study.inputs[:IMAGES_FOR_ENERGY], batch_size=1)
    _, without = weight_prices(used)
    allowed = [(share, without + share * (used.total - without)) for share in BUDGETS]
    return [(f"{share:.0%} of the weights' energy", study.copy(), energy) for share, energy in allowed]


def steps_of(study: Study, net: nn.Module) -> int:
    """Return how many steps that takes, by those that the net has had."""
    return round(life_of(net).steps / study.dense_epochs * epochs_of(study))


def held(study: Study, net: nn.Module) -> None:
    """Train with the zeros as they are."""
    study.train(net, epochs_of(study), after_step=partial(apply_masks, net, masks_of(net)))


def book(net: nn.Module, allowed: float, projection_cpu_s: float) -> nn.Module:
    """Note at a net what `extra_costs` tells of it."""
    vars(net)["_booked"] = allowed, projection_cpu_s
    return net


def projected(study: Study, *, by_price: bool) -> Nets:
    """Train while the budget falls, and project once more at the end."""
    inputs = study.inputs[:IMAGES_FOR_ENERGY]
    for label, net, allowed in budgets(study):
        spent_s = 0.0

        def project(net: nn.Module, inputs: Tensor, budget: float) -> dict[str, float]:
            nonlocal spent_s
            started_s = time.process_time()
            least = project_onto_budget(net, inputs, budget, by_price=by_price)
            spent_s += time.process_time() - started_s
            return least

        steps = steps_of(study, net)
        hook = fall_to_budget(net, inputs, allowed, steps=steps, project=project)
        study.train(net, epochs_of(study), after_step=hook)
        project(net, inputs, allowed)
        yield label, book(net, allowed, spent_s)


def tactic(study: Study) -> Nets:
    """Project onto the budget by worth for energy."""
    yield from projected(study, by_price=True)


def blind_to_prices(study: Study) -> Nets:
    """Project onto the same budget by worth alone: the smallest weights go, wherever they are."""
    yield from projected(study, by_price=False)


def magnitude(study: Study) -> Nets:
    """Cut the smallest weights of the whole net to the budget at once, and train with the zeros held."""
    for label, net, allowed in budgets(study):
        started_s = time.process_time()
        project_onto_budget(net, study.inputs[:IMAGES_FOR_ENERGY], allowed, by_price=False)
        spent_s = time.process_time() - started_s
        held(study, net)
        yield label, book(net, allowed, spent_s)


def energy_aware_pruning(study: Study) -> Nets:
    """Prune the dearest layers first to a loss of quality, which is no budget; train with the zeros held."""
    for loss in LOSSES:
        net = study.copy()
        prune_energy_aware(net, study.inputs, evaluate=study.quality, largest_loss=loss * study.tolerance)
        held(study, net)
        yield f"loss of {loss:g} tolerances", net


def penalty(study: Study) -> Nets:
    """Add the energy of weights, by their size, to the loss; cut to the budget half-way, and hold that."""
    inputs = study.inputs[:IMAGES_FOR_ENERGY]
    for label, net, allowed in budgets(study):
        prices, _ = weight_prices(estimate(net, inputs, batch_size=1))
        layers, steps, taken = prunable_layers(net), steps_of(study, net), 0
        scale, masks, spent_s = PENALTY / study.cost(net), masks_of(net), 0.0

        def add(
            _: Tensor,
            __: Tensor,
            layers: dict[str, PrunableLayer] = layers,
            prices: dict[str, float] = prices,
            scale: float = scale,
        ) -> Tensor:
            energy = [price * layers[name].weight.abs().sum() for name, price in prices.items()]
            return scale * torch.stack(energy).sum()

        def cut(net: nn.Module = net, steps: int = steps, allowed: float = allowed) -> None:
            nonlocal taken, masks, spent_s
            taken += 1
            if taken == steps // 2:
                started_s = time.process_time()
                project_onto_budget(net, inputs, allowed)
                spent_s, masks = time.process_time() - started_s, masks_of(net)
            apply_masks(net, masks)

        study.train(net, epochs_of(study), add=add, after_step=cut)
        yield label, book(net, allowed, spent_s)


ARMS = (tactic, blind_to_prices, magnitude, energy_aware_pruning, penalty)


def extra_costs(net: nn.Module, inputs: Tensor) -> dict[str, Metric]:
    """Return what a net with a budget uses of it, and what projecting took."""
    if "_booked" not in vars(net):
        return {}
    allowed, projection_cpu_s = vars(net)["_booked"]
    used = modelled_energy(net, inputs[:IMAGES_FOR_ENERGY], 1)
    told = "Modelled energy of one inference over that allowed; above 1 the budget is not met."
    took = "Processor time of the projections onto the budget, which is part of that of the arm."
    return {
        "used_of_budget_fraction": Metric(used / allowed, "fraction", "lower", "modelled", told),
        "projection_cpu_s": Metric(projection_cpu_s, "s", "lower", "measured", took),
    }


if __name__ == "__main__":
    sys.exit(command.main(sys.modules[__name__]))
