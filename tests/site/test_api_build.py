"""Machine-readable files in a built site, with and without an address of the site."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from greentactics.pages import render_site, write_site
from tests.catalogue.test_pages import hostile
from tests.site.records import DARK, ROOT, catalogue
from tests.site.synthetic import results

pytest.importorskip("material", reason="the site extra is not installed")
SITE_URL = "https://example.org/green"
SETTING = 'site_url: !ENV [SITE_URL, ""]'


def build(folder: Path, site_url: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "NO_MKDOCS_2_WARNING": "1",
        "PYTHONPATH": str(ROOT / "catalogue"),
        "SITE_URL": site_url,
    }
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module", params=["", SITE_URL], ids=["no address", "address"])
def site(request, tmp_path_factory) -> tuple[Path, dict[str, str], str]:
    folder = tmp_path_factory.mktemp("site")
    record = hostile()
    files = render_site(catalogue(record, DARK, results={record.id: (results(),)}), {}, request.param)
    for name in ("api", "assets", "energy-model", "method"):  # pages that link no tactic by name
        shutil.copytree(ROOT / "catalogue" / "pages" / name, folder / "static" / name)
    write_site(folder / "docs", files, folder / "static")
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


def test_json_ld_survives_markdown(site) -> None:
    folder, files, _ = site
    for path in [path for path in files if re.fullmatch(r"(tactics/[\w-]+/)?index\.md", path)]:
        if path == "tactics/index.md":
            continue
        text = (folder / path.replace(".md", ".html")).read_text()
        (built,) = re.findall(r'<script type="application/ld\+json">(.*?)</script>', text, re.DOTALL)
        assert json.loads(built)["@context"] == "https://schema.org"
        assert f">{built}<" in files[path]


def test_canonical_addresses_and_sitemap_follow_the_address_of_the_site(site) -> None:
    folder, files, site_url = site
    sitemap = (folder / "sitemap.xml").read_text()
    for path in [path for path in files if path.endswith(".md")]:
        page = path.replace(".md", ".html")
        found = re.findall(r'<link rel="canonical" href="([^"]*)">', (folder / page).read_text())
        address = f"{SITE_URL}/{page}"
        assert found == ([address] if site_url else [])
        assert (f"<loc>{address}</loc>" in sitemap) == bool(site_url)


def test_a_wrong_address_of_the_site_ends_the_build_in_one_line(tmp_path) -> None:
    done = build(ROOT, "ftp://example.org", "--site-dir", str(tmp_path / "site"))
    assert done.returncode == 1
    said = done.stdout + done.stderr
    assert "address of the site: expected one such as https://example.org/tactics/" in said
    assert "Traceback" not in said
