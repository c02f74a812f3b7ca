from __future__ import annotations

import pytest

from recipes import bound_tokens_by_task as recipe
from recipes.language import smollm2
from tests.recipes.fake_meter import FakeMeter

ENDS = {"short": [1, 1, 2, 9], "long": [20, 30, 40, 50], "never": []}


def test_a_limit_leaves_its_share_complete_and_one_token_less_would_not() -> None:
    assert recipe.limits_by_kind(ENDS, 0.75, 64) == {"short": 2, "long": 40, "never": 64}
    assert recipe.limits_by_kind(ENDS, 0.76, 64) == {"short": 9, "long": 50, "never": 64}


def test_one_limit_keeps_as_many_answers_as_those_by_kind() -> None:
    # 2 and 40 keep 3 + 3 of 8; so does 30 alone, which leaves 4 and 2
    assert recipe.one_limit(ENDS, {"short": 2, "long": 40, "never": 64}, 64) == 30
    assert recipe.one_limit({"never": []}, {"never": 64}, 64) == 64


@pytest.mark.parametrize(
    ("kind", "wanted", "answer", "served"),
    [
        ("yes_or_no", "yes", "Yes, it is no joke", True),
        ("yes_or_no", "yes", "No, yes", False),
        ("yes_or_no", "no", "Nothing", False),
        ("fact", "NameError", "A `nameerror` is raised", True),
        ("sentence", "", "A list of", False),
        ("sentence", "", "It is a list.", True),
        ("sentence", "", "It is a list.<|im_end|>", True),
    ],
)
def test_a_useful_answer_holds_what_its_kind_demands(kind, wanted, answer, served) -> None:
    assert recipe.Request(kind, "", wanted).served_by(answer) is served


@pytest.mark.parametrize(
    ("request_", "end"),
    [  # tokens are bytes, and 258 ends an answer
        (recipe.Request("yes_or_no", "", "no"), 5),
        (recipe.Request("fact", "", "list"), 19),
        (recipe.Request("sentence", ""), 20),
        (recipe.Request("fact", "", "set"), None),
    ],
)
def test_an_answer_is_useful_from_the_token_that_completes_it(request_, end) -> None:
    written = [*b"So no, it is a list.", 258, *b"Or a set."]
    assert recipe.useful_end(smollm2.tiny(), request_, written) == end


def test_answers_that_never_are_useful_set_no_limit() -> None:
    asked = [recipe.Request("fact", "Why?", wanted) for wanted in ("", "none of this")]
    assert recipe.useful_ends(smollm2.tiny(), asked, 4) == {"fact": [1]}


@pytest.mark.parametrize("arm", recipe.ARMS)
def test_limits_bound_what_is_written_and_setting_them_is_counted(arm, monkeypatch) -> None:
    monkeypatch.setattr(recipe, "useful_ends", lambda *_: {"yes_or_no": [1], "fact": [4], "sentence": [10]})
    outcome = recipe.run(recipe.SMOKE, arm=arm, seed=0, meter=FakeMeter())
    assert set(outcome.metrics) == set(recipe.METRICS)
    limits = {"tactic": (1, 4, 10), "one_limit": (10, 10, 10)}.get(arm, (12, 12, 12))
    assert tuple(outcome.details["limits"].values()) == limits
    assert outcome.metrics["written_tokens"] <= sum(limits) / 3
    assert outcome.metrics["answer_cpu_s"] == 1.5
