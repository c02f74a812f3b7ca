"""Plain text, feed and JSON-LD: what they say, and that a record's text stays text."""

from __future__ import annotations

import json
import re
from xml.etree import ElementTree

import markdown as python_markdown
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from greentactics.api.files import LONGEST
from greentactics.api.plain_text import markdown
from greentactics.cli.main import main
from greentactics.models.record import Change, Withdrawal
from greentactics.models.vocabulary import Status
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, catalogue
from tests.examples.synthetic import results
from tests.site.test_pages import hostile

ID = PRUNING.id
ATOM = "{http://www.w3.org/2005/Atom}"
RESULTS = {ID: (results(),)}
FILES = render_site(catalogue(PRUNING, SPARSITY, DARK, results=RESULTS), {})
REAL_FILES = render_site(REAL, {})
HOSTILE = render_site(catalogue(hostile(), DARK, results=RESULTS), {})


def text(tactic=ID, files=FILES):
    return files[f"api/v1/tactics/{tactic}.txt"]


def described(path, files=FILES):
    (found,) = re.findall(r'<script type="application/ld\+json">([^<>]*)</script>', files[path])
    return json.loads(found)


def test_a_tactic_as_text_holds_what_its_page_says() -> None:
    assert text().startswith(f"# {PRUNING.title}\n\n> Remove weights layer by layer")
    assert "- modelled energy, batch 1: 7.4x lower [7.3, 7.5], n = 5\n" in text()
    assert "a loss of 1 point is tolerated: kept\n" in text()
    assert "- Energy 3.7x, lower. Against: the same network before pruning." in text()
    assert "<https://doi.org/10.1109/CVPR.2017.643>" in text()
    assert "\n\n\n\n" not in text()
    headings = re.findall(r"^## (.*)$", text(DARK.id), re.MULTILINE)
    assert headings[:3] == ["The harm", "Signs that it is at work", "Looks like it, but is not"]
    assert "No current reproduction.\n" in text(DARK.id)


def test_results_that_do_not_count_and_withdrawn_records_say_why() -> None:
    files = render_site(catalogue(PRUNING, results={ID: (results(dirty=True),)}), {})
    assert "not counted as evidence: uncommitted changes in the working tree\n" in text(files=files)
    withdrawn = Withdrawal(reason="Merged.", successor=DARK.id)
    gone = PRUNING.model_copy(update={"status": Status.WITHDRAWN, "withdrawn": withdrawn})
    files = render_site(catalogue(gone, DARK), {})
    assert f"- Withdrawn: Merged. Read instead: [{DARK.id}](" in text(files=files)
    assert PRUNING.title not in files["llms.txt"]


def test_the_overview_follows_the_convention() -> None:
    lines = FILES["llms.txt"].splitlines()
    assert lines[0] == "# Green Tactics"
    assert lines[2].startswith("> A catalogue of tactics")
    headings = [line for line in lines if line.startswith("#")]
    assert headings[1:] == [
        "## Tactics", "## Dark tactics: habits to avoid", "## Data", "## Method", "## Optional",
    ]  # fmt: skip
    for page in ("overview/index.html", "browse/index.html", "smallest-cost.html"):
        assert f"]({page}): " in FILES["llms.txt"]
    for line in lines[lines.index("## Tactics") :]:
        assert not line or line.startswith("## ") or re.fullmatch(r"- \[.*\]\(\S+\): .+", line)


@pytest.mark.parametrize("path", ["llms.txt", f"api/v1/tactics/{ID}.txt"])
def test_links_of_the_texts_lead_somewhere(path) -> None:
    hand_written = {"method/index.html", "energy-model/index.html", "api/index.html", "smallest-cost.html"}
    links = re.findall(r"\]\(([^)\s]+)\)", REAL_FILES[path])
    assert links
    for link in links:
        target = link.removeprefix("../../../")
        assert {target, target.replace(".html", ".md")} & (hand_written | REAL_FILES.keys()), link


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("7.4x lower [7.3, 7.5] at -0.7 points", "7.4x lower [7.3, 7.5] at -0.7 points"),
        ("[x](javascript:alert(1))", "[x\\](javascript:alert(1))"),
        ("<script>", "&lt;script>"),
        ("loss < 1 & gain > 2", "loss < 1 & gain > 2"),
        ("&lt;", "&amp;lt;"),
        ("# heading", "\\# heading"),
        ("1. item", "1\\. item"),
        ("~~~", "\\~~~"),
        ("`code`", "\\`code\\`"),
        ("- item", "\\- item"),
        ("-5 points", "-5 points"),
        ("a\n\n    b", "a b"),
    ],
)
def test_what_markdown_would_interpret_is_escaped(given_text, shown) -> None:
    assert markdown(given_text) == shown


