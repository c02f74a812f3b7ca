"""Identifiers of tactics: made of titles, and refused by each command once a tactic has or had them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from greentactics.cli.main import main
from greentactics.contribute.issue import NEW_TACTIC
from greentactics.models.record import TacticId
from greentactics.records.ids import identifier_of, slug
from tests.contribute.test_issue_draft import filled, from_issue
from tests.examples.archive_entries import AWESOME
from tests.examples.device_results import HERE, OURS, theirs
from tests.examples.example_files import REPOSITORY, copy_valid
from tests.examples.git_history import commit_all, git

TAKEN = [
    ("Base awesome", "base-awesome: tactics/base-awesome.yaml has it"),
    ("References", "references: tactics/references.yaml has it"),
    ("Old name", "old-name: base-dark had it before"),
    ("In the way", "in-the-way: recipes/in_the_way.py has it"),
    ("Tried before", "tried-before: tests/recipes/test_tried_before.py has it"),
    ("Gone now", "gone-now: tactics/gone-now.yaml had it, was committed and is gone"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """A checkout in which tactics were renamed and removed; the tests only read it."""
    folder = copy_valid(tmp_path_factory.mktemp("ids"))
    (folder / NEW_TACTIC.parent).mkdir(parents=True)
    shutil.copy(REPOSITORY / NEW_TACTIC, folder / NEW_TACTIC)
    dark, gone = (folder / "tactics" / name for name in ("base-dark.yaml", "gone-now.yaml"))
    dark.write_text(dark.read_text(encoding="utf-8") + "former_ids: [old-name]\n", encoding="utf-8")
    gone.write_text("id: gone-now\n", encoding="utf-8")
    (folder / "tests" / "recipes").mkdir(parents=True)
    for name in ("recipes/in_the_way.py", "tests/recipes/test_tried_before.py"):
        (folder / name).write_text("", encoding="utf-8")
    git(folder, "init", "--quiet")
    commit_all(folder, "Add")
    gone.unlink()
    commit_all(folder, "Remove")
    return folder.resolve()


def run(root: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), *map(str, arguments)])


@pytest.mark.parametrize(("title", "holder"), TAKEN)
def test_new_refuses_a_taken_identifier(root: Path, title: str, holder: str) -> None:
    result = run(root, "new", title)
    assert result.exit_code == 1
    expected = "id: expected an identifier that no tactic has or had, got"
    assert f"{expected} {holder}; name another one with --id" in result.stderr


def test_a_form_with_a_taken_title_is_refused(root: Path) -> None:
    title, holder = TAKEN[2]
    result = from_issue(root, filled(title=title))
    assert result.exit_code == 1
    assert (
        f"title: expected a title of its own, got one that gives the identifier {holder}; choose another "
        "title, or propose a correction"
    ) in result.stderr


def test_an_imported_draft_with_a_taken_identifier_is_no_record(root: Path, tmp_path: Path) -> None:
    title, holder = TAKEN[2]
    entry = tmp_path / "2023-01-02-entry.md"
    entry.write_text(AWESOME.replace("Skip What Nobody Reads", title), encoding="utf-8")
    imported = run(root, "import", "aadt", entry)
    identifier, _, why = holder.partition(": ")
    assert f"; its id is taken: {why}; choose another, or take over what is new\n" in imported.stdout
    checked = run(root, "check", root / "drafts" / f"{identifier}.yaml")
    assert checked.exit_code == 1
    expected = "id: expected an identifier that no tactic has or had, got"
    assert f"{expected} {holder}; choose another, and rename the file" in checked.stdout


def test_results_of_a_renamed_tactic_are_refused_with_its_new_name(root: Path, tmp_path: Path) -> None:
    cure = "it is base-dark now: measure that, as results carry the identifier"
    offered = tmp_path / "theirs.json"
    offered.write_text(json.dumps(theirs() | {"tactic": "old-name"}), encoding="utf-8")
    accepted = run(root, "accept", offered)
    assert accepted.exit_code == 1
    assert f"expected the record of old-name, got none; {cure}" in accepted.stderr
    folder = root / Path(HERE).parent / "old-name"
    folder.mkdir()
    shutil.copy(root / HERE / f"{OURS}.json", folder)
    checked = run(root, "check", folder)
    shutil.rmtree(folder)
    assert f"expected the record of old-name, got none; {cure}" in checked.stdout


def test_without_git_files_alone_take_identifiers(tmp_path: Path) -> None:
    folder = copy_valid(tmp_path)
    assert "Base" not in run(folder, "new", "Gone now").output
    assert (folder / "tactics" / "gone-now.yaml").is_file()


@pytest.mark.parametrize(
    ("title", "identifier"),
    [
        ("Use 5G, if possible!", "use-5g-if-possible"),
        ("5G for All", "g-for-all"),
        ("../../etc/passwd", "etc-passwd"),
        ("Čau světe", "cau-svete"),
        ("word " * 40, "-".join(["word"] * 16)),
        ("x" * 200, "x" * 80),
        ("123", ""),
        ("COM1", "com1-tactic"),
    ],
)
def test_identifiers_are_plain_and_short(title: str, identifier: str) -> None:
    assert identifier_of(title) == identifier


@given(st.text(max_size=120))
def test_a_title_gives_an_identifier_or_nothing(title: str) -> None:
    identifier = identifier_of(title)
    assert slug(identifier) == identifier_of(identifier) == identifier
    if identifier:
        TypeAdapter(TacticId).validate_python(identifier)
