"""Every rule has a wrong file, and that file is refused with the message that is stored with it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from greentactics.records import checks
from greentactics.text.problems import Rule
from tests.examples.example_files import (
    GENERATED,
    copy_valid,
    expected_messages,
    lay_over,
    stored_bad_records,
)


def test_the_catalogue_they_are_laid_over_is_right(tmp_path: Path) -> None:
    report = checks.check(copy_valid(tmp_path))
    assert report.problems == ()
    assert (report.records, report.references, report.results) == (3, 1, 1)


def test_every_rule_has_a_wrong_file() -> None:
    stored = [path.stem for path in stored_bad_records()]
    assert len(stored) == len(set(stored)) > 50
    assert sorted([*stored, *GENERATED]) == sorted(Rule)


def test_every_rule_is_used() -> None:
    package = Path(checks.__file__).parents[1]
    code = "".join(
        path.read_text(encoding="utf-8") for path in package.rglob("*.py") if path.name != "problems.py"
    )
    assert [rule for rule in Rule if f"Rule.{rule.name}" not in code] == []


@pytest.mark.parametrize("wrong", stored_bad_records(), ids=lambda path: path.stem)
def test_a_wrong_file_gives_exactly_its_messages(wrong: Path, tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    lay_over(root, wrong)
    problems = checks.check(root).problems
    assert [str(problem) for problem in problems] == expected_messages(wrong)
    assert {str(problem.rule) for problem in problems} == {wrong.stem}


@pytest.mark.parametrize(("rule", "made"), GENERATED.items(), ids=list(GENERATED))
def test_a_made_wrong_file_gives_its_message(
    rule: Rule, made: tuple[Callable[[Path], None], str], tmp_path: Path
) -> None:
    make, message = made
    root = copy_valid(tmp_path)
    make(root)
    problems = checks.check(root).problems
    assert f"tactics/{message}" in [str(problem) for problem in problems]
    assert rule in {problem.rule for problem in problems}
