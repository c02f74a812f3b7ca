"""The command `new`: what it writes, what it refuses, and what it asks."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result

from greentactics.cli import new as commands_new
from greentactics.contribute.new import scaffold_names, similar_records, write_new
from greentactics.models.record import Record
from greentactics.records.checks import check
from greentactics.records.formatting import formatted
from greentactics.records.ids import slug
from greentactics.records.loading import load_catalogue
from greentactics.records.recipes import read_outline
from greentactics.site.pages import render_site
from greentactics.text.files import decode
from greentactics.text.problems import Rule, UserError
from tests.examples.command_line import call
from tests.examples.example_files import REPOSITORY
from tests.examples.records import REAL

TITLE = "Answer easy inputs from an early exit"
ID = "answer-easy-inputs-from-an-early-exit"
RECORD, RECIPE, TEST = scaffold_names(ID)


def new(root: Path, *arguments: str, typed: str | None = None) -> Result:
    return call(root, "new", *arguments, typed=typed)


def all_files(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_writes_three_files_and_says_what_comes_next(root: Path) -> None:
    before = all_files(root)
    result = new(root, TITLE)
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    assert result.stdout.startswith(f"{RECORD}\n{RECIPE}\n{TEST}\n")
    assert f"greentactics run {ID} --preset smoke\n" in result.stdout
    assert f"greentactics check {RECORD} {RECIPE}\n" in result.stdout
    style = re.search(r"python -m pytest (tests/\S+/test_record_style.py) -k (\S+)\n", result.stdout)
    assert style
    assert (REPOSITORY / style[1]).is_file()
    assert style[2] == ID
    after = all_files(root)
    assert {path.relative_to(root).as_posix() for path in after.keys() - before.keys()} == {
        RECORD,
        RECIPE,
        TEST,
    }
    assert {path: after[path] for path in before} == before


def test_only_hints_are_wrong_with_what_is_written(root: Path) -> None:
    assert new(root, TITLE).exit_code == 0
    problems = check(root).problems
    assert {problem.rule for problem in problems} == {Rule.PLACEHOLDER}
    assert {problem.file for problem in problems} == {RECORD, RECIPE}
    hints = sum((root / name).read_text(encoding="utf-8").count("TODO:") for name in (RECORD, RECIPE))
    assert len([problem for problem in problems if "todo-2000" not in problem.found]) == hints
    assert load_catalogue(root).records[ID].status == "draft"
    assert read_outline(root, ID).arms == ("baseline", "as_given", "tactic", "random_weights")
    assert f"tactics/{ID}/index.md" in render_site(load_catalogue(root), {})


@pytest.mark.parametrize("title", [TITLE, "Abcdefg " * 9 + "Abcdefgh"], ids=["a title", "the longest"])
def test_what_is_written_is_in_order(root: Path, title: str) -> None:
    assert new(root, title).exit_code == 0
    record, recipe, test = scaffold_names(slug(title))
    source = decode((root / record).read_bytes(), record)
    assert formatted(source, Record) == source.text
    shutil.copy(REPOSITORY / "pyproject.toml", root)
    for command in (["check"], ["format", "--check"]):
        known = 'lint.isort.known-first-party = ["recipes", "tests"]'
        arguments = [sys.executable, "-m", "ruff", *command, "--no-cache", "--config", known, recipe, test]
        ruff = subprocess.run(arguments, cwd=root, capture_output=True, text=True)
        assert ruff.returncode == 0, ruff.stdout


def test_what_is_chosen_needs_no_hint(root: Path) -> None:
    new(root, TITLE)
    words = ["--group", "deployment", "--quality", "time-behaviour", "--source", "smith-2020", "--intent"]
    result = new(root, "Exit early: a trial's #1", *words, "Answer fast: most of the time.")
    assert result.exit_code == 0, result.output
    record = load_catalogue(root).records["exit-early-a-trials-1"]
    assert record.title == "Exit early: a trial's #1"
    assert (record.group, record.target_quality) == ("deployment", "time-behaviour")
    assert record.effects[0].quality == "time-behaviour"
    assert record.intent == "Answer fast: most of the time."
    assert [use.key for use in record.sources] == ["smith-2020"]
    problems = [problem for problem in check(root).problems if problem.file.endswith("-1.yaml")]
    assert not any("part of the system" in problem.found or "todo" in problem.found for problem in problems)


def test_like_takes_over_the_words_of_another_tactic(root: Path) -> None:
    path = root / "tactics" / "base-measured.yaml"
    text = path.read_text(encoding="utf-8").replace(
        "participant: [", "tags: [edge, cloud]\nparticipant: [operator, "
    )
    path.write_text(text, encoding="utf-8")
    assert new(root, TITLE, "--like", "base-measured").exit_code == 0
    records = load_catalogue(root).records
    for name in ("tags", "stages", "participant", "artifact", "group"):
        assert getattr(records[ID], name) == getattr(records["base-measured"], name)
    assert records[ID].tags == ("edge", "cloud")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([TITLE, "--id", "base-measured"], "got base-measured: tactics/base-measured.yaml has it; name"),
        ([TITLE, "--id", "in-the-way"], "got in-the-way: recipes/in_the_way.py has it"),
        ([TITLE, "--id", "results"], "got results: recipes/results has it"),
        ([TITLE, "--id", "Early Exit"], "a letter first, such as early-exit, got 'Early Exit'"),
        (["2 bits"], "got '2-bits'; name another one with --id"),
        (["Lambda"], "id: expected a name that is no word of Python, got 'lambda'"),
        (["A title", "--id", "con"], "a name that Windows does not keep for a device, got 'con'; name"),
        (["x" * 81], "title: expected 1 to 80 letters without \" and \\, got 81: 'xxx"),
        (['Say "no"'], "title: expected 1 to 80 letters"),
        (["A \x1b[1m title"], "title: expected 1 to 80 letters"),
        ([" ", "--id", "some-thing"], "title: expected 1 to 80 letters"),
        ([TITLE, "--source", "smith-2002"], "--source: expected a key of tactics/references.yaml, got "),
        ([TITLE, "--source", "smith-2002"], "; did you mean \"smith-2020\"?"),
        ([TITLE, "--intent", "Save\x07 it."], "--intent: expected visible letters, got 'Save\\x07 it.'"),
        ([TITLE, "--source", "zz-1999"], "add it there first, or leave --source out"),
        ([TITLE, "--like", "b"], "--like: expected the identifier of a record without mistakes, got 'b'; "),
        ([TITLE, "--like", "base-awsome"], "; did you mean \"base-awesome\"?"),
        ([TITLE, "--like", "zzz"], "see `tactics/` for the identifiers there are"),
    ],
)  # fmt: skip
def test_refuses(root: Path, arguments: list[str], message: str) -> None:
    (root / "recipes" / "in_the_way.py").write_text("")
    before = all_files(root)
    result = new(root, *arguments)
    assert result.exit_code == 1
    assert message in result.stderr
    assert all_files(root) == before


def test_all_mistakes_are_told_at_once(root: Path) -> None:
    lines = new(root, 'Say "no"', "--id", "Q", "--source", "a-2000", "--like", "b").stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["title", "id", "--source", "--like"]


def test_all_files_or_none(root: Path) -> None:
    (root / "third.txt").write_text("mine")
    with pytest.raises(UserError, match=r"third\.txt: expected no such file yet; nothing was written"):
        write_new(root, {"first.txt": "1", "deep/second.txt": "2", "third.txt": "3"})
    assert (root / "third.txt").read_text() == "mine"
    with pytest.raises(UserError, match=r"third\.txt: expected no such file yet"):
        write_new(root, {"first.txt": "1", "third.txt/fourth.txt": "4"})
    with pytest.raises(UnicodeEncodeError):
        write_new(root, {"first.txt": "1", "second.txt": "\ud800"})
    assert not [name for name in ("first.txt", "second.txt", "deep/second.txt") if (root / name).exists()]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands_new, "_on_terminal", lambda: True)


@pytest.mark.usefixtures("terminal")
def test_asks_for_what_is_needed_on_a_terminal(root: Path) -> None:
    answers = [TITLE, "nothing", "deployment", "time-behaviour", "", "base-measured"]
    result = new(root, typed="\n".join([*answers, ""]))
    assert result.exit_code == 0, result.output
    assert "deployment: acts on where and how a model is served" in result.output
    assert "Error: 'nothing' is not one of" in result.output
    record = load_catalogue(root).records[ID]
    assert (record.group, record.target_quality) == ("deployment", "time-behaviour")
    assert record.intent.startswith("TODO:")


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("answer", ["n", "y"])
def test_asks_before_writing_what_may_be_there(root: Path, answer: str) -> None:
    words = ["--group", "deployment", "--quality", "time-behaviour", "--intent", "Save."]
    result = new(root, *words, "--like", "base-dark", typed=f"Do less work for the result\n{answer}\n")
    warning = (
        'tactics/base-awesome.yaml: "Do less work for the same result": similar title; is it the same tactic?'
    )
    assert warning in result.output
    assert result.exit_code == (0 if answer == "y" else 1)
    assert (root / "tactics" / "do-less-work-for-the-result.yaml").exists() == (answer == "y")


def test_warns_of_similar_records_and_writes(root: Path) -> None:
    result = new(root, "Do less work for one result", "--source", "smith-2020")
    assert result.exit_code == 0
    assert "base-awesome.yaml" in result.stderr
    assert "similar title, cites smith-2020 too; is it the same tactic?" in result.stderr


RECORDS = list(REAL.records.values())


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("Distil a big network into a smaller one", ["consider-knowledge-distillation"]),
        ("Use knowledge distillation", ["consider-knowledge-distillation"]),
        ("Prune a network energy-aware", ["consider-energy-aware-pruning"]),
        ("Remove duplicates from training data", ["remove-redundant-data"]),
        ("Quantise weights to 8 bits after training", []),
        ("Answer easy inputs from an early exit", ["answer-easy-inputs-with-a-small-model"]),
        ("Cache answers to repeated requests", []),
        ("Low-rank factorisation of weights", []),
        ("Stop training early", ["use-early-stopping"]),
    ],
)
def test_similar_titles_are_found_and_others_not(title: str, found: list[str]) -> None:
    assert [similar.record.id for similar in similar_records(RECORDS, title=title)] == found


def test_similar_intents_and_rare_sources_are_found() -> None:
    record = REAL.records["use-power-capping"]
    (similar,) = similar_records(RECORDS, title="Something else", intent=record.intent)
    assert (similar.record.id, similar.reasons) == (record.id, ("similar intent",))
    cited = [use.key for other in RECORDS for use in other.sources]
    rare, common = min(cited, key=cited.count), max(cited, key=cited.count)
    assert cited.count(common) > 3
    found = similar_records(RECORDS, title="Something else", sources=[rare, common])
    assert {similar.reasons for similar in found} == {(f"cites {rare} too",)}
    assert len(found) == cited.count(rare)
