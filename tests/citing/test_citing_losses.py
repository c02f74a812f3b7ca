"""What an entry of a file says is in its reference, or is named as not carried over."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import Result

from greentactics.citing.bibtex import bibtex
from greentactics.citing.csl_json import csl_json
from greentactics.citing.latex import plain, verbatim
from greentactics.citing.raw_entries import ReadReference
from greentactics.citing.reading import parse_references
from greentactics.citing.ris import ris
from greentactics.models.bibliography import Issued, Name, Reference
from greentactics.text.problems import CatalogueError
from tests.examples.command_line import call
from tests.examples.records import REAL

SICI = "10.1002/(SICI)1096-987X(199803)19:4<377::AID-JCC1>3.0.CO;2-P"
OTHER_SICI = "10.1002/(SICI)1096-987X(199803)19:4<395::AID-JCC2>3.0.CO;2-O"


def bib(fields: str, word: str = "article") -> ReadReference:
    """Return what is read of an entry with a title, an author and a year beside the fields that are given."""
    own = {"title": "{T}", "author": "{Doe, Jane}", "year": "2020"}
    missing = [f"{name} = {value}" for name, value in own.items() if not re.search(rf"\b{name} =", fields)]
    return parse_references(f"@{word}{{a, {', '.join([*missing, fields])}}}", "file")[0]


def of_ris(
    *lines: str, kind: str = "JOUR", head: str = "TI  - T\nAU  - Doe, Jane\nPY  - 2020"
) -> ReadReference:
    text = "\n".join([f"TY  - {kind}", head, *lines, "ER  - "])
    return parse_references(text, "file")[0]


def of_csl(**fields: object) -> ReadReference:
    item = {"type": "article-journal", "title": "T", "author": [{"family": "Doe"}],
            "issued": {"date-parts": [[2020]]}}  # fmt: skip
    return parse_references(json.dumps(item | fields), "file")[0]


def values(read: ReadReference) -> dict[str, object]:
    """Return the fields that are not those of every entry here."""
    fields = read.reference.model_dump(exclude_none=True, exclude={"type", "author", "issued"})
    return {name: value for name, value in fields.items() if (name, value) != ("title", "T")}


@pytest.mark.parametrize(
    ("fields", "held", "loss"),
    [
        ("journal = {J}, articleno = {17}", {"container_title": "J", "page": "17"}, ""),
        ("journaltitle = {J}, eid = {e12}", {"container_title": "J", "page": "e12"}, ""),
        ("pages = {1--35}, articleno = {17}, numpages = {35}", {"page": "17:1-35"}, 'numpages "35"'),
        ("pages = {17:1--17:35}, articleno = {17}", {"page": "17:1-17:35"}, ""),
        ("subtitle = {Small}", {"title": "T: Small"}, ""),
        ("title = {Why?}, subtitle = {Because}", {"title": "Why? Because"}, ""),
        ("booktitle = {B}, booksubtitle = {Small}", {"container_title": "B: Small"}, ""),
        (f"doi = {{{SICI}}}", {"doi": SICI}, ""),
        (f"doi = {{{SICI.replace('<', '{$<$}').replace('>', '{$>$}')}}}", {"doi": SICI}, ""),
        (f"doi = {{{SICI.replace('<', '&lt;').replace('>', '&gt;')}}}", {"doi": SICI}, ""),
        (f"doi = {{https://doi.org/{SICI.replace('<', '%3C').replace('>', '%3E')}}}", {"doi": SICI}, ""),
        (r"howpublished = {\url{https://a.example/tool_page?x=1&y=2}}",
         {"url": "https://a.example/tool_page?x=1&y=2"}, ""),
        (r"howpublished = {Available at \url{https://a.example/x\_y}}", {"url": "https://a.example/x_y"},
         'howpublished "Available at"'),
        ("howpublished = {On paper}", {"container_title": "On paper"}, ""),
        ("url = {https://a.example/}, howpublished = {https://b.example/}", {"url": "https://a.example/"},
         'howpublished "https://b.example/"'),
        (r"note = {\href{https://a.example/x&y}{Code}}", {"note": "Code <https://a.example/x&y>"}, ""),
        (r"title = {Use {\LaTeX} and {\TeX} for \pounds 5}", {"title": "Use LaTeX and TeX for \u00a35"}, ""),
        (r"title = {A \mbox{k} and \texttt{x} for $5}", {"title": "A k and x for $5"}, ""),
        (r"title = {The \ours{} way}", {"title": "The way"}, r'title "\ours"'),
        ("title = {Research & more}", {"title": "Research & more"}, ""),
        ("journal = {arXiv preprint arXiv:2101.00002}", {"arxiv": "2101.00002"}, ""),
        ("journal = {CoRR}, volume = {abs/2101.00002}", {"arxiv": "2101.00002"}, ""),
        ("journal = {arXiv e-prints}, pages = {arXiv:2101.00002}, eid = {arXiv:2101.00002}",
         {"arxiv": "2101.00002"}, ""),
        ("note = {arXiv:2101.00002 [cs]}", {"arxiv": "2101.00002"}, ""),
        ("eprint = {2101.00002}, archiveprefix = {arXiv}, primaryclass = {cs.LG}", {"arxiv": "2101.00002"},
         'primaryclass "cs.LG"'),
        ("eprint = {123}, eprinttype = {jstor}", {"url": "https://www.jstor.org/stable/123"}, ""),
        ("abstract = {Words and more words}, keywords = {a, b}", {},
         'abstract "Words and more words", keywords "a, b"'),
        ("volume = {1}, volume = {2}", {"volume": "1"}, 'volume "2"'),
        ("editor = {Roe, R.}, crossref = {nobody}", {}, 'editor "Roe, R.", crossref "nobody"'),
    ],
)  # fmt: skip
def test_each_field_of_bibtex_is_held_or_named(fields: str, held: dict[str, str], loss: str) -> None:
    read = bib(fields)
    assert values(read) == held
    assert read.loss == (f'"a": not carried over: {loss}' if loss else "")


@pytest.mark.parametrize(
    ("fields", "parts", "loss"),
    [
        ("date = {2018-03-05}, year = {2018}", (2018, 3, 5), ""),
        ("date = {2018-03/2018-05}", (2018, 3), 'date "/2018-05"'),
        ("date = {2018~}", (2018,), 'date "~"'),
        ("date = {2018}, year = {2016}", (2018,), 'year "2016"'),
        ("year = 2018, month = {Summer}", (2018,), 'month "Summer"'),
        ("year = 2018, month = may, day = {32}", (2018, 5), 'day "32"'),
        ("year = 2018, month = {July--September}", (2018, 7), "month"),
    ],
)
def test_what_a_date_says_beyond_a_date_is_named(fields: str, parts: tuple[int, ...], loss: str) -> None:
    (read,) = parse_references(f"@book{{a, title = {{T}}, author = {{A Body}}, {fields}}}", "file")
    assert read.reference.issued.date_parts == (parts,)
    assert loss in read.loss
    assert bool(loss) == bool(read.loss)


@pytest.mark.parametrize("found", ["May 2020", "c. 1999", "in press", "n.d."])
def test_what_stands_where_a_date_should_is_shown_with_the_form_wanted(found: str) -> None:
    message = re.escape(
        f'issued: expected a date such as 2020, 2020-05 or 2020-05-31, got "{found}"; write the date so'
    )
    with pytest.raises(CatalogueError, match=message):
        bib(f"year = {{{found}}}")
    with pytest.raises(CatalogueError, match=message):
        of_csl(issued={"raw": found})
    with pytest.raises(CatalogueError, match=message):
        of_ris(head=f"TI  - T\nAU  - Doe, Jane\nPY  - {found}")


@pytest.mark.parametrize(
    ("word", "author", "name", "loss"),
    [
        ("book", "editor = {Roe, Richard}", Name(family="Roe", given="Richard"), 'role "editor"'),
        ("report", "institution = {A Body and Sons}", Name(literal="A Body and Sons"), ""),
        (
            "book",
            "author = {given=Hans, family=Harman, prefix=de}",
            Name(family="de Harman", given="Hans"),
            "",
        ),
    ],
)
def test_who_made_a_work_is_found(word: str, author: str, name: Name, loss: str) -> None:
    (read,) = parse_references(f"@{word}{{a, title = {{T}}, year = 2020, {author}}}", "file")
    assert read.reference.author == (name,)
    assert read.reference.publisher is None
    assert loss in read.loss


def test_a_part_has_what_its_whole_says() -> None:
    whole = "@proceedings{w, title={Proc}, subtitle={Small}, year=2019, editor={Roe, R.}, doi={10.1234/w}}"
    (part, own) = parse_references(
        f"@inproceedings{{p, title={{T}}, author={{Doe, J.}}, crossref={{w}}}}\n{whole}", "file"
    )
    assert (part.reference.container_title, part.reference.year) == ("Proc: Small", 2019)
    assert part.reference.doi is None
    assert "crossref" not in part.loss
    assert (own.reference.title, own.reference.doi) == ("Proc: Small", "10.1234/w")


def test_parts_that_name_each_other_come_to_an_end() -> None:
    entry = "@inbook{{{}, title={{T}}, author={{Doe, J.}}, year=2020, booktitle={{B}}, crossref={{{}}}}}\n"
    read = parse_references(entry.format("a", "b") + entry.format("b", "a") + entry.format("c", "c"), "file")
    assert [each.reference.container_title for each in read] == ["B", "B", "B"]


def test_entries_that_are_no_work_are_refused_with_the_reason() -> None:
    with pytest.raises(CatalogueError, match=r'a\.type: expected a published work, got "set", a list'):
        parse_references("@set{a, entryset={b,c}}", "file")
    with pytest.raises(CatalogueError, match=r'a\.type: expected one of .* got "patent"'):
        bib("", "patent")
    assert bib("", "mvbook").reference.type == "book"


def test_two_articles_of_an_issue_are_two(root: Path) -> None:
    entry = "@article{{{}, author={{{}}}, title={{{}}}, year=1998, journal={{J}}, doi={{{}}}}}\n"
    text = entry.format("a", "Doe, J.", "One", SICI) + entry.format("b", "Roe, R.", "Two", OTHER_SICI)
    done = cite(root, text)
    assert [line.partition(":")[0] for line in done.stdout.splitlines()] == ["doe-1998", "roe-1998"]
    assert "already there" not in done.output


def test_a_blank_in_an_address_is_named() -> None:
    with pytest.raises(
        CatalogueError, match=r'a.URL: expected an address without blanks.*, got a blank after "https'
    ):
        bib("url = {https://x.example/a b}")


@pytest.mark.parametrize(
    ("lines", "held", "loss"),
    [
        (("T2  - Joule", "C7  - 104501"), {"container_title": "Joule", "page": "104501"}, ""),
        (("SP  - 1", "EP  - 35", "C7  - 17"), {"page": "17:1-35"}, ""),
        (("JO  - arXiv preprint arXiv:2101.00002",), {"arxiv": "2101.00002"}, ""),
        (("M3  - doi: 10.1234/abc",), {"doi": "10.1234/abc"}, ""),
        (("DA  - 2020/05//", "SN  - 1234-5678"), {}, 'SN "1234-5678"'),
        (("UR  - https://a.example/", "UR  - https://b.example/"), {"url": "https://a.example/"},
         'UR "https://b.example/"'),
        (("T2  - Joule", "JA  - Joule", "J2  - Jl"), {"container_title": "Joule"}, 'J2 "Jl"'),
    ],
)  # fmt: skip
def test_each_field_of_ris_is_held_or_named(lines: tuple[str, ...], held: dict[str, str], loss: str) -> None:
    read = of_ris(*lines)
    assert values(read) == held
    assert read.loss.partition("not carried over: ")[2] == loss


@pytest.mark.parametrize(
    ("author", "name"),
    [
        ("Roe R.", Name(family="Roe", given="R.")),
        ("van der Berg J.-P.", Name(family="van der Berg", given="J.-P.")),
        ("Berg, Jan van der", Name(family="van der Berg", given="Jan")),
        ("Telefonica S.A.", Name(literal="Telefonica S.A.")),
        ("World Body", Name(literal="World Body")),
    ],
)
def test_names_of_persons_and_of_organisations(author: str, name: Name) -> None:
    read = of_ris(head=f"TI  - T\nAU  - {author}\nPY  - 2020")
    assert read.reference.author == (name,)


@pytest.mark.parametrize(
    ("fields", "held", "loss"),
    [
        ({"title": ["T"], "subtitle": ["Small"]}, {"title": "T: Small"}, ""),
        ({"page": "1-35", "article-number": "17"}, {"page": "17:1-35"}, ""),
        ({"number": "104501"}, {"page": "104501"}, ""),
        ({"container-title": ["J", "K"], "ISSN": ["1234-5678"], "member": "78"}, {"container_title": "J"},
         'container-title "K", ISSN "1234-5678"'),
        ({"issued": {"date-parts": [[2020], [2021]], "season": 2}}, {},
         'issued "[[2021]]", issued.season "2"'),
        ({"DOI": "10.1234/a", "URL": "https://doi.org/10.1234/b"},
         {"doi": "10.1234/a", "url": "https://doi.org/10.1234/b"}, ""),
    ],
)  # fmt: skip
def test_each_field_of_csl_json_is_held_or_named(
    fields: dict[str, object], held: dict[str, str], loss: str
) -> None:
    read = of_csl(**fields)
    assert values(read) == held
    assert read.loss.partition("not carried over: ")[2] == loss


def test_nothing_of_what_is_written_here_is_left_out_when_it_is_read() -> None:
    old = Reference(
        type="article-journal", title="T <x> & $y", author=(Name(family="Doe"),), doi=SICI, page="17:1-35",
        issued=Issued(date_parts=((1998, 3),)),
    )  # fmt: skip
    references = {**REAL.bibliography, "doe-1998": old}
    assert len(references) > 100
    for write in (bibtex, csl_json, ris):
        read = parse_references(write(references), "file")
        assert [each.reference for each in read] == list(references.values())
        assert [each.loss for each in read if each.loss] == []


def cite(root: Path, text: str | bytes, *options: str) -> Result:
    return call(root, "cite", "--file", "-", *options, typed=text)


def test_what_is_not_carried_over_is_said_once(root: Path) -> None:
    text = "@article{x, author={Doe, Jane}, title={New}, year=2020, issn={1234-5678}, journal={J}}"
    done = cite(root, text)
    assert done.stdout == "doe-2020: added; cite it under `sources:` of a record\n"
    assert done.stderr == 'doe-2020, "x": not carried over: issn "1234-5678"\n'
    again = cite(root, text)
    assert (again.stdout, again.stderr) == ("doe-2020: already there, with the same title\n", "")


def test_a_byte_order_mark_is_no_harm(root: Path, tmp_path: Path) -> None:
    data = "\ufeffTY  - JOUR\nTI  - M\u00e4r\nAU  - Doe, Jane\nPY  - 2020\nER  - \n".encode()
    path = tmp_path / "marked.ris"
    path.write_bytes(data)
    assert cite(root, data, "--dry-run").exit_code == 0
    done = call(root, "cite", "--file", path)
    assert done.stdout.startswith("doe-2020: added")


@pytest.mark.parametrize(
    ("latex", "text", "lost"),
    [
        (r"\foo{bar} x", "bar x", ()),
        (r"see \cite{x}", "see ", (r"\cite{x}",)),
        (r"CO$_2$ at 10$^6$", "CO2 at 10^6", ()),
        (r"ex\-am\-ple {\em is}", "example is", ()),
        (r"\noopsort{1973}Title", "Title", ()),
        (r"{\relax Ch}ristos", "Christos", ()),
        (r"at https://a.example/x~y%20z.", "at https://a.example/x~y%20z.", ()),
    ],
)
def test_latex_as_plain_text(latex: str, text: str, lost: tuple[str, ...]) -> None:
    assert (plain(latex).text, plain(latex).lost) == (text, lost)


@pytest.mark.parametrize(
    ("latex", "text"),
    [
        (r"https://a.example/{\_}x{\%}20y", "https://a.example/_x%20y"),
        (r"\url{https://a.example/x\_y}", "https://a.example/x_y"),
        (r"https://a.example/$\sim$doe", "https://a.example/~doe"),
        (r"10.1002/a{\textless}377{\textgreater}3", "10.1002/a<377>3"),
        ("{10.1234/a}", "10.1234/a"),
    ],
)
def test_identifiers_and_addresses_without_their_latex(latex: str, text: str) -> None:
    assert verbatim(latex) == text


@pytest.mark.parametrize(
    ("published", "held"),
    [
        ("Blog [online]", {"container_title": "Blog [online]"}),
        ("arXiv:2101.00006 [cs.LG]", {"arxiv": "2101.00006"}),
        ("(\\url{https://x.example/a})", {"url": "https://x.example/a"}),
    ],
)
def test_brackets_go_with_the_address_that_they_stood_around(published: str, held: dict[str, str]) -> None:
    assert values(bib(f"howpublished = {{{published}}}", "misc")) == held


@pytest.mark.parametrize(
    "authors", ["Doe, Jane and others", "Doe, Jane and {et al.}", "Jane Doe and Others", "Doe, Jane et al."]
)
def test_others_are_never_an_author_however_they_are_written(authors: str) -> None:
    read = bib(f"author = {{{authors}}}")
    assert read.reference.author == (Name(family="Doe", given="Jane"),)
    assert read.loss == '"a": not carried over: author "and others"'


def test_a_date_in_words_of_a_program_is_read_and_one_of_no_calendar_refused() -> None:
    assert of_csl(issued="2021-03").reference.issued == Issued(**{"date-parts": ((2021, 3),)})
    with pytest.raises(CatalogueError, match=r"expected a year.*got \[2021, 2, 30\]"):
        bib("year = {2021-02-30}")
