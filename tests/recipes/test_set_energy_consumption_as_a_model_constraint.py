"""The projection meets its budget and keeps what is worth most for its energy; the budget falls."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recipes import set_energy_consumption_as_a_model_constraint as recipe
from recipes.common.energy.model import estimate
from recipes.subjects import digits_cnn


@pytest.fixture
def net() -> nn.Module:
    torch.manual_seed(0)
    return digits_cnn.build_model().eval()


INPUTS = torch.rand(8, 1, 16, 16)


def energy(net: nn.Module) -> float:
    return estimate(net, INPUTS, batch_size=1).total


def test_prices_and_what_is_left_without_weights_add_up_to_the_energy_of_a_sparse_net(net: nn.Module) -> None:
    with torch.no_grad():
        for layer in recipe.prunable_layers(net).values():
            layer.weight.mul_(torch.rand_like(layer.weight) < 0.4)  # type: ignore[operator]
    used = estimate(net, INPUTS, batch_size=1)
    prices, without = recipe.weight_prices(used)
    counts = {name: int(mask.sum()) for name, mask in recipe.masks_of(net).items()}
    assert without + sum(prices[name] * count for name, count in counts.items()) == pytest.approx(used.total)


@pytest.mark.parametrize("share", [0.6, 0.3, 0.1])
def test_the_budget_is_met_and_used(net: nn.Module, share: float) -> None:
    used = estimate(net, INPUTS, batch_size=1)
    _, without = recipe.weight_prices(used)
    budget = without + share * (used.total - without)
    recipe.project_onto_budget(net, INPUTS, budget)
    assert 0.9 * budget < energy(net) <= budget
    before = recipe.masks_of(net)
    recipe.project_onto_budget(net, INPUTS, budget)  # a net within the budget stays as it is
    assert all(torch.equal(mask, before[name]) for name, mask in recipe.masks_of(net).items())


def test_of_two_weights_the_one_that_is_used_less_often_may_be_smaller() -> None:
    # a convolution uses each weight at 64 places, a linear layer at one; both read from memory once
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.Flatten(), nn.Linear(256, 20)).eval()
    inputs = torch.rand(4, 1, 8, 8)
    with torch.no_grad():
        for layer in (net[0], net[2]):
            layer.weight.uniform_(0.9, 1.1)  # type: ignore[operator, union-attr]
    used = estimate(net, inputs, batch_size=1)
    prices, without = recipe.weight_prices(used)
    assert prices["0"] > 1.5 * prices["2"]
    recipe.project_onto_budget(net, inputs, without + 0.5 * (used.total - without))
    kept = {name: float(mask.float().mean()) for name, mask in recipe.masks_of(net).items()}
    assert kept["0"] == 0
    assert 0.3 < kept["2"] < 0.7


def test_a_budget_that_inputs_and_outputs_use_up_is_refused(net: nn.Module) -> None:
    with pytest.raises(ValueError, match="budget: expected more than"):
        recipe.project_onto_budget(net, INPUTS, 0.01 * energy(net))


def test_the_budget_falls_and_what_would_not_have_been_bought_stays_zero_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recipe, "EVERY", 10)
    monkeypatch.setattr(recipe, "RAMP", 0.5)
    net, asked = nn.Sequential(nn.Linear(4, 1)), list[float]()
    whole = estimate(net, torch.ones(1, 4), batch_size=1).total

    def note(_: nn.Module, __: torch.Tensor, budget: float) -> dict[str, float]:
        asked.append(budget / whole)
        return {"0": 0.25}

    hook = recipe.fall_to_budget(net, torch.ones(1, 4), 0.2 * whole, steps=80, project=note)
    for _ in range(61):
        with torch.no_grad():
            net[0].weight.copy_(torch.tensor([[0.6, -0.6, 0.4, 0.0]]))  # type: ignore[operator]
        hook()
    assert asked == pytest.approx([0.8, 0.6, 0.4, 0.2, 0.2, 0.2])
    assert net[0].weight.tolist() == [pytest.approx([0.6, -0.6, 0.0, 0.0])]  # type: ignore[operator]


def test_what_a_net_uses_of_its_budget_is_told_where_it_has_one(net: nn.Module) -> None:
    assert recipe.extra_costs(net, INPUTS) == {}
    told = recipe.extra_costs(recipe.book(net, 2 * energy(net), 1.5), INPUTS)
    assert told["used_of_budget_fraction"].value == pytest.approx(0.5)
    assert told["used_of_budget_fraction"].provenance == "modelled"
    assert told["projection_cpu_s"].value == 1.5
