"""The real site, built once, served on this machine and opened in a Chromium that is there already."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser.chromium import chromium
from tests.browser.page_kinds import page_kinds
from tests.browser.serving import served


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def site(real_site) -> Path:
    """Folder of the built site."""
    return real_site


@pytest.fixture(scope="session")
def kinds(site) -> list[str]:
    """Addresses below the site's of pages of each kind."""
    return page_kinds(site)


@pytest.fixture(scope="session")
def address(site) -> Iterator[str]:
    """Address of the served site, without a slash at its end."""
    with served(site) as started:
        yield started


@pytest.fixture(scope="session")
def browser():
    """A Chromium without a window."""
    with chromium() as started:
        yield started


@pytest.fixture
def new_page(browser):
    """Open pages; at the end of the test none has asked another machine for anything, or met an error."""
    contexts, asked, errors = [], [], []

    def open_page(address: str, **options):
        context = browser.new_context(**({"viewport": {"width": 1280, "height": 900}} | options))
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    elsewhere = [url for url in asked if urlsplit(url).hostname not in (None, "127.0.0.1")]
    assert not elsewhere
    assert not errors


@pytest.fixture
def opened(new_page, address):
    """Open the page "Find a tactic" with a query."""
    return lambda query="", **options: new_page(f"{address}/find/index.html{query}", **options)
