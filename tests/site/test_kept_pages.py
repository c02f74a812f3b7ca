"""A build that uses what the last one made gives the same bytes as one that makes all anew."""

import logging
import pickle
import shutil
from pathlib import Path

import pytest

from tests.examples.records import ROOT

pytest.importorskip("material", reason="the site extra is not installed")
WITH_RESULTS = "prune-without-retraining"
CHANGED, RELATED = "enhance-model-sparsity", "consider-energy-aware-pruning"
KEPT = "build/kept/pages-build.pickle"


@pytest.fixture
def checkout(tmp_path, monkeypatch, caplog) -> Path:
    """A checkout with three tactics, one of them with a recipe and results, and one hand-written page."""
    for name in ("mkdocs.yml", "LICENSE", "tactics/references.yaml", "catalogue/pages/architecture.md",
                 "catalogue/greentactics/mkdocs_hook.py"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    for tactic in (WITH_RESULTS, CHANGED, RELATED):
        shutil.copy(ROOT / "tactics" / f"{tactic}.yaml", tmp_path / "tactics")
    for name in ("catalogue/theme", "recipes/common", "recipes/subjects", f"recipes/results/{WITH_RESULTS}"):
        shutil.copytree(ROOT / name, tmp_path / name)
    shutil.copy(ROOT / "recipes" / f"{WITH_RESULTS.replace('-', '_')}.py", tmp_path / "recipes")
    monkeypatch.setenv("SITE_URL", "https://example.org/")
    (tmp_path / "catalogue" / "greentactics" / "site" / "templates").mkdir(parents=True)  # is watched
    caplog.set_level(logging.ERROR, logger="mkdocs")  # the page links to others that are not there
    return tmp_path


def built(checkout: Path, monkeypatch, *, kept: str = "build/kept") -> dict[str, bytes]:
    """Build as live reload does, in the same process; return all files."""
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    monkeypatch.setenv("KEPT", kept)
    config = load_config(str(checkout / "mkdocs.yml"))
    config.plugins.on_startup(command="build", dirty=False)
    build(config)
    site = checkout / "site"
    return {
        path.relative_to(site).as_posix(): path.read_bytes() for path in site.rglob("*") if path.is_file()
    }


def changed_record(checkout: Path) -> None:
    path = checkout / "tactics" / f"{CHANGED}.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("\ntitle: ", "\ntitle: Newly ", 1), encoding="utf-8")


def changed_theme(checkout: Path) -> None:
    with (checkout / "catalogue" / "theme" / "partials" / "tags.html").open("a") as file:
        file.write("<!-- a new theme -->")


def removed_record(checkout: Path) -> None:
    (checkout / "tactics" / f"{RELATED}.yaml").unlink()


def added_record(checkout: Path) -> None:
    shutil.copy(ROOT / "tactics" / f"{RELATED}.yaml", checkout / "tactics")


def test_the_site_is_that_of_a_clean_build_after_each_change(checkout, monkeypatch):
    before = built(checkout, monkeypatch)
    for change in (changed_record, changed_theme, removed_record, added_record):
        change(checkout)
        quick = built(checkout, monkeypatch)
        clean = built(checkout, monkeypatch, kept="")
        assert quick.keys() == clean.keys()
        assert [name for name in clean if quick[name] != clean[name]] == []
        assert quick != before
        before = quick


def test_only_pages_that_show_a_change_are_built_again(checkout, monkeypatch):
    before = built(checkout, monkeypatch)
    kept = checkout / KEPT
    made = pickle.loads(kept.read_bytes())
    for page in made.values():
        if isinstance(page, dict) and "html" in page:
            page["html"] += "as it was"
    kept.write_bytes(pickle.dumps(made))
    changed_record(checkout)
    after = built(checkout, monkeypatch)
    pages = {name for name in before if name.endswith("index.html")}
    anew = {name for name in pages if not after[name].endswith(b"as it was")}
    assert {f"tactics/{CHANGED}/index.html", "tactics/index.html", "find/index.html"} <= anew
    assert len(anew) < len(pages) / 2
    assert {name for name in pages if after[name].removesuffix(b"as it was") != before[name]} <= anew


def test_a_build_with_warnings_keeps_nothing_and_so_warns_again(checkout, monkeypatch, caplog):
    caplog.set_level(logging.WARNING, logger="mkdocs")
    built(checkout, monkeypatch)
    assert not (checkout / KEPT).exists()
