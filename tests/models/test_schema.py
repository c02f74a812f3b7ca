"""The record can hold everything, and refuses what is not in its schema."""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from greentactics.models.record import Record
from greentactics.records.rules import record_findings
from tests.examples.example_files import record_tree

FULL: dict[str, Any] = {
    "tags": ["pruning", "inference"],
    "artifact_note": "A trained network.",
    "feature": "Inference",
    "steps": [
        {"text": "Look for work"},
        {"text": "Leave it out", "repeat_from": 1, "until": "none is left"},
    ],
    "trade_offs": [{"quality": "maintainability", "effect": "One more branch.", "source": "smith-2020"}],
    "relations": [{"type": "combines_with", "target": "another-tactic", "reason": "They add up."}],
    "recipe": {
        "cost_metric": "work_count", "cost_label": "work", "quality_metric": "accuracy",
        "quality_label": "accuracy", "quality_tolerance_points": 0.5, "condition": "batch 1",
        "also_metrics": ["latency"], "why_different": "Other data.",
    },
    "aliases": [
        {"catalogue": "aadt", "title": "Leave out work", "url": "https://example.org/a", "diagram": "a.png"}
    ],
    "former_ids": ["leave-work-out"],
    "status": "withdrawn",
    "withdrawn": {"reason": "It became part of another.", "successor": "another-tactic"},
    "impact": {
        "claims": [
            {
                "quantity": "energy", "value": 3.7, "unit": "times", "bound": "at-most",
                "direction": "decrease", "baseline": "dense", "setting": "AlexNet",
                "kind": "measured", "source": "smith-2020",
                "read_in": "abstract", "note": "As printed.",
            },
            {
                "quantity": "latency", "range": {"low": 1, "high": 2.5}, "unit": "percent",
                "direction": "none", "baseline": "dense", "setting": "AlexNet",
                "kind": "simulated", "source": "smith-2020",
                "read_in": "full-text",
            },
            {
                "quantity": "carbon", "direction": "decrease", "baseline": "dense", "setting": "any",
                "kind": "argued", "source": "smith-2020", "read_in": "secondary",
            },
        ]
    },
}  # fmt: skip
DARK: dict[str, Any] = {
    "intent_measure": "Count it.",
    "countermeasure": "Stop it.",
    "target_quality": "energy-efficiency",
}


def _load(tree: object) -> Record:
    return Record.model_validate_json(json.dumps(tree), by_alias=True, by_name=False)


def _unset(model: BaseModel, path: str = "") -> list[str]:
    """Return the paths of optional fields that are not set anywhere."""
    missing = []
    for name in type(model).model_fields:
        value = getattr(model, name)
        if name not in model.model_fields_set:
            missing.append(f"{path}.{name}")
        for item in value if isinstance(value, tuple) else (value,):
            if isinstance(item, BaseModel):
                missing += _unset(item, f"{path}.{name}")
    return missing


def test_an_awesome_record_holds_everything() -> None:
    record = _load({**record_tree("base-awesome"), **FULL})
    assert Record.model_validate_json(record.model_dump_json(exclude_unset=True)) == record
    assert list(record_findings(record)) == []
    assert record.module == "base_awesome"
    never = set(_unset(record)) - {".no_trade_offs_reason", ".intent_measure", ".countermeasure"}
    assert {path for path in never if path.count(".") == 1} == set()


def test_a_dark_record_holds_everything() -> None:
    record = _load({**record_tree("base-dark"), **FULL, **DARK})
    assert Record.model_validate_json(record.model_dump_json(exclude_unset=True)) == record
    assert list(record_findings(record)) == []
    assert {path for path in _unset(record) if path.count(".") == 1} == {".no_trade_offs_reason"}


def test_no_trade_offs_with_a_reason() -> None:
    tree = record_tree()
    del tree["trade_offs"]
    assert list(record_findings(_load({**tree, "no_trade_offs_reason": "None found."}))) == []


@pytest.mark.parametrize("name", [name for name, field in Record.model_fields.items() if field.is_required()])
def test_required_keys_are_required(name: str) -> None:
    tree = record_tree()
    del tree[name]
    with pytest.raises(ValidationError) as caught:
        _load(tree)
    assert [(error["type"], error["loc"]) for error in caught.value.errors()] == [("missing", (name,))]


def test_dates_are_dates() -> None:
    assert _load(record_tree()).created == datetime.date(2026, 1, 10)
    assert Record.model_validate(_load(record_tree()).model_dump()).created == datetime.date(2026, 1, 10)


@pytest.mark.parametrize("identifier", ["a", "early-exit", "mode-2", "a1-b2-c3"])
def test_identifiers(identifier: str) -> None:
    assert _load({**record_tree(), "id": identifier}).id == identifier


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("created", date) for date in (
            "2026-1-2", "20260102", "1700006400", "2026-02-30", "2026-01-02T00:00:00", "", 20260102, 1.5,
        )),
        *(("id", identifier) for identifier in (
            "", "Early-exit", "early_exit", "-early", "early-", "early--exit", "2-early", "early-exit\n", "é",
            "a" * 81, "con", "lpt9",
        )),
    ],
)  # fmt: skip
def test_wrong_values(key: str, value: object) -> None:
    with pytest.raises(ValidationError):
        _load({**record_tree(), key: value})


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, True),
        ({"range": {"low": 1, "high": 1}, "value": None}, True),
        ({"range": {"low": 2, "high": 1}, "value": None}, False),
        ({"range": {"low": 1, "high": 2}}, False),
        ({"unit": None}, False),
        ({"value": None}, False),
        ({"kind": "argued"}, False),
        ({"kind": "argued", "value": None, "unit": None}, True),
        ({"value": -1}, False),
        ({"value": "2"}, False),
    ],
)
def test_claims(changes: dict[str, object], right: bool) -> None:
    tree = record_tree()
    claim = {**tree["impact"]["claims"][0], **changes}
    tree["impact"] = {"claims": [{key: value for key, value in claim.items() if value is not None}]}
    if right:
        assert len(_load(tree).impact.claims) == 1
    else:
        with pytest.raises(ValidationError):
            _load(tree)
