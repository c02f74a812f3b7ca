"""Works looked up by their identifier, from a server on this machine that answers as the registries do."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from greentactics.citing import lookup
from greentactics.citing.entries import read_bibliography
from greentactics.citing.raw_entries import without_markup
from tests.examples.command_line import call
from tests.examples.registry_answers import ANSWER, ARXIV_ANSWER, CSL


@dataclass
class Registry:
    """What the server answers next, and what it was asked."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    """Wait before each byte of the body; 0 sends it at once."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Paths and accepted media types."""

    def will_answer(self, answer: object, **changes: Any) -> None:
        self.body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        for name, value in changes.items():
            setattr(self, name, value)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """Start a server; one address leads to another, as the resolver's leads to a registry's."""
    state, over = Registry(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Accept"]))
            if self.path.startswith("/resolve/"):
                self.send_response(302)
                self.send_header("Location", f"/works/{self.path.removeprefix('/resolve/')}")
                self.end_headers()
                return
            self.send_response(state.status)
            for name, value in state.headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                for byte in state.body if state.pause_s else ():
                    if over.wait(state.pause_s):
                        return
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                if not state.pause_s:
                    self.wfile.write(state.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        monkeypatch.setattr(lookup, "RESOLVER", f"http://127.0.0.1:{server.server_address[1]}/resolve/")
        yield state
        over.set()
        server.shutdown()
        thread.join()


def cite(root: Path, *identifiers: str) -> Result:
    return call(root, "cite", *identifiers)


def refused(root: Path, identifier: str = "10.1234/abc") -> str:
    """Return the one line by which the command refuses; it changes nothing."""
    before = read_bibliography(root)
    finished = cite(root, identifier)
    assert finished.exit_code == 1
    assert finished.stdout == ""
    assert isinstance(finished.exception, SystemExit)
    assert read_bibliography(root) == before
    (line,) = finished.stderr.splitlines()
    address = f"{lookup.RESOLVER}{identifier}: "
    assert line.startswith(address)
    return line.removeprefix(address)


def test_works_are_added_from_both_registries(root: Path, registry: Registry) -> None:
    registry.will_answer(ANSWER)
    finished = cite(root, "10.1234/ABC")
    assert (finished.exit_code, finished.stdout) == (
        0,
        "doe-2019: added; cite it under `sources:` of a record\n",
    )
    assert registry.asked == [("/resolve/10.1234/ABC", CSL), ("/works/10.1234/ABC", CSL)]
    registry.will_answer(ARXIV_ANSWER)
    assert cite(root, "arXiv:1611.05128v2").exit_code == 0
    assert registry.asked[-1] == ("/works/10.48550/arXiv.1611.05128", CSL)
    found = read_bibliography(root)
    article, preprint = found["doe-2019"], found["doe-2016"]
    assert (article.type, article.title, article.doi, article.url) == (
        "article-journal",
        "Looked up",
        "10.1234/ABC",
        None,
    )
    assert (article.container_title, article.volume, article.page) == ("Journal of Examples", "7", "11-19")
    assert (preprint.type, preprint.arxiv, preprint.doi) == ("article", "1611.05128v2", None)
    again = cite(root, "10.1234/abc")
    assert again.stdout == "doe-2019: already there, with the same DOI\n"


@pytest.mark.parametrize(
    ("title", "plain"),
    [
        ("A specialised <i>Neisseria</i> resource", "A specialised Neisseria resource"),
        ("Research &amp; development", "Research & development"),
        ("&amp;lt;i&amp;gt;E. coli&amp;lt;/i&amp;gt; &amp;amp; more", "E. coli & more"),
        ("CO<sub>2</sub> per\n   <jats:italic>run</jats:italic>", "CO2 per run"),
        (
            (
                'Solitons in<mml:math xmlns:mml="http://www.w3.org/1998/Math/MathML" display="inline">'
                '<mml:mi mathvariant="italic">N</mml:mi></mml:math>-coupled nets of'
                "<mml:math><mml:msup><mml:mn>0</mml:mn><mml:mo>+</mml:mo></mml:msup></mml:math>layers"
            ),
            "Solitons in N-coupled nets of 0+ layers",
        ),
        ("If x<y and z>w, p < 0.05", "If x<y and z>w, p < 0.05"),
        ("The &lt;canvas&gt; element", "The <canvas> element"),
        (["A title", "Another"], "A title"),
    ],
)
def test_titles_lose_their_markup(root: Path, registry: Registry, title: object, plain: str) -> None:
    registry.will_answer(ANSWER | {"title": title})
    assert cite(root, "10.1234/abc").exit_code == 0
    assert read_bibliography(root)["doe-2019"].title == plain


@given(st.text(alphabet=st.sampled_from(list('<>&;/ ="ibx#1amp')), max_size=60))
def test_what_has_no_markup_is_left(text: str) -> None:
    plain = without_markup(text)
    assert len(plain) <= len(text)
    if "<" not in text and "&" not in text:
        assert plain == text


@pytest.mark.parametrize(
    ("author", "key", "shown"),
    [
        ([{"name": "The Green &amp; Good Group", "sequence": "first", "affiliation": []}],
         "the-green-good-group-2019", "The Green & Good Group"),
        ([{"literal": "World Body"}, {"family": "Doe"}], "world-body-2019", "World Body"),
        ([{"family": "Berg", "given": "A.", "non-dropping-particle": "van der"}],
         "van-der-berg-2019", "A. van der Berg"),
    ],
)  # fmt: skip
def test_authors_that_are_groups(
    root: Path, registry: Registry, author: object, key: str, shown: str
) -> None:
    registry.will_answer(ANSWER | {"author": author})
    assert cite(root, "10.1234/abc").stdout.startswith(f"{key}: added")
    assert str(read_bibliography(root)[key].author[0]) == shown


SAVE = "save the entry from the publisher's page as BibTeX, RIS or CSL-JSON"
AND_RUN = "and run `greentactics cite --file FILE`"
OFFLINE = f"; without a network, {SAVE} {AND_RUN}"


@pytest.mark.parametrize(
    ("changes", "lacking"),
    [
        ({"issued": {"date-parts": [[None]]}}, "issued nothing"),
        ({"issued": {"date-parts": []}, "author": []}, "author nothing, issued nothing"),
        ({"title": []}, "title nothing"),
        ({"author": [{"affiliation": []}]}, "author nothing"),
        ({"type": "peer-review"}, 'type "peer-review"'),
    ],
)
def test_what_is_registered_may_be_incomplete(
    root: Path, registry: Registry, changes: dict[str, object], lacking: str
) -> None:
    registry.will_answer(ANSWER | changes)
    assert refused(root) == f"expected a complete entry, got {lacking}; {SAVE}, put it right {AND_RUN}"


NOT_FOUND = "expected a registered work, got none of this name; compare it with the first page of the paper"
TOO_OFTEN = "the server has answered too many questions of late; ask again "
NO_CSL = f"expected the entry as CSL-JSON, got something else{OFFLINE}"


@pytest.mark.parametrize(
    ("answer", "changes", "message"),
    [
        (b"<html>DOI Not Found</html>", {"status": 404}, NOT_FOUND),
        (b"", {"status": 429, "headers": {"Retry-After": "30"}}, f"{TOO_OFTEN}in 30 s"),
        (b"", {"status": 429, "headers": {"Retry-After": "Wed, 21 Oct 2026 07:28"}}, f"{TOO_OFTEN}later"),
        (b"", {"status": 429}, f"{TOO_OFTEN}later"),
        (b"", {"status": 503}, f"the server answered 503 Service Unavailable{OFFLINE}"),
        (b"", {"status": 599}, f"the server answered 599{OFFLINE}"),
        (b" <!DOCTYPE html>", {}, f"expected the entry as CSL-JSON, got a page of HTML{OFFLINE}"),
        (b"\xff\xfe{", {}, NO_CSL),
        (b"", {}, NO_CSL),
        (b"[" * 100_000, {}, NO_CSL),
        (b'"text"', {}, NO_CSL),
        (b"x" * 2_000_001, {}, f"expected at most 2,000,000 bytes, got more{OFFLINE}"),
        (ANSWER | {"DOI": "10.1234/other"}, {},
         f"expected the work DOI:10.1234/abc, got DOI:10.1234/other{OFFLINE}"),
    ],
)  # fmt: skip
def test_what_a_registry_may_answer_else(
    root: Path, registry: Registry, answer: object, changes: dict[str, object], message: str
) -> None:
    registry.will_answer(answer, **changes)
    assert refused(root) == message


def test_another_work_at_arxiv_is_refused(root: Path, registry: Registry) -> None:
    registry.will_answer(ARXIV_ANSWER | {"DOI": "10.48550/arXiv.1611.05129"})
    assert refused(root, "10.48550/arXiv.1611.05128").startswith(
        "expected the work arXiv:1611.05128, got arXiv:1611.05129; "
    )


@pytest.mark.parametrize(
    "location", ["http://[", "ftp://127.0.0.1:1/x", "file:///etc/passwd", "/works/again"]
)
def test_redirects_that_lead_nowhere(root: Path, registry: Registry, location: str) -> None:
    registry.will_answer(b"", status=302, headers={"Location": location})
    message = refused(root)
    assert message.endswith(OFFLINE)
    assert "the server answered 302 Found" in message or "no connection or a broken one (" in message


def test_a_server_that_says_nothing(root: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "TIMEOUT_S", 0.2)
    registry.will_answer(ANSWER, pause_s=60)
    assert refused(root) == f"no connection or a broken one (timed out){OFFLINE}"


def test_a_server_that_never_comes_to_an_end(
    root: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookup, "DEADLINE_S", 0.1)
    registry.will_answer(b" " * 10_000, pause_s=0.01)
    assert refused(root) == f"expected an answer within 0.1 s, got part of one{OFFLINE}"


def test_no_server_at_all(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "RESOLVER", "http://127.0.0.1:1/")
    assert refused(root) == f"no connection or a broken one (Connection refused){OFFLINE}"


def test_a_doi_with_angle_brackets_is_asked_for_and_kept_whole(root: Path, registry: Registry) -> None:
    doi = "10.1002/(SICI)1096-987X(199803)19:4<377::AID-JCC1>3.0.CO;2-P"
    registry.will_answer(ANSWER | {"DOI": doi.lower(), "URL": f"http://dx.doi.org/{doi.lower()}"})
    finished = cite(root, doi)
    assert finished.stdout == "doe-2019: added; cite it under `sources:` of a record\n"
    path = "/resolve/10.1002/(SICI)1096-987X(199803)19%3A4%3C377%3A%3AAID-JCC1%3E3.0.CO%3B2-P"
    assert registry.asked[0] == (path, CSL)
    work = read_bibliography(root)["doe-2019"]
    assert (work.doi, work.url) == (doi, None)


def test_what_a_registry_says_beyond_the_bibliography_is_named(root: Path, registry: Registry) -> None:
    registry.will_answer(ANSWER | {"subtitle": ["And read"], "article-number": "7", "language": "en"})
    finished = cite(root, "10.1234/abc")
    assert finished.stderr == (
        'doe-2019, "DOI:10.1234/abc": not carried over: ISSN "1234-5678", language "en"\n'
    )
    work = read_bibliography(root)["doe-2019"]
    assert (work.title, work.page) == ("Looked up: And read", "7:11-19")
