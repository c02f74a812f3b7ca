"""Machine-readable files in a built site, with and without an address of the site."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from greentactics.site.pages import render_site, write_site
from greentactics.text.problems import UserError
from tests.built_site import BUILD_LIMIT_S
from tests.examples.records import DARK, ROOT, catalogue
from tests.examples.synthetic import results
from tests.site.test_pages import hostile

pytest.importorskip("material", reason="the site extra is not installed")
SITE_URL = "https://example.org/green"
EDIT_URL = "https://example.org/green/edit/main"
SETTING = 'site_url: !ENV [SITE_URL, ""]'


def build(folder: Path, site_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONPATH": str(ROOT / "catalogue"),
        "SITE_URL": site_url,
    }
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


@pytest.fixture(scope="module", params=["", SITE_URL], ids=["no address", "address"])
def site(request, tmp_path_factory) -> tuple[Path, dict[str, str], str]:
    folder = tmp_path_factory.mktemp("site")
    record = hostile()
    made = catalogue(record, DARK, results={record.id: (results(),)})
    files = render_site(made, {}, request.param, request.param and EDIT_URL)
    for name in ("api", "assets", "energy-model", "method"):  # pages that link no tactic by name
        shutil.copytree(ROOT / "catalogue" / "pages" / name, folder / "static" / name)
    write_site(folder / "docs", files.items(), folder / "static")
    (folder / "mkdocs.yml").write_text(
        "site_name: Test\ntheme: {name: material, font: false}\nuse_directory_urls: false\n"
        "markdown_extensions: [attr_list, tables, pymdownx.superfences]\n"
        f"validation: {{nav: {{omitted_files: ignore}}}}\n{SETTING}\n"
    )
    done = build(folder, request.param)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site", files, request.param


def test_the_setting_is_that_of_the_repository() -> None:
    assert SETTING in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")


def test_each_file_is_copied_as_it_is(site) -> None:
    folder, files, _ = site
    for path, text in files.items():
        built = folder / path.replace(".md", ".html")
        assert built.is_file(), path
        if not path.endswith(".md"):
            assert built.read_bytes() == text.encode(), path


def test_each_generated_page_tells_what_it_is(site) -> None:
    folder, files, site_url = site
    pages = sorted(path for path in files if path.endswith(".md"))
    assert len(pages) > 100
    titles = []
    for path in pages:
        page = path.replace(".md", ".html")
        text = (folder / page).read_text(encoding="utf-8")
        (title,) = re.findall(r"<title>(.+?)</title>", text.partition("</head>")[0])
        (description,) = re.findall(r'<meta name="description" content="(.+?)">', text)
        assert len(html.unescape(description)) > 10, path
        titles.append(title)
        (built,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)
        assert f">{built}<" in files[path], "survives Markdown"
        told = json.loads(built)
        assert told["@context"] == "https://schema.org"
        root = f"{SITE_URL}/" if site_url else "../" * path.count("/")
        assert told["url"] == f"{root}{page}", path
    assert sorted(title for title in titles if titles.count(title) > 1) == []


def test_each_page_of_a_tactic_has_a_link_to_edit_its_record(site) -> None:
    _, files, site_url = site
    pages = {path: text for path, text in files.items() if re.fullmatch(r"tactics/[\w-]+/index\.md", path)}
    assert len(pages) == 2
    for path, text in pages.items():
        (address,) = re.findall(r'<a class="gt-edit" href="([^"]*)">Edit this record</a>', text)
        record = f"{EDIT_URL}/tactics/{path.split('/')[1]}.yaml"
        assert address == (record if site_url else "../../contributing/index.html")


def test_canonical_addresses_and_sitemap_follow_the_address_of_the_site(site) -> None:
    folder, files, site_url = site
    sitemap = (folder / "sitemap.xml").read_text(encoding="utf-8")
    pages = [path for path in files if path.endswith(".md")]
    assert pages
    for path in pages:
        page = path.replace(".md", ".html")
        found = re.findall(
            r'<link rel="canonical" href="([^"]*)">', (folder / page).read_text(encoding="utf-8")
        )
        address = f"{SITE_URL}/{page}"
        assert found == ([address] if site_url else [])
        assert (f"<loc>{address}</loc>" in sitemap) == bool(site_url)


def test_a_wrong_address_of_the_site_ends_the_build_in_one_line(tmp_path) -> None:
    done = build(ROOT, "ftp://example.org", "--site-dir", str(tmp_path / "site"))
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "address of the site: expected one such as https://example.org/tactics/" in said
    assert "Traceback" not in said


def test_a_wrong_address_for_edits_is_refused_with_the_cure() -> None:
    with pytest.raises(UserError, match=r"address for edits: expected one such as .*; change EDIT_URL, or"):
        render_site(catalogue(DARK), {}, None, "file:///etc")
