"""What a task model learns from, whose labels these are, and what they cost."""

from __future__ import annotations

import pytest

from recipes import distil_from_language_model_labels as recipe
from recipes.language import smollm2
from tests.recipes.fake_meter import FakeMeter

MODEL = smollm2.tiny()
BY_HAND = [("buy cheap pills", True), ("see you at lunch", False)] * 10


def test_labels_by_hand_are_kept_and_the_teacher_gives_the_others_once() -> None:
    asked = list[str]()

    def teacher(example: str) -> bool:
        asked.append(example)
        return len(example) > 2

    learned, labelled = recipe.distilled([("long", False)], ["a", "bcd"], teacher, len)
    assert labelled == [("long", False), ("a", False), ("bcd", True)]
    assert (learned, asked) == (3, ["a", "bcd"])


def test_a_task_model_learns_words_that_only_the_teacher_has_labelled() -> None:
    unlabelled = ["cheap watches"] * 3 + ["lunch meeting"] * 3
    words, _ = recipe.distilled(
        BY_HAND, unlabelled, recipe.of_words(recipe.word_model(BY_HAND)), recipe.word_model
    )
    assert words.predict(["watches", "meeting"]).tolist() == [True, False]


def test_the_language_model_is_read_out_as_labels_by_hand_teach() -> None:
    answer = recipe.reading(MODEL, BY_HAND)
    assert [answer(mail) for mail, _ in BY_HAND[:2]] == [True, False]
    turned = recipe.reading(MODEL, [(mail, not spam) for mail, spam in BY_HAND])
    assert [turned(mail) for mail, _ in BY_HAND[:2]] == [False, True]


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_each_arm_pays_for_labels_and_learns_from_as_many_as_it_may(arm, monkeypatch) -> None:
    read = list[int]()
    passed = MODEL.net.forward
    monkeypatch.setattr(recipe.smollm2, "tiny", lambda: MODEL)
    monkeypatch.setattr(
        MODEL.net, "forward", lambda tokens, **more: read.append(tokens.shape[1]) or passed(tokens, **more)
    )
    meter = FakeMeter()
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=meter)
    found = outcome.metrics
    assert meter.names == ["reading", "set-up", "answers"]
    assert set(found) == set(recipe.METRICS)
    assert found["email_cpu_s"] == pytest.approx(1.5 / 20)
    assert found["setup_answers"] == pytest.approx(8)  # 1.5 s against 1.5 s for 8 answers
    # 2 + 8 passes come first; by hand 20, others 40, held out 20; a question is read behind a beginning
    passes = {"baseline": 20 + 20, "tactic": 20 + 40, "asked_labels": 1 + 20 + 40}
    assert len(read) == 10 + passes.get(arm, 0)
    whole_net = 4 * sum(weight.numel() for weight in MODEL.net.parameters())
    assert (found["model_bytes"] == whole_net) == (arm == "baseline")
    if arm in ("baseline", "by_hand_only"):
        assert found["wrong_labels_fraction"] == 0
    rows = outcome.details["accuracy_by_labels"]
    assert [row["labels"] for row in rows] == ([40, 60] if arm == "tactic" else [])
    assert all(row["accuracy"] == found["accuracy"] for row in rows[-1:])


def test_wrong_labels_are_counted_against_those_by_hand() -> None:
    def all_spam(*_: object) -> recipe.Answer:
        return lambda _mail: True

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recipe, "reading", all_spam)
        found = recipe.run(recipe.SMOKE, arm="tactic", seed=0, meter=FakeMeter()).metrics
    # half of the 40 that the model labels are no spam; the 20 by hand are right
    assert found["wrong_labels_fraction"] == pytest.approx(20 / 60)
