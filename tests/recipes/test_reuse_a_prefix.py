"""Prompts that begin alike: the beginning is read once."""

from __future__ import annotations

import pytest
import torch

from recipes import reuse_a_prefix as recipe
from recipes.batch_requests import write_together
from recipes.language import smollm2
from tests.recipes.fake_meter import FakeMeter

NET = smollm2.tiny().net
PREFIX = [7, 1, 5, 9, 2, 8]


def test_requests_behind_a_kept_prefix_get_what_whole_prompts_get() -> None:
    kept = recipe.read_once(NET, PREFIX)
    before = kept.keys.clone(), kept.values.clone()
    prompts = [PREFIX + rest for rest in ([3, 4], [6], [200, 3, 100, 7])]
    for batch in ([prompts[0]], [prompts[1]], prompts):  # in the batch, up to three tokens are read again
        reused = torch.cat([*recipe.behind(NET, kept, batch, 5)], dim=1)
        alone = [torch.cat([*write_together(NET, [prompt], 5)], dim=1) for prompt in batch]
        assert reused.tolist() == torch.cat(alone).tolist()
    assert kept.length == 6  # the next request finds what the first one did
    assert torch.equal(kept.keys, before[0])
    assert torch.equal(kept.values, before[1])


def test_answers_depend_on_the_prefix() -> None:
    answers = [
        torch.cat([*recipe.behind(NET, recipe.read_once(NET, prefix), [[*prefix, 3, 4]], 5)], dim=1).tolist()
        for prefix in (PREFIX, PREFIX[::-1])
    ]
    assert answers[0] != answers[1]


@pytest.mark.parametrize(
    ("arm", "passed", "room", "windows"),
    [
        # behind 6 tokens follow 2 and 4; 3 new tokens, of which the last one need not pass
        ("baseline", 8 + 2 + 10 + 2, 10 + 3, 4),
        ("tactic", 6 + 2 + 2 + 4 + 2, 6 + 10 + 3, 5),  # one more window, and one more copy
        ("shorter_prefix", 5 + 2 + 7 + 2, 7 + 3, 4),
        ("batches", 2 * (10 + 2), 2 * (10 + 3), 2),
        ("tactic_and_batches", 6 + 2 * (4 + 2), 6 + 2 * (10 + 3), 3),
    ],
)
def test_the_recipe_charges_the_prefix_and_its_copy(arm, passed, room, windows, monkeypatch) -> None:
    monkeypatch.setattr(recipe, "prompts_of", lambda *_: (PREFIX, [[1, 2], [3, 4, 5, 6]]))
    config = recipe.Config(net="tiny", prefix=6, shorter=3, batch=2, new_tokens=3)
    meter = FakeMeter()
    found = recipe.run(config, arm=arm, seed=0, meter=meter).metrics
    assert set(found) == set(recipe.METRICS)
    assert found["passed_tokens"] == passed / 2
    assert found["cache_bytes"] == 256 * room  # bytes a token, see test_language
    assert len(meter.names) == windows
    assert found["request_cpu_s"] == pytest.approx(1.5 * windows / 2)
    assert found["first_token_s"] == 2
    assert (found["same_tokens"] == 1) == (arm != "shorter_prefix")


def test_prompts_share_the_prefix_and_nothing_else() -> None:
    texts = [list(range(start, start + 40)) for start in (0, 100, 200)]
    config = recipe.Config(requests=20, prefix=30, rest=(3, 9))
    prefix, rests = recipe.prompts_of(config, texts, 1)
    assert len(prefix) == 30
    assert {len(rest) for rest in rests} <= set(range(3, 10))
    assert all(rest[0] % 100 == 0 and rest[0] != prefix[0] for rest in rests)
