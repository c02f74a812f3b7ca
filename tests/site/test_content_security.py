"""The Content-Security-Policy of built pages: the theme's scripts and nobody else's."""

from __future__ import annotations

import base64
import hashlib
import re
from types import SimpleNamespace

import pytest

from greentactics.site.content_security import with_policy

HEAD = '<!doctype html><html><head><meta charset="utf-8"><script>theme()</script></head>'


def digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def scripts_allowed(html: str) -> list[str]:
    (sources,) = re.findall(r"script-src ([^;]*);", html)
    return sources.split()


def test_the_scripts_of_the_theme_are_allowed_by_their_hash() -> None:
    html = with_policy(f"{HEAD}<body><script>a &amp;&amp; '</b>'</script><script src='a.js'></script></body>")
    expected = {"'self'", digest("theme()"), digest("a &amp;&amp; '</b>'")}
    assert set(scripts_allowed(html)) == expected
    assert html.index("Content-Security-Policy") < html.index("<script>")


@pytest.mark.parametrize(
    "script",
    [
        "<script>alert(1)</script>",
        "<script type=module>alert(1)</script>",
        "<SCRIPT type='text/JavaScript'>alert(1)</SCRIPT>",
        '<script type="application/json">{}</script>',
        '<script type="application/ld+json">{}</script>',
    ],
)
def test_no_script_in_the_content_is_allowed(script) -> None:
    html = with_policy(f"{HEAD}<body>{script}</body>", script)
    assert scripts_allowed(html) == ["'self'", digest("theme()")]


def test_a_page_without_a_place_for_the_policy_is_refused() -> None:
    for html in ("<html></html>", '<script>a</script><meta charset="utf-8">'):
        with pytest.raises(ValueError, match="before the first script"):
            with_policy(html)


def test_content_that_the_page_does_not_hold_word_for_word_is_refused() -> None:
    with pytest.raises(ValueError, match="as it was handed over"):
        with_policy(f"{HEAD}<body><script>alert(1)</script></body>", "<script>alert( 1 )</script>")


def test_each_built_page_has_a_policy_that_allows_three_scripts_of_the_theme(real_site) -> None:
    pages = list(real_site.rglob("*.html"))
    assert pages
    for page in pages:
        html = page.read_text(encoding="utf-8")
        assert html.count('http-equiv="Content-Security-Policy"') == 1, page
        assert len(scripts_allowed(html)) == 1 + 3, page
        (policy,) = re.findall(r"default-src [^\"]*", html)
        assert "unsafe" not in policy
        assert "http" not in policy


def test_no_built_page_holds_what_its_policy_refuses(real_site) -> None:
    for page in real_site.rglob("*.html"):
        html = page.read_text(encoding="utf-8")
        tags = re.findall(r"<[a-z][^>]*>", html)
        assert not [tag for tag in tags if re.search(r"\s(style|on\w+)=", tag) or tag.startswith("<style")], (
            page
        )


def test_live_reload_keeps_its_script(monkeypatch) -> None:
    hook = pytest.importorskip("greentactics.mkdocs_hook", reason="the site extra is not installed")
    page = SimpleNamespace(content="")
    monkeypatch.setattr(hook, "_serving", False)
    hook.on_startup(command="serve", dirty=False)
    assert hook.on_post_page(HEAD, page=page, config=None) == HEAD
    assert hook.on_post_template(HEAD, template_name="404.html", config=None) == HEAD
    hook.on_startup(command="build", dirty=False)
    assert "Content-Security-Policy" in hook.on_post_page(HEAD, page=page, config=None)
    assert "Content-Security-Policy" in hook.on_post_template(HEAD, template_name="404.html", config=None)
    assert hook.on_post_template("<urlset/>", template_name="sitemap.xml", config=None) == "<urlset/>"
