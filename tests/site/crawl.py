"""Follows every address in a built site from file to file; nothing is fetched."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_ADDRESSES = {"href", "src", "action", "poster", "data"}
_ID_LISTS = {"for", "headers", "aria-labelledby", "aria-describedby", "aria-controls"}
_THEME_IDS = "__"  # the theme has labels for what it leaves out on some pages
_JSON_KEYS = {"address", "document", "location", "page", "raw", "schema_address", "url"}
_MARKDOWN_LINK = re.compile(r"\]\(([^)\s]+)\)")
_CSS_ADDRESS = re.compile(r"url\(\s*[\"']?([^\"')]+)")


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.used_ids: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        hidden = "hidden" in dict(attrs)  # until a script has made what it refers to
        for name, value in attrs:
            if name == "id" or (name == "name" and tag == "a"):
                self.ids.append(value or "")
            elif name.removeprefix("xlink:") in _ADDRESSES and value:
                self.addresses.append(value)
            elif name in _ID_LISTS and not hidden:
                self.used_ids += [one for one in (value or "").split() if not one.startswith(_THEME_IDS)]


def broken_links(site: Path) -> tuple[list[str], int]:
    """Return each address that leads nowhere, with its place, and how many were followed."""
    broken, count = [], 0
    for path, start, address in _addresses(site):
        count += 1
        if not _leads_somewhere(site, start, address):
            broken.append(f"{path.relative_to(site)}: {address}")
    return broken, count


def broken_ids(site: Path) -> list[str]:
    """Return ids that stand twice on a page, or that something on it refers to in vain."""
    broken = []
    for path in sorted(site.rglob("*.html")):
        page = _page(path)
        twice = {one for one in page.ids if page.ids.count(one) > 1}
        broken += [
            f"{path.relative_to(site)}: {one}" for one in sorted(twice | set(page.used_ids) - set(page.ids))
        ]
    return broken


def _addresses(site: Path) -> Iterator[tuple[Path, Path, str]]:
    """Yield each address of the site itself, with its file and the file whose folder it starts from."""
    for path in sorted(site.rglob("*")):
        if not path.is_file():
            continue
        if path.suffix == ".html":
            found, start = _page(path).addresses, path
        elif path.suffix == ".json":
            found, start = _from_json(path), site / "index.html"
        elif path.suffix == ".txt":
            found, start = _MARKDOWN_LINK.findall(path.read_text("utf-8")), path
        elif path.suffix == ".css":
            found, start = _CSS_ADDRESS.findall(path.read_text("utf-8")), path
        else:
            continue
        yield from ((path, start, address) for address in found if not urlsplit(address).scheme)


def _from_json(path: Path) -> list[str]:
    if path.name.endswith(".schema.json"):
        return []
    return list(_strings(json.loads(path.read_text("utf-8")), ""))


def _strings(value: Any, key: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield from _strings(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from _strings(part, key)
    elif isinstance(value, str) and key in _JSON_KEYS and value:
        yield value


def _leads_somewhere(site: Path, start: Path, address: str) -> bool:
    parts = urlsplit(address)
    if parts.netloc:
        return False
    target = start
    if parts.path.startswith("/"):
        target = site / unquote(parts.path).lstrip("/")
    elif parts.path:
        target = start.parent / unquote(parts.path)
    if "{" in parts.path:  # the pattern of addresses, such as {id}.json
        return any(start.parent.glob(re.sub(r"\{\w+\}", "*", parts.path)))
    target = target / "index.html" if target.is_dir() else target
    if not target.is_file() or not target.resolve().is_relative_to(site.resolve()):
        return False
    fragment = unquote(parts.fragment)
    return not fragment or target.suffix != ".html" or fragment in _page(target.resolve()).ids


@cache
def _page(path: Path) -> _Page:
    return _Page(path.read_text("utf-8"))


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    faults = broken_links(folder)[0] + broken_ids(folder)
    sys.exit("\n".join(faults) or None)
