"""The program against exhaustive search and by hand, what ways of serving take, and the arms side by side."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from recipes import apply_cloud_fog_network_architecture as recipe
from recipes.language.llama import Llama
from tests.recipes.fake_meter import FakeMeter


@pytest.mark.parametrize("seed", range(5))
def test_the_program_finds_the_optimum_of_an_exhaustive_search(seed: int) -> None:
    rng = np.random.default_rng(seed)
    streams, nodes = 5, 3
    stream, node = np.repeat(np.arange(streams), nodes), np.tile(np.arange(nodes), streams)
    power_w = rng.uniform(1, 5, streams * nodes)
    busy = np.zeros((nodes, streams * nodes))
    busy[node, np.arange(streams * nodes)] = rng.uniform(0.2, 0.7, streams * nodes)
    idle_w, servers = rng.uniform(0, 8, nodes), np.array([1, 1, 5])

    def total_w(ways: np.ndarray) -> float:
        opened = recipe.servers_for(busy[:, ways].sum(1))
        return float(power_w[ways].sum() + opened @ idle_w) if (opened <= servers).all() else np.inf

    every = itertools.product(*(np.flatnonzero(stream == number) for number in range(streams)))
    best = min(total_w(np.array(ways)) for ways in every)
    chosen = recipe.least_power(power_w, busy, stream, idle_w, servers)
    assert stream[chosen].tolist() == list(range(streams))
    assert total_w(chosen) == pytest.approx(best, rel=1e-6)


def test_a_node_is_opened_when_enough_streams_share_its_idle_power() -> None:
    power_w, stream, servers = np.array([1.0, 4.0, 1.0, 4.0]), np.array([0, 0, 1, 1]), np.array([1, 1])
    busy = np.array([[1e-9, 0.0, 1e-9, 0.0], [0.0, 0.4, 0.0, 0.4]])  # near 1 W each, far 4 W each
    one = recipe.least_power(power_w[:2], busy[:, :2], stream[:2], np.array([5.0, 0.0]), servers)
    assert one.tolist() == [1]  # 4 W far, 1 + 5 W near; a tiny load opens the node too
    both = recipe.least_power(power_w, busy, stream, np.array([5.0, 0.0]), servers)
    assert both.tolist() == [0, 2]  # 8 W far, 2 + 5 W near
    busy[0, [0, 2]] = 0.6
    full = recipe.least_power(power_w, busy, stream, np.array([2.0, 0.0]), servers)
    assert sorted(full % 2) == [0, 1]  # near has room for one
    with pytest.raises(ValueError, match="no placement"):
        recipe.least_power(power_w[[0, 2]], busy[:, [0, 2]], np.array([0, 1]), np.array([0.0, 0.0]), servers)


def test_the_program_is_not_worse_than_one_by_one_where_presolve_lost_the_optimum() -> None:
    config, rng = replace(recipe.DEFAULT, streams=15), np.random.default_rng(1)
    for _ in range(5):
        ways = recipe.ways_of(config, rng)
        placed = recipe.optimum(ways), recipe.RIVALS["cheapest_next"](ways)
        least, other = (recipe.figures_of(ways, chosen, 15) for chosen in placed)
        assert least["in_time_fraction"] == other["in_time_fraction"] == 1
        assert least["power_w"] <= other["power_w"] * (1 + 1e-6)


def test_nets_are_counted_with_what_leaves_their_parts() -> None:
    resnet, wide, digits, text = recipe.nets(recipe.DEFAULT)
    # 3x3 filters on 16x16 and 8x8 places, then 256 values to 46 and 10
    assert digits.macs == (16 * 16 * 9 * 8, 8 * 8 * 9 * 8 * 16, 256 * 46, 460)
    assert digits.sent_bytes == (16 * 16 / 8, 4 * 8 * 8 * 8, 4 * 256, 4 * 46)
    assert resnet.sent_bytes[0] == wide.sent_bytes[0] == 224 * 224 / 8
    assert 3.5 < sum(wide.macs) / sum(resnet.macs) < 4
    assert text.sent_bytes == (512,)
    assert text.deadline_s == 1.0
    with torch.device("meta"):
        count = sum(weights.numel() for weights in Llama(recipe.LANGUAGE_MODEL).parameters())
    assert count == 134_515_008  # as recipes/language/smollm2.py reads it


def test_a_way_takes_the_power_of_its_operations_and_bits() -> None:
    config = replace(
        recipe.SMOKE, streams=1, access_fogs=1, split=True, images_per_s=(2.0, 2.0), texts_per_s=(2.0, 2.0)
    )
    net = recipe.nets(config)[np.random.default_rng(3).integers(4)]
    ways = recipe.ways_of(config, np.random.default_rng(3))
    device, access, _, cloud = ways.power_w[:4]
    work, bits = sum(net.macs), 8 * net.sent_bytes[0]
    assert device == pytest.approx(2 * work * (6.41 - 2.1) / 4e9)
    assert access == pytest.approx(2 * (work * 8 / 35.4e9 + (bits + 800) * 300e-9))
    assert cloud == pytest.approx(2 * (work * 280 * 1.2 / 4.88e12 + (bits + 800) * 6_958e-9))
    assert ways.delay_s[3] == pytest.approx(work / 4.88e12 + bits / 10e6 + 0.04)
    assert len(ways.stream) == 4 + 6 * (len(net.macs) - 1)
    assert ways.busy[0, 0] == pytest.approx(2 * work / 4e9 / 0.7)


def test_each_arm_places_in_its_own_way_or_changes_the_conditions() -> None:
    own = {"tactic", "tactic_with_idle_power_forgotten", *recipe.CONDITIONS, *recipe.STREAMS, *recipe.RIVALS}
    assert own == set(recipe.ARMS)


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_optimum_takes_no_more_than_rivals_that_serve_all_in_time(arm: str) -> None:
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    metrics = outcome.metrics
    assert meter.names == ["placing"]
    assert set(metrics) == set(recipe.METRICS)
    parts = ("processing_power_w", "idle_power_w", "network_power_w")
    assert metrics["power_w"] == pytest.approx(sum(metrics[name] for name in parts))
    if arm == "baseline":
        assert metrics["power_fraction"] == 1
    if arm.startswith("tactic") and "forgotten" not in arm:
        assert metrics["in_time_fraction"] == 1
        for other in outcome.details["same_conditions"].values():
            assert other["in_time_fraction"] < 1 or metrics["power_w"] <= other["power_w"] * (1 + 1e-6)
