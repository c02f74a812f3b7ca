"""References and the forms of their identifiers."""

from __future__ import annotations

import dataclasses
import html
import json
from typing import Any

import pytest
from pydantic import ValidationError

from greentactics.models.bibliography import Bibliography
from greentactics.site.pages import render_site
from greentactics.text.problems import Rule
from tests.examples.records import PRUNING, REAL, catalogue

BASE: dict[str, Any] = {
    "type": "article",
    "title": "A title",
    "author": [{"family": "Smith", "given": "Ada"}],
    "issued": {"date-parts": [[2020, 5]]},
}


def _load(key: str = "smith-2020", **changes: object) -> Bibliography:
    entry = {**BASE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    return Bibliography.model_validate_json(json.dumps({key: entry}), by_alias=True, by_name=False)


@pytest.mark.parametrize("key", ["smith-2020", "smith-2020b", "de-vries-1999", "w3c-2001"])
def test_keys(key: str) -> None:
    assert list(_load(key).root) == [key]


@pytest.mark.parametrize(
    "key",
    [
        "Smith-2020",
        "smith2020",
        "smith-20",
        "smith-2020bb",
        "smith-1720",
        "smith-2020\n",
        "smith-20\u0662\u0660",
    ],
)
def test_wrong_keys(key: str) -> None:
    with pytest.raises(ValidationError):
        _load(key)


@pytest.mark.parametrize("doi", ["10.1109/CVPR.2017.643", "10.48550/arXiv.1611.05128", "10.1000/(x)y;z"])
def test_dois(doi: str) -> None:
    reference = _load(DOI=doi).root["smith-2020"]
    assert reference.link == f"https://doi.org/{doi}"


@pytest.mark.parametrize(
    "doi",
    [
        "https://doi.org/10.1109/x",
        "doi:10.1109/x",
        "10.1109",
        "10.1109/",
        "11.1109/x",
        "10.1109/a b",
        "10.1109/x\n",
        "10.\u0662\u0661/x",
    ],
)
def test_wrong_dois(doi: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _load(DOI=doi)
    assert [error["type"] for error in caught.value.errors()] == [Rule.BAD_DOI]


@pytest.mark.parametrize(
    "arxiv", ["1611.05128", "1611.05128v4", "0704.0001", "cs/0112017", "math.GT/0309136"]
)
def test_arxiv_identifiers(arxiv: str) -> None:
    reference = _load(arxiv=arxiv).root["smith-2020"]
    assert reference.link == f"https://arxiv.org/abs/{arxiv}"


@pytest.mark.parametrize(
    "arxiv",
    [
        "arXiv:1611.05128",
        "https://arxiv.org/abs/1611.05128",
        "1611.051",
        "1611",
        "1611.05128v",
        "1611.05128\n",
    ],
)
def test_wrong_arxiv_identifiers(arxiv: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _load(arxiv=arxiv)
    assert [error["type"] for error in caught.value.errors()] == [Rule.BAD_ARXIV]


@pytest.mark.parametrize(
    ("author", "right"),
    [
        ({"family": "Smith"}, True), ({"literal": "MIT"}, True), ({"given": "Ada"}, False), ({}, False),
        ({"family": "Smith", "literal": "MIT"}, False), ({"literal": "MIT", "given": "Ada"}, False),
    ],
)  # fmt: skip
def test_authors(author: dict[str, str], right: bool) -> None:
    if right:
        assert str(_load(author=[author]).root["smith-2020"].author[0]) in ("Smith", "MIT")
    else:
        with pytest.raises(ValidationError, match="either a family name"):
            _load(author=[author])


@pytest.mark.parametrize(
    ("parts", "right"),
    [
        ([2020], True), ([2020, 12], True), ([2020, 12, 31], True),
        ([], False), ([20], False), ([2020, 13], False), ([2020, 1, 32], False), ([2020, 1, 1, 1], False),
    ],
)  # fmt: skip
def test_dates(parts: list[int], right: bool) -> None:
    issued = {"date-parts": [parts]}
    if right:
        assert _load(issued=issued).root["smith-2020"].year == 2020
    else:
        with pytest.raises(ValidationError, match="a year"):
            _load(issued=issued)


def test_files_use_the_names_of_csl_only() -> None:
    for name in ("doi", "url", "container_title"):
        with pytest.raises(ValidationError, match="extra_forbidden"):
            Bibliography.model_validate_json(
                json.dumps({"smith-2020": {**BASE, name: "10.1000/x"}}), by_alias=True, by_name=False
            )


def test_the_best_link() -> None:
    assert _load().root["smith-2020"].link is None
    assert _load(URL="https://example.org").root["smith-2020"].link == "https://example.org"
    both = _load(URL="https://example.org", arxiv="1611.05128", DOI="10.1000/x").root["smith-2020"]
    assert both.link == "https://doi.org/10.1000/x"


@pytest.mark.parametrize(
    "address", ["http://[x", "https://example.org\uff03@x", "https:///x", "ftp://x", "https://?x"]
)
def test_wrong_addresses(address: str) -> None:
    with pytest.raises(ValidationError):
        _load(URL=address)


def test_an_address_that_cannot_be_taken_apart_is_named() -> None:
    with pytest.raises(ValidationError) as caught:
        _load(URL="http://[x")
    assert [(detail["type"], detail["msg"]) for detail in caught.value.errors()] == [
        (Rule.BAD_ADDRESS, "an address of the web, such as https://example.org/page")
    ]


def test_a_doi_with_angle_brackets_leads_on_from_the_page() -> None:
    doi = "10.1002/(SICI)1096-987X(199803)19:4<377::AID-JCC1>3.0.CO;2-P"
    (use, *_) = PRUNING.sources
    changed = REAL.bibliography[use.key].model_copy(update={"doi": doi})
    made = dataclasses.replace(catalogue(PRUNING), bibliography={**REAL.bibliography, use.key: changed})
    page = render_site(made, {})[f"tactics/{PRUNING.id}/index.md"]
    address = "https://doi.org/10.1002/(SICI)1096-987X(199803)19:4%3C377::AID-JCC1%3E3.0.CO;2-P"
    assert f'<a href="{address}">doi:{html.escape(doi)}</a>' in page
    assert doi not in page
