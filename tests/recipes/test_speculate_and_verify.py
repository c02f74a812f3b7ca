from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from recipes import speculate_and_verify as recipe
from recipes.batch_requests import write_together
from recipes.language import quality, smollm2
from recipes.language.llama import TINY
from tests.recipes.fake_meter import FakeMeter


class Counting(nn.Module):
    """Says of each token that the next number follows, and keeps what it was given and what was held then."""

    def __init__(self) -> None:
        super().__init__()
        self.config = TINY
        self.embedding = nn.Embedding(TINY.vocabulary, 1)
        self.calls: list[tuple[int, list[int]]] = []

    def forward(self, tokens, *, cache=None, last_only=False):
        if cache is not None:
            self.calls.append((cache.length, tokens[0].tolist()))
            cache.length += tokens.shape[1]
        logits = F.one_hot((tokens + 1) % TINY.vocabulary, TINY.vocabulary).float()
        return logits[:, -1:] if last_only else logits


def looking_up(text, count):
    return recipe.look_up(text, count, matched=2)


def test_look_up_gives_what_followed_the_latest_earlier_place() -> None:
    assert looking_up([1, 2, 7, 1, 2, 8, 9, 1, 2], 2) == [8, 9]
    assert looking_up([1, 2, 7, 1, 2], 9) == [7, 1, 2]  # no more is known
    assert looking_up([5, 5, 5], 4) == [5]  # a place may overlap with the end, and is not the end itself
    assert looking_up([1, 2, 3], 4) == looking_up([1], 4) == []


def test_right_guesses_are_kept_and_the_first_wrong_one_is_replaced() -> None:
    net = Counting()
    # 5 follows 4; then 4, 5 is found, with 6, 9 and 4 behind it: 6 is right, 7 stands in the place of 9
    steps = [*recipe.speculating(net, [4, 5, 6, 9, 4], 5, looking_up, 3)]
    assert steps == [[5], [6, 7], [8], [9]]
    # the pass at 5 held 5 tokens; of its 4 tokens 5 and 6 stay, so that 7 is passed with 7 held
    assert net.calls == [(0, [4, 5, 6, 9, 4]), (5, [5, 6, 9, 4]), (7, [7]), (8, [8])]


def test_unchecked_guesses_are_written_though_wrong() -> None:
    text, net = [4, 5, 6, 9, 4], Counting()
    steps = recipe.speculating(net, text, 5, looking_up, 3, check=False)
    new = [token for step in steps for token in step]
    assert new == [5, 6, 9, 4, 5]
    assert quality.as_likely(net, text, torch.tensor(new)).tolist() == [True, True, False, False, True]


@pytest.mark.parametrize("guess", [recipe.nothing, recipe.recent, looking_up])
def test_tokens_do_not_depend_on_the_guess(guess) -> None:
    net, text = smollm2.tiny().net, [5, 6, 7, 5, 6, 7, 5, 6]
    steps = [*recipe.speculating(net, text, 40, guess, 4)]
    new = [token for step in steps for token in step]
    assert new == torch.cat(list(write_together(net, [text], 40)), dim=1)[0].tolist()
    assert bool(quality.as_likely(net, text, torch.tensor(new)).all())
    assert (len(steps) == 40) == (guess is recipe.nothing)


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_the_recipe_counts_passes(arm: str) -> None:
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter())
    found = outcome.metrics
    assert set(found) == set(recipe.METRICS)
    rows = outcome.details["by_request"]
    tokens = sum(row["tokens"] for row in rows if row["kind"] == "free")
    assert found["free_token_cpu_ms"] == pytest.approx(1000 * 2 * 1.5 / tokens)
    if arm == "baseline":
        assert (found["free_tokens_per_pass"], found["passed_tokens"]) == (1, 1)
    if arm != "unchecked":
        assert found["same_tokens"] == 1
