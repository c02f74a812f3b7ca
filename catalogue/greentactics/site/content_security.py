"""What a built page may load and run: a Content-Security-Policy computed from the page itself."""

from __future__ import annotations

import base64
import hashlib
from html.parser import HTMLParser

_HEAD_START = '<meta charset="utf-8">'
_SCRIPT_TYPES = ("", "module", "text/javascript", "application/javascript")


class _InlineScripts(HTMLParser):
    """Texts of the scripts that stand in the page and would run; blocks of data are none."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=False)
        self.texts: list[str] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        runs = (found.get("type") or "").strip().lower() in _SCRIPT_TYPES
        self._inside = tag == "script" and "src" not in found and runs
        if self._inside:
            self.texts.append("")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag != "script"


def with_policy(html: str, content: str = "") -> str:
    """Return the page with a policy that lets only the theme's inline scripts run.

    Scripts, styles, images and data come from the site's own files, images also from `data:` addresses inside
    its style sheets. An inline script runs only when its hash is in the policy, and only those of the theme
    are: one that stands in the content came from a record or a page, and stays blocked.

    Args:
        html: The whole page as the theme made it.
        content: The part of the page that is not the theme's.

    Raises:
        ValueError: The page has no place for the policy, which has to stand before the first script; or it
            does not hold the content word for word, so that the theme's scripts cannot be told from others.
    """
    if content not in html:
        raise ValueError("the page does not hold its content as it was handed over")
    hashes = sorted({f"'sha256-{_digest(text)}'" for text in _InlineScripts(html.replace(content, "")).texts})
    policy = "; ".join(
        (
            "default-src 'none'",
            " ".join(("script-src 'self'", *hashes)),
            "style-src 'self'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "worker-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
        )
    )
    start, place, rest = html.partition(_HEAD_START)
    if not place or "<script" in start:
        raise ValueError(f"no {_HEAD_START} before the first script")
    return f'{start}{place}<meta http-equiv="Content-Security-Policy" content="{policy}">{rest}'


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
