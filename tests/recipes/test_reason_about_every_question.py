"""Thoughts before each answer, before none, and before unsure ones."""

from __future__ import annotations

import pytest
import torch

from recipes import reason_about_every_question as recipe
from recipes.language import smollm2
from recipes.language.llama import Cache
from recipes.language.model import conversation
from tests.recipes.fake_meter import FakeMeter

MODEL = smollm2.tiny()


def never(_text: str) -> str | None:
    return None


def test_likelihood_is_the_geometric_mean_over_written_tokens() -> None:
    cache = Cache(MODEL.net.config, 1, 12, MODEL.net.embedding.weight)
    _, count, likely = recipe.go_on(MODEL, cache, [1, 2, 3], 4, never)
    tokens, product = [1, 2, 3], 1.0
    with torch.inference_mode():
        for _ in range(4):
            best = MODEL.net(torch.tensor([tokens]))[0, -1].softmax(-1).max(-1)
            product *= float(best.values)
            tokens.append(int(best.indices))
    assert count == 4
    assert likely == pytest.approx(product**0.25, rel=1e-4)


def test_writing_ends_where_the_rule_says() -> None:
    cache = Cache(MODEL.net.config, 1, 12, MODEL.net.embedding.weight)
    text, count, _ = recipe.go_on(MODEL, cache, [1, 2, 3], 8, lambda text: "kept" if len(text) > 2 else None)
    assert (text, count) == ("kept", 3)


def test_an_answer_stands_behind_the_thoughts() -> None:
    read = list[int]()
    hook = MODEL.net.register_forward_pre_hook(lambda _net, inputs: read.extend(inputs[0][0].tolist()))
    _, written, _ = recipe.answer(MODEL, "Why?", 5, never, 7)
    hook.remove()
    ending = MODEL.encode(recipe.FINALLY)
    asked = MODEL.encode(conversation(question="Why?") + recipe.THINK)
    assert read[: len(asked)] == asked
    behind = len(asked) + 6  # the last of seven thoughts is not read
    assert read[behind : behind + len(ending)] == ending
    assert len(read) == behind + len(ending) + 4
    assert written == 12


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
