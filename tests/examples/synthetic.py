"""Made-up results for tests; nothing here was measured, and none of it reaches a page outside tests."""

from __future__ import annotations

import datetime
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from greentactics.models.datasets import KNOWN_SHA256
from greentactics.models.results import DataInfo, DeviceInfo, MeterInfo, MetricInfo, Repeat, Results
from greentactics.models.timings import CONTROL, Timing
from greentactics.records.recipes import RecipeChecksum

SHA = "a" * 64


def always(sha256: str) -> RecipeChecksum:
    """Return what tells the checksum of a recipe with this one."""
    return lambda preset, *, metered, subject=None: sha256


UNCHANGED, CHANGED = always(SHA), always("f" * 64)
METRICS = {
    "energy_batch_1": MetricInfo(
        unit="MAC energy",
        better="lower",
        provenance="modelled",
        description="Modelled energy of one image at batch 1.",
    ),
    "energy_batch_48": MetricInfo(
        unit="MAC energy",
        better="lower",
        provenance="modelled",
        description="Modelled energy of one image at batch 48.",
    ),
    "test_accuracy": MetricInfo(
        unit="fraction",
        better="higher",
        provenance="measured",
        description="Share of test images labelled right.",
    ),
    "nonzero_weights": MetricInfo(
        unit="count", better="lower", provenance="counted", description="Weights that are not zero."
    ),
    "effective_macs": MetricInfo(
        unit="count", better="lower", provenance="counted", description="MACs with both operands not zero."
    ),
}
BASE = {
    "energy_batch_1": 9.1e6,
    "energy_batch_48": 1.4e6,
    "test_accuracy": 0.912,
    "nonzero_weights": 44190.0,
    "effective_macs": 281640.0,
}
FACTORS = {
    "tactic": (7.4, 3.1, -0.005, 8.0, 4.0),
    "magnitude": (7.3, 2.2, -0.006, 9.0, 2.9),
    "weight_ordered": (7.0, 2.9, -0.006, 7.6, 3.6),
}
SPLIT = ("computation", "weights", "inputs", "outputs")
LAYERS = [
    {
        "layers": [
            {
                "batch_size": batch,
                "layer": layer,
                "nonzero_weights": 150,
                "kept_fraction": 1 / part,
                "energy": 4.0e5,
            }
            | {f"energy_{kind}": 1e5 * (index + 1) / part for index, kind in enumerate(SPLIT)}
            for batch in (1, 48)
            for layer in ("conv1", "conv2", "fc1", "fc2")
        ],
        "data_line": "not a table",
    }
    for part in (6.0, 1.0)
]
ARMS = ("baseline", "tactic", "magnitude", "weight_ordered")
DEVICE = DeviceInfo(
    kind="cpu",
    name="Example Processor 9000",
    cores=2,
    memory_bytes=2**33,
    system="Linux 6",
    machine="x86_64",
)


def results(
    *,
    seeds: int = 5,
    arms: Sequence[str] = ARMS,
    factors: Mapping[str, Sequence[float]] = FACTORS,
    spread: float = 0.03,
    details: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Results:
    """Return made-up results of the shape that a measuring run writes."""
    repeats = tuple(
        Repeat(
            arm=arm,
            seed=seed,
            values=_values(arm, seed, factors, spread),
            details=dict(LAYERS[arm == "baseline"] if details is None else details),
            started=datetime.datetime(2026, 11, 21, 12, seed, tzinfo=datetime.UTC),
            duration_s=20.0 + seed,
            cpu_s=38.0,
            peak_memory_bytes=900_000_000,
            load_before=0.2,
            load_after=1.9,
        )
        for seed in range(seeds)
        for arm in arms
    )
    values: dict[str, Any] = {
        "tactic": "consider-energy-aware-pruning",
        "preset": "default",
        "config": {"epochs": 4},
        "data": DataInfo(
            name="Fashion-MNIST",
            sha256=KNOWN_SHA256["Fashion-MNIST"],
            train_count=55000,
            validation_count=5000,
            test_count=10000,
        ),
        "device": DEVICE,
        "threads": 1,
        "versions": {"python": "3.11.9", "torch": "2.13.0"},
        "meter": MeterInfo(name="clock", energy="none"),
        "device_slug": "example-processor-9000",
        "recipe_sha256": SHA,
        "commit": "b" * 40,
        "dirty": False,
        "complete": True,
        "metrics": METRICS,
        "repeats": repeats,
    }
    return Results(**(values | changes))


def _values(arm: str, seed: int, factors: Mapping[str, Sequence[float]], spread: float) -> dict[str, float]:
    draw = random.Random(f"{arm}{seed}")
    noise = [1 + spread * draw.uniform(-1, 1) for _ in BASE]
    if arm == "baseline":
        return BASE | {"test_accuracy": 0.912 + 0.002 * draw.random()}
    energy, energy_48, points, weights, macs = factors[arm]
    return {
        "energy_batch_1": BASE["energy_batch_1"] / energy * noise[0],
        "energy_batch_48": BASE["energy_batch_48"] / energy_48 * noise[1],
        "test_accuracy": BASE["test_accuracy"] + points + 0.001 * draw.uniform(-1, 1),
        "nonzero_weights": BASE["nonzero_weights"] / weights,
        "effective_macs": BASE["effective_macs"] / macs * noise[2],
    }


def timing(seed: int, factor: float, *, control: float = 1.0, arm: str = "tactic", **changes: Any) -> Timing:
    """Return six rounds in which the arm takes a factor less time and the machine drifts."""
    drift = [1.0, 1.2, 0.9, 1.1, 1.0, 1.3]
    times = {
        "baseline": tuple(2.0 * value for value in drift),
        CONTROL: tuple(2.0 * value / control for value in drift),
        arm: tuple(2.0 * value / factor / math.sqrt(control) for value in drift),
    }
    values = {
        "engine": "pytorch",
        "seed": seed,
        "batch_size": 1,
        "threads": 1,
        "started": datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC),
        "order_seed": 0,
        "warm_up_calls": 5,
        "precise": True,
        "load_before": None,
        "load_after": None,
        "calls": dict.fromkeys(times, 1),
        "wall_ms": times,
        "cpu_ms": times,
        "output_difference": {},
        "test_count": 0,
        "stored_bytes": dict.fromkeys(times, 1024),
    }
    return Timing(**(values | changes))
