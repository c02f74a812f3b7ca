"""The form of a results file."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from greentactics.models.results import Results
from greentactics.text.problems import Rule
from tests.examples.example_files import VALID
from tests.examples.synthetic import timing

TEXT = (VALID / "recipes/results/base-measured/example-processor.json").read_text(encoding="utf-8")


@pytest.fixture
def tree() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(TEXT)
    return loaded


def _load(tree: dict[str, Any]) -> Results:
    return Results.model_validate_json(json.dumps(tree))


def test_results_survive_a_round_trip(tree: dict[str, Any]) -> None:
    results = _load(tree)
    assert Results.model_validate_json(results.model_dump_json()) == results


def test_arms_seeds_and_values(tree: dict[str, Any]) -> None:
    extra = {**tree["repeats"][0], "seed": 3, "values": {"accuracy": 0.8}}
    results = _load({**tree, "repeats": [*tree["repeats"], extra]})
    assert results.arms == ("baseline", "tactic")
    assert results.seeds == (0, 3)
    assert results.values("baseline", "work_count") == {0: 10.0}
    assert results.values("baseline", "accuracy") == {0: 0.9, 3: 0.8}
    assert results.values("magnitude", "accuracy") == {}


def test_a_repeat_may_not_stand_twice(tree: dict[str, Any]) -> None:
    tree["repeats"].append(tree["repeats"][1])
    with pytest.raises(ValidationError) as caught:
        _load(tree)
    (error,) = caught.value.errors()
    assert error["type"] == Rule.REPEATED_RUN
    assert error["ctx"]["found"] == "two of tactic with seed 0"


def test_a_timing_pass_may_not_stand_twice(tree: dict[str, Any]) -> None:
    entry = timing(3, 2.0).model_dump(mode="json")
    tree["timings"] = [entry, timing(4, 2.0).model_dump(mode="json"), entry]
    with pytest.raises(ValidationError) as caught:
        _load(tree)
    (error,) = caught.value.errors()
    assert error["type"] == Rule.REPEATED_RUN
    assert error["ctx"]["found"] == "two of pytorch with seed 3"


def test_every_metric_is_described(tree: dict[str, Any]) -> None:
    tree["repeats"][0]["values"]["energy"] = 1.0
    with pytest.raises(ValidationError, match="also for energy"):
        _load(tree)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("recipe_sha256", "A" * 64), ("recipe_sha256", "a" * 63),
        ("commit", "a" * 39), ("device_slug", "Example"),
        ("threads", 0), ("format", 2), ("repeats", []), ("dirty", "no"), ("tactic", "Base Measured"),
    ],
)  # fmt: skip
def test_wrong_values(tree: dict[str, Any], key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        _load({**tree, key: value})


def test_results_cannot_be_changed(tree: dict[str, Any]) -> None:
    results = _load(tree)
    with pytest.raises(ValidationError, match="frozen"):
        results.dirty = True  # type: ignore[misc]
