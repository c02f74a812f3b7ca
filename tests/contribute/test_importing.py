"""Entries of other catalogues to drafts; all texts here are made up."""

from __future__ import annotations

import pytest

from greentactics.contribute.importing.archive_words import FIELDS, meanings_of, words_of
from greentactics.contribute.importing.citations import LONGEST_CITATION, read_sources
from greentactics.contribute.importing.drafts import draft_id
from greentactics.models.bibliography import Issued, Name, Reference
from greentactics.models.vocabulary import Quality
from greentactics.text.problems import UserError
from tests.examples.archive_entries import (
    AWESOME,
    DARK,
    HTML,
    KNOWN,
    LONG_TITLE,
    PAGE,
    THESIS,
    imported,
)


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
        issued=Issued(date_parts=((2019, 6),)),
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


@pytest.mark.parametrize(
    "piece", [f"&#{'1' * 5000};", f"<a title='&#{'9' * 5000}'>", "<![foo[", "<![[[[>", "<![CDATA[>"]
)
def test_a_page_with_what_no_parser_takes_is_read_all_the_same(piece: str) -> None:
    draft = imported(HTML.replace("Leave out", f"Leave {piece} out"), "page.html")
    assert draft.quarantine["t-description"].endswith("columns that nobody reads & save.")


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
        (AWESOME.replace("Skip What Nobody Reads", ""), "a.md", "a.md:1: title: expected one with at least"),
        (
            AWESOME.replace("Skip What Nobody Reads", "!?"),
            "a.md",
            'a.md:1: title: expected one with at least .* got "!\\?"',
        ),
    ],
)
def test_what_is_no_entry_is_refused(text: str, name: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        imported(text, name)


def test_a_title_gives_no_identifier_of_which_windows_can_store_no_file() -> None:
    assert draft_id("CON", "a.md") == "con-tactic"


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


@pytest.mark.parametrize(
    ("text", "title", "authors"),
    [
        ("Ada Poe; Bo Roe; Cy Doe (2025) Less Is Less", "Less Is Less", ["Ada Poe", "Bo Roe", "Cy Doe"]),
        (
            "A.B. Poe, C. Roe, D. Doe (2025) Less (LESS 2025)",
            "Less (LESS 2025)",
            ["A.B. Poe", "C. Roe", "D. Doe"],
        ),
        ("Ada Poe, Bo Roe (2025). \u2018Less Is Less.\u2019", "Less Is Less", ["Ada Poe", "Bo Roe"]),
        ("Poe, A., & Roe, B. (2025). Less. (DOI: https://doi.org/10.1234/x)", "Less", ["A. Poe", "B. Roe"]),
    ],
)
def test_citations_as_people_write_them(text: str, title: str, authors: list[str]) -> None:
    (reference,) = read_sources(text, "", {}).references.values()
    assert (reference.title, [str(name) for name in reference.author]) == (title, authors)


def test_words_of_a_citation_without_a_place_are_named_and_its_address_is_kept() -> None:
    text = "Ada Poe et al. (2025, June). Less. In Proceedings. Publisher, New York, 1-9."
    sources = read_sources(text, "https://example.org/less", {})
    (reference,) = sources.references.values()
    assert (reference.url, reference.issued.date_parts) == ("https://example.org/less", ((2025, 6),))
    assert sources.left_out == ("et al New York",)
    assert 'poe-2025: not carried over: "et al New York"' in sources.to_clarify


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("Energy efficiency.", ["Energy efficiency"]),
        ("response time; throughput", ["response time", "throughput"]),
        ("Developers, experts (e.g., chemists; cooks)", ["Developers", "experts (e.g., chemists; cooks)"]),
        ("Architects. Developers.", ["Architects", "Developers"]),
    ],
)
def test_words_of_a_field_with_several(value: str, words: list[str]) -> None:
    assert words_of("t-relatedQA", value) == words


def test_a_word_is_known_in_any_spelling() -> None:
    table = FIELDS["t-targetQA"][1]
    for word in ("energy efficiency", "Energy-Efficiency", "Energy consumption"):
        assert meanings_of(table, word) == (Quality.ENERGY_EFFICIENCY,)
    assert meanings_of(table, "nonsense") is None
