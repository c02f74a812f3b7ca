"""The README's pictures, and the ways strangers take through the site, as screenshots of the built site.

    python -m tests.browser.pictures                     # renews catalogue/pictures/
    python -m tests.browser.pictures --ways FOLDER       # three tasks, each click a picture

Build the site first: make site.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import pytest

from tests.browser.chromium import chromium
from tests.browser.selector_page import SAVING, choose
from tests.browser.serving import served

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "catalogue" / "pictures"
SCHEMES = ("light", "dark")
SHOWN = {
    "find": f"find/index.html?improves={SAVING}&loss=1",
    "tactic": "tactics/consider-energy-aware-pruning/index.html",
}
"""Page and query by the name of its picture."""


def take_pictures(browser, address: str, out: Path) -> None:
    """Take one picture of each page in each palette."""
    for scheme in SCHEMES:
        page = browser.new_page(viewport={"width": 1200, "height": 850}, color_scheme=scheme)
        for name, path in SHOWN.items():
            page.goto(f"{address}/{path}", wait_until="networkidle")
            page.screenshot(path=out / f"{name}-{scheme}.png")
        page.close()


def walk_ways(browser, address: str, out: Path) -> None:
    """Do three tasks by clicking, with a picture after each step: find, compare, run."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    steps = iter(range(1, 100))

    def shoot(what: str) -> None:
        page.wait_for_load_state("networkidle")
        page.screenshot(path=out / f"{next(steps):02d}-{what}.png")

    page.goto(f"{address}/index.html")
    shoot("find-home")
    page.locator("article").get_by_role("link", name="Find a tactic").click()
    shoot("find-questions")
    choose(page, "improves", SAVING)
    page.locator("input[name=loss]").fill("1")
    choose(page, "devices", "cpu")
    shoot("find-answers")
    page.mouse.wheel(0, 500)
    page.wait_for_timeout(500)  # a wheel scrolls by and by
    shoot("find-results")
    for index in (0, 1):
        page.locator("input.gt-tick").nth(index).check()
    shoot("compare-ticked")
    page.get_by_role("link", name="Compare 2 tactics").click()
    page.locator("#comparison table").wait_for()
    shoot("compare-table")
    page.goto(f"{address}/{SHOWN['tactic']}")
    shoot("run-tactic")
    page.get_by_role("link", name="Run it", exact=True).click()
    shoot("run-command")
    page.goto(f"{address}/index.html")
    page.locator("article").get_by_role("link", name="Reproduce one").click()
    page.get_by_role("link", name="3. Run it", exact=True).click()
    shoot("run-output")
    page.close()


def main() -> None:
    """Take what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.pictures", description=__doc__)
    parser.add_argument("--site", type=Path, default=ROOT / "site", help="the built site")
    parser.add_argument("--ways", type=Path, metavar="FOLDER", help="take the strangers' ways instead")
    options = parser.parse_args()
    if not (options.site / "index.html").is_file():
        sys.exit(f"{options.site}: expected the built site, found none; run `make site` first")
    out = options.ways or PICTURES
    out.mkdir(parents=True, exist_ok=True)
    try:
        with served(options.site) as address, chromium() as browser:
            (walk_ways if options.ways else take_pictures)(browser, address, out)
    except pytest.skip.Exception as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
