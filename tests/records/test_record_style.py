"""The real records: plain British English in own words, and nothing that a reader needs left out."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from greentactics.models.record import Record
from greentactics.models.vocabulary import Participant, Tag, Term
from greentactics.records.documents import read_document
from tests.examples.record_prose import american_words, long_sentences, marketing_words, prose
from tests.examples.shingles import STORED, archive_fingerprints, fingerprint, runs_of_words

ROOT = Path(__file__).resolve().parents[2]
PATHS = sorted(path for path in (ROOT / "tactics").glob("*.yaml") if path.name != "references.yaml")
DOCUMENTS = {path.stem: read_document(path, Record, root=ROOT) for path in PATHS}
RECORDS = {name: document.model for name, document in DOCUMENTS.items() if document.model}
WORDS_WITH_HYPHENS = {term.value for terms in Term.__subclasses__() for term in terms if "-" in term.value}
COPIED = frozenset(STORED.read_text(encoding="ascii").split())


def record_of(name: str) -> Record:
    document = DOCUMENTS[name]
    assert document.model is not None, "\n".join(map(str, document.problems))
    return document.model


def copied_runs(text: str) -> list[str]:
    return [run for run in runs_of_words(text) if fingerprint(run) in COPIED]


def test_there_are_records() -> None:
    assert DOCUMENTS
    assert len(COPIED) > 5_000


def american(text: str) -> list[str]:
    titles = {alias.title for record in RECORDS.values() for alias in record.aliases}
    names = titles | WORDS_WITH_HYPHENS | DOCUMENTS.keys()
    return american_words(text, sorted(names, key=lambda word: (-len(word), word)))


@pytest.mark.parametrize("search", [american, marketing_words, long_sentences, copied_runs])
def test_records_are_in_plain_british_words_of_their_own(search) -> None:
    assert [
        f"{DOCUMENTS[name].file}: {path}: {words}"
        for name in DOCUMENTS
        for path, text in prose(record_of(name))
        for words in search(text)
    ] == []


@pytest.mark.parametrize("name", DOCUMENTS)
def test_conditions_and_relations_are_enough_to_choose_by(name) -> None:
    record = record_of(name)
    assert len(record.applies_when) >= 3
    assert len(record.avoid_when) >= 3
    stated = {(relation.type, relation.target) for relation in record.relations}
    mirrored = {
        (relation.type, other.id)
        for other in RECORDS.values()
        for relation in other.relations
        if relation.target == name
    }
    assert len(stated | mirrored) >= 2


def test_who_decides_finds_a_tactic() -> None:
    found = {participant for record in RECORDS.values() for participant in record.participant}
    assert {Participant.SOFTWARE_ARCHITECT, Participant.DATA_SCIENTIST, Participant.OPERATOR} <= found


def test_every_tag_is_used() -> None:
    used = Counter(tag for record in RECORDS.values() for tag in record.tags)
    unused = [tag.value for tag in Tag if not used[tag]]
    assert not unused, f"vocabulary.py: Tag: remove {', '.join(unused)}, or use them in a record"


@pytest.mark.skipif("GREENTACTICS_ARCHIVE" not in os.environ, reason="needs GREENTACTICS_ARCHIVE")
def test_the_stored_fingerprints_are_those_of_the_archive() -> None:
    assert sorted(COPIED) == archive_fingerprints(Path(os.environ["GREENTACTICS_ARCHIVE"]))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("An optimized model, labeled by color and center.", ["optimized", "labeled", "color", "center"]),
        ("Analyze the behavior of neighbors.", ["Analyze", "behavior", "neighbors"]),
        ("Quantization of 5 percent; unlabeled, modeling, data center.",
         ["Quantization", "percent", "unlabeled", "modeling", "center"]),
        ('An optimised size, resized; "Optimizing the Center", `normalize`, the programme seized it.', []),
    ],
)  # fmt: skip
def test_american_words_are_found_outside_of_names(text, words) -> None:
    assert american_words(text) == words


def test_names_may_be_american() -> None:
    assert american_words("Use Input Quantization improves resource-utilization.", ["Use Input Quantization",
        "resource-utilization"]) == []  # fmt: skip


def test_words_that_praise_are_found() -> None:
    text = "A novel, state-of-the-art method leverages seamless reuse; novelty is not praise."
    assert marketing_words(text) == ["novel", "state-of-the-art", "leverages", "seamless"]


def test_sentences_are_counted_one_by_one() -> None:
    assert long_sentences("word " * 35 + ".") == []
    assert len(long_sentences("One two. " + "word " * 36 + ".")) == 1


def test_copied_runs_are_found_whatever_the_punctuation(monkeypatch) -> None:
    run = "one two three four five six seven eight"
    monkeypatch.setitem(globals(), "COPIED", frozenset({fingerprint(run)}))
    assert copied_runs("Zero. One, two: THREE four five-six seven eight nine.") == [run]
    assert copied_runs("one two three four five six seven nine") == []
