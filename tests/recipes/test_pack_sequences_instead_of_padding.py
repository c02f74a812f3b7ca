"""Texts in rows of their own, packed, and packed without borders."""

from __future__ import annotations

import random
from itertools import chain

import pytest
import torch

from recipes import pack_sequences_instead_of_padding as recipe
from recipes.language import smollm2
from recipes.language.training import bytes_for_gradients
from tests.recipes.fake_meter import FakeMeter

TEXTS = [[1, 2, 3, 4], [5, 6], [7, 8, 9]]


def test_a_row_holds_texts_as_if_each_stood_alone() -> None:
    batch = recipe.packed(TEXTS, 5)  # the longest first, each into the emptiest row
    assert batch.tokens.tolist() == [[1, 2, 3, 4, 0], [7, 8, 9, 5, 6]]
    assert batch.targets.tolist() == [[2, 3, 4, -100, -100], [8, 9, -100, 6, -100]]
    assert batch.positions[1].tolist() == [0, 1, 2, 0, 1]
    assert batch.mask[1, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 1, 1],
    ]


def test_rows_are_as_few_as_hold_all_and_never_overfull() -> None:
    draw = random.Random(3)
    texts = [[1] * draw.randint(2, 40) for _ in range(50)]
    rows = recipe.in_rows(texts, 64)
    assert sorted(map(len, chain(*rows))) == sorted(map(len, texts))
    assert max(sum(map(len, row)) for row in rows) <= 64
    assert len(rows) <= -(-sum(map(len, texts)) // 64) + 1
    # three texts of four do not fit two rows of seven, although their twelve tokens would
    assert len(recipe.in_rows([[1] * 4] * 3, 7)) == 3
    with pytest.raises(ValueError, match="8 tokens does not fit a row of 7"):
        recipe.in_rows([[1] * 8], 7)


def test_gradients_of_all_weights_are_those_of_padded_texts_unless_texts_see_each_other() -> None:
    net, texts = smollm2.tiny().net, [[*range(start, start + 5 + start % 7)] for start in range(0, 90, 9)]

    def gradients(batch):
        return torch.autograd.grad(recipe.loss_of(net, batch), list(net.parameters()))

    expected, found = gradients(recipe.padded(texts)), gradients(recipe.packed(texts, 24))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(expected, found, strict=True))
    assert recipe.gradient_error(net, recipe.packed(texts, 24), texts) < 1e-5
    assert recipe.gradient_error(net, recipe.without_borders(texts, 24), texts) > 0.05


def test_like_lengths_share_a_step_and_long_texts_do_not_come_last() -> None:
    steps = recipe.of_like_lengths([[0] * length for length in (7, 1, 5, 3, 8, 2)], 2, random.Random(1))
    assert sorted([len(text) for text in step] for step in steps) == [[1, 2], [3, 5], [7, 8]]
    texts = [[0] * length for length in range(9)]
    first = {len(recipe.of_like_lengths(texts, 3, random.Random(seed))[0][0]) for seed in range(9)}
    assert first == {0, 3, 6}


def test_what_a_loss_keeps_is_counted_once_and_without_weights() -> None:
    net, x = torch.nn.Linear(3, 2, bias=False), torch.ones(5, 3)
    # the input for the weights' gradient, 60 bytes, and the outputs that are squared, 40
    assert bytes_for_gradients(net, lambda: net(x).square().sum() + net(x).sum() * 0) == 100


@pytest.mark.parametrize(("arm", "passed"), [("baseline", 16), ("tactic", 12), ("like_lengths", 12)])
def test_the_recipe_counts_filling_and_charges_each_text(arm, passed, monkeypatch) -> None:
    texts = [[1, 2], [3] * 4, [5, 6], [7] * 4]
    monkeypatch.setattr(recipe, "paragraphs", lambda *_: texts)
    monkeypatch.setattr(random.Random, "sample", lambda _, values, count: list(values)[:count])
    config = recipe.Config(net="tiny", texts=4, step=2, longest=4, row=6, held_out=2)
    found = recipe.run(config, arm=arm, seed=0, meter=FakeMeter()).metrics
    assert set(found) == set(recipe.METRICS)
    assert found["passed_tokens"] == passed
    assert found["filling_fraction"] == pytest.approx(1 - 12 / passed)
    assert found["text_cpu_s"] == 1.5 / 4
    assert found["gradient_error"] < 1e-5
