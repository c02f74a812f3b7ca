"""Thoughts before each answer, before none, and before unsure ones."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from recipes import reason_about_every_question as recipe
from recipes.language import smollm2
from recipes.language.llama import Cache
from recipes.language.model import conversation
from tests.recipes.fake_meter import FakeMeter

MODEL = smollm2.tiny()


def new_cache(room: int) -> Cache:
    return Cache(MODEL.net.config, 1, room, MODEL.net.embedding.weight)


def never(_text: str) -> str | None:
    return None


def test_likelihood_is_the_geometric_mean_over_written_tokens() -> None:
    _, count, likely = recipe.go_on(MODEL, new_cache(12), [1, 2, 3], 4, never)
    tokens, product = [1, 2, 3], 1.0
    with torch.inference_mode():
        for _ in range(4):
            best = MODEL.net(torch.tensor([tokens]))[0, -1].softmax(-1).max(-1)
            product *= float(best.values)
            tokens.append(int(best.indices))
    assert count == 4
    assert likely == pytest.approx(product**0.25, rel=1e-4)


def test_writing_ends_where_the_rule_says() -> None:
    text, count, _ = recipe.go_on(
        MODEL, new_cache(12), [1, 2, 3], 8, lambda text: "kept" if len(text) > 2 else None
    )
    assert (text, count) == ("kept", 3)


def test_the_token_that_ends_counts_for_how_likely_an_answer_is() -> None:
    with torch.inference_mode():
        likelihoods = MODEL.net(torch.tensor([[1, 2, 3]]))[0, -1].softmax(-1)
    ends = dataclasses.replace(MODEL, end=int(likelihoods.argmax()))
    text, count, likely = recipe.go_on(ends, new_cache(12), [1, 2, 3], 4, never)
    assert (text, count, likely) == ("", 0, pytest.approx(float(likelihoods.max()), rel=1e-4))


def test_an_answer_stands_behind_the_thoughts_and_a_question_is_read_once() -> None:
    read = list[int]()
    hook = MODEL.net.register_forward_pre_hook(lambda _net, inputs: read.extend(inputs[0][0].tolist()))
    question, cache = MODEL.encode(conversation(question="Why?")), new_cache(300)
    recipe.answer(MODEL, cache, question, 3, never)
    assert read[: len(question)] == question
    assert len(read) == len(question) + 2
    read.clear()
    text, written, _ = recipe.answer(MODEL, cache, question, 5, never, budget=7)
    think, cue = MODEL.encode(recipe.THINK), MODEL.encode(recipe.FINALLY)
    assert read[: len(think)] == think
    behind = len(think) + 6  # the last of seven thoughts is not read
    assert read[behind : behind + len(cue)] == cue
    assert len(read) == behind + len(cue) + 4
    hook.remove()
    assert (text, written) == recipe.answer(MODEL, new_cache(300), question, 5, never, budget=7)[:2]
    assert written == 12


def test_a_cue_alone_stands_behind_the_question() -> None:
    question, cue = [5, 6, 7], MODEL.encode(recipe.FINALLY)
    cued = recipe.answer(MODEL, new_cache(99), question, 5, never, is_cued=True)
    assert cued == recipe.answer(MODEL, new_cache(99), question + cue, 5, never)


@pytest.mark.parametrize(("sure", "thought"), [(0.0, 0), (1.0, 1)])
def test_thoughts_are_spent_where_the_first_answer_was_unlikely(sure: float, thought: int) -> None:
    config = recipe.Config(net="tiny", questions=2, limit=8, budget=12, sure=sure)
    found = {
        arm: recipe.run(config, arm=arm, seed=0, meter=FakeMeter()).metrics
        for arm in ("baseline", "where_unsure", "tactic")
    }
    assert set(found["baseline"]) == set(recipe.METRICS)
    assert found["where_unsure"]["thought_about"] == thought
    written = {arm: metrics["written_tokens"] for arm, metrics in found.items()}
    assert written["where_unsure"] == written["baseline"] + thought * written["tactic"]
