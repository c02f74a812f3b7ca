"""Requests to a language model, one by one and in batches."""

from __future__ import annotations

import pytest
import torch

from recipes import batch_requests as recipe
from recipes.language import quality, smollm2
from tests.recipes.fake_meter import FakeMeter

NET = smollm2.tiny().net


def test_batches_hold_each_request_once() -> None:
    lengths = [9, 2, 7, 3, 5]
    assert recipe.as_they_come(lengths, 2) == [[0, 1], [2, 3], [4]]
    assert recipe.by_length(lengths, 2) == [[1, 3], [4, 2], [0]]


def test_a_request_gets_the_same_tokens_in_company() -> None:
    requests = [[5, 6, 7], [9, 8, 7, 6, 5, 4, 3], [100]]
    together = torch.cat([*recipe.write_together(NET, requests, 6)], dim=1)
    alone = [torch.cat([*recipe.write_together(NET, [each], 6)], dim=1) for each in requests]
    assert together.tolist() == torch.cat(alone).tolist()


def test_only_the_best_token_or_a_tie_counts_as_the_same() -> None:
    new = torch.cat([*recipe.write_together(NET, [[5, 6, 7]], 3)], dim=1)[0]
    assert quality.as_likely(NET, [5, 6, 7], new).tolist() == [True] * 3
    other = torch.tensor([new[0], (new[1] + 1) % 256, new[2]])
    assert quality.as_likely(NET, [5, 6, 7], other).tolist()[:2] == [True, False]

    def undecided(tokens):  # two tokens of four differ by no more than rounding
        return torch.tensor([1.0, 1.0 - 1e-5, 0.9, 0.0]).expand(*tokens.shape, 4)

    assert quality.as_likely(undecided, [0], torch.tensor([0, 1, 2])).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("arm", "batches", "rows", "first", "padded"),
    [
        # lengths 4, 10, 6, 2: nothing to fill; 2 x 10 + 2 x 6 for 22; 2 x 4 + 2 x 10
        ("baseline", 4, 10, 1, 0),
        ("tactic", 2, 20, 1, 10 / 32),
        ("sorted_by_length", 2, 20, 1, 6 / 28),
    ],
)
def test_the_recipe_counts_filling_memory_and_waiting(arm, batches, rows, first, padded, monkeypatch) -> None:
    requests = [[1] * 4, [2] * 10, [3] * 6, [4] * 2]
    monkeypatch.setattr(recipe, "queue", lambda *_: requests)
    config = recipe.Config(net="tiny", batch=2, new_tokens=5)
    found = recipe.run(config, arm=arm, seed=0, meter=FakeMeter()).metrics
    assert set(found) == set(recipe.METRICS)
    assert found["padded_fraction"] == pytest.approx(padded)
    # 256 bytes a token, see test_language; room for the longest request and its answer in each row
    assert found["cache_bytes"] == 256 * (rows + rows // 10 * 5)
    # a batch is metered twice, for 2 s and 1.5 s of the processor each time; the requests want 20 tokens
    assert found["token_cpu_ms"] == pytest.approx(1000 * batches * 3 / 20)
    assert found["decoding_cpu_ms"] == pytest.approx(1000 * batches * 1.5 / 16)
    assert found["first_answer_s"] == 4 * first
    assert found["mean_answer_s"] == 4 * (batches + 1) / 2
    assert found["same_tokens"] == 1


def test_a_seed_draws_the_queue() -> None:
    texts = [list(range(50)), list(range(100, 140)), [1, 2]]
    config = recipe.Config(requests=30, lengths=(3, 40))
    found = recipe.queue(config, texts, 5)
    assert found == recipe.queue(config, texts, 5) != recipe.queue(config, texts, 6)
    assert all(3 <= len(each) <= 40 and each[0] in {0, 100} for each in found)
