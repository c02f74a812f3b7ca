"""The real repository and a made-up full site, built by mkdocs as a user builds them."""

import ast
import html
import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from greentactics.cli.main import main
from greentactics.site.pages import render_site, write_site
from tests.built_site import BUILD_LIMIT_S
from tests.examples.records import DARK, PRUNING, REAL, ROOT, SPARSITY, catalogue
from tests.examples.synthetic import results
from tests.site.crawl import broken_links
from tests.site.test_pages import hostile

pytest.importorskip("material", reason="the site extra is not installed")
MOST_BYTES = 60_000


def build(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "catalogue")}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", *arguments]
    return subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )


def test_make_site_fails_on_a_dead_link(tmp_path) -> None:
    (arguments,) = re.findall(r"mkdocs build(.*)", (ROOT / "Makefile").read_text(encoding="utf-8"))
    assert "--strict" in arguments
    (tmp_path / "mkdocs.yml").write_text("site_name: Test\n", encoding="utf-8")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[dead](nowhere.md)\n", encoding="utf-8")
    done = build(*arguments.split(), folder=tmp_path)
    assert done.returncode == 1
    assert "nowhere.md" in done.stderr


@pytest.fixture(scope="module")
def made_up_site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made-up")
    made = catalogue(PRUNING, SPARSITY, DARK, results={PRUNING.id: (results(),)})
    return _rendered(
        folder, render_site(made, {PRUNING.id: (results(dirty=True),)}, commands=main), directory_urls=False
    )


