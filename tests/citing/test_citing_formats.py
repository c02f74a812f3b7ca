"""References out to BibTeX, CSL-JSON and RIS and back again."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import date

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from greentactics.citing.bibtex import bibtex, bibtex_entry, read_bibtex
from greentactics.citing.csl_json import csl_json, read_csl_json
from greentactics.citing.raw_entries import MAX_REFERENCES, RawEntry, references_of
from greentactics.citing.reading import parse_references
from greentactics.citing.ris import ris
from greentactics.models.bibliography import Issued, Name, Reference
from greentactics.text.files import readable
from greentactics.text.problems import CatalogueError, UserError
from tests.examples.records import REAL, reference

TYPES = ["article", "article-journal", "paper-conference", "book", "chapter", "report", "thesis", "webpage",
         "software", "dataset", "standard"]  # fmt: skip

# Quotation marks and hyphens that stand together are other signs in LaTeX, and RIS parts names at commas.
SIGNS = st.characters(categories=["Lu", "Ll", "Nd"], include_characters="&%$#_{}~^\\:?()+*=<>@/é é ")
TEXT = st.text(SIGNS, min_size=1, max_size=40).map(readable).filter(bool)
LETTERS = st.characters(categories=["Lu", "Ll"], max_codepoint=0x17F)
WORD = st.text(LETTERS, min_size=2, max_size=12).map(readable).map(str.capitalize).filter(
    lambda word: word[0].isupper() and word.lower() != "and"
)  # fmt: skip
NAME = st.one_of(
    st.builds(lambda family, given: Name(family=family, given=given), WORD, WORD),
    st.builds(lambda family: Name(family=family), WORD),
    st.builds(lambda words: Name(literal=" ".join(words)), st.lists(WORD, min_size=2, max_size=4)),
)
DOIS = st.from_regex(r"10\.[0-9]{4}/[a-zA-Z0-9][a-zA-Z0-9._()-]{0,12}[a-z0-9]", fullmatch=True).filter(
    lambda doi: doi.count("(") == doi.count(")") and "()" not in doi
)
ARXIV = st.from_regex(r"[0-9]{2}(0[1-9]|1[0-2])\.[0-9]{5}(v[1-9])?", fullmatch=True).filter(str.isascii)
PAGES = st.from_regex(r"[1-9][0-9]{0,4}(-[1-9][0-9]{0,4})?", fullmatch=True).filter(str.isascii)
DATES = st.one_of(
    st.tuples(st.integers(1800, 2099)),
    st.tuples(st.integers(1800, 2099), st.integers(1, 12)),
    st.dates(date(1800, 1, 1), date(2099, 12, 31)).map(lambda day: (day.year, day.month, day.day)),
)


def optional(strategy: st.SearchStrategy[str]) -> st.SearchStrategy[str | None]:
    return st.none() | strategy


REFERENCES = st.builds(
    lambda parts, **fields: Reference(issued=Issued(date_parts=(parts,)), **fields),
    DATES,
    type=st.sampled_from(TYPES),
    title=TEXT,
    author=st.lists(NAME, min_size=1, max_size=4).map(tuple),
    container_title=optional(TEXT),
    volume=optional(PAGES),
    issue=optional(PAGES),
    page=optional(PAGES),
    publisher=optional(TEXT),
    doi=optional(DOIS),
    arxiv=optional(ARXIV),
    url=optional(st.from_regex(r"https://example\.org/[a-z0-9~%_.-]{1,20}", fullmatch=True)),
    note=optional(TEXT),
)


def back(text: str) -> list[Reference]:
    return [read.reference for read in parse_references(text, "file")]


@pytest.mark.parametrize("write", [csl_json, ris, bibtex], ids=lambda write: write.__name__)
@settings(max_examples=25)
@example([reference(note="}#")])
@example([reference(container_title="Notes:")])
@given(st.lists(REFERENCES, min_size=1, max_size=3))
def test_out_and_back(write: Callable[[dict[str, Reference]], str], references: list[Reference]) -> None:
    assert back(write({f"key-{number}": each for number, each in enumerate(references)})) == references


def test_entry_of_a_real_paper() -> None:
    entry = bibtex_entry("yang-2017", REAL.bibliography["yang-2017"])
    assert entry.startswith(
        "@inproceedings{yang-2017,\n  author = {Yang, Tien-Ju and Chen, Yu-Hsin and Sze, Vivienne},\n"
    )
    assert "  pages = {6071--6079},\n" in entry
    assert "  doi = {10.1109/CVPR.2017.643},\n" in entry
    assert "  eprint = {1611.05128},\n  archiveprefix = {arXiv},\n" in entry
    assert entry.endswith("}\n")


def test_special_signs_are_escaped() -> None:
    given = reference(
        title="Energy & Power: 50 % of #1_A {B} ~ ^ \\ $",
        author=(Name(family="Toczé", given="Klervie"), Name(literal="Group & Co")),
    )
    entry = bibtex_entry("x-2022", given)
    assert (
        r"title = {{Energy \& Power: 50 \% of \#1\_A \{B\} \textasciitilde{} \textasciicircum{} "
        r"\textbackslash{} \$}}" in entry
    )
    assert r"author = {Toczé, Klervie and {Group \& Co}}" in entry


@pytest.mark.parametrize("text", ["}{", "a\n  b = {c}", "\\input{x}"])
def test_braces_stay_balanced_and_lines_single(text: str) -> None:
    issued = Issued(date_parts=((2022, 6),))
    entry = bibtex_entry("x-2022", reference(title=text, note=text, doi="10.1000/a}b{c", issued=issued))
    plain = entry.replace(r"\{", "").replace(r"\}", "")
    assert plain.count("{") == plain.count("}")
    assert len(entry.splitlines()) == 8


def test_chosen_keys_stand_in_the_order_given_and_once() -> None:
    text = bibtex(REAL.bibliography, ["yang-2017", "chen-2017", "yang-2017", "missing-2000"])
    assert text.index("{yang-2017,") < text.index("{chen-2017,")
    assert text.count("@") == 2
    assert bibtex(REAL.bibliography).count("@") == len(REAL.bibliography)


BIBTEX = r"""
A line of talk before the entries.
@string{journal = "Journal of "}
@comment{not an entry}
@article{muller,
  title = {80% less: {DNN}s and the {\O}rsted effect},
  author = {M{\"u}ller, Anna and van der Berg, Jan and {Group of Friends}},
  journal = journal # "Examples", year = 2024, month = mar, pages = {1--9},
  doi = {https://doi.org/10.1234/abc\_5},
}
@misc{pre, title={A preprint}, author={Ada Lovelace}, year={2020}, eprint={2005.05837}, archivePrefix={arXiv},
  url={https://arxiv.org/abs/2005.05837}}
"""


def test_bibtex_as_publishers_write_it() -> None:
    first, second = back(BIBTEX)
    assert first.title == "80% less: DNNs and the Ørsted effect"
    assert [str(name) for name in first.author] == ["Anna Müller", "Jan van der Berg", "Group of Friends"]
    assert first.author[1].family == "van der Berg"
    assert first.author[2].literal == "Group of Friends"
    assert (first.container_title, first.page, first.doi) == ("Journal of Examples", "1-9", "10.1234/abc_5")
    assert first.issued.date_parts == ((2024, 3),)
    assert (second.type, second.arxiv, second.url, second.doi) == ("article", "2005.05837", None, None)


@pytest.mark.parametrize(
    ("fields", "date"),
    [
        ("month = dec, day = 5", (2024, 12, 5)),
        ("month = {December}, day = {31}", (2024, 12, 31)),
        ("month = 7", (2024, 7)),
        ('month = "5~" # mar', (2024,)),
        ("month = {13}, day = 5", (2024,)),
        ("day = 5", (2024,)),
    ],
)
def test_dates_of_bibtex(fields: str, date: tuple[int, ...]) -> None:
    (reference,) = back(f"@book{{a, title={{T}}, author={{A Body}}, year=2024, {fields}}}")
    assert reference.issued.date_parts == (date,)


@pytest.mark.parametrize(
    ("fields", "kind"),
    [("", "article"), ("type={Dataset}", "dataset"), ("type={Talk}, url={https://example.org/}", "webpage")],
)
def test_what_an_entry_of_no_sort_is(fields: str, kind: str) -> None:
    (reference,) = back(f"@misc{{a, title={{T}}, author={{A Body}}, year=2024, {fields}}}")
    assert reference.type == kind


def test_csl_json_as_registries_answer_it() -> None:
    item = {
        "type": "proceedings-article",
        "title": ["Cats &amp; <i>dogs</i>"],
        "author": [{"family": "Rey", "non-dropping-particle": "del", "given": "A."}, {"name": "A Body"}],
        "issued": {"date-parts": [["2017", 7]]},
        "container-title": ["Proceedings"],
        "page": "1\u20139",
        "volume": 3,
        "DOI": "10.48550/arXiv.1611.05128",
        "URL": "http://dx.doi.org/10.48550/arXiv.1611.05128",
        "reference-count": 12,
    }
    (reference,) = back(json.dumps({"items": [item]}))
    assert (reference.type, reference.title) == ("paper-conference", "Cats & dogs")
    assert [str(name) for name in reference.author] == ["A. del Rey", "A Body"]
    assert (reference.page, reference.volume, reference.container_title) == ("1-9", "3", "Proceedings")
    assert (reference.doi, reference.arxiv, reference.url) == (None, "1611.05128", None)
    assert reference.issued.date_parts == ((2017, 7),)


@pytest.mark.parametrize(
    "date", [{"raw": "2017-07-21"}, {"literal": "2017/07/21"}, {"date-parts": [[2017, 7, 21], [2018]]}]
)
def test_dates_of_csl(date: object) -> None:
    item = {"type": "book", "title": "T", "author": [{"literal": "A B"}], "published-print": date}
    (reference,) = back(json.dumps(item))
    assert reference.issued.date_parts == ((2017, 7, 21),)


def test_a_number_of_no_character_is_no_harm() -> None:
    item = json.loads(csl_json(dict([*REAL.bibliography.items()][:1])))[0] | {
        "title": f"A &#{'9' * 5000}; &amp; B"
    }
    assert back(json.dumps(item))[0].title.endswith("& B")


def test_halves_of_characters_are_left_out() -> None:
    item = json.loads(csl_json(dict([*REAL.bibliography.items()][:1])))[0]
    assert back(json.dumps(item | {"title": "A \ud83d B"}))[0].title == "A B"
    with pytest.raises(CatalogueError, match=r'\.type: expected one of .*, got ""'):
        back(json.dumps(item | {"type": "\udcff"}))


def test_ris_as_reference_managers_write_it() -> None:
    head = "TY - CONF\nA1 - World Body of Examples\nT1 - A long title\n  that goes on\n"
    text = head + "Y1 - 2021/05//\nL2 - https://example.org/x\nER - \n"
    (reference,) = back(text)
    assert reference.title == "A long title that goes on"
    assert reference.author == (Name(literal="World Body of Examples"),)
    assert reference.issued.date_parts == ((2021, 5),)
    assert (reference.type, reference.url) == ("paper-conference", "https://example.org/x")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("@article{a,\n title={T},\n year={2020}\n}", "file:1:1: a.author: expected a value, got nothing"),
        ("\n\n@article{a, title={T}, author={A, B}}", "file:3:1: a.issued: expected a value, got nothing"),
        ("@article{a, title={T}, author={A, B}, year={soon}}", 'a.issued: expected a date .* got "soon"'),
        ("@patent{a, title={T}, author={A, B}, year={2020}}", 'a.type: expected one of .* got "patent"'),
        ("@book{a, title={T}, author={A, B}, year={2020}, doi={no}}", 'a.DOI: expected a DOI .* got "no"'),
        ("@article{a, title={T}, ", "file:1:1: expected a BibTeX entry, got .*; check its braces"),
        ('{"title": "T"', "file:1:14: expected JSON, got"),
        ("[1]", "file:1:1: expected a mapping or a list of them, got else; export the entry as CSL-JSON"),
        ("[]", "file:1:1: expected at least one entry, got none"),
        ('{"type": "book", "issued": {"date-parts": [[1500]]}, "author": [{"family": "A"}], "title": "T"}',
         "entry 1.issued: expected a year from 1800"),
        ("TY  - JOUR\nTI  - T\n", "file:1:1: expected a line `ER  - ` at the end .*; add it"),
        ("TY  - JOUR\nER  - \nTI  - T\n", "file:3:1: expected the first line of an entry, got"),
        ("TY  - JOUR\nTY  - JOUR\nER  - \n", "file:1:1: expected a line `ER  - `"),
    ],
)  # fmt: skip
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    with pytest.raises(CatalogueError, match=message):
        back(text)


def test_text_in_no_format_is_refused() -> None:
    with pytest.raises(UserError, match=r"expected BibTeX, RIS or CSL-JSON, got text that is .*; export"):
        back("Smith, 2020.")


def test_all_wrong_entries_are_named_at_once() -> None:
    with pytest.raises(CatalogueError) as caught:
        back("@book{one, title={T}, year={2020}}\n@book{two, author={A, B}, year={2020}}")
    assert [problem.field for problem in caught.value.problems] == ["one.author", "two.title"]


def test_too_many_entries_are_refused() -> None:
    entry = RawEntry("a", 1, "book", [], [], {})
    with pytest.raises(CatalogueError, match="at most 2,000 entries, got 2,001; split the file"):
        references_of([entry] * (MAX_REFERENCES + 1), "file")
    with pytest.raises(CatalogueError, match="at most 2,000 entries, got more; split the file"):
        back("@misc{a}\n" + "@" * 30_000)


def test_a_key_that_stands_twice_in_a_file_is_no_harm() -> None:
    entry = "@book{{a, title={{{}}}, author={{A, B}}, year=2020}}\n"
    assert [each.title for each in back(entry.format("One") + entry.format("Two"))] == ["One", "Two"]


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 50_000, "9" * 5_000, "{" * 100_000])
def test_deep_json_is_refused(text: str) -> None:
    with pytest.raises(CatalogueError):
        read_csl_json(text, "file")


@pytest.mark.parametrize(
    "inner", ["{" * 5_000 + "}" * 5_000, "\\emph{" * 3_000 + "}" * 3_000, "$" * 9_999, "\\"]
)
def test_deep_latex_is_read_or_refused(inner: str) -> None:
    with suppress(CatalogueError):
        read_bibtex(f"@misc{{a, title={{{inner}}}, author={{A, B}}, year=2020}}", "file")


def test_a_value_of_many_lines_is_read_in_one_go() -> None:
    text = "TY  - JOUR\nTI  - T\nAU  - Poe, Ann\nPY  - 2020\nN1  - a\n" + "b\n" * 100_000 + "ER  - \n"
    assert back(text)[0].note == "a" + " b" * 100_000
