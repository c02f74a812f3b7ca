"""Thresholds in place of ReLUs."""

import pytest
import torch
from torch import nn

from recipes.train_for_sparse_activations import use_thresholds


def test_each_relu_gets_the_threshold_that_drops_the_fraction() -> None:
    net = nn.Sequential(nn.Identity(), nn.Sequential(nn.ReLU()))
    images = torch.tensor([[-1.0, 1.0, 2.0, 3.0, 4.0]])
    thresholds = use_thresholds(net, images, 0.25)
    assert list(thresholds.values()) == [2.0]
    (module,) = thresholds
    assert net[1][0] is module
    assert torch.equal(net(images), images.relu())  # nothing dropped yet
    module.threshold = thresholds[module]
    assert net(images).tolist() == [[0, 0, 0, 3.0, 4.0]]


def test_a_relu_that_never_fires_stays() -> None:
    net = nn.Sequential(nn.ReLU(), nn.Threshold(10.0, -1.0), nn.ReLU())
    use_thresholds(net, torch.tensor([[1.0, 2.0]]), 0.5)
    assert [type(module) for module in net] == [nn.Threshold, nn.Threshold, nn.ReLU]


@pytest.mark.parametrize("fraction", [-0.1, 1.0])
def test_a_fraction_out_of_range_is_refused(fraction: float) -> None:
    with pytest.raises(ValueError, match="removed_fraction: expected at least 0 and below 1"):
        use_thresholds(nn.Sequential(nn.ReLU()), torch.ones(1, 2), fraction)


def test_a_net_without_relus_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected an nn\.ReLU module that fires, found none"):
        use_thresholds(nn.Sequential(nn.Linear(2, 2)), torch.ones(1, 2), 0.5)
