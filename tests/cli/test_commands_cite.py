"""Entries into the bibliography: keys, duplicates, the file, the network, and the commands."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greentactics.citing.entries import (
    add_references,
    citation_key,
    find_duplicate,
    read_bibliography,
    slug,
)
from greentactics.models.bibliography import Issued, Name, Reference
from greentactics.text.problems import CatalogueError, UserError
from tests.citing.test_citing_formats import NAME, REFERENCES
from tests.examples.command_line import call
from tests.examples.example_files import copy_valid
from tests.examples.records import REAL, reference

HELD = "10.1000/example.1"
BIBTEX = "@article{any, title={A new thing}, author={Müller, Ann}, year=2021, doi={10.1234/new}}"


def references_text(root: Path) -> str:
    return (root / "tactics" / "references.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "key"),
    [
        (Name(family="Müller"), "muller-2021"),
        (Name(family="García-Martín"), "garcia-martin-2021"),
        (Name(family="van der Berg"), "van-der-berg-2021"),
        (Name(family="O\u2019Neil"), "oneil-2021"),
        (Name(family="Þórðarson"), "thordarson-2021"),
        (Name(literal="World Body, Geneva"), "world-body-2021"),
        (Name(literal="3rd Party"), "rd-party-2021"),
        (Name(family="\u674e"), "work-2021"),
        (Name(literal="A very long name of an organisation that nobody can remember"),
         "a-very-long-name-of-an-organisation-2021"),
    ],
)  # fmt: skip
def test_keys(name: Name, key: str) -> None:
    assert citation_key(reference(author=(name,)), set()) == key
    assert citation_key(reference(author=(name,)), {key}) == f"{key}a"
    assert citation_key(reference(author=(name,)), {key, f"{key}a"}) == f"{key}b"


def test_keys_are_those_of_the_bibliography_as_it_is() -> None:
    taken: set[str] = set()
    for key, known in REAL.bibliography.items():
        if key != "aadt-2023":
            assert citation_key(known, taken) == key
        taken.add(key)


def test_when_all_letters_are_taken() -> None:
    taken = {f"muller-2021{letter}" for letter in ["", *"abcdefghijklmnopqrstuvwxyz"]}
    with pytest.raises(
        UserError, match="all keys from muller-2021 to muller-2021z are taken; add the entry by"
    ):
        citation_key(reference(), taken)


@settings(max_examples=30)
@given(st.lists(st.tuples(NAME, st.integers(1800, 2099)), max_size=6))
def test_keys_are_valid_and_differ(works: list[tuple[Name, int]]) -> None:
    taken: set[str] = set()
    for name, year in works:
        key = citation_key(reference(author=(name,), issued=Issued(date_parts=((year,),))), taken)
        assert key not in taken
        assert key.rstrip("abcdefghijklmnopqrstuvwxyz").endswith(f"-{year}")
        taken.add(key)


@given(st.text())
def test_slugs_are_plain(text: str) -> None:
    assert slug(slug(text)) == slug(text)
    assert set(slug(text)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({"doi": "10.1/X".replace("/X", "000/X"), "title": "Other"}, "DOI"),
        ({"arxiv": "2005.05837v3", "title": "Other"}, "arXiv identifier"),
        ({"doi": "10.48550/ARXIV.2005.05837", "title": "Other"}, "DOI"),
        ({"title": "a TITLE \u2013 of its\u00a0own!"}, "title"),
        ({"title": "A title of its own", "author": (Name(family="Other"),)}, None),
        ({"doi": "10.1000/other"}, None),
        ({"title": "Another title"}, None),
    ],
)
def test_duplicates(changes: dict[str, object], same: str | None) -> None:
    known = {"muller-2021": reference(doi="10.1000/x", arxiv="2005.05837v1")}
    found = find_duplicate(reference(**changes), known)
    assert (found.same if found else None) == same
    assert found is None or found.key == "muller-2021"


@settings(max_examples=10)
@given(st.lists(REFERENCES, min_size=1, max_size=4))
def test_what_is_added_is_read_again(tmp_path_factory, references: list[Reference]) -> None:
    root = copy_valid(tmp_path_factory.mktemp("bibliography"))
    before = read_bibliography(root)
    additions = add_references(root, references)
    after = read_bibliography(root)
    assert list(after) == sorted(after)
    assert after == before | {each.key: each.reference for each in additions if each.duplicate is None}
    text = references_text(root)
    assert all(each.duplicate for each in add_references(root, references))
    assert references_text(root) == text


def test_other_entries_stay_as_they_are_written(root: Path) -> None:
    path = root / "tactics" / "references.yaml"
    old = "# a comment\n" + references_text(root)
    path.write_text(old, encoding="utf-8")
    early, late = (
        reference(author=(Name(family="Abel"),)),
        reference(author=(Name(family="Zorn"),), title="Z"),
    )
    add_references(root, [late, early])
    text = references_text(root)
    assert text.startswith("# a comment\nabel-2021:\n  type: article\n  title: A title of its own\n")
    assert old.removeprefix("# a comment\n").rstrip() in text
    assert text.endswith(
        "\n\nzorn-2021:\n  type: article\n  title: Z\n  author:\n    - {family: Zorn, given: Ann}\n".replace(
            ", given: Ann", ""
        )
        + "  issued:\n    date-parts: [[2021]]\n"
    )


def test_an_empty_bibliography_takes_its_first_entry(root: Path) -> None:
    (root / "tactics" / "references.yaml").write_text("{}\n", encoding="utf-8")
    with pytest.raises(UserError, match="expected entries that can be written as YAML"):
        add_references(root, [reference()])


def test_a_wrong_bibliography_is_reported_and_left(root: Path) -> None:
    path = root / "tactics" / "references.yaml"
    path.write_text("smith-2020: {type: book}\n", encoding="utf-8")
    with pytest.raises(CatalogueError, match=r"tactics/references\.yaml:1:13: smith-2020\.author"):
        add_references(root, [reference()])


def test_cite_from_standard_input_and_again(root: Path) -> None:
    first = call(root, "cite", "--file", "-", typed=BIBTEX)
    assert (first.exit_code, first.stdout) == (
        0,
        "muller-2021: added; cite it under `sources:` of a record\n",
    )
    assert "DOI: 10.1234/new\n" in references_text(root)
    again = call(root, "cite", "--file", "-", typed=BIBTEX)
    assert (again.exit_code, again.stdout) == (0, "muller-2021: already there, with the same DOI\n")


def test_a_dry_run_changes_nothing(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "entry.bib"
    file.write_text(BIBTEX, encoding="utf-8")
    before = references_text(root)
    finished = call(root, "cite", "--dry-run", "--file", file)
    assert finished.stdout.startswith("muller-2021:\n  type: article-journal\n  title: A new thing\n")
    assert references_text(root) == before


def test_a_work_that_is_there_is_not_looked_up(root: Path) -> None:
    finished = call(root, "cite", f"https://doi.org/{HELD.upper()}")
    assert (finished.exit_code, finished.stdout) == (0, "smith-2020: already there, with the same DOI\n")


def test_all_mistakes_are_named_at_once_and_nothing_is_added(root: Path, tmp_path: Path) -> None:
    good, bad = tmp_path / "good.bib", tmp_path / "bad.bib"
    good.write_text(BIBTEX, encoding="utf-8")
    bad.write_text("@book{b, title={T}, year=2020}", encoding="utf-8")
    before = references_text(root)
    finished = call(
        root, "cite", "nonsense", "10.1/x", "--file", good, "--file", bad, "--file", tmp_path / "no"
    )
    assert finished.exit_code == 1
    assert [line.partition(": ")[0] for line in finished.stderr.splitlines()] == [
        '"nonsense"', '"10.1/x"', f"{bad}:1:1", f"{tmp_path / 'no'}:1:1",
    ]  # fmt: skip
    assert references_text(root) == before


def test_standard_input_has_a_limit_and_an_encoding(root: Path) -> None:
    assert "at most 1,000,000 bytes" in call(root, "cite", "--file", "-", typed="x" * 1_000_001).stderr
    assert "expected UTF-8, got byte 0xff" in call(root, "cite", "--file", "-", typed=b"@book{\xff}").stderr


def test_cite_needs_something_to_cite(root: Path) -> None:
    finished = call(root, "cite")
    assert finished.exit_code == 2
    assert "name a DOI, an arXiv identifier, or a file with --file" in finished.stderr


DRAFT = """id: a-draft
references:
  muller-2021:
    type: book
    title: In a draft
    author: [{family: Müller}]
    issued: {date-parts: [[2021]]}
