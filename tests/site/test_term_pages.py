"""Pages of the vocabularies' terms."""

from __future__ import annotations

import pytest

from greentactics.evidence.tactic import join
from greentactics.evidence.terms import FURTHER, VOCABULARIES, question, term_pages
from greentactics.models.record import Effect
from greentactics.models.vocabulary import (
    Direction,
    EffortLevel,
    Kind,
    Participant,
    Quality,
    Stage,
    Tag,
    Term,
)
from tests.examples.records import DARK, PRUNING, catalogue

RECORD = PRUNING.model_copy(
    update={
        "tags": (Tag.PRUNING,),
        "stages": (Stage.COMPRESSION, Stage.TRAINING),
        "participant": (Participant.OPERATOR,),
        "effects": (
            Effect(quality=Quality.SAFETY, direction=Direction.WORSENS, reason="A reason."),
            Effect(quality=Quality.CAPACITY, direction=Direction.IMPROVES, reason="A reason."),
        ),
        "effort": PRUNING.effort.model_copy(update={"level": EffortLevel.L}),
        "recipe": None,
    }
)
OTHER = RECORD.model_copy(
    update={
        "id": "a-better-one",
        "effects": (Effect(quality=Quality.SAFETY, direction=Direction.IMPROVES, reason="A reason."),),
    }
)


@pytest.fixture(scope="module")
def pages():
    tactics = join(catalogue(RECORD, OTHER), {}).values()
    return {page.folder: page for page in term_pages(tactics)}


def carriers(page):
    return {way: [tactic.record.id for tactic in tactics] for way, tactics in page.sections.items()}


@pytest.mark.parametrize(
    "folder",
    ["tag/pruning", "stage/compression", "stage/training", "participant/operator", "effort/l", "kind/awesome",
     "evidence/e1"],
)  # fmt: skip
def test_a_term_lists_the_tactics_that_carry_it(pages, folder) -> None:
    assert carriers(pages[f"terms/{folder}"]) == {"": [OTHER.id, RECORD.id]}
    assert pages[f"terms/{folder}"].count == 2


def test_a_quality_tells_what_becomes_of_it(pages) -> None:
    assert carriers(pages["terms/quality/safety"]) == {"Improve it": [OTHER.id], "Worsen it": [RECORD.id]}
    assert list(pages["terms/quality/safety"].sections) == ["Improve it", "Worsen it"]
    assert carriers(pages["terms/quality/capacity"]) == {"Improve it": [RECORD.id]}


def test_a_term_that_nobody_carries_has_a_page_too(pages) -> None:
    assert pages["terms/kind/dark"].count == 0
    assert pages["terms/kind/dark"].term is Kind.DARK


def test_each_term_has_one_page_whatever_the_case_of_its_letters(pages) -> None:
    assert len(pages) == sum(len(entry.terms) for entry in VOCABULARIES)


def test_the_glossary_has_all_vocabularies() -> None:
    shown = {entry.terms for entry in VOCABULARIES} | {terms for _, terms in FURTHER}
    assert shown == {terms for terms in Term.__subclasses__() if terms.__module__.startswith("greentactics.")}


def test_each_vocabulary_says_what_it_answers() -> None:
    assert question(Stage) == "The stage of a system's life in which the decision is taken."
    assert all(question(entry.terms).endswith(".") for entry in VOCABULARIES)


def test_a_dark_tactic_harms_what_it_is_listed_under() -> None:
    tactics = join(catalogue(DARK), {}).values()
    (page,) = [page for page in term_pages(tactics) if page.folder == "terms/kind/dark"]
    assert carriers(page) == {"": [DARK.id]}
