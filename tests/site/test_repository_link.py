"""One setting tells where records are edited and, in the header, where the repository is."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from greentactics.api.addresses import repository_address
from tests.built_site import BUILD_LIMIT_S
from tests.examples.records import ROOT
from tests.site.test_build import Page

HOOK = "from greentactics.mkdocs_hook import on_config, on_post_page, on_post_template, on_startup\n"
SETTINGS = (
    "site_name: Test\ntheme: {name: material, custom_dir: '%s', font: false}\nhooks: [hook.py]\n"
    "extra: {edit_url: '%s'}\n"
)


@pytest.mark.parametrize(
    ("edit_url", "repository"),
    [
        ("https://github.com/owner/name/edit/main/", "https://github.com/owner/name"),
        ("https://gitlab.com/group/owner/name/-/edit/main/", "https://gitlab.com/group/owner/name"),
        ("https://codeberg.org/owner/name/_edit/main", "https://codeberg.org/owner/name"),
        ("https://example.org/files/main/", None),
        ("https://example.org/edit/", None),
        ("javascript:alert(1)/edit/main", None),
        ("", None),
        (None, None),
    ],
)
def test_the_repository_is_what_stands_before_edit(edit_url, repository) -> None:
    assert repository_address(edit_url) == repository


@pytest.mark.parametrize("edit_url", ["https://github.com/owner/name/edit/main/", ""])
def test_the_header_leads_there_and_asks_no_host_about_it(tmp_path, edit_url) -> None:
    pytest.importorskip("material", reason="the site extra is not installed")
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("# Test\n")
    (tmp_path / "hook.py").write_text(HOOK)
    (tmp_path / "mkdocs.yml").write_text(SETTINGS % (ROOT / "catalogue" / "theme", edit_url))
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict"],
        cwd=tmp_path,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT / "catalogue")},
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in ("index.html", "404.html"):
        text = (tmp_path / "site" / name).read_text()
        links = [found["href"] for _, found in Page(text).tags if found.get("class") == "md-source"]
        assert set(links) == ({"https://github.com/owner/name"} if edit_url else set())
        assert "data-md-component=source" not in text


def test_the_setting_is_that_of_the_repository() -> None:
    assert 'edit_url: !ENV [EDIT_URL, ""]' in (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
