"""The README's pictures: of pages that exist, small, and each in both palettes."""

from __future__ import annotations

import re

import pytest

from greentactics.site.pages import render_site
from tests.browser.pictures import PICTURES, SCHEMES, SHOWN
from tests.examples.records import REAL, ROOT

MOST_BYTES = 150_000
NAMES = [f"{name}-{scheme}.png" for name in SHOWN for scheme in SCHEMES]


def test_the_pages_shown_exist() -> None:
    files = render_site(REAL, {})
    for address in SHOWN.values():
        assert address.partition("?")[0].replace(".html", ".md") in files


@pytest.mark.parametrize("name", NAMES)
def test_pictures_are_there_and_small(name: str) -> None:
    content = (PICTURES / name).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) <= MOST_BYTES


def test_the_readme_shows_each_picture_and_no_other() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = re.findall(r'(?:src|srcset)="catalogue/pictures/([\w-]+\.png)"', readme)
    assert sorted(shown) == sorted(NAMES) == sorted(path.name for path in PICTURES.iterdir())
    assert len(re.findall(r'<img alt="\w[^"]{20,}"', readme)) == len(SHOWN)
