"""The home page: what was reproduced, best supported first, and the ways in."""

from __future__ import annotations

import re

from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, SPARSITY, catalogue
from tests.examples.synthetic import results


def home(*records, shown=None, local=None) -> str:
    return render_site(catalogue(*records, results=shown or {}), local or {})["index.md"]


def listed(text: str) -> list[str]:
    return re.findall(r'<tr><th scope="row"><a href="tactics/([^/]+)/', text)


def test_it_lists_what_was_reproduced_and_counts_the_rest() -> None:
    text = home(PRUNING, SPARSITY, DARK, shown={PRUNING.id: (results(),)})
    assert listed(text) == [PRUNING.id]
    assert "Each of the 3 here, 1 of them habits to avoid, has" in text
    assert "Nothing yet." not in text


def test_a_run_of_this_machine_is_listed_too() -> None:
    text = home(PRUNING, SPARSITY, local={PRUNING.id: (results(dirty=True),)})
    assert listed(text) == [PRUNING.id]
    assert "<strong>This machine:</strong>" in text


def test_without_results_it_says_so() -> None:
    text = home(DARK)
    assert listed(text) == []
    assert "Nothing yet." in text


def test_the_best_supported_come_first() -> None:
    few = SPARSITY.model_copy(update={"recipe": PRUNING.recipe, "id": "a-first-by-name"})
    text = home(few, PRUNING, shown={few.id: (results(seeds=2),), PRUNING.id: (results(),)})
    assert listed(text) == [PRUNING.id, few.id]


def test_its_title_is_the_name_of_the_site_once(real_site) -> None:
    assert "<title>Green Tactics</title>" in (real_site / "index.html").read_text(encoding="utf-8")
