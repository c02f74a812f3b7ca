from __future__ import annotations

import random

import pytest
import torch

from recipes import use_a_task_model as recipe
from recipes.language import quality, smollm2, word_transformer
from recipes.language.yes_or_no import YesOrNo
from tests.recipes.fake_meter import FakeMeter

MODEL = smollm2.tiny()
LABELLED = [("buy cheap pills", True), ("see you at lunch", False)] * 10


def test_a_shared_beginning_that_is_kept_changes_no_answer() -> None:
    general = YesOrNo(MODEL, "Spam?", longest=20)
    whole = (
        "<|im_start|>system\nYou are a helpful AI assistant.<|im_end|>\n"
        "<|im_start|>user\n{}\n\nSpam?<|im_end|>\n<|im_start|>assistant\n"
    )
    mails = ["first", "a longer one", "first"]
    with torch.inference_mode():
        logits = [MODEL.net(torch.tensor([MODEL.encode(whole.format(mail))]))[0, -1] for mail in mails]
    expected = [float(each[ord("Y")] - each[ord("N")]) for each in logits]
    assert [general.preference(mail) for mail in mails] == pytest.approx(expected, abs=1e-4)


def test_the_best_threshold_is_half_way_between_and_in_the_middle_of_its_equals() -> None:
    preferences = torch.tensor([3.0, 1.0, 2.0])
    assert quality.best_threshold(preferences, torch.tensor([1, 0, 0])) == 2.5
    # 1.5 and 3.5 are right of three each, 2.5 of two
    alternating = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([0, 1, 0, 1])
    assert quality.best_threshold(*alternating) == 3.5
    assert quality.best_threshold(torch.tensor([5.0, 5.0]), torch.tensor([1, 0])) == 5


def test_the_task_model_learns_the_words_that_tell() -> None:
    model = recipe.task_model(LABELLED)
    assert model.predict(["cheap pills today", "lunch at two"]).tolist() == [True, False]


def test_the_mean_state_is_that_of_what_the_net_reads_out() -> None:
    tokens = MODEL.encode("lunch")
    with torch.inference_mode():
        logits = MODEL.net(torch.tensor([tokens]))[0]  # (tokens, vocabulary): linear in the states
        expected = recipe.mean_state(MODEL.net, tokens) @ MODEL.net.embedding.weight.T
    assert torch.allclose(logits.mean(0), expected, atol=1e-4)


def test_the_small_transformer_learns_words_and_their_order() -> None:
    net = word_transformer.train(LABELLED, seed=0)
    assert net.predict("cheap pills today")
    assert not net.predict("lunch at two")
    assert net.predict("") in (True, False)
    pairs = [("dog bites man", True), ("man bites dog", False)] * 32
    ordered = word_transformer.train(pairs, seed=0)
    assert [ordered.predict(text) for text, _ in pairs[:2]] == [True, False]


def test_texts_that_fill_up_a_batch_leave_the_others_as_they_are() -> None:
    net = word_transformer.WordTransformer([mail for mail, _ in LABELLED]).eval()
    short, long = "lunch", "buy cheap pills you see"
    with torch.inference_mode():
        alone, together = net(net.rows([short])), net(net.rows([short, long]))
    assert net.rows([short, "unheard"])[:, :2].tolist() == [[1, net.numbers["lunch"]], [1, 1]]
    assert float(alone[0]) == pytest.approx(float(together[0]), abs=1e-5)


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_pays_for_its_set_up_and_is_judged_on_half_spam(arm: str) -> None:
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    assert meter.names == ["reading", "set-up", "answers"]
    assert set(outcome.metrics) == set(recipe.METRICS)
    assert outcome.metrics["email_cpu_s"] == pytest.approx(1.5 / 20)
    assert outcome.metrics["setup_answers"] == pytest.approx(4)  # 1.5 s against 1.5 s for 4 answers
    whole_net = outcome.metrics["model_bytes"] == 4 * sum(weight.numel() for weight in MODEL.net.parameters())
    assert whole_net == (arm in ("baseline", "asked"))
    learned_from = [row["labels"] for row in outcome.details["accuracy_by_labels"]]
    assert learned_from == {"baseline": [20], "tactic": [20, 80]}.get(arm, [])
    if arm == "tactic":
        assert outcome.metrics["accuracy"] >= 0.6


def test_held_out_e_mails_are_new_and_half_of_them_spam() -> None:
    texts = recipe.made_up_e_mails()
    learned = recipe.drawn(texts.search, 60, MODEL, 64, random.Random(0))
    asked = recipe.drawn(texts.choice, 20, MODEL, 64, random.Random(0))
    assert sum(spam for _, spam in asked) == 10
    assert not {mail for mail, _ in learned} & {mail for mail, _ in asked}
