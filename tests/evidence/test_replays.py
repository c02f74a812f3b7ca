"""What pairs come to: each cluster counts once, and the interval is over clusters."""

from __future__ import annotations

import math

import pytest
from pydantic import ValidationError

from greentactics.evidence.replays import Effect, effect_lines, span_phrase, tactic_replays
from greentactics.models.datasets import KNOWN_SHA256
from greentactics.models.replays import Replay, Replayed
from tests.examples.replays import CODE, pair, replay, replayed


def test_each_model_counts_once() -> None:
    # Model a: ratios 2 and 8, geometric mean 4. Model b: one ratio of 1. Of both: 2.
    effect = Effect(replayed(pair("a", 2.0, 1.0), pair("a", 8.0, 1.0), pair("b", 3.0, 3.0)))
    assert effect.energy.value == pytest.approx(2)
    assert effect.energy.n == 2
    # Logarithms ln 4 and 0: standard error (ln 4) / 2, and t of one degree of freedom is 12.706.
    assert effect.energy.low is not None
    assert math.log(effect.energy.low) == pytest.approx(math.log(2) - 12.7062 * math.log(4) / 2, rel=1e-5)
    assert effect.span == (1, 8)
    assert effect.count == "3 pairs of 2 models"


def test_one_model_has_no_interval_and_shows_nothing() -> None:
    effect = Effect(replayed(pair("a", 2.0, 1.0), pair("a", 8.0, 1.0)))
    assert (effect.energy.low, effect.energy.high, effect.energy.n) == (None, None, 1)
    assert "4.0x lower; no difference shown" in effect_lines(effect)[1]


def test_time_goes_by_itself() -> None:
    effect = Effect(
        replayed(pair("a", 2.0, 1.0, seconds=(1.0, 3.0)), pair("b", 2.0, 1.0, seconds=(1.0, 3.0)))
    )
    assert effect.time.value == pytest.approx(1 / 3)
    head, figures = effect_lines(effect)
    assert head == "large, against: small"
    assert figures == (
        "  GPU energy 2.0x lower [2.0, 2.0], in single pairs 2.0x to 2.0x lower; "
        "time 3.0x higher [3.0, 3.0]; 2 pairs of 2 models"
    )


@pytest.mark.parametrize(
    ("low", "high", "phrase"),
    [
        (1.24, 5.1, "1.24x to 5.1x lower"),
        (0.25, 0.5, "2.0x to 4.0x higher"),
        (0.5, 1.5, "2.0x higher to 1.50x lower"),
        (1.0, 2.0, "1.00x to 2.0x lower"),
    ],
)
def test_spans_in_words(low: float, high: float, phrase: str) -> None:
    assert span_phrase(low, high) == phrase


def test_a_replay_is_stale_when_program_or_data_are_others() -> None:
    entry = replay()
    assert tactic_replays([entry], CODE)[0].against == ()
    assert tactic_replays([entry], None)[0].against == ()
    assert tactic_replays([entry], "f" * 64)[0].against == ("stale: the program has changed since",)
    other = entry.model_copy(update={"data_sha256": "e" * 64})
    assert tactic_replays([other], CODE)[0].against == ("stale: other data are published",)
    assert entry.data_sha256 == KNOWN_SHA256[entry.data]


def test_the_form_refuses_what_gives_no_ratio_and_names_that_stand_twice() -> None:
    entry = replay()
    assert Replay.model_validate_json(entry.model_dump_json()) == entry
    twice = entry.model_dump(mode="json") | {"comparisons": [replayed().model_dump(mode="json")] * 2}
    with pytest.raises(ValidationError, match="one comparison of each name"):
        Replay.model_validate(twice, strict=False)
    with pytest.raises(ValidationError, match="greater than 0"):
        pair("a", 0.0, 1.0)
    with pytest.raises(ValidationError, match="at least 1 item"):
        Replayed.model_validate(replayed().model_dump() | {"pairs": ()})
