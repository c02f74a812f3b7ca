"""What a change means, told from the history of a small catalogue."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given
from hypothesis import strategies as st

from greentactics.contribute.diff import (
    ADDED,
    CHANGED,
    Aspect,
    CatalogueDiff,
    RecordChange,
    compare_catalogues,
    render_diff,
)
from greentactics.models.vocabulary import Status
from tests.evidence.test_evidence import OTHER_DEVICE
from tests.examples.command_line import call
from tests.examples.example_files import copy_valid
from tests.examples.git_history import commit_all, git
from tests.examples.records import DARK, PRUNING, SPARSITY, catalogue, claim, with_claims
from tests.examples.synthetic import SHA, results

BASE = "main at 0123456789ab"


@pytest.fixture
def root(root: Path) -> Path:
    """A repository with one commit on main."""
    git(root, "init", "--quiet")
    commit_all(root, "first")
    return root


def diff(root: Path, *arguments: str) -> Result:
    return call(root, "diff", *arguments)


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def only(found: CatalogueDiff) -> RecordChange:
    (entry,) = found.records
    return entry


def aspect(entry: RecordChange, name: str) -> Aspect:
    return next(aspect for aspect in entry.aspects if aspect.name == name)


def test_nothing_changed_says_so(root):
    result = diff(root)
    assert result.exit_code == 0
    assert re.fullmatch(r"No record, result or recipe differs from main at [0-9a-f]{12}\.\n", result.output)
    assert diff(root, "HEAD", "--format", "markdown").output.startswith("### No record")
    assert diff(root, "--format", "recipes").output == ""


def test_compares_the_working_tree_with_where_it_left_main(root):
    git(root, "checkout", "--quiet", "-b", "contribution")
    change(root / "tactics" / "base-awesome.yaml", "value: 2", "value: 3")
    commit_all(root, "a claim")
    git(root, "checkout", "--quiet", "main")
    (root / "tactics" / "base-dark.yaml").unlink()
    commit_all(root, "main goes on")
    git(root, "checkout", "--quiet", "contribution")
    change(root / "tactics" / "base-awesome.yaml", "level: S", "level: M")
    text = diff(root).output
    assert "Records that differ from main at" in text
    assert ": 1 changed." in text
    assert "- energy 2x lower against the same model with all its work; a made-up example (measured;" in text
    assert "+ energy 3x lower against the same model with all its work; a made-up example (measured;" in text
    assert "    - No reproduction yet; one source claims energy 2x lower (a made-up example)" in text
    assert "other fields: effort" in text
    assert "base-dark" not in text


def test_compares_with_the_main_that_is_nearer(root):
    git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
    change(root / "tactics" / "base-awesome.yaml", "value: 2", "value: 3")
    commit_all(root, "main goes on")
    assert "base-awesome" in diff(root).output
    git(root, "checkout", "--quiet", "-b", "contribution")
    assert "No record, result or recipe differs" in diff(root).output
    git(root, "checkout", "--quiet", "--detach", "main~1")
    git(root, "checkout", "--quiet", "-b", "older")
    assert "No record, result or recipe differs" in diff(root).output


def test_added_removed_and_withdrawn_records_are_told_apart(root):
    change(root / "tactics" / "base-awesome.yaml", "status: draft", "status: withdrawn")
    (root / "tactics" / "base-dark.yaml").rename(root / "tactics" / "darker.yaml")
    change(root / "tactics" / "darker.yaml", "id: base-dark", "id: darker")
    text = diff(root).output
    assert ": 1 added, 1 withdrawn, 1 removed." in text
    assert (
        text.index("added: darker") < text.index("withdrawn: base-awesome") < text.index("removed: base-dark")
    )
    assert "    + Repeat work that was done before" in text
    assert "    - Repeat work that was done before" in text
    assert "    + countered_by base-awesome: It leaves the work out." in text


def test_only_code_makes_a_recipe_another(root):
    recipe = root / "recipes" / "base_measured.py"
    change(recipe, "# --8<-- [end:tactic]", "# --8<-- [end:tactic]\n# a remark")
    assert diff(root, "--format", "recipes").output == ""
    change(recipe, "count // 2", "count // 3")
    assert diff(root, "--format", "recipes").output == "base-measured\n"
    text = diff(root).output
    assert "Recipes that are new or compute something else: base-measured" in text
    assert re.search(r"recipe\n    - code [0-9a-f]{12}\n    \+ code [0-9a-f]{12}", text)
    assert "stale: the recipe" in text


def test_a_removed_recipe_is_named(root):
    (root / "recipes" / "base_measured.py").unlink()
    assert "Recipes that are gone: base-measured" in diff(root).output


def test_a_corrected_reference_shows_in_the_records_that_cite_it(root):
    change(root / "tactics" / "references.yaml", "10.1000/example.1", "10.1000/example.2")
    text = " ".join(diff(root, "HEAD").output.split())
    assert "- smith-2020: Saving energy by example, 2020, 10.1000/example.1; for: The claim." in text
    assert "+ smith-2020: Saving energy by example, 2020, 10.1000/example.2; for: The claim." in text


def test_the_order_of_claims_counts_as_the_first_leads(monkeypatch):
    one, two = claim(), claim(setting="GoogLeNet, ImageNet", value=1.6)
    before, after = (catalogue(with_claims(PRUNING, *claims)) for claims in ((one, two), (two, one)))
    entry = only(compare_catalogues(before, after))
    assert entry.kind == CHANGED
    assert len(aspect(entry, "claims, in another order").after) == 2


def test_a_second_subject_shows_as_a_higher_level():
    second = results(device=OTHER_DEVICE, device_slug="other", subject="lenet_fashion")
    before = catalogue(PRUNING, DARK, results={PRUNING.id: (results(),)}, sha256=SHA)
    after = catalogue(PRUNING, DARK, results={PRUNING.id: (results(), second)}, sha256=SHA)
    entry = only(compare_catalogues(before, after))
    assert aspect(entry, "evidence").before[0].startswith("E3")
    assert aspect(entry, "evidence").after[0].startswith("E4")
    (line,) = aspect(entry, "results").after
    assert line.startswith("Other Processor, preset default, Fashion-MNIST, 5 seeds, measured 2026-11-21")


def test_a_status_that_was_withdrawn_before_is_a_plain_change():
    gone = SPARSITY.model_copy(update={"status": Status.WITHDRAWN})
    entry = only(
        compare_catalogues(catalogue(gone), catalogue(gone.model_copy(update={"summary": "Another."})))
    )
    assert (entry.kind, entry.fields, entry.aspects) == (CHANGED, ("summary",), ())


def test_an_earlier_file_that_breaks_the_rules_is_named_and_not_called_new(root):
    change(root / "tactics" / "base-dark.yaml", "kind: dark", "kind: gloomy")
    base = commit_all(root, "wrong")
    change(root / "tactics" / "base-dark.yaml", "kind: gloomy", "kind: dark")
    text = diff(root, base).output
    assert "earlier file breaks the rules of today: tactics/base-dark.yaml" in text
    assert "added" not in text


def test_present_mistakes_are_named_first(root):
    change(root / "tactics" / "base-dark.yaml", "kind: dark", "kind: gloomy")
    result = diff(root)
    assert result.exit_code == 1
    assert "tactics/base-dark.yaml:" in result.stderr


@pytest.mark.parametrize("base", ["no-such-branch", "--output=x", "a\0b", "HEAD:tactics"])
def test_an_unknown_base_is_named_with_the_cure(root, base):
    result = diff(root, "--", base)
    assert result.exit_code == 1
    assert f"{base}: expected a revision that is here, got an unknown one" in result.stderr
    assert "fetch-depth: 0" in result.stderr


def test_a_shallow_clone_says_how_to_get_the_history(root, tmp_path):
    commit_all(root, "second")
    git(root, "checkout", "--quiet", "-b", "contribution")
    commit_all(root, "third")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", "--depth", "1", f"file://{root}", str(clone))
    for base, expected in (
        (None, "expected a branch main, got none"),
        ("HEAD~1", "HEAD~1: expected a revision"),
    ):
        result = diff(clone, *filter(None, [base]))
        assert result.exit_code == 1
        assert expected in result.stderr
        assert "git fetch --unshallow" in result.stderr


def test_main_without_a_common_commit(root):
    git(root, "checkout", "--quiet", "--orphan", "other")
    commit_all(root, "another beginning")
    assert "expected a common commit with main, got none" in diff(root).stderr


def test_outside_of_git(tmp_path):
    result = diff(copy_valid(tmp_path))
    assert result.exit_code == 1
    assert "git says: fatal: not a git repository" in result.stderr


def test_why_git_refuses_is_told_in_its_own_words(root, monkeypatch):
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    dubious = diff(root, "HEAD").stderr
    assert "detected dubious ownership" in dubious
    assert "git config --global --add safe.directory" in dubious
    monkeypatch.delenv("GIT_TEST_ASSUME_DIFFERENT_OWNER")
    monkeypatch.setenv("PATH", str(root))
    assert "git is not installed here, or not on the PATH; install it" in diff(root, "HEAD").stderr


def test_a_damaged_repository_and_one_without_a_working_tree(root):
    git(root, "config", "core.bare", "true")
    assert diff(root, "main").exit_code == 0
    commit = git(root, "rev-parse", "HEAD")
    stored = root / ".git" / "objects" / commit[:2] / commit[2:]
    stored.chmod(0o644)
    stored.write_bytes(b"")
    result = diff(root, "main")
    assert result.exit_code == 1
    assert re.search(r"git says: error: object file .* is empty", result.stderr)


def test_a_revision_without_a_catalogue(root):
    git(root, "checkout", "--quiet", "--orphan", "empty")
    git(root, "rm", "-r", "--quiet", "--cached", ".")
    git(root, "commit", "--quiet", "--allow-empty", "-m", "nothing")
    assert "no tactics/ and recipes/ at this revision" in diff(root, "empty").stderr


def test_a_link_in_the_history_leads_nowhere(root):
    (root / "tactics" / "leak.yaml").symlink_to("/etc/passwd")
    base = commit_all(root, "a link")
    (root / "tactics" / "leak.yaml").unlink()
    result = diff(root, base)
    assert result.exit_code == 1
    assert "cannot be unpacked" in result.stderr


def made_up(*lines: str, count: int = 1) -> CatalogueDiff:
    entries = tuple(
        RecordChange(f"tactic-{number}", ADDED, (Aspect("title", (), lines),), ()) for number in range(count)
    )
    return CatalogueDiff(entries, (), ())


def test_a_long_comment_is_cut_and_says_so():
    text = render_diff(made_up("word " * 2_000, count=20), BASE, "markdown")
    assert len(text) < 65_536
    assert re.search(r"\n\n\d+ more, left out here for their length; `greentactics diff` shows all\.$", text)


@given(st.lists(st.text(st.sampled_from("`~#*@<>|[]()!$\n\r a-+"), max_size=60), min_size=1, max_size=4))
def test_text_of_records_never_leaves_its_listing(lines):
    text = render_diff(dataclasses.replace(made_up(*lines), unreadable=("a```b\n# x",)), BASE, "markdown")
    heading, *rest = text.split("\n\n", maxsplit=1)
    assert heading == f"### Records that differ from {BASE}: 1 added."
    outside, fence = [], ""
    for line in rest[0].splitlines():
        if fence:
            fence = "" if re.fullmatch(f" {{0,3}}{fence}`* *", line) else fence
        elif opening := re.fullmatch(r"(`{3,})(?:diff|text)", line):
            fence = opening[1]
        else:
            outside.append(line)
    assert outside == [""]
    assert fence == ""
