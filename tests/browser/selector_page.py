"""What a reader sees and does on the page "Find a tactic", and what its entries let expect."""

from __future__ import annotations

import re

from greentactics.evidence.tactic import join
from greentactics.site.find import SelectorEntry, selector_entries
from tests.examples.records import REAL

ENTRIES = selector_entries(join(REAL, {}).values())
CORRECTNESS = "functional-correctness"
SAVING = "energy-efficiency"
PRUNING, BUILT_IN = "consider-energy-aware-pruning", "use-built-in-library-functions"


def ids(page) -> list[str]:
    links = page.locator("#found tbody tr:visible th a")
    return [
        re.findall(r"tactics/([^/]+)/", href)[0] for href in links.evaluate_all("all => all.map(a => a.href)")
    ]


def saves_energy(entry: SelectorEntry) -> bool:
    return entry.kind != "dark" and SAVING in entry.improves


def loses_at_most(entry: SelectorEntry, limit: float) -> bool:
    if entry.loss_points is None:
        return CORRECTNESS not in entry.worsens + entry.depends
    return entry.loss_points <= limit


def those(condition) -> set[str]:
    found = {entry.id for entry in ENTRIES if condition(entry)}
    assert found
    assert found != {entry.id for entry in ENTRIES}
    return found


def choose(page, name: str, word: str) -> None:
    """Choose as a reader does: unfold the question, click its label."""
    choice = page.locator(f"input[name={name}][value={word}]")
    folded = page.locator("details:not([open])", has=choice)
    if folded.count():
        folded.locator("summary").click()
    page.locator("label", has=choice).click()


def number(page, name: str, word: str) -> int:
    return int(
        page.locator("label", has=page.locator(f"input[name={name}][value={word}]"))
        .locator("small")
        .inner_text()
    )


def saved(page, name: str) -> str:
    with page.expect_download() as started:
        page.locator("#find-downloads").get_by_role("button", name=name).click()
    return started.value.path().read_text(encoding="utf-8")
