"""What the energy model costs on a large network."""

from __future__ import annotations

import time

import pytest
import torch

from recipes.common.energy_model import estimate
from recipes.validation.reference_networks import NETWORKS
from tests.benchmarks.resnet50 import resnet50

ESTIMATE_LIMIT_S = 0.5


@pytest.mark.benchmark(timer=time.process_time)
def test_estimate_of_resnet50(benchmark, report):
    torch.set_num_threads(1)
    network, image = resnet50(), torch.rand(1, 3, 224, 224)
    energy = benchmark.pedantic(lambda: estimate(network, image, batch_size=1), rounds=9)
    assert energy.dense_macs == sum(layer.dense_macs for layer in NETWORKS["ResNet-50"])
    report("estimate of ResNet-50, 224 x 224: CPU", benchmark.stats.stats.median, "s", ESTIMATE_LIMIT_S)
