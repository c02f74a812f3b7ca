"""Former addresses of renamed tactics in a browser, from a server and from disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from greentactics.site.pages import render_site
from tests.browser.serving import served
from tests.examples.records import REAL, catalogue

NEW = next(iter(REAL.records))
FORMER = "a-former-name"


@pytest.fixture(scope="module")
def renamed_site(site: Path, tmp_path_factory) -> Path:
    """The built site as links, with the page of one former identifier beside the tactics."""
    folder = tmp_path_factory.mktemp("renamed")
    (folder / "tactics" / FORMER).mkdir(parents=True)
    for entry in site.iterdir():
        if entry.name != "tactics":
            (folder / entry.name).symlink_to(entry)
    for entry in (site / "tactics").iterdir():
        (folder / "tactics" / entry.name).symlink_to(entry)
    record = REAL.records[NEW].model_copy(update={"former_ids": (FORMER,)})
    page = render_site(catalogue(record), {})[f"tactics/{FORMER}/index.html"]
    (folder / "tactics" / FORMER / "index.html").write_text(page, encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["http", "disk"])
def start(request: pytest.FixtureRequest, renamed_site: Path) -> Iterator[str]:
    """Address of the site on a server or on disk, without a slash at its end."""
    if request.param == "disk":
        yield f"file://{renamed_site}"
        return
    with served(renamed_site) as address:
        yield address


@pytest.mark.parametrize("scripts", [True, False])
@pytest.mark.parametrize("rest", ["index.html", "index.html?a=b#sources"])
def test_a_former_address_leads_to_the_new_page(new_page, start: str, scripts: bool, rest: str) -> None:
    """Query and fragment are dropped: without a script a page cannot hand them on."""
    page = new_page(f"{start}/tactics/{FORMER}/{rest}", java_script_enabled=scripts)
    page.wait_for_url(f"{start}/tactics/{NEW}/index.html")
    assert page.locator("h1").inner_text() == REAL.records[NEW].title


def test_where_nothing_is_refreshed_a_link_leads_on(new_page, start: str, renamed_site: Path) -> None:
    text = (renamed_site / "tactics" / FORMER / "index.html").read_text(encoding="utf-8")
    still = renamed_site / "tactics" / FORMER / "still.html"
    still.write_text(text.replace('http-equiv="refresh"', 'name="no-refresh"'), encoding="utf-8")
    page = new_page(f"{start}/tactics/{FORMER}/still.html")
    assert page.locator("meta[name=robots]").get_attribute("content") == "noindex"
    canonical = page.locator("link[rel=canonical]").evaluate("link => link.href")
    page.get_by_role("link", name=NEW).click()
    page.wait_for_url(f"{start}/tactics/{NEW}/index.html")
    assert page.url == canonical
