"""Pairs of a made-up extract of metered runs, worked by hand."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recipes.replays import (
    batch_requests,
    use_a_sparse_mixture_of_experts,
    use_energy_efficient_hardware,
    use_oversized_models_for_small_tasks,
)
from recipes.replays.ml_energy import language_runs
from recipes.replays.pairs import Comparison
from tests.examples.metered_runs import (
    A100,
    H100,
    write_image_run,
    write_parameters,
    write_text_run,
)


def paired(comparison: Comparison) -> list[tuple[str, float, float]]:
    """Return cluster and both energies of each pair, rounded, as division leaves a last bit."""
    return [
        (pair.cluster, round(pair.baseline.energy_j, 9), round(pair.tactic.energy_j, 9))
        for pair in comparison.pairs
    ]


def test_a_run_is_read_as_it_was_published(tmp_path: Path) -> None:
    write_text_run(tmp_path, "m/a-7b", 64, 0.25, 0.08, gpu=H100, tensor=2)
    (run,) = language_runs(tmp_path)
    assert run.file == "data/llm_text_generation/chat/H100 80GB HBM3/m/a-7b/bs64+tp2+pp1.json"
    assert (run.task, run.model, run.accelerator, run.accelerators) == ("chat", "m/a-7b", H100, 2)
    assert (run.batch, run.energy_j, run.seconds) == (64, 0.25, 0.08)


def test_batches_within_limits(tmp_path: Path) -> None:
    for batch, joules, seconds in ((32, 0.8, 0.05), (64, 0.4, 0.09), (128, 0.3, 0.19), (256, 0.2, 0.5)):
        write_text_run(tmp_path, "m/a", batch, joules, seconds)
    for batch, joules, seconds in ((32, 0.6, 0.15), (64, 0.5, 0.25)):
        write_text_run(tmp_path, "m/b", batch, joules, seconds)
    write_text_run(tmp_path, "m/b", 64, 9.0, 0.01, tensor=2)  # alone on two: no series
    write_image_run(tmp_path, "m/i", 1, 300.0, 2.0)
    write_image_run(tmp_path, "m/i", 8, 200.0, 9.0)
    write_image_run(tmp_path, "m/j", 2, 300.0, 2.0)  # never one at a time
    write_image_run(tmp_path, "m/j", 4, 200.0, 3.0)
    tight, loose, free, images = batch_requests.replay(tmp_path)
    assert paired(tight) == [("m/a", 0.8, 0.4)]
    assert tight.note == "1 series in which no batch keeps the limit are left out"
    assert paired(loose) == [("m/a", 0.8, 0.3), ("m/b", 0.6, 0.6)]
    assert loose.note == "1 in which only the smallest does count as no change"
    assert paired(free) == [("m/a", 0.8, 0.2), ("m/b", 0.6, 0.5)]
    assert free.note == ""
    assert free.baseline == "smallest batch that was metered, 32 to 32 requests"
    assert paired(images) == [("m/i", 300.0, 200.0)]


def test_accelerators_are_compared_at_equal_settings_and_at_the_best_of_each(tmp_path: Path) -> None:
    write_text_run(tmp_path, "m/a", 32, 0.5, 0.1, gpu=A100)
    write_text_run(tmp_path, "m/a", 64, 0.4, 0.2, gpu=A100)
    write_text_run(tmp_path, "m/a", 64, 0.45, 0.1, gpu=H100)
    write_text_run(tmp_path, "m/a", 128, 0.3, 0.15, gpu=H100)
    write_text_run(tmp_path, "m/a", 256, 0.2, 0.3, gpu=H100)  # too slow
    write_text_run(tmp_path, "m/b", 64, 0.1, 0.1, gpu=A100, tensor=2)  # no partner of two
    write_text_run(tmp_path, "m/b", 64, 0.2, 0.1, gpu=H100, tensor=1)
    write_image_run(tmp_path, "m/i", 1, 300.0, 2.0)
    equal, best, images = use_energy_efficient_hardware.replay(tmp_path)
    assert paired(equal) == [("m/a", 0.4, 0.45)]
    assert paired(best) == [("m/a", 0.4, 0.3), ("m/b", 0.1, 0.2)]
    assert paired(images) == []


def test_sizes_within_a_family(tmp_path: Path) -> None:
    for model, joules, tensor in (
        ("m/Fox-2b-it", 0.1, 1), ("m/Fox-9b-it", 0.3, 1), ("m/Fox-9b-it", 0.5, 2), ("m/Fox-27b-it", 0.9, 2),
        ("m/Owl-3b", 0.2, 1),
    ):  # fmt: skip
        write_text_run(tmp_path, model, 64, joules, 0.1, tensor=tensor)
    write_parameters(tmp_path, Fox_2b_it=2, Fox_9b_it=9, Fox_27b_it=27, Owl_3b=3)
    equal, own = use_oversized_models_for_small_tasks.replay(tmp_path)
    assert sorted(paired(equal)) == [("m/Fox", 0.1, 0.3), ("m/Fox", 0.5, 0.9)]
    assert equal.tactic == "largest model of a family, with 3 to 4.5 times the parameters"
    assert paired(own) == [("m/Fox", 0.1, 0.9)]


def test_mixtures_meet_dense_models_of_their_total_and_of_their_active_size(
    tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setattr(use_a_sparse_mixture_of_experts, "ACTIVE", {"m/Mix": 10})
    for model, joules, tensor in (
        ("m/Mix", 0.4, 4), ("m/Mix", 0.3, 2), ("m/Forty", 0.6, 4), ("m/Sixty", 0.9, 8), ("m/Ten", 0.1, 1),
        ("m/Twenty", 0.2, 2),
    ):  # fmt: skip
        write_text_run(tmp_path, model, 64, joules, 0.1, tensor=tensor)
    write_text_run(tmp_path, "m/Ten", 128, 0.05, 0.1)  # no mixture with this batch
    write_parameters(tmp_path, Mix=40, Forty=40, Sixty=60, Ten=10, Twenty=20)
    equal, own, active = use_a_sparse_mixture_of_experts.replay(tmp_path)
    assert paired(equal) == [("m/Mix", 0.6, 0.4)]
    assert paired(own) == [("m/Mix", 0.6, 0.3), ("m/Mix", 0.9, 0.3)]
    assert own.note == "dense models: Forty, Sixty"
    assert paired(active) == [("m/Mix", 0.1, 0.3)]


@pytest.mark.parametrize(
    ("model", "family"),
    [
        ("meta-llama/Meta-Llama-3.1-8B-Instruct", "meta-llama/Meta-Llama-3.1"),
        ("microsoft/Phi-3-mini-4k-instruct", "microsoft/Phi-3"),
        ("bigcode/starcoder2-15b", "bigcode/starcoder2"),
        ("google/codegemma-1.1-2b", "google/codegemma-1.1"),
        ("google/codegemma-7b", "google/codegemma"),
        ("mistralai/Mixtral-8x7B-Instruct-v0.1", "mistralai/Mixtral-8x7B-Instruct-v0.1"),
    ],
)
def test_families_are_names_up_to_the_size(model: str, family: str) -> None:
    assert use_oversized_models_for_small_tasks.family(model) == family


def test_a_larger_batch_may_keep_a_limit_that_the_smallest_does_not(tmp_path: Path) -> None:
    write_text_run(tmp_path, "m/a", 32, 0.8, 0.3)
    write_text_run(tmp_path, "m/a", 64, 0.4, 0.2)
    (series,) = batch_requests.by_batch(language_runs(tmp_path))
    assert paired(batch_requests.within([series], 0.2)) == [("m/a", 0.8, 0.4)]
    assert math.isclose(series[1].energy_j, 0.4)
