"""All addresses inside a built site lead to a file and to a place in it, and the crawler sees when not."""

from __future__ import annotations

import pytest

from tests.site.crawl import broken_ids, broken_links

LEAST_FOLLOWED = 5000


def test_every_address_in_the_real_site_leads_somewhere(real_site) -> None:
    broken, count = broken_links(real_site)
    assert broken == []
    assert count >= LEAST_FOLLOWED


def test_ids_stand_once_and_what_is_referred_to_is_there(real_site) -> None:
    assert broken_ids(real_site) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.html", '<a href="missing.html">'),
        ("a.html", '<a href="index.html#missing">'),
        ("a.html", '<a href="#missing">'),
        ("a.html", '<a href="../outside.html">'),
        ("a.html", '<a href="//example.org/a.html">'),
        ("a.html", '<script src="missing.js"></script>'),
        ("a.html", '<svg><a href="missing.html"><use href="#missing"/></a></svg>'),
        ("a.json", '{"links": [{"address": "api/missing.json"}]}'),
        ("a.json", '{"document": "api/{id}.json"}'),
        ("a.txt", "[page](missing/index.html)"),
        ("a.css", 'a { background: url("missing.svg"); }'),
    ],
)
def test_an_address_that_leads_nowhere_is_found(tmp_path, name, text) -> None:
    (tmp_path / "outside.html").write_text("")
    site = tmp_path / "site"
    site.mkdir()
    (site / "index.html").write_text(
        '<h1 id="top">Home</h1><a href="#top">Up</a><a href="https://example.org">'
    )
    assert broken_links(site) == ([], 1)
    (site / name).write_text(text)
    broken, _ = broken_links(site)
    assert broken
    assert all(line.startswith(f"{name}: ") for line in broken)


@pytest.mark.parametrize(
    "text", ['<p id="a"><p id="a">', '<label for="a">', '<svg aria-labelledby="a b"><g id="a">']
)
def test_ids_that_clash_or_are_missing_are_found(tmp_path, text) -> None:
    (tmp_path / "index.html").write_text(text)
    assert len(broken_ids(tmp_path)) == 1
