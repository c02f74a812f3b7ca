"""The page of addresses that are not found leads on, from whatever folder the address seems to lie in."""

from __future__ import annotations

from tests.site.test_build import Page

WAYS = ("index.html", "find/index.html", "tactics/index.html", "terms/index.html", "method/index.html")


def test_it_leads_to_the_main_pages_and_to_the_search(real_site) -> None:
    text = (real_site / "404.html").read_text(encoding="utf-8")
    tags = Page(text.partition("<article")[2].partition("</article>")[0]).tags
    addresses = [found.get("href") or found["action"] for tag, found in tags if tag in ("a", "form")]
    assert {f"/{way}" for way in WAYS} <= set(addresses)
    assert all(address.startswith("/") for address in addresses)
    assert any(tag == "form" and found["action"] == "/index.html" for tag, found in tags)
    assert "<title>Page not found" in text
