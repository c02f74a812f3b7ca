"""What the first visit of the home page loads."""

from __future__ import annotations

import gzip
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.browser.chromium import chromium
from tests.browser.serving import served

VISIT_LIMIT_KB = 350


def test_weight_of_the_first_visit(report, real_site):
    with served(real_site) as address, chromium() as browser:
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{address}/index.html", wait_until="networkidle")
        page.close()
    paths = {unquote(urlsplit(url).path).lstrip("/") for url in asked}
    assert {"index.html", "search/search_index.json"} <= paths
    sizes = {path: _compressed_bytes(real_site / path) for path in paths}
    report(
        f"{len(sizes)} files of the first visit, compressed",
        sum(sizes.values()) / 1024,
        "KiB",
        VISIT_LIMIT_KB,
    )
    name, size = max(sizes.items(), key=lambda item: item[1])
    report(f"the largest: {name}", size / 1024, "KiB")


def _compressed_bytes(path: Path) -> int:
    """Return the size as most servers send the file: compressed where that makes it smaller."""
    content = path.read_bytes()
    return min(len(content), len(gzip.compress(content, mtime=0)))
