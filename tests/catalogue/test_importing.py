"""Entries of other catalogues to drafts; all texts here are made up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greentactics.bibliography import Issued, Name, Reference
from greentactics.citing.entries import read_bibliography
from greentactics.errors import CatalogueError, UserError
from greentactics.importing import gsf
from greentactics.importing.aadt import draft_of, read_draft
from greentactics.importing.archive_posts import parse_post
from greentactics.importing.citations import LONGEST_CITATION, read_sources
from greentactics.importing.drafts import Draft, draft_id, draft_text
from greentactics.text_file import decode
from greentactics.yaml_source import tree_of_right_yaml
from tests.site.records import ROOT

AWESOME = """---
layout: tactic

title: "Skip What Nobody Reads"
tags: machine-learning data-centric hardware measured shiny
t-sort: "Awesome Tactic"
t-type: "Architectural Tactic"
categories: green-ml-enabled-systems
t-description: "Leave out columns
that nobody reads: they cost. Note: a made-up text."
t-participant: "Data Scientist, Poet"
t-artifact: "Data, some columns that are not needed any more"
t-context: "Machine Learning"
t-feature:
t-intent: "Read less"
t-targetQA: "Energy Efficiency"
t-relatedQA: "Accuracy"
t-measuredimpact: "NA"
t-source:
"Ada Smith and Jan van der Berg. 2020. Reading Less. In Proceedings of Examples. Publisher, 1\u20139.
[DOI](https://doi.org/10.1234/less); Müller, A., & Poe, B. (2019, June). More vs. Less. Journal of Examples
12, 3 (2019), 45\u201350."
t-source-doi: "https://doi.org/doi.org/10.48550/arXiv.2005.05837"
t-diagram: "skip.png"
t-shoe-size: "44"
---
"""
DARK = """---
title:  "Show Everything"
tags:
t-sort: "Dark Tactic"
t-type: "Unsustainable Pattern"
categories: edge-computing
t-description: "All is shown at once."
t-participant: "end-user, edge-provider "
t-artifact: "Technology "
t-context: "Daily use"
t-feature: "Screen"
t-intent: "More is more"
t-intentmeasure: "Screens a day"
t-countermeasure: "Show less"
t-source: "*The Cost of Showing* by Ada Smith and Bo Poe"
t-source-doi: "https://doi.org/10.1234/show"
t-diagram: "NA"
---
"""
PAGE = """Awesome and Dark Tactics
Homepage Catalog
<- Back to category

Tactic: Skip What Nobody Reads

Tactic sort: Awesome Tactic
Type: Architectural Tactic
Category: green-ml-enabled-systems
Tags: data-centric \u00a0 machine-learning

Title

Skip What Nobody Reads

Description

Leave out columns
that nobody reads.

Participant

Data Scientist

Related software artifact

Data

Context

Machine Learning

Software feature

< unknown >

Tactic intent

Read less

Target quality attribute

Energy Efficiency

Other related quality attributes

Accuracy

Measured impact

< unknown >

Source

Ada Smith. 2020. Reading Less. (DOI: https://doi.org/doi.org/10.48550/arXiv.2005.05837)

Graphical representation

  \u2022 Contact
"""
HTML = """<!DOCTYPE html><html><head><title>x</title><style>p{}</style>
<link rel="canonical" href="https://s2group.example/AwesomeAndDarkTactics/tactics/2023-01-02-skip-what-nobody-reads">
</head><body><script>var Title = "no";</script><h1>Tactic: Skip What Nobody Reads</h1>
<div><strong>Tactic sort:</strong> <span>Awesome Tactic</span></div>
<div><span><strong>Type:</strong> Architectural Tactic</span></div>
<div><strong>Category:</strong> <!-- <h3>Title</h3> --><a href="c">green-ml-enabled-systems</a></div>
<div><strong>Tags:</strong> <a>data-centric</a>&nbsp;<a>machine-learning</a></div>
<p><h3>Title</h3><span>Skip What Nobody Reads</span></p>
<p><h3>Description</h3><span>Leave out columns that nobody reads &amp; <b>save</b>.</span></p>
<h3>Participant </h3><span>Data Scientist</span><h3>Related software artifact</h3><span>Data</span>
<h3>Software feature</h3><span> &lt; unknown &gt; </span>
<h3>Target quality attribute</h3><span>Energy Efficiency</span>
<h3>Source</h3><span>Ada Smith. 2020. Reading Less.</span> <span>(DOI:&nbsp;<a>https://doi.org/10.1234/less</a>)</span>
<h3>Graphical representation</h3><img src="/assets/logo.png">
<img src="/assets/diagrams/skip.png"></body></html>
"""
LONG_TITLE = "The Cost of Showing: a Long Subtitle"
THESIS = "Master Thesis \u201cOn Less\u201d by Ada Poe"
KNOWN = {
    "smith-2020": Reference(
        type="paper-conference",
        title="Reading less",
        author=(Name(family="Smith", given="Ada"),),
        issued=Issued(date_parts=((2020,),)),
        doi="10.1234/less",
    ),
    "smith-2022": Reference(
        type="article",
        title=LONG_TITLE,
        author=(Name(family="Smith", given="Ada"),),
        issued=Issued(date_parts=((2022,),)),
        doi="10.1234/show",
    ),
}


def imported(text: str, name: str = "2023-01-02-skip-what-nobody-reads.md", known=KNOWN) -> Draft:
    return draft_of(parse_post(text, name, Path(name)), known)


def read_back(draft: Draft) -> dict[str, object]:
    source = decode(draft_text(draft, "file.md").encode(), "draft.yaml")
    assert source.problems == ()
    tree = tree_of_right_yaml(source)
    assert tree is not None
    return tree


def test_an_awesome_entry() -> None:
    draft = imported(AWESOME)
    assert draft.id == "skip-what-nobody-reads"
    assert draft.fields == {
        "id": "skip-what-nobody-reads",
        "kind": "awesome",
        "type": "architectural-tactic",
        "category": "green-ml-enabled-systems",
        "group": "data-centric",
        "participant": ["data-scientist"],
        "artifact": ["data"],
        "target_quality": "energy-efficiency",
        "effects": [
            {"quality": "energy-efficiency", "direction": "improves"},
            {"quality": "functional-correctness"},
        ],
        "sources": [{"key": "smith-2020"}, {"key": "muller-2019"}],
        "aliases": [
            {
                "catalogue": "aadt",
                "title": "Skip What Nobody Reads",
                "url": "https://s2group.cs.vu.nl/AwesomeAndDarkTactics/tactics/2023-01-02-skip-what-nobody-reads",
                "diagram": "skip.png",
            }
        ],
        "status": "draft",
    }
    assert draft.to_clarify == (
        't-participant: not understood: "Poet"',
        "t-artifact: not understood: see the quarantine",
        'tags: "hardware" may be hardware-choice or power-management',
        'tags: not understood: "shiny"',
        "t-shoe-size: not a field of the archive; see the quarantine",
        "identifier repaired: https://doi.org/doi.org/10.48550/arXiv.2005.05837 read as arXiv:2005.05837",
        "muller-2019: read from running text; compare it with the paper",
    )
    assert draft.quarantine["t-description"].endswith("that nobody reads: they cost. Note: a made-up text.")
    assert draft.quarantine["t-shoe-size"] == "44"
    assert draft.rewritten_from["problem"] == "t-description"
    assert "impact" not in draft.rewritten_from


def test_sources_become_references() -> None:
    (reference,) = imported(AWESOME).references.values()
    assert reference == Reference(
        type="article-journal",
        title="More vs. Less",
        author=(Name(family="Müller", given="A."), Name(family="Poe", given="B.")),
        issued=Issued(date_parts=((2019,),)),
        container_title="Journal of Examples",
        volume="12",
        issue="3",
        page="45-50",
        arxiv="2005.05837",
    )


def test_a_dark_entry() -> None:
    draft = imported(DARK, "2022-01-02-show_everything.markdown")
    assert (draft.fields["kind"], draft.fields["type"]) == ("dark", "unsustainable-pattern")
    assert draft.fields["participant"] == ["end-user", "edge-provider"]
    assert draft.fields["sources"] == [{"key": "smith-2022"}]
    assert draft.to_clarify == ()
    assert {"t-intentmeasure", "t-countermeasure"} <= draft.quarantine.keys()
    assert "diagram" not in draft.fields["aliases"][0]


def test_the_text_of_a_page() -> None:
    draft = imported(PAGE, "page.txt")
    assert draft.fields["group"] == "data-centric"
    assert draft.fields["sources"] == [{"key": "smith-2020"}]
    assert draft.quarantine["t-description"] == "Leave out columns that nobody reads."
    assert not {"t-feature", "t-measuredimpact"} & draft.quarantine.keys()
    assert "aliases: the address of the entry is not in the file" in draft.to_clarify
    assert any(note.startswith("identifier repaired: ") for note in draft.to_clarify)


def test_a_page() -> None:
    draft = imported(HTML, "page.html")
    assert draft.fields["aliases"] == imported(AWESOME).fields["aliases"]
    assert draft.quarantine["t-description"] == "Leave out columns that nobody reads & save."
    assert draft.fields["sources"] == [{"key": "smith-2020"}]
    assert draft.to_clarify == ()
    assert "t-feature" not in draft.quarantine


def test_a_page_without_picture_has_no_diagram() -> None:
    page = HTML.replace("diagrams/skip.png", "diagrams/contribution.png")
    assert "diagram" not in imported(page, "page.html").fields["aliases"][0]


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("No front matter", "a.md", "a.md:1: expected front matter between two lines of ---, got none"),
        (
            "---\nlayout: page\n---\n",
            "a.md",
            "expected an entry of the archive, got front matter without",
        ),
        ("Some text", "a.txt", "expected an entry of the archive, got a text without its headings"),
        (
            "A paper. arXiv:2005.05837",
            "a.txt",
            "`greentactics cite arXiv:2005.05837` cites the paper it names",
        ),
        (
            "<p>Some</p>",
            "a.html",
            "expected an entry of the archive, got a text without its headings",
        ),
        (AWESOME.replace("Skip What Nobody Reads", ""), "a.md", "a.md:1: title: expected one, got none"),
        (
            AWESOME.replace("Skip What Nobody Reads", "!?"),
            "a.md",
            "expected a title with at least one letter",
        ),
    ],
)
def test_what_is_no_entry_is_refused(text: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        imported(text, name)


@pytest.mark.parametrize(
    ("title", "identifier"),
    [
        ("Use 5G, if possible!", "use-5g-if-possible"),
        ("5G for All", "g-for-all"),
        ("../../etc/passwd", "etc-passwd"),
        ("Čau světe", "cau-svete"),
        ("word " * 40, "-".join(["word"] * 16)),
        ("x" * 200, "x" * 80),
    ],
)
def test_ids_are_plain_and_short(title: str, identifier: str) -> None:
    assert draft_id(title) == identifier


@pytest.mark.parametrize(
    ("text", "identifiers", "keys", "notes"),
    [
        ("", "", (), ()),
        ("Ada Smith. 2020. Reading Less.", "", ("smith-2020",), ()),
        ("Someone. Something.", "https://doi.org/10.1234/LESS", ("smith-2020",), ()),
        ("The source", "the doi", (), ("broken identifier: the doi",
                                        'source without author, issued, title, type: "The source"')),
        ("Ada Smith. 2020. Reading Less. [DOI](https://doi.org/10.1234/show)", "", ("smith-2020",),
         (f'DOI:10.1234/show belongs to smith-2022, "{LONG_TITLE}"; the text names "Reading Less"',)),
        ("A. Poe. 2021. One. X; B. Poe. 2021. Two. X", "10.1234/three", ("poe-2021", "poe-2021a"),
         ("poe-2021: read from running text; compare it with the paper",
          "poe-2021a: read from running text; compare it with the paper",
          "DOI:10.1234/three: which of the 2 sources it belongs to is not said")),
        ("Ada Smith. 2020. Reading Less. X. [DOI](https://example.org/x)", "", ("smith-2020",),
         ("broken identifier: https://example.org/x is called a DOI and is none",)),
        (THESIS, "10.1234/less-again", (),
         (f'source without issued: "{THESIS}"; `greentactics cite DOI:10.1234/less-again` may know',)),
        ("x" * (LONGEST_CITATION + 1), "", (), ("source: more than 5,000 characters, not read",)),
    ],
)  # fmt: skip
def test_sources(text: str, identifiers: str, keys: tuple[str, ...], notes: tuple[str, ...]) -> None:
    sources = read_sources(text, identifiers, KNOWN)
    assert (sources.keys, sources.to_clarify) == (keys, notes)


def test_authors_that_are_given_in_two_styles() -> None:
    text = "Poe, A., & Roe, B. (2022, June). Ann Poe and Bob Roe. 2022. A Twofold Title. In Proceedings. 1-9."
    (reference,) = read_sources(text, "", {}).references.values()
    assert (reference.title, str(reference.author[0])) == ("A Twofold Title", "Ann Poe")


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


def pattern(tmp_path: Path, text: str) -> Draft:
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
        'tags: not understood: "size:small"',
        "category: may also be green-ml-enabled-systems",
        'source: "Another": `greentactics cite arXiv:2005.05837` adds it',
        "broken identifier: https://doi.org/none",
        "aliases: the address of the pattern is not in the file",
    )
    assert draft.quarantine["Solution"] == "Say less."
    assert draft.rewritten_from["solution"] == "Solution"
    assert draft.references["green-software-foundation-2022"].issued.date_parts == ((2022, 11, 10),)
    lines = str(read_back(draft)["quarantine"]["References"]).splitlines()
    assert lines[0] == "- [Reading less](https://example.org/less)"


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


SEEN = [*AWESOME.splitlines(), *DARK.splitlines(), *PAGE.splitlines()]
LINES = st.lists(st.sampled_from(SEEN) | st.text(), max_size=40)


@settings(max_examples=30)
@given(LINES.map("\n".join) | st.text(), st.sampled_from(["a.md", "a.txt", "a.html"]))
def test_any_text_becomes_a_draft_or_a_message(text: str, name: str) -> None:
    try:
        draft = imported(text, name)
    except UserError as error:
        assert str(error)  # noqa: PT017 - either outcome is right
        return
    read_back(draft)


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<!--",
        "</",
        "<a ",
        "<a b='",
        "&",
        "&#",
        "<p>",
        "---\n",
        't-source: "\n',
        ": ",
        "A. 2020. ",
        "; A",
        "*a* by ",
    ],
)
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


TERMS = {
    "t-sort": "kind",
    "t-type": "type",
    "categories": "category",
    "t-participant": "participant",
    "t-artifact": "artifact",
    "t-targetQA": "target_quality",
    "t-relatedQA": "effects",
}


@pytest.mark.skipif("GREENTACTICS_ARCHIVE" not in os.environ, reason="needs GREENTACTICS_ARCHIVE")
def test_every_field_of_the_whole_archive_is_placed_or_named() -> None:
    known = read_bibliography(ROOT)
    paths = sorted(Path(os.environ["GREENTACTICS_ARCHIVE"], "_posts").glob("*/*.m*"))
    assert len(paths) == 97
    ids = set()
    for path in paths:
        post = parse_post(path.read_text(encoding="utf-8"), path.name, path)
        draft = draft_of(post, known)
        read_back(draft)
        ids.add(draft.id)
        named = {note.partition(":")[0] for note in draft.to_clarify}
        for name in post.fields.keys() - {"title", "t-diagram", "t-source-doi", "tags"}:
            assert name in draft.quarantine or name in named or TERMS[name] in draft.fields
        assert draft.fields["aliases"][0]["title"] == post.title
        doubted = any("source" in note for note in draft.to_clarify)
        assert draft.fields.get("sources") or doubted or "t-source" not in post.fields
    assert len(ids) == 97
