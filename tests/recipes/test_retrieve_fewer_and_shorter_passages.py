from __future__ import annotations

import math
import random

import pytest

from recipes import retrieve_fewer_and_shorter_passages as recipe
from recipes.language import questions, smollm2
from recipes.language.texts import language_reference
from tests.recipes.fake_meter import FakeMeter

CATS = recipe.Index(["the cat sat", "the dog", "the cat and the cat ran to a dog"])


def test_a_word_of_all_passages_says_little_and_an_unknown_one_finds_nothing() -> None:
    assert CATS.rarity("the") == pytest.approx(math.log(1 + 0.5 / 3.5))
    assert CATS.rarity("sat") == pytest.approx(math.log(1 + 2.5 / 1.5))
    assert CATS.best("bird", 3) == []


def test_passages_are_ranked_by_the_formula_of_bm25() -> None:
    # lengths 3, 2, 9, mean 14 / 3; cat: once in the first, twice in the third
    first = 2.2 / (1 + 1.2 * (0.25 + 0.75 * 9 / 14))
    third = 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 27 / 14))
    assert first > third
    assert CATS.best("Cat?", 3) == [CATS.passages[0], CATS.passages[2]]
    assert CATS.best("ran cat", 1) == [CATS.passages[2]]


def test_the_best_sentence_keeps_its_neighbours() -> None:
    passage = "A cat sat. It purred, e.g. at me. A dog ran! The end."
    assert recipe.matching_sentences(passage, "Who ran?", CATS, 0) == "A dog ran!"
    assert recipe.matching_sentences(passage, "Who ran?", CATS, 1) == passage.removeprefix("A cat sat. ")


def test_as_many_passages_as_fit_are_sent_and_one_at_least() -> None:
    assert recipe.fitting(["abc", "de", "f"], 5, list) == ["abc", "de"]
    assert recipe.fitting(["abc", "de"], 2, list) == ["abc"]


def test_few_sentences_hold_nearly_all_facts_that_ten_passages_hold() -> None:
    config, draw, texts = recipe.Config(), random.Random(0), language_reference()
    index, model = recipe.Index(recipe.passages_of(texts.search)), smollm2.tiny()

    def held(arm: str) -> int:
        return sum(
            one.answered_by(recipe.sent_with(one.question, arm, config, index, model, draw))
            for one in questions.SEARCH
        )

    assert held("fewer_only") >= held("tactic") >= 0.9 * len(questions.SEARCH)
    assert held("random_passages") <= 0.2 * len(questions.SEARCH)


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_finding_is_charged_to_an_answer(arm: str) -> None:
    found = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics
    assert set(found) == set(recipe.METRICS)
    assert found["answer_cpu_s"] == 3  # two windows of 1.5 s
    assert found["index_cpu_s"] == (0 if arm == "no_passage" else 1.5)


def test_passages_by_chance_are_as_long_as_what_the_tactic_sends() -> None:
    by_chance, by_words = (
        recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter()).metrics["read_tokens"]
        for arm in ("random_passages", "tactic")
    )
    assert by_chance == pytest.approx(by_words, abs=2)  # a cut within a character adds up to 2 bytes
