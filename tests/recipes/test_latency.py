from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from recipes.common.latency import compare_latency


class FakeClock:
    """A clock that moves on only when a net is run."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class FakeNet(nn.Module):
    def __init__(self, clock: FakeClock, cost_s: float) -> None:
        super().__init__()
        self.clock, self.cost_s, self.calls = clock, cost_s, 0

    def forward(self, inputs: Tensor) -> Tensor:
        assert torch.is_inference_mode_enabled()
        self.clock.now_s += self.cost_s
        self.calls += 1
        return inputs


def test_medians_and_ratio_of_nets_of_known_cost() -> None:
    clock = FakeClock()
    slow, fast = FakeNet(clock, 0.004), FakeNet(clock, 0.001)
    got = compare_latency(slow, fast, torch.zeros(1, 1), rounds=3, cell_s=0.05, clock_s=clock)
    assert got.first_ms == pytest.approx(4)
    assert got.second_ms == pytest.approx(1)
    assert got.ratio == pytest.approx(4)
    assert got.same_net_ratio == pytest.approx(1)
    assert got.rounds == 3


def test_each_reading_lasts_long_enough() -> None:
    clock = FakeClock()
    net = FakeNet(clock, 0.001)
    compare_latency(net, FakeNet(clock, 0.001), torch.zeros(1, 1), rounds=2, cell_s=0.05, clock_s=clock)
    readings = 2 * 2  # rounds, and the first net is read twice a round
    assert net.calls >= readings * 50


def test_real_nets_run() -> None:
    net = nn.Linear(4, 4)
    got = compare_latency(net, net, torch.zeros(1, 4), rounds=1, cell_s=0.001)
    assert got.first_ms > 0
    assert got.second_ms > 0