def _rendered(folder: Path, files: dict[str, str], *, directory_urls: bool) -> Path:
    write_site(folder / "docs", files.items(), ROOT / "catalogue" / "pages")
    for page in ("smallest-cost.md", "contributing/worked-example.md"):  # they link tactics not made up
        (folder / "docs" / page).write_text("# Stub\n", encoding="utf-8")
    (folder / "mkdocs.yml").write_text(
        "site_name: Test\ntheme: {name: material, font: false}\nplugins: [search, tags]\n"
        "markdown_extensions: [attr_list, tables, pymdownx.superfences]\n"
        "nav: [index.md, tactics/index.md]\nvalidation: {nav: {omitted_files: ignore}}\n"
        f"use_directory_urls: {str(directory_urls).lower()}\n"
    )
    done = build(folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


class Page(HTMLParser):
    """Links, ids, assets and headings of one page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.assets: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.cells_without_scope = 0
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.tags.append((tag, found))
        if found.get("id"):
            self.ids.append(str(found["id"]))
        if tag == "a" and found.get("href"):
            self.links.append(str(found["href"]))
        if tag in ("script", "img", "iframe", "source") and found.get("src"):
            self.assets.append(str(found["src"]))
        if tag == "link" and found.get("rel") in ("stylesheet", "preconnect", "icon", "preload"):
            self.assets.append(str(found["href"]))
        if re.fullmatch(r"h[1-6]", tag):
            self.headings.append(int(tag[1]))
        if tag == "th" and "scope" not in found:
            self.cells_without_scope += 1


def pages_of(site: Path) -> dict[Path, Page]:
    found = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(site.rglob("*.html"))
        if path.name != "404.html"
    }
    assert found
    return found


def test_all_links_of_a_site_of_made_up_records_hold(made_up_site) -> None:
    broken, count = broken_links(made_up_site)
    # this catalogue holds neither all related tactics, which the plain text links, nor replays
    held = {PRUNING.id, SPARSITY.id, DARK.id}
    absent = {tie.target for record in (PRUNING, SPARSITY, DARK) for tie in record.relations} - held
    assert {place.partition(": ")[2] for place in broken} <= {
        "results/{id}/replays/{data}.json",
        *(f"../../../api/v1/tactics/{name}.txt" for name in absent),
    }
    assert count > 50


@pytest.mark.parametrize("name", ["real_site", "made_up_site"])
def test_nothing_is_loaded_from_elsewhere(name, request) -> None:
    site = request.getfixturevalue(name)
    for path, page in pages_of(site).items():
        assert page.assets
        for asset in page.assets:
            assert not urlsplit(asset).netloc, f"{path}: {asset}"
    for style in site.rglob("*.css"):
        assert not re.search(r"url\(\s*[\"']?(https?:)?//", style.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["real_site", "site_with_local_results", "made_up_site"])
def test_structure_that_readers_by_ear_need(name, request) -> None:
    for path, page in pages_of(request.getfixturevalue(name)).items():
        assert page.headings.count(1) == 1, path
        steps = [later - earlier for earlier, later in pairwise(page.headings)]
        assert max(steps, default=0) <= 1, path
        assert len(page.ids) == len(set(page.ids)), path
        if "tactics" in path.parts:
            assert page.cells_without_scope == 0, path


@pytest.mark.parametrize("name", ["site_with_local_results", "made_up_site"])
def test_a_tactic_page_stays_light_and_has_no_script_of_its_own(name, request) -> None:
    site = request.getfixturevalue(name)
    home = [
        found
        for tag, found in Page((site / "index.html").read_text(encoding="utf-8")).tags
        if tag == "script"
    ]
    paths = list(site.glob("tactics/*/index.html"))
    assert paths
    for path in paths:
        assert len(path.read_bytes()) <= MOST_BYTES, path
        scripts = [found for tag, found in Page(path.read_text(encoding="utf-8")).tags if tag == "script"]
        assert len(scripts) == len(home), path


def found_by_search(site: Path) -> dict[str, str]:
    """Return what the search looks through, by page."""
    pages: dict[str, str] = {}
    for entry in json.loads((site / "search" / "search_index.json").read_text(encoding="utf-8"))["docs"]:
        page = entry["location"].partition("#")[0]
        pages[page] = f"{pages.get(page, '')} {html.unescape(entry['title'])} {html.unescape(entry['text'])}"
    return pages


def test_the_search_knows_titles_intents_problems_and_synonyms(real_site) -> None:
    pages = found_by_search(real_site)
    assert any(record.aliases for record in REAL.records.values())
    for record in REAL.records.values():
        words = set(re.findall(r"\w+", pages[f"tactics/{record.id}/index.html"]))
        synonyms = (alias.title for alias in record.aliases)
        for text in (record.title, record.summary, record.intent, record.problem, *synonyms):
            assert set(re.findall(r"\w+", text)) <= words, (record.id, text)


def test_the_search_knows_no_listings_no_long_tables_and_no_files_of_the_api(real_site) -> None:
    pages = found_by_search(real_site)
    assert not [path for path in pages if path.startswith(("recipes/", "api/")) or "/measurements/" in path]
    assert "How it is known" not in pages["corrections/index.html"]
    texts = {path: text for path, text in pages.items() if path.startswith("tactics/")}
    for identifier, recipe in REAL.recipes.items():
        defined = [node.name for node in ast.parse(recipe.text).body if isinstance(node, ast.FunctionDef)]
        in_code = [name for name in defined if "_" in name]
        assert in_code, identifier
        file = f"recipes/{identifier.replace('-', '_')}.py"  # linked to; a function may share its name
        for path, text in texts.items():
            rest = text.replace(file, "")
            assert not [name for name in in_code if re.search(rf"\b{name}\b", rest)], (path, identifier)
    assert not [path for path, text in texts.items() if "95 % interval" in text]


def test_results_of_this_machine_stand_beside_the_published_ones_where_the_settings_name_them(
    real_site, site_with_local_results
) -> None:
    for identifier in REAL.results:
        page = f"tactics/{identifier}/index.html"
        assert "this machine" in (site_with_local_results / page).read_text(encoding="utf-8")
        assert "<strong>This machine</strong>" not in (real_site / page).read_text(encoding="utf-8")
    assert not list(real_site.glob("results/*/local"))


def test_the_raw_results_can_be_opened(made_up_site) -> None:
    assert (made_up_site / "results" / PRUNING.id / "example-processor-9000.json").is_file()
    assert (made_up_site / "results" / PRUNING.id / "local" / "example-processor-9000.json").is_file()


def test_a_hostile_record_is_text_after_the_build_too(tmp_path) -> None:
    files = render_site(catalogue(hostile(), DARK, results={PRUNING.id: (results(),)}), {}, commands=main)
    site = _rendered(tmp_path, files, directory_urls=True)
    for path, page in pages_of(site).items():
        for tag, found in page.tags:
            # The plan of the package is the one picture that is a file of its own.
            assert tag != "iframe", path
            assert tag != "img" or found["src"].endswith("assets/wings.svg"), path
            assert not any(name.startswith("on") for name in found), path
            assert not str(found.get("href", "")).startswith(("javascript:", "data:")), path
        inline = [found for tag, found in page.tags if tag == "script" and not found.get("src")]
        assert all("alert" not in str(found) for found in inline)
        assert "<script>alert" not in path.read_text(encoding="utf-8")
    text = (site / "tactics" / PRUNING.id / "index.html").read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "<title>&lt;script&gt;" in text


def test_mistakes_in_the_catalogue_end_the_build_with_all_of_them(tmp_path) -> None:
    for name in ("tactics", "catalogue/pages", "catalogue/greentactics/site/templates", "recipes"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "tactics" / "references.yaml").write_text("{}\n")
    (tmp_path / "tactics" / "one.yaml").write_text("id: one\n")
    (tmp_path / "tactics" / "two.yaml").write_text("id: two\nunknown: 1\n")
    hook = ROOT / "catalogue" / "greentactics" / "mkdocs_hook.py"
    (tmp_path / "mkdocs.yml").write_text(
        f"site_name: Test\ndocs_dir: catalogue/pages\nhooks: ['{hook}']\n"
        "theme: {name: material, font: false}\n"
    )
    done = build(folder=tmp_path)
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "tactics/one.yaml:1" in said
    assert "tactics/two.yaml:2" in said
    assert "Traceback" not in said
