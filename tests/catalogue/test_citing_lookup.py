"""Works looked up by their identifier, with answers in place of the network."""

from __future__ import annotations

import io
import json
import urllib.error
from email.message import Message

import pytest

from greentactics.citing import lookup
from greentactics.citing.identifiers import parse_identifier
from greentactics.citing.lookup import fetch, look_up
from greentactics.errors import CatalogueError, UserError

HELD = "10.1000/example.1"
BIBTEX = "@article{any, title={A new thing}, author={Müller, Ann}, year=2021, doi={10.1234/new}}"


ANSWER = {
    "type": "proceedings-article",
    "title": "Looked up",
    "author": [{"family": "Doe", "given": "J."}],
    "issued": {"date-parts": [[2019, 6]]},
    "DOI": "10.1234/ABC",
}


def answering(answer: object, asked: list[tuple[str, str]] | None = None):
    def ask(url: str, media_type: str) -> bytes:
        if asked is not None:
            asked.append((url, media_type))
        return json.dumps(answer).encode()

    return ask


def test_a_doi_is_looked_up_at_its_own_address() -> None:
    asked: list[tuple[str, str]] = []
    found = look_up(parse_identifier("10.1234/abc"), answering(ANSWER, asked))
    assert asked == [("https://doi.org/10.1234/abc", "application/vnd.citationstyles.csl+json")]
    assert (found.type, found.title, found.doi) == ("paper-conference", "Looked up", "10.1234/abc")


def test_an_arxiv_identifier_is_looked_up_under_the_doi_of_arxiv() -> None:
    asked: list[tuple[str, str]] = []
    answer = ANSWER | {"DOI": "10.48550/ARXIV.1611.05128", "type": "article"}
    found = look_up(parse_identifier("arXiv:1611.05128v2"), answering(answer, asked))
    assert asked[0][0] == "https://doi.org/10.48550/arXiv.1611.05128"
    assert (found.type, found.arxiv, found.doi) == ("article", "1611.05128v2", None)


def test_answers_that_are_no_reference_are_refused() -> None:
    with pytest.raises(
        UserError, match=r"expected the work DOI:10\.1234/other, got 10\.1234/abc; without a network"
    ):
        look_up(parse_identifier("10.1234/other"), answering(ANSWER))
    with pytest.raises(CatalogueError, match=r"https://doi\.org/10\.1234/abc:1:1: .*title: expected a value"):
        look_up(parse_identifier("10.1234/abc"), answering({**ANSWER, "title": ""}))
    with pytest.raises(CatalogueError, match="expected JSON"):
        look_up(parse_identifier("10.1234/abc"), lambda url, media_type: b"<html>")


class Opened(io.BytesIO):
    status = 200


@pytest.mark.parametrize(
    ("outcome", "message"),
    [
        (
            urllib.error.URLError(OSError("no route")),
            "no connection or a broken one .*no route.*; without a network",
        ),
        (TimeoutError("timed out"), r"no connection or a broken one \(timed out\)"),
        (
            urllib.error.HTTPError("u", 404, "Not Found", Message(), io.BytesIO()),
            "expected a registered work, got",
        ),
        (
            urllib.error.HTTPError("u", 503, "Busy", Message(), io.BytesIO()),
            "the server answered 503 Busy; without",
        ),
        (Opened(b"x" * 2_000_001), "expected at most 2,000,000 bytes, got more"),
    ],
)
def test_what_the_network_refuses(monkeypatch, outcome: object, message: str) -> None:
    def open_(request, timeout):
        assert timeout == 20.0
        assert request.headers["User-agent"].startswith("greentactics/")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(lookup.urllib.request, "urlopen", open_)
    with pytest.raises(UserError, match=message):
        fetch("https://doi.org/10.1234/abc", "text/plain")
