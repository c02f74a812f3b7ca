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
    ("field", "value", "link"),
    [
        ("DOI", "10.1109/CVPR.2017.643", "https://doi.org/10.1109/CVPR.2017.643"),
        ("DOI", "10.1000/(x)y;z", "https://doi.org/10.1000/(x)y;z"),
        ("arxiv", "1611.05128v4", "https://arxiv.org/abs/1611.05128v4"),
        ("arxiv", "0704.0001", "https://arxiv.org/abs/0704.0001"),
        ("arxiv", "math.GT/0309136", "https://arxiv.org/abs/math.GT/0309136"),
        ("URL", "https://example.org", "https://example.org"),
    ],
)
def test_links(field: str, value: str, link: str) -> None:
    assert _load(**{field: value}).root["smith-2020"].link == link


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        *(("DOI", doi, Rule.BAD_DOI) for doi in (
            "https://doi.org/10.1109/x", "doi:10.1109/x", "10.1109", "10.1109/", "11.1109/x", "10.1109/a b",
            "10.1109/x\n", "10.\u0662\u0661/x",
        )),
        *(("arxiv", arxiv, Rule.BAD_ARXIV) for arxiv in (
            "arXiv:1611.05128", "https://arxiv.org/abs/1611.05128", "1611.051", "1611", "1611.05128v",
            "1611.05128\n",
        )),
        *(("URL", address, Rule.BAD_ADDRESS) for address in (
            "http://[x", "https://example.org\uff03@x", "https:///x", "https://?x",
        )),
        ("URL", "ftp://x", "string_pattern_mismatch"),
        *(("key", key, "string_pattern_mismatch") for key in (
            "Smith-2020", "smith2020", "smith-20", "smith-2020bb", "smith-1720", "smith-2020\n",
            "smith-20\u0662\u0660",
        )),
    ],
)  # fmt: skip
def test_wrong_forms(field: str, value: str, rule: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _load(**{field: value})
    assert [error["type"] for error in caught.value.errors()] == [rule]


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
    both = _load(URL="https://example.org", arxiv="1611.05128", DOI="10.1000/x").root["smith-2020"]
    assert both.link == "https://doi.org/10.1000/x"


def test_a_doi_with_angle_brackets_leads_on_from_the_page() -> None:
    doi = "10.1002/(SICI)1096-987X(199803)19:4<377::AID-JCC1>3.0.CO;2-P"
    (use, *_) = PRUNING.sources
    changed = REAL.bibliography[use.key].model_copy(update={"doi": doi})
    made = dataclasses.replace(catalogue(PRUNING), bibliography={**REAL.bibliography, use.key: changed})
    page = render_site(made, {})[f"tactics/{PRUNING.id}/index.md"]
    address = "https://doi.org/10.1002/(SICI)1096-987X(199803)19:4%3C377::AID-JCC1%3E3.0.CO;2-P"
    assert f'<a href="{address}">doi:{html.escape(doi)}</a>' in page
    assert doi not in page
