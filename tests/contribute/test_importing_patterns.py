"""Patterns of another catalogue to drafts, drafts as files, and input that is none of both."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from greentactics.citing.entries import read_bibliography
from greentactics.citing.raw_entries import LeftOut
from greentactics.contribute.importing import gsf
from greentactics.contribute.importing.aadt import draft_of, read_draft
from greentactics.contribute.importing.archive_posts import parse_post
from greentactics.contribute.importing.archive_words import FIELDS, meanings_of, words_of
from greentactics.contribute.importing.drafts import ImportedDraft, draft_text
from greentactics.text.problems import CatalogueError, UserError
from tests.examples.archive_entries import (
    AWESOME,
    DARK,
    HTML,
    KNOWN,
    PAGE,
    imported,
    read_back,
)
from tests.examples.records import ROOT

PATTERN = """---
version: 1.0
submitted_by: somebody
published_date: 2022-11-10
category: cloud
tags:
 - cloud
 - machine-learning
 - size:small
 - persona:solution-architect
---

# Send fewer words

## Description

A made-up text.

## Solution
Say less.

## SCI Impact
`SCI = (E * I) + M per R`

## References
- [Reading less](https://example.org/less)
- [Another](https://arxiv.org/abs/2005.05837)
- [Broken](https://doi.org/none)
"""


def pattern(tmp_path: Path, text: str) -> ImportedDraft:
    path = tmp_path / "send-fewer-words.md"
    path.write_text(text, encoding="utf-8")
    return gsf.read_draft(path, None, KNOWN)


def test_a_pattern(tmp_path: Path) -> None:
    draft = pattern(tmp_path, PATTERN)
    assert draft.fields == {
        "id": "send-fewer-words",
        "kind": "awesome",
        "category": "cloud-computing",
        "tags": ["cloud"],
        "participant": ["software-architect"],
        "aliases": [{"catalogue": "gsf", "title": "Send fewer words"}],
        "sources": [{"key": "green-software-foundation-2022"}, {"key": "smith-2020"}],
        "status": "draft",
    }
    assert draft.to_clarify == (
        "category: may also be green-ml-enabled-systems",
        'source: "Another": `greentactics cite arXiv:2005.05837` adds it',
        "broken identifier: https://doi.org/none",
        "aliases: the address of the pattern is not in the file",
    )
    assert [str(each) for each in draft.left_out] == [
        'version "1.0"',
        'submitted_by "somebody"',
        'tags "size:small"',
    ]
    assert draft.quarantine["Solution"] == "Say less."
    assert draft.rewritten_from["solution"] == "Solution"
    assert draft.references["green-software-foundation-2022"].issued.date_parts == ((2022, 11, 10),)
    lines = str(read_back(draft)["quarantine"]["References"]).splitlines()
    assert lines[0] == "- [Reading less](https://example.org/less)"


@pytest.mark.parametrize(
    ("date", "parts", "rest"),
    [("2022-11-45", (2022, 11), "-45"), ("2022-13-01", (2022,), "-13-01"), ("2022-11-00", (2022, 11), "-00")],
)
def test_a_date_that_cannot_be_is_read_as_far_as_it_can(
    tmp_path: Path, date: str, parts: tuple[int, ...], rest: str
) -> None:
    draft = pattern(tmp_path, PATTERN.replace("2022-11-10", date))
    assert draft.references["green-software-foundation-2022"].issued.date_parts == (parts,)
    assert f'published_date: "{rest}" of "{date}" is no part of a date' in draft.to_clarify


@pytest.mark.parametrize("date", ["20206-08-14", "", "soon"])
def test_a_pattern_without_a_date_is_no_source(tmp_path: Path, date: str) -> None:
    draft = pattern(tmp_path, PATTERN.replace("2022-11-10", date))
    assert draft.references == {}
    found = f'"{date}"' if date else "none"
    assert f"published_date: expected a date, got {found}" in draft.to_clarify


def test_what_is_no_pattern_is_refused(tmp_path: Path) -> None:
    for text in (PATTERN.replace("## Solution", "## Answer"), PATTERN.replace("# Send fewer words", "")):
        with pytest.raises(UserError, match="expected a pattern: a title and the sections Description"):
            pattern(tmp_path, text)


@pytest.mark.parametrize("text", [AWESOME, DARK, PAGE, HTML])
def test_a_draft_is_yaml_that_is_read_as_it_was_meant(text: str) -> None:
    draft = imported(text, "a.md" if text.startswith("---") else "a.txt")
    tree = read_back(draft)
    for name, value in draft.fields.items():
        assert tree[name] == value
    assert tree.get("to_clarify", []) == list(draft.to_clarify)
    words = {name: " ".join(str(text).split()) for name, text in tree["quarantine"].items()}
    assert words == draft.quarantine


def test_the_wording_of_the_archive_stands_in_quarantine_only() -> None:
    text = draft_text(imported(DARK), "file.markdown")
    outside, quarantine = text.split("\nquarantine:\n")
    for words in ("All is shown at once", "Daily use", "More is more", "Screens a day", "Show less"):
        assert words in quarantine
        assert words not in outside


@pytest.mark.parametrize(
    "piece",
    ["<", "<!--", "</", "<a ", "<a b='", "&", "&#", "<p>", "---\n", 't-source: "\n', ": ", "A. 2020. ", "; A",
     "*a* by "],
)  # fmt: skip
def test_long_text_is_read_or_refused(piece: str) -> None:
    long = piece * (20_000 // len(piece))
    for text in (f"<html>{long}", f'---\ntitle: "T"\nt-sort: "x"\nt-source: "{long}"\n---\n', long):
        try:
            read_back(imported(text, "a.html" if text.startswith("<") else "a.md"))
        except UserError as error:
            assert "expected" in str(error)  # noqa: PT017 - either outcome is right


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.md"
    path.write_text("---\n" * 100_000, encoding="utf-8")
    with pytest.raises(CatalogueError, match="at most 300,000 bytes"):
        read_draft(path, None, KNOWN)
    with pytest.raises(CatalogueError, match="at most 300,000 bytes"):
        gsf.read_draft(path, None, KNOWN)


@pytest.mark.parametrize("variable", ["GREENTACTICS_ARCHIVE", "GREENTACTICS_ARCHIVE_2025"])
def test_every_field_of_the_whole_archive_is_placed_or_named(variable: str) -> None:
    if variable not in os.environ:
        pytest.skip(f"needs {variable}, a folder of the archive with _posts/")
    known = read_bibliography(ROOT)
    paths = sorted(Path(os.environ[variable], "_posts").glob("*/*.m*"))
    assert paths
    ids = set()
    for path in paths:
        post = parse_post(path.read_text(encoding="utf-8"), path.name, path)
        draft = draft_of(post, known)
        read_back(draft)
        ids.add(draft.id)
        named = {note.partition(":")[0] for note in draft.to_clarify}
        for name in post.fields.keys() - {"title", "t-diagram", "t-source-doi", "tags"}:
            assert name in draft.quarantine or name in named or FIELDS[name][0] in draft.fields
        for name in post.fields.keys() & FIELDS.keys():
            for word in words_of(name, post.fields[name].value):
                meanings = meanings_of(FIELDS[name][1], word)
                assert (meanings and len(meanings) == 1) or LeftOut(name, word) in draft.left_out
        assert draft.fields["aliases"][0]["title"] == post.title
        doubted = any("source" in note for note in draft.to_clarify)
        assert draft.fields.get("sources") or doubted or "t-source" not in post.fields
    assert len(ids) == len(paths)
