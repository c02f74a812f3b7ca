"""The form of a results file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from greentactics.models.results import Results, Scores
from greentactics.text.problems import Rule
from tests.examples.example_files import VALID
from tests.examples.synthetic import timing

TREE: dict[str, Any] = json.loads(
    (VALID / "recipes/results/base-measured/example-processor.json").read_text(encoding="utf-8")
)
PASSES = [timing(seed, 2.0).model_dump(mode="json") for seed in (3, 4)]


def _load(tree: dict[str, Any]) -> Results:
    return Results.model_validate_json(json.dumps(tree))


def test_results_survive_a_round_trip() -> None:
    results = _load(TREE)
    assert Results.model_validate_json(results.model_dump_json()) == results


def test_arms_seeds_and_values() -> None:
    extra = {**TREE["repeats"][0], "seed": 3, "values": {"accuracy": 0.8}}
    results = _load({**TREE, "repeats": [*TREE["repeats"], extra]})
    assert results.arms == ("baseline", "tactic")
    assert results.seeds == (0, 3)
    assert results.values("baseline", "work_count") == {0: 10.0}
    assert results.values("baseline", "accuracy") == {0: 0.9, 3: 0.8}
    assert results.values("magnitude", "accuracy") == {}


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"repeats": [*TREE["repeats"], TREE["repeats"][1]]}, "two of tactic with seed 0"),
        ({"timings": [*PASSES, PASSES[0]]}, "two of pytorch with seed 3"),
    ],
)
def test_nothing_stands_twice(changes: dict[str, Any], found: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _load({**TREE, **changes})
    (error,) = caught.value.errors()
    assert error["type"] == Rule.REPEATED_RUN
    assert error["ctx"]["found"] == found


def test_every_metric_is_described() -> None:
    repeat = {**TREE["repeats"][0], "values": {"energy": 1.0}}
    with pytest.raises(ValidationError, match="also for energy"):
        _load({**TREE, "repeats": [repeat]})


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recipe_sha256", "A" * 64), ("recipe_sha256", "a" * 63),
        ("commit", "a" * 39), ("device_slug", "Example"),
        ("threads", 0), ("format", 2), ("repeats", []), ("dirty", "no"), ("tactic", "Base Measured"),
    ],
)  # fmt: skip
def test_wrong_values(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        _load({**TREE, key: value})


@pytest.mark.parametrize(
    ("kind", "count", "packed"),
    [
        ("bits", 9, "eNpzBAAAQgBC"),  # a byte, which holds eight
        ("float16", 1, "eNpzBAAAQgBC"),
        ("bits", 8, "not packed"),
        ("bits", 8, "L2hvbWUvYW5h"),  # base64 of a path
    ],
)
def test_scores_that_are_not_as_many_or_not_packed_are_refused(kind, count, packed) -> None:
    assert Scores(kind="bits", count=8, packed="eNpzBAAAQgBC").unpacked().tolist() == [0, 1, 0, 0, 0, 0, 0, 1]
    with pytest.raises(ValidationError, match="one packed score for each"):
        Scores(kind=kind, count=count, packed=packed)
