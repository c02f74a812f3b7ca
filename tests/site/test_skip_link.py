"""The first link of each page leads past the navigation, and past nothing else."""

from __future__ import annotations

import re

import pytest

from greentactics.site.page_html import with_skip_link

LINK = '<a href="#title" class="md-skip">Skip to content</a>'


@pytest.mark.parametrize("theme", ["", '\n  <a href="#problem" class="md-skip">\n Skip to content\n</a>\n'])
def test_it_leads_to_the_main_heading_whatever_the_theme_made(theme) -> None:
    page = '<div data-md-component="skip">{}</div>\n<h1 class="a" id="title">T</h1><h2 id="problem">P</h2>'
    assert with_skip_link(page.format(theme)) == page.format(LINK)


def test_a_heading_that_cannot_be_led_to_changes_nothing() -> None:
    page = '<div data-md-component="skip"></div><h1>T</h1>'
    assert with_skip_link(page) == page


def test_it_does_so_on_every_page_of_the_site(real_site) -> None:
    pages = [path for path in real_site.rglob("*.html") if "md-main" in path.read_text("utf-8")]
    assert len(pages) > 100
    for path in pages:
        text = path.read_text("utf-8")
        (heading,) = re.findall(r'<h1\b[^>]*?\bid="([^"]+)"', text)
        assert re.findall(r'<a href="([^"]*)" class="md-skip">', text) == [f"#{heading}"], path
