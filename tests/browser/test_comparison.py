"""Comparison side by side, downloads, and the page opened from disk."""

from __future__ import annotations

import csv
import io
import json
import re

from tests.browser.selector_page import (
    BUILT_IN,
    ENTRIES,
    PRUNING,
    SAVING,
    choose,
    ids,
    saved,
    saves_energy,
    those,
)


def test_comparison_has_an_address_of_its_own(opened) -> None:
    page = opened(f"?improves={SAVING}")
    titles = {entry.id: entry.title for entry in ENTRIES}
    ticks = page.locator("#find-ticked")
    assert ticks.is_hidden()
    assert page.get_by_text("Tick two to four tactics to compare them side by side.").is_visible()
    page.get_by_role("checkbox", name=f"Compare {titles[PRUNING]}").check()
    assert ticks.get_by_role("link").count() == 0
    page.get_by_role("checkbox", name=f"Compare {titles[BUILT_IN]}").check()
    ticks.get_by_role("link", name="Compare 2 tactics").click()
    page.locator("#comparison table").wait_for()
    assert page.url.endswith(f"?improves={SAVING}&compare={PRUNING},{BUILT_IN}")
    table = page.locator("#comparison table")
    assert table.locator("thead th").all_inner_texts() == [titles[PRUNING], titles[BUILT_IN]]
    assert table.locator("tbody th").all_inner_texts() == [
        "Intent", "Improves", "Worsens", "Depends on a condition", "Claimed", "Reproduced", "Quality",
        "Evidence", "Effort", "Applies when", "Avoid when", "Links",
    ]  # fmt: skip
    entry = next(entry for entry in ENTRIES if entry.id == PRUNING)
    cells = dict(
        zip(
            table.locator("tbody th").all_inner_texts(),
            table.locator("tbody td:nth-child(2)").all(),
            strict=True,
        )
    )
    assert cells["Claimed"].inner_text() == entry.claimed
    assert cells["Reproduced"].inner_text().startswith(entry.reproduced or "not yet")
    assert cells["Applies when"].locator("li").all_inner_texts() == list(entry.applies_when)
    assert page.locator("#found").is_hidden()
    page.get_by_role("link", name="Back to the list").click()
    # The form stands in the page before its script has run, which ticks them again.
    page.locator("input.gt-tick:checked").nth(1).wait_for()
    assert page.locator("input.gt-tick:checked").count() == 2
    assert set(ids(page)) == those(saves_energy)


def test_the_links_of_a_comparison_lead_to_files(opened, site) -> None:
    page = opened(f"?compare={PRUNING},{BUILT_IN}")
    hrefs = page.locator("#comparison a").evaluate_all("all => all.map(a => a.pathname)")
    assert len(hrefs) == 1 + 2 + 2 * 3
    for href in hrefs:
        assert (site / href.lstrip("/")).is_file()


def test_four_is_the_most_that_can_be_ticked(opened) -> None:
    page = opened()
    ticks = page.locator("input.gt-tick")
    for index in range(4):
        ticks.nth(index).check()
    assert ticks.nth(4).is_disabled()
    assert "Four is the most." in page.locator("#find-ticked").inner_text()
    page.get_by_role("button", name="Untick all").click()
    assert ticks.nth(4).is_enabled()


def test_a_comparison_of_one_known_tactic_is_the_list_with_it_ticked(opened) -> None:
    page = opened(f"?compare={PRUNING},no-such-tactic")
    assert page.locator("#comparison").is_hidden()
    assert page.locator("input.gt-tick:checked").count() == 1


def test_downloads_hold_the_selection(opened) -> None:
    page = opened(f"?improves={SAVING}&loss=1")
    shown = ids(page)
    rows = list(csv.DictReader(io.StringIO(saved(page, "CSV"), newline="")))
    assert [row["id"] for row in rows] == shown
    tactics = json.loads(saved(page, "JSON"))
    assert tactics["licence"] == "CC-BY-4.0"
    assert [tactic["id"] for tactic in tactics["tactics"]] == shown
    by_id = {entry.id: entry for entry in ENTRIES}
    for row in rows:
        assert row["title"] == by_id[row["id"]].title
        assert row["stages"] == "; ".join(by_id[row["id"]].stages)
        assert row["loss_points"] == "" or float(row["loss_points"]) == by_id[row["id"]].loss_points
    keys = re.findall(r"^@\w+\{(.+),$", saved(page, "BibTeX"), re.MULTILINE)
    assert keys == list(dict.fromkeys(key for name in shown for key in by_id[name].sources))


def test_downloads_of_a_comparison_hold_what_is_compared(opened) -> None:
    page = opened(f"?compare={BUILT_IN},{PRUNING}")
    tactics = json.loads(saved(page, "JSON"))["tactics"]
    assert [tactic["id"] for tactic in tactics] == [BUILT_IN, PRUNING]


def test_from_disk(new_page, site) -> None:
    page = new_page(f"file://{site}/find/index.html?improves={SAVING}")
    assert set(ids(page)) == those(saves_energy)
    choose(page, "stages", "serving")
    assert page.url.endswith("&stages=serving")
    ticks = page.locator("input.gt-tick")
    ticks.nth(0).check()
    ticks.nth(1).check()
    page.get_by_role("link", name="Compare 2 tactics").click()
    page.locator("#comparison table").wait_for()
    assert len(json.loads(saved(page, "JSON"))["tactics"]) == 2
