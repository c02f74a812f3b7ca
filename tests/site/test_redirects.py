"""Pages at former identifiers, handed on by mkdocs as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from greentactics.site.pages import render_site
from tests.built_site import BUILD_LIMIT_S
from tests.examples.records import PRUNING, catalogue

pytest.importorskip("mkdocs", reason="the site extra is not installed")


def test_a_redirect_is_published_as_it_is_and_listed_nowhere(tmp_path: Path) -> None:
    renamed = PRUNING.model_copy(update={"former_ids": ("old-name",)})
    text = render_site(catalogue(renamed), {})["tactics/old-name/index.html"]
    (tmp_path / "docs" / "tactics" / "old-name").mkdir(parents=True)
    (tmp_path / "docs" / "tactics" / "old-name" / "index.html").write_text(text, encoding="utf-8")
    (tmp_path / "docs" / "index.md").write_text("# Home\n")
    (tmp_path / "mkdocs.yml").write_text(
        "site_name: Test\nsite_url: https://example.org/\ntheme: mkdocs\nplugins: [search]\n"
    )
    command = [sys.executable, "-m", "mkdocs", "build", "--strict"]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    site = tmp_path / "site"
    assert (site / "tactics" / "old-name" / "index.html").read_text(encoding="utf-8") == text
    for name in ("sitemap.xml", "search/search_index.json", "index.html"):
        assert "old-name" not in (site / name).read_text(encoding="utf-8")
