from __future__ import annotations

import pytest
import torch

from recipes import answer_briefly_and_stop as recipe
from recipes.batch_requests import write_together
from recipes.language import questions, smollm2
from recipes.language.texts import language_reference
from tests.recipes.fake_meter import FakeMeter


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("It is a list. And", "It is a list."),
        (" Call `pow()`. So", " Call `pow()`."),
        ("It is a list.", None),  # may go on as in `list.append`
        ("In 3.11 it is, e.g. here and 1. there", None),
        ('He said "no." Then', 'He said "no."'),
    ],
)
def test_a_sentence_ends_with_a_mark_and_a_space(text, sentence) -> None:
    assert recipe.first_sentence(text) == sentence


def test_each_fact_stands_in_its_paragraph_and_not_in_its_question() -> None:
    texts = language_reference()
    for part, asked in ((texts.search, questions.SEARCH), (texts.test, questions.TEST)):
        assert len({each.paragraph(part) for each in asked}) == len(asked)
        for each in asked:
            assert each.answered_by(each.paragraph(part))
            assert not each.answered_by(each.question)


def test_an_answer_ends_by_the_model_the_limit_or_the_stop_rule() -> None:
    model = smollm2.tiny()
    tokens = torch.cat(list(write_together(model.net, [list(b"Why?")], 9)), dim=1)[0].tolist()
    assert recipe.answer(model, "Why?", 9) == (model.decode(tokens), 9)
    assert recipe.answer(model, "Why?", 9, lambda text: "kept" if len(text) >= 3 else None)[0] == "kept"
    assert recipe.answer(model, "Why?", 2, lambda _: None)[1] == 2


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_only_asking_makes_requests_longer_and_only_stopping_lowers_the_limit(arm: str) -> None:
    found = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics
    plain = recipe.run(recipe.SMOKE, arm="baseline", seed=0, meter=FakeMeter()).metrics
    assert set(found) == set(recipe.METRICS)
    asked = len(recipe.BRIEFLY) if arm in ("tactic", "asked_only") else 0  # a byte is a token
    assert found["read_tokens"] == plain["read_tokens"] + asked
    assert found["answer_cpu_s"] == 1.5
    assert found["written_tokens"] <= (12 if arm in ("tactic", "stopped_only") else 24)
