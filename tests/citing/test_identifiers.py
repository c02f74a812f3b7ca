"""DOIs and arXiv identifiers as people write them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greentactics.citing.identifiers import Identifier, find_identifiers, parse_identifier
from greentactics.models.bibliography import ARXIV_PATTERN, DOI_PATTERN
from greentactics.text.problems import UserError
from tests.examples.records import REAL

DOI = "10.1109/CVPR.2017.643"


@pytest.mark.parametrize(
    "text",
    [
        DOI,
        f" {DOI} ",
        f"doi:{DOI}",
        f"DOI: {DOI}",
        f"https://doi.org/{DOI}",
        f"http://dx.doi.org/{DOI}",
        f"https://doi.org/doi.org/{DOI}",
        f"https://doi.org/{DOI.replace('/', '%2F')}",
        f"https://publisher.example/doi/abs/{DOI}?download=true#page-2",
        f"{DOI}.",
        f"({DOI});",
    ],
)
def test_spellings_of_a_doi(text: str) -> None:
    assert parse_identifier(text) == Identifier("DOI", DOI)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1611.05128", "1611.05128"),
        ("arXiv:1611.05128v4", "1611.05128v4"),
        ("arxiv: 1611.05128", "1611.05128"),
        ("https://arxiv.org/abs/1611.05128", "1611.05128"),
        ("https://arxiv.org/pdf/1611.05128v2.pdf", "1611.05128v2"),
        ("https://doi.org/doi.org/10.48550/arXiv.1611.05128", "1611.05128"),
        ("10.48550/ARXIV.1611.05128", "1611.05128"),
        ("cs/0112017", "cs/0112017"),
        ("math.GT/0309136", "math.GT/0309136"),
    ],
)
def test_spellings_of_an_arxiv_identifier(text: str, value: str) -> None:
    identifier = parse_identifier(text)
    assert identifier == Identifier("arXiv", value)
    assert identifier.doi == f"10.48550/arXiv.{value.split('v', 1)[0] if value[0].isdigit() else value}"


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "10.1109", "10.1/x", "10.1109/", "1999.12345", "1713.00001", "12345", "https://doi.org/",
     f"see {DOI}", "arXiv:next", "10.48550/arXiv.soon", "a" * 400, "10.1234/" + "x" * 400],
)  # fmt: skip
def test_nonsense_is_refused_with_a_cure(text: str) -> None:
    with pytest.raises(UserError, match=r"expected a DOI such as .* or an arXiv identifier .*; copy it from"):
        parse_identifier(text)


def test_brackets_that_belong_to_a_doi_stay() -> None:
    assert parse_identifier("10.1016/S0893-6080(05)80023-1").value == "10.1016/S0893-6080(05)80023-1"
    (found,) = find_identifiers("(see 10.1016/S0893-6080(05)80023-1)").identifiers
    assert found.value == "10.1016/S0893-6080(05)80023-1"


SICI = "10.1002/(SICI)1096-987X(199803)19:4<377::AID-JCC1>3.0.CO;2-P"
BRACKETS = "10.1641/0006-3568(2001)051[0933:TEOTWA]2.0.CO;2"


@pytest.mark.parametrize("doi", [SICI, BRACKETS])
def test_a_doi_of_the_nineties_is_read_whole(doi: str) -> None:
    encoded = f"https://doi.org/{quote(doi)}"
    for text in (doi, f"doi:{doi}", encoded, f"https://doi.org/{doi}"):
        assert parse_identifier(text) == Identifier("DOI", doi)
        assert find_identifiers(f"See ({text}); and <b>{DOI}</b>.").identifiers == (
            Identifier("DOI", doi),
            Identifier("DOI", DOI),
        )
    (work,) = [*REAL.bibliography.values()][:1]
    assert work.model_copy(update={"doi": doi}).link == encoded.replace("%28", "(").replace(
        "%29", ")"
    ).replace("%3A", ":").replace("%3B", ";")


def test_a_doi_alone_may_hold_signs_that_end_one_in_a_sentence() -> None:
    assert parse_identifier("10.1234/a;b|c").value == "10.1234/a;b|c"
    assert parse_identifier("https://doi.org/10.1234/x%23y?z=1").value == "10.1234/x#y"
    assert parse_identifier(f"<{DOI}>").value == DOI


def test_running_text_gives_up_its_identifiers_in_order_and_once() -> None:
    text = f"One [DOI](https://doi.org/{DOI}); two arXiv:2005.05837. Again doi:{DOI.lower()}, that is all."
    found = find_identifiers(text)
    assert [str(identifier) for identifier in found.identifiers] == [f"DOI:{DOI}", "arXiv:2005.05837"]
    assert (found.repaired, found.broken) == ((), ())


def test_both_identifiers_of_a_link_are_read() -> None:
    found = find_identifiers(
        f"[doi:{DOI}](https://doi.org/10.1234/b), [(arXiv:2308.08270)](https://a.example/)"
    )
    assert [str(each) for each in found.identifiers] == [f"DOI:{DOI}", "DOI:10.1234/b", "arXiv:2308.08270"]
    assert found.broken == ()


def test_repairs_are_named() -> None:
    found = find_identifiers(f"(DOI: https://doi.org/doi.org/{DOI})")
    assert [str(identifier) for identifier in found.identifiers] == [f"DOI:{DOI}"]
    assert found.repaired == (f"DOI: https://doi.org/doi.org/{DOI} read as DOI:{DOI}",)


def test_what_is_called_an_identifier_and_is_none_is_named() -> None:
    found = find_identifiers("https://doi.org/soon, arXiv:later; https://example.org/paper")
    assert found.identifiers == ()
    assert found.broken == ("https://doi.org/soon", "arXiv:later")


@pytest.mark.parametrize("sign", ["%E2%80%AE", "%00", "%EF%BF%BD", "%0A", "%FF"])
def test_signs_that_nobody_sees_end_an_identifier(sign: str) -> None:
    assert [str(found) for found in find_identifiers(f"https://doi.org/10.1234/a{sign}b").identifiers] == [
        "DOI:10.1234/a"
    ]
    assert find_identifiers(f"https://doi.org/10.1234/{sign}").identifiers == ()


@given(st.text(alphabet=st.sampled_from('10./:;()[]doiarxv %2Fhtps<>"\\\n-_9'), max_size=80) | st.text())
def test_whatever_is_found_has_the_form_of_the_bibliography(text: str) -> None:
    for identifier in find_identifiers(text).identifiers:
        pattern = DOI_PATTERN if identifier.kind == "DOI" else ARXIV_PATTERN
        assert pattern.match(identifier.value)
        assert parse_identifier(str(identifier)) == identifier


@pytest.mark.parametrize(
    "piece", ["(", ")", "10.1234/)", "https://doi.org/", "doi ", "1", "%31", "arXiv:", "."]
)
def test_long_text_is_read_to_its_end(piece: str) -> None:
    text = piece * (200_000 // len(piece)) + f" doi:{DOI}"
    assert Identifier("DOI", DOI) in find_identifiers(text).identifiers
