"""What a built page may load and run: a Content-Security-Policy computed from the page itself."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser

_KEPT_OR_SPACE = re.compile(
    r"(?P<kept><(?P<name>pre|script|style|textarea)\b.*?</(?P=name)>)|(?P<tag><[a-z][^<>]*>)"
    r"|(?:\s*</(?:t(?:d|h|r|head|body)|li|d[dt])>)+\s*|\s*\n\s*",
    re.DOTALL,
)
# The theme wraps the words of each link in an element that would cut them off; they are to wrap instead.
_WRAPPED_LINK = re.compile(
    r'(<a [^>]*class="md-nav__link[^>]*>)\s*<span class="md-ellipsis">\s*([^<]*?)\s*</span>\s*</a>'
)
# The page names its tags itself, with links; the theme adds a list that it hides.
_HIDDEN_TAGS = re.compile(r'<nav class="md-tags" hidden>.*?</nav>', re.DOTALL)
_ONE_WORD = re.compile(r' (class|scope)="([\w-]+)"(?=[ >])')
_WEIGHT = {
    '<span class="w"> </span>': " ",  # a space that a highlighter wrapped
    "<pre><span></span>": "<pre>",
    ' xmlns="http://www.w3.org/2000/svg"': "",  # HTML knows the names of SVG
    " data-search-exclude": "",  # read before, when the index of the search is made
    ' tabindex=""': "",
}


def without_indentation(page: str) -> str:
    """Return HTML with a line break for each run of space that has one; listings and scripts stay as is.

    Items, cells, rows and groups of rows lose their end tags, which what follows implies, and a class or
    scope of one word its quotes (https://html.spec.whatwg.org/multipage/syntax.html, 13.1.2.3 and 13.1.2.4).
    """
    for weight, rest in _WEIGHT.items():
        page = page.replace(weight, rest)
    page = _WRAPPED_LINK.sub(r"\1\2</a>", _HIDDEN_TAGS.sub("", page))
    return _KEPT_OR_SPACE.sub(_shorter, page)


def _shorter(part: re.Match[str]) -> str:
    if part["kept"]:
        return part["kept"]
    if part["tag"]:
        return _ONE_WORD.sub(r" \1=\2", re.sub(r"\s*\n\s*", "\n", part["tag"]))
    return "\n" if "\n" in part[0] else ""


_PLACE = re.compile(r'(<div data-md-component="skip">).*?(</div>)', re.DOTALL)
_MAIN_HEADING = re.compile(r'<h1\b[^>]*?\bid="([^"]+)"')


def with_skip_link(page: str) -> str:
    """Return the page with a first link that leads to its main heading, where that has an identifier.

    The theme leads to the first entry of the table of contents, past what stands before it, and gives no link
    to pages without such a table.
    """
    heading, place = _MAIN_HEADING.search(page), _PLACE.search(page)
    if heading is None or place is None:
        return page
    link = f'<a href="#{heading[1]}" class="md-skip">Skip to content</a>'
    return f"{page[: place.start()]}{place[1]}{link}{place[2]}{page[place.end() :]}"


_WORD = re.compile(r"\b([a-z]{3,}i)([sz])((?:ations?|ed|er|ers|es|e|ing))\b", re.IGNORECASE)


def with_both_spellings(index: str) -> str:
    """Return the index of the search with the other spelling behind each text that has only one.

    A word counts when its noun in -isation or -ization stands anywhere in the index, so that words such as
    "otherwise" are left alone.

    Args:
        index: JSON as the search plugin writes it.
    """
    content = json.loads(index)
    texts = [f"{entry['title']} {entry['text']}" for entry in content["docs"]]
    words = {word[0].lower(): word for text in texts for word in _WORD.finditer(text)}
    stems = {word[1].lower() for word in words.values() if word[3].lower().startswith("ation")}
    for entry, text in zip(content["docs"], texts, strict=True):
        own = {word[0].lower(): word for word in _WORD.finditer(text)}
        others = {
            f"{word[1]}{'z' if word[2] in 'sS' else 's'}{word[3]}".lower()
            for word in own.values()
            if word[1].lower() in stems
        } - set(own)
        if others:
            entry["text"] += f"<p>{' '.join(sorted(others))}</p>"
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"))


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
        ValueError: The page has no place for the policy, which has to stand before the first script.
    """
    foreign = set(_InlineScripts(content).texts)
    own = [text for text in _InlineScripts(html).texts if text not in foreign]
    hashes = sorted({f"'sha256-{_digest(text)}'" for text in own})
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
