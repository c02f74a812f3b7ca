"""The energy ratio against numbers worked by hand."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from recipes.train_for_sparse_activations import (
    ModuleAccesses,
    count_accesses,
    energy_ratio,
    nonzero_fraction,
    ratio_metrics,
    rectifier_table,
)

IMAGES = torch.tensor([[1.0, 2.0], [3.0, 0.0]])


def two_layers() -> nn.Sequential:
    """Two inputs, two hidden units of which the second never fires, one output; 6 weights, 4 of them zero."""
    net = nn.Sequential(nn.Linear(2, 2, bias=False), nn.ReLU(), nn.Linear(2, 1, bias=False)).eval()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([[1.0, 0.0], [-1.0, 0.0]]))
        net[2].weight.copy_(torch.tensor([[1.0, 1.0]]))
    return net


def test_accesses_are_counted_per_image() -> None:
    first, relu, last = count_accesses(two_layers(), IMAGES)
    assert first == ModuleAccesses("0", False, 4, 2, 2.0, 1.5, 2.0, 2.0, 4.0)
    assert relu == ModuleAccesses("1", True, 0, 0, 2.0, 2.0, 2.0, 1.0, 0.0)
    assert last == ModuleAccesses("2", False, 2, 2, 2.0, 1.0, 1.0, 1.0, 2.0)


def test_the_ratio_is_that_of_the_formula_worked_by_hand() -> None:
    calls = count_accesses(two_layers(), IMAGES)
    # batch 2: 6 weights (4 not zero), 12 inputs (9), 10 outputs (8), 12 operations
    skipping = 1950 * (4 + 9 + 8) + (4 / 6) * (9 / 12) * 12 * 3.7
    worst = 1950 * (6 + 12 + 10) + 12 * 3.7
    assert energy_ratio(calls, batch_size=2, in_place=False) == pytest.approx(skipping / worst, rel=1e-12)
    # in place, ReLU's inputs count as its outputs: 1 of 2 an image instead of 2
    skipping = 1950 * (4 + 7 + 8) + (4 / 6) * (7 / 12) * 12 * 3.7
    assert energy_ratio(calls, batch_size=2, in_place=True) == pytest.approx(skipping / worst, rel=1e-12)


def test_a_net_that_rectifies_in_place_gives_the_same_counts() -> None:
    net = two_layers()
    net[1].inplace = True
    assert count_accesses(net, IMAGES) == count_accesses(two_layers(), IMAGES)
    assert net[1].inplace


def test_counting_leaves_no_hook_behind() -> None:
    net = two_layers()
    count_accesses(net, IMAGES)
    assert not any(module._forward_hooks for module in net.modules())


def test_operations_of_each_kind_of_module() -> None:
    net = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1, groups=2), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2), nn.Identity(),
        nn.AvgPool2d((1, 2)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(), nn.Linear(4, 3),
    ).eval()  # fmt: skip
    calls = {call.name: call for call in count_accesses(net, torch.randn(2, 2, 8, 8))}
    assert {name: call.operations for name, call in calls.items()} == {
        "0": 4 * 64 * 9, "1": 4 * 256, "2": 0, "3": 4 * 16 * 4, "5": 4 * 8 * 2, "6": 32, "9": 12,
    }  # fmt: skip
    assert calls["1"].weights == 4 * 4 + 1  # scale, shift, mean, variance, and how many batches were seen


def test_a_module_called_twice_counts_twice() -> None:
    relu = nn.ReLU()
    calls = count_accesses(nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu), IMAGES)
    assert sum(call.rectifies for call in calls) == 2


def test_only_outputs_of_rectifiers_make_the_nonzero_fraction() -> None:
    calls = count_accesses(two_layers(), IMAGES)
    assert nonzero_fraction(calls) == 0.5
    assert rectifier_table(calls) == [{"layer": "1", "outputs": 2.0, "nonzero_fraction": 0.5}]


def test_thresholds_count_as_rectifiers() -> None:
    net = two_layers()
    net[1] = nn.Threshold(2.0, 0.0)
    assert nonzero_fraction(count_accesses(net, IMAGES)) == 0.25


def test_metrics_state_their_conventions() -> None:
    metrics = ratio_metrics(count_accesses(two_layers(), IMAGES))
    assert {metric.provenance for metric in metrics.values()} == {"modelled", "counted"}
    assert "batch 512" in metrics["energy_ratio"].description
    assert "batch 1," in metrics["energy_ratio_batch_1"].description
    assert metrics["energy_ratio"].value < metrics["energy_ratio_relu_not_in_place"].value


@given(st.integers(1, 1000), st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_the_ratio_is_a_fraction_that_falls_with_the_zeros(batch_size: int, densities: list[float]) -> None:
    def ratio(density: float, *, in_place: bool) -> float:
        layer = ModuleAccesses("layer", False, 30, 30, 10, 10 * density, 20, 20, 300)
        rectifier = ModuleAccesses("relu", True, 0, 0, 20, 20, 20, 20 * density, 0)
        return energy_ratio([layer, rectifier], batch_size=batch_size, in_place=in_place)

    low, high = sorted(densities)
    for in_place in (True, False):
        assert 0 < ratio(low, in_place=in_place) <= ratio(high, in_place=in_place) <= 1 + 1e-12
    assert ratio(low, in_place=True) <= ratio(low, in_place=False)


def test_a_net_without_rectifiers_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an nn\.ReLU or nn\.Threshold module, found none"):
        count_accesses(nn.Sequential(nn.Linear(2, 2)), IMAGES)


def test_an_unknown_module_is_refused() -> None:
    with pytest.raises(ValueError, match="1: GELU is not modelled"):
        count_accesses(nn.Sequential(nn.Linear(2, 2), nn.GELU(), nn.ReLU()), IMAGES)


def test_a_batch_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        energy_ratio(count_accesses(two_layers(), IMAGES), batch_size=0, in_place=True)
