"""The page of a tactic in a browser: hostile records, paper, and the search that leads to it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from greentactics.site.pages import rendered_files, write_site
from tests.built_site import BUILD_LIMIT_S
from tests.examples.records import DARK, PRUNING, REAL, ROOT, catalogue
from tests.examples.synthetic import results
from tests.site.test_pages import HOSTILE, hostile

ID = PRUNING.id
OWN_PAGES = ("tactics/{}", "tactics/{}/measurements", "recipes/{}")
VISIBLE = "all => all.filter(node => node.getClientRects().length).length"
CUT_OFF = """all => all.filter(node => node.scrollWidth > node.clientWidth + 1)
  .map(node => [node.ariaLabel, node.textContent.slice(0, 80), node.scrollWidth, node.clientWidth])"""


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory) -> Path:
    """A record of hostile text, built with the settings of the real site."""
    folder = tmp_path_factory.mktemp("hostile")
    made = catalogue(hostile(), DARK, results={ID: (results(),)})
    write_site(
        folder / "docs", rendered_files(made, {ID: (results(dirty=True),)}), ROOT / "catalogue" / "pages"
    )
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    settings = re.sub(r"^(?:hooks|watch):\n(?:  - .*\n)+", "", settings, flags=re.MULTILINE)
    for path, meant in (("catalogue/pages", "docs"), ("catalogue/theme", f"{ROOT}/catalogue/theme")):
        settings = settings.replace(path, meant)
    (folder / "mkdocs.yml").write_text(settings, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet"],
        cwd=folder,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=BUILD_LIMIT_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.parametrize("path", [*(path.format(ID) for path in OWN_PAGES), "find", "tactics", "."])
def test_a_hostile_record_does_nothing_and_fits_on_a_phone(new_page, hostile_site, path) -> None:
    asked = []
    page = new_page(f"file://{hostile_site}/{path}/index.html", viewport={"width": 375, "height": 800})
    page.on("dialog", lambda dialog: asked.append(dialog.message))
    assert page.evaluate("document.documentElement.scrollWidth") == 375
    content = page.locator("article")
    assert content.locator("img, iframe, [href^='javascript']").count() == 0
    text = content.inner_text()
    assert "\u202e" not in text
    assert "<script>alert(1)</script>" in text
    assert not asked


def test_the_hostile_record_is_as_hostile_as_said() -> None:
    for part in ("<script>", "onerror=", "javascript:", "\u202e", "w" * 300, "```", "{{"):
        assert part in HOSTILE


@pytest.mark.parametrize("name", ["real_site", "site_with_local_results"])
def test_on_paper_there_is_text_without_navigation_and_nothing_is_cut_off(new_page, request, name) -> None:
    site = request.getfixturevalue(name)
    paths = [path.format(identifier) for path in OWN_PAGES for identifier in REAL.results]
    page = new_page(f"file://{site}/index.html", viewport={"width": 718, "height": 1000}, color_scheme="dark")
    page.emulate_media(media="print")
    for path in paths:
        page.goto(f"file://{site}/{path}/index.html")
        bars = "nav, header, footer, .md-search, .md-sidebar, .md-clipboard"
        assert page.locator(bars).evaluate_all(VISIBLE) == 0, path
        assert page.locator("details:not([open])").count() == 0, path
        assert page.locator("article pre, article .gt-scroll").evaluate_all(CUT_OFF) == [], path
        for part in ("article h1", "article .gt-summary", "article table th >> nth=0"):
            if page.locator(part).count():
                shade = page.locator(part).evaluate("node => getComputedStyle(node).color")
                assert max(int(value) for value in re.findall(r"\d+", shade)[:3]) < 128, (path, part)


def test_a_synonym_finds_the_tactic(new_page, address) -> None:
    record = next(record for record in REAL.records.values() if record.aliases)
    page = new_page(f"{address}/find/index.html")
    page.locator(".md-search__input").click()
    page.keyboard.type(record.aliases[0].title)
    pages = page.locator(".md-search-result__item")
    pages.first.wait_for()
    first_links = "all => all.map(one => new URL(one.querySelector('a').href).pathname)"
    assert f"/tactics/{record.id}/index.html" in pages.evaluate_all(first_links)[:3]
