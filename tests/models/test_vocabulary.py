"""The closed vocabularies."""

from __future__ import annotations

import inspect
import json
import re

import pytest

from greentactics.models import vocabulary
from greentactics.models.vocabulary import Kind, Quality, Term

VOCABULARIES = [
    member
    for _, member in inspect.getmembers(vocabulary, inspect.isclass)
    if issubclass(member, Term) and member is not Term
]


def test_the_list_is_whole() -> None:
    assert len(VOCABULARIES) >= 15


@pytest.mark.parametrize("terms", VOCABULARIES, ids=lambda terms: terms.__name__)
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
