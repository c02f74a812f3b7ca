"""The forms of the issues map to fields of a record or of results, and offer their vocabularies."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from greentactics.contribute.issue import NEW_TACTIC, read_fields
from greentactics.models.record import Correction, Record
from greentactics.records.diagnosis import schema_tree
from tests.examples.example_files import REPOSITORY

FORMS = sorted((REPOSITORY / NEW_TACTIC.parent).glob("*.yml"))
FIELDS = read_fields(REPOSITORY)
NOT_ASKED = {
    "id", "artifact_note", "feature", "recipe", "aliases", "former_ids", "status", "withdrawn", "created",
    "modified", "history",
}  # fmt: skip
"""Fields that follow from others or are filled in later."""
NO_OPTION = "none"
"""The word that GitHub keeps for a choice that was not made."""


def elements(form: Path) -> list[dict[str, Any]]:
    body = yaml.safe_load(form.read_text(encoding="utf-8"))["body"]
    return [element for element in body if element["type"] != "markdown"]


def questions(form: Path) -> dict[str, dict[str, Any]]:
    return {element["id"]: element for element in elements(form)}


@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_a_form_has_what_github_asks_for(form):
    document = yaml.safe_load(form.read_text(encoding="utf-8"))
    assert {"name", "description", "body"} <= document.keys()
    labels = [element["attributes"]["label"] for element in elements(form)]
    ids = [element["id"] for element in elements(form)]
    assert len(set(labels)) == len(labels) > 0
    assert len(set(ids)) == len(ids)
    for element in document["body"]:
        assert element["type"] in {"markdown", "input", "textarea", "dropdown"}
        assert element["attributes"].get("description") or element["type"] == "markdown"
        options = element["attributes"].get("options")
        assert (options is not None) == (element["type"] == "dropdown")
        assert NO_OPTION not in map(str.lower, options or [])
        assert len(set(options or [])) == len(options or [])


def test_each_field_of_a_record_is_asked_for_once_or_left_out_on_purpose():
    asked = {str(field.path[0]) for field in FIELDS}
    assert asked | NOT_ASKED == set(Record.model_fields)
    assert not asked & NOT_ASKED


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: "__".join(map(str, field.path)))
def test_a_question_leads_to_a_field_and_offers_its_vocabulary(field):
    element = questions(REPOSITORY / NEW_TACTIC)["__".join(map(str, field.path))]
    tree = schema_tree(Record)
    assert tree.at(field.path), "no such field"
    terms = tree.terms((*field.path, 0) if field.multiple else field.path)
    assert element["attributes"].get("options", []) == [term for term in terms if term != NO_OPTION]
    in_claim = field.path[0] == "impact"
    needed = Record.model_fields[str(field.path[0])].is_required() and not in_claim
    assert element.get("validations", {}).get("required", False) == needed


def test_the_claim_is_asked_for_in_full():
    asked = {field.path[-1] for field in FIELDS if field.path[0] == "impact"}
    claim = schema_tree(Record).keys(("impact", "claims", 0))
    assert asked == set(claim) - {"range", "note"}


def test_a_correction_is_named_by_its_fields():
    asked = questions(REPOSITORY / NEW_TACTIC.with_name("correction.yml"))
    assert set(asked) == {"id"} | Correction.model_fields.keys() - {"catalogue"}
    assert asked["field"]["attributes"]["options"] == list(Record.model_fields)
