"""The closed vocabularies."""

from __future__ import annotations

import json
import re

import pytest

from greentactics.models.vocabulary import Kind, Quality, Term


@pytest.mark.parametrize("terms", Term.__subclasses__(), ids=lambda terms: terms.__name__)
def test_every_term_has_one_spelling_and_a_definition(terms: type[Term]) -> None:
    assert len(terms) >= 2
    assert len({term.value.lower() for term in terms}) == len(terms)
    assert len({term.definition for term in terms}) == len(terms)
    for term in terms:
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9]*([-_][a-z0-9]+)*", term.value)
        assert term.definition
        assert not term.definition.endswith(".")


def test_a_term_is_its_word() -> None:
    assert Kind("dark") is Kind.DARK
    assert Kind.DARK == "dark"
    assert f"{Kind.DARK}" == "dark"
    assert json.dumps(Kind.DARK) == '"dark"'
    assert Quality.ENERGY_EFFICIENCY.label == "Energy efficiency"
