"""The first link of each page leads past the navigation, and past nothing else."""

from __future__ import annotations

from tests.site.test_build import Page


def test_it_leads_to_the_main_heading_of_every_page(real_site) -> None:
    pages = [path for path in real_site.rglob("*.html") if "md-main" in path.read_text("utf-8")]
    assert len(pages) > 100
    for path in pages:
        tags = Page(path.read_text("utf-8")).tags
        (heading,) = (found["id"] for tag, found in tags if tag == "h1")
        skips = [found["href"] for tag, found in tags if tag == "a" and found.get("class") == "md-skip"]
        assert skips == [f"#{heading}"], path
        assert next(found for tag, found in tags if tag == "a") == {"href": skips[0], "class": "md-skip"}