@given(st.text(alphabet="ab <>[]()&;:#!*`~-+=.1\\/\"'\n", max_size=40))
def test_no_text_becomes_markup(given_text) -> None:
    made = python_markdown.markdown(f"Words {markdown(given_text)}")
    assert set(re.findall(r"<(/?\w+)", made)) <= {"p", "/p", "em", "/em", "strong", "/strong"}


def test_a_hostile_record_stays_text_in_each_form() -> None:
    made = python_markdown.markdown(text(files=HOSTILE)) + python_markdown.markdown(HOSTILE["llms.txt"])
    assert "<script" not in made
    assert "<img" not in made
    assert "<code" not in made
    assert 'href="javascript' not in made
    for path, found in HOSTILE.items():
        if path.endswith((".txt", ".csv", ".atom")) or path in ("index.md", f"tactics/{ID}/index.md"):
            assert "\u202e" not in found, path
    home, page = described("index.md", HOSTILE), described(f"tactics/{ID}/index.md", HOSTILE)
    assert home["@type"] == "Dataset"
    assert page["headline"].startswith("<script>alert(1)</script>")


def test_the_feed_is_atom() -> None:
    feed = ElementTree.fromstring(FILES["api/v1/changes.atom"])
    assert feed.tag == f"{ATOM}feed"
    assert {f"{ATOM}{name}" for name in ("id", "title", "updated", "author")} <= {child.tag for child in feed}
    entries = feed.findall(f"{ATOM}entry")
    changes = json.loads(FILES["api/v1/changes.json"])["changes"]
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [change["id"] for change in changes]
    for entry in entries:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", entry.findtext(f"{ATOM}updated"))
        assert entry.find(f"{ATOM}link").get("href").startswith("../../tactics/")
        assert entry.findtext(f"{ATOM}content")


def test_the_feed_is_cut_or_empty_and_survives_any_sign() -> None:
    changes = tuple(
        Change.model_construct(
            date=PRUNING.created, change=f"<b>&]]> \x00\x0b\ufffe {number}", corrections=()
        )
        for number in range(LONGEST + 5)
    )
    record = PRUNING.model_copy(update={"history": changes, "title": "</title>\x1b"})
    feed = ElementTree.fromstring(render_site(catalogue(record), {})["api/v1/changes.atom"])
    entries = feed.findall(f"{ATOM}entry")
    assert len(entries) == LONGEST
    assert entries[0].findtext(f"{ATOM}content") == f"<b>&]]> {LONGEST + 4}."
    assert entries[0].findtext(f"{ATOM}title") == "</title>"
    empty = ElementTree.fromstring(render_site(catalogue(), {})["api/v1/changes.atom"])
    assert empty.findall(f"{ATOM}entry") == []
    assert empty.findtext(f"{ATOM}updated") == "1970-01-01T00:00:00Z"


def test_tactics_are_described_as_articles_and_the_catalogue_as_a_data_set() -> None:
    found = described(f"tactics/{ID}/index.md")
    assert (found["@context"], found["@type"]) == ("https://schema.org", "TechArticle")
    assert found["url"] == f"../../tactics/{ID}/index.html"
    paper = found["citation"][0]
    assert (paper["@type"], paper["url"]) == ("ScholarlyArticle", "https://doi.org/10.1109/CVPR.2017.643")
    assert found["hasPart"][0]["@type"] == "SoftwareSourceCode"
    assert "hasPart" not in described(f"tactics/{DARK.id}/index.md")
    home = described("index.md")
    assert home["license"] == "https://creativecommons.org/licenses/by/4.0/"
    assert len(home["distribution"]) > 8
    assert {download["contentUrl"] for download in home["distribution"]} <= set(FILES)


def test_each_generated_page_has_title_and_description() -> None:
    for path, found in FILES.items():
        if path.endswith(".md"):
            front = found.partition("\n---\n")[0]
            # Home goes by the name of the site.
            assert path == "index.md" or re.search(r"^title: .+", front, re.MULTILINE), path
            assert re.search(r"^description: .+", front, re.MULTILINE), path


def test_render_takes_the_address_of_the_site(tmp_path) -> None:
    arguments = ["render", "--out", str(tmp_path), "--site-url", "example.org"]
    refused = CliRunner().invoke(main, arguments)
    assert refused.exit_code == 1
    assert (
        'address of the site: expected one such as https://example.org/tactics/, got "example.org"'
        in refused.output
    )
    done = CliRunner().invoke(main, arguments[:-2], env={"SITE_URL": "https://example.org"})
    assert done.exit_code == 0
    assert "](https://example.org/api/v1/tactics/" in (tmp_path / "llms.txt").read_text()
