"""The page "Find a tactic" with any number of tactics, made of the real ones."""

from __future__ import annotations

import dataclasses
import itertools
import shutil
from pathlib import Path

from greentactics.evidence.tactic import Tactic, join
from greentactics.site.find import find_page
from greentactics.site.pages import template_environment
from tests.examples.records import REAL, ROOT

_STYLES = ("palette.css", "site.css")


def write_large_page(folder: Path, count: int) -> Path:
    """Write the page and what it loads, without the theme; return the page."""
    shutil.copytree(ROOT / "catalogue" / "pages" / "assets", folder / "assets")
    pattern = itertools.cycle(join(REAL, {}).values())
    tactics = [_renamed(next(pattern), number) for number in range(count)]
    text = find_page(template_environment(), tactics, REAL.bibliography)["find/index.md"]
    content = text.partition("---\n")[2].partition("---\n")[2]
    styles = "".join(f'<link rel="stylesheet" href="../assets/{name}">' for name in _STYLES)
    page = folder / "find" / "index.html"
    page.parent.mkdir()
    page.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Test</title>{styles}'
        f'<body data-md-color-scheme="default"><main class="md-typeset">{content}</main></body></html>',
        encoding="utf-8",
    )
    return page


def _renamed(tactic: Tactic, number: int) -> Tactic:
    changes = {"id": f"{tactic.record.id[:60]}-{number}", "title": f"{tactic.record.title[:70]} {number}"}
    return dataclasses.replace(tactic, record=tactic.record.model_copy(update=changes))
