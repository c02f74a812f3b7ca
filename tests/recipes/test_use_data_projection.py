"""Principal components as a layer, and what each arm multiplies."""

from __future__ import annotations

import pytest
import torch

from recipes import use_data_projection as recipe
from tests.recipes.fake_meter import FakeMeter


def test_components_are_the_directions_of_largest_variance_in_units_of_their_spread() -> None:
    torch.manual_seed(0)
    rows = torch.randn(20_000, 3) * torch.tensor([5.0, 0.1, 2.0]) + torch.tensor([1.0, 7.0, -3.0])
    with torch.no_grad():
        told = recipe.principal_components(rows, 2)(rows)  # (rows, 2), the larger variance last
    first, second = (torch.corrcoef(torch.stack((told[:, 1 - k], rows[:, 2 * k])))[0, 1] for k in (0, 1))
    assert abs(float(first)) == pytest.approx(1, abs=1e-3)
    assert abs(float(second)) == pytest.approx(1, abs=1e-3)
    assert told.mean(0).tolist() == pytest.approx([0, 0], abs=1e-3)
    assert told.std(0).tolist() == pytest.approx([1, 1], abs=1e-3)
    assert float(torch.corrcoef(told.T)[0, 1]) == pytest.approx(0, abs=1e-3)


def test_directions_without_variance_are_not_blown_up() -> None:
    rows = torch.tensor([[1.0, 2.0, 5.0], [2.0, 2.0, 5.0], [3.0, 2.0, 5.0]])
    with torch.no_grad():
        assert bool(recipe.principal_components(rows, 3)(rows).isfinite().all())


def test_means_are_those_of_neighbouring_pixels() -> None:
    config = recipe.Config(directions=4)
    image = torch.arange(16.0).view(1, 1, 4, 4)
    project, macs = recipe.projection_of("mean_pixels", config, image)
    assert project(image.flatten(1)).tolist() == [[2.5, 4.5, 10.5, 12.5]]
    assert macs == 0


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_pays_for_its_projection(arm: str) -> None:
    meter = FakeMeter()
    metrics = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter).metrics
    assert meter.names == ["projection", "training", "answers"]
    assert set(metrics) == set(recipe.METRICS)
    assert metrics["training_cpu_s"] == 2 * metrics["projection_cpu_s"]
    # 16 x 16 pixels, 16 directions, 32 hidden units, 10 classes; 64 hidden units in the baseline
    net, projection = 32 * (16 + 10), 16 * 256
    expected = {
        "baseline": 64 * 266,
        "tactic": net + projection,
        "random_projection": net + projection,
        "mean_pixels": net,
        "varied_pixels": net,
        "narrow_net": 266 * round((net + projection) / 266),
    }
    assert metrics["answer_macs"] == expected[arm]