"""


def test_the_references_of_a_draft_are_added_and_changed_keys_named(root: Path, tmp_path: Path) -> None:
    draft = tmp_path / "a-draft.yaml"
    draft.write_text(DRAFT, encoding="utf-8")
    call(root, "cite", "--file", "-", typed=BIBTEX)
    finished = call(root, "cite", "--file", draft)
    assert finished.stdout.splitlines() == [
        "muller-2021a: added; cite it under `sources:` of a record",
        "muller-2021a: the draft calls it muller-2021; change the key there",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id: x\n", "expected entries under `references:`, got none; there is nothing to add"),
        (
            DRAFT.replace("title:", "titel:"),
            ":4:5: references.muller-2021.title: expected a value, got nothing",
        ),
        ("references: &a [*a]\n", "expected a value without anchor"),
    ],
)
def test_wrong_drafts(root: Path, tmp_path: Path, text: str, message: str) -> None:
    draft = tmp_path / "a-draft.yaml"
    draft.write_text(text, encoding="utf-8")
    finished = call(root, "cite", "--file", draft)
    assert finished.exit_code == 1
    assert message in finished.stderr


@pytest.mark.parametrize(
    ("format_", "start"), [("bibtex", "@article{smith"), ("csl-json", "["), ("ris", "TY  - ")]
)
def test_the_bibliography_in_each_format(root: Path, format_: str, start: str) -> None:
    whole = call(root, "bibliography", "--format", format_)
    assert (whole.exit_code, whole.stdout[: len(start)]) == (0, start)
    assert call(root, "bibliography", "base-awesome", "--format", format_).stdout == whole.stdout


def test_works_added_at_the_same_time_are_all_kept(root: Path) -> None:
    count = 6
    start = threading.Barrier(count)

    def add(number: int) -> str:
        start.wait()
        given = reference(title=f"Work number {number}", author=(Name(family=f"Name{number}"),))
        return add_references(root, [given])[0].key

    with ThreadPoolExecutor(count) as pool:
        keys = list(pool.map(add, range(count)))
    assert set(keys) == {f"name{number}-2021" for number in range(count)}
    assert set(keys) <= set(read_bibliography(root))
