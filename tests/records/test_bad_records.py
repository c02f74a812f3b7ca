"""Every rule has a catalogue that breaks it, and it is refused with exactly the messages stored beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from greentactics.records import checks
from greentactics.text.problems import Rule
from tests.examples.example_files import VALID, copy_valid, record_text

STORED: dict[str, dict[str, str | dict[str, str]]] = yaml.safe_load(
    (Path(__file__).parent / "bad_records.yaml").read_text(encoding="utf-8")
)
RESULTS = "recipes/results/base-measured/example-processor.json"
COPIED = {".yaml": "tactics/base-awesome.yaml", ".py": "recipes/base_measured.py", ".json": RESULTS}
"""What a file that the right catalogue has not is a copy of."""


def break_catalogue(root: Path, rule: str) -> None:
    """Change a copy of the right catalogue as it is stored for the rule."""
    for place, changes in STORED[rule].items():
        match place:
            case "expected":
                continue
            case "record":
                path = f"tactics/{rule}.yaml"
            case "recipe":
                record = record_text("base-measured").replace("base-measured", rule, 1)
                (root / "tactics" / f"{rule}.yaml").write_text(record, encoding="utf-8")
                path = f"recipes/{rule.replace('-', '_')}.py"
            case "results":
                path = RESULTS
            case "references":
                path = "tactics/references.yaml"
            case _:
                path = place
        text = changes if isinstance(changes, str) else changed(Path(path), changes)
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_bytes(text.encode("utf-8", "surrogateescape"))


def changed(path: Path, changes: dict[str, str]) -> str:
    """Return the text of a right file with changes; a copy under another name is named for its tactic."""
    source = path if (VALID / path).exists() else Path(COPIED[path.suffix])
    text = (VALID / source).read_text(encoding="utf-8")
    if source != path:
        tactic = path.parent.name if path.suffix == ".json" else path.stem.replace("_", "-")
        text = text.replace("base-awesome" if path.suffix == ".yaml" else "base-measured", tactic, 1)
    for old, new in changes.items():
        old, new = ("status: draft", f"{new}status: draft") if old == "add" else (old, new)
        assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {source}"
        text = text.replace(old, new)
    return text


def _not_a_file(root: Path) -> None:
    (root / "tactics" / "a-folder.yaml").mkdir()


def _outside_tree(root: Path) -> None:
    outside = root.parent / "outside.yaml"
    outside.write_text(record_text(), encoding="utf-8")
    (root / "tactics" / "outside.yaml").symlink_to(outside)


def _missing_file(root: Path) -> None:
    (root / "tactics" / "gone.yaml").symlink_to("nowhere.yaml")


def _unreadable_file(root: Path) -> None:
    (root / "tactics" / "circle.yaml").symlink_to("circle.yaml")


def _file_too_large(root: Path) -> None:
    with (root / "tactics" / "large.yaml").open("wb") as stream:
        stream.truncate(100_000_000)


def _too_many_values(root: Path) -> None:
    (root / "tactics" / "many.yaml").write_text(f"tags: [{'x,' * 6_000}]", encoding="utf-8")


def _too_many_problems(root: Path) -> None:
    text = record_text().replace("id: base-awesome", "id: tags")
    tags = ", ".join(f"tag-{number}" for number in range(200))
    (root / "tactics" / "tags.yaml").write_text(f"{text}tags: [{tags}]\n", encoding="utf-8")


GENERATED: dict[Rule, tuple[Callable[[Path], None], str]] = {
    Rule.NOT_A_FILE: (_not_a_file, "a-folder.yaml:1:1: expected a regular file, got a folder"),
    Rule.OUTSIDE_TREE: (
        _outside_tree,
        "outside.yaml:1:1: expected a file inside the catalogue, got a link to a place outside; copy it here",
    ),
    Rule.MISSING_FILE: (
        _missing_file,
        "gone.yaml:1:1: expected a file of this name, got a link to nothing; add it",
    ),
    Rule.UNREADABLE_FILE: (
        _unreadable_file,
        "circle.yaml:1:1: expected a file that can be read, got too many levels of symbolic links",
    ),
    Rule.FILE_TOO_LARGE: (
        _file_too_large,
        "large.yaml:1:1: expected at most 1,000,000 bytes, got 100,000,000 bytes; shorten the file",
    ),
    Rule.TOO_MANY_VALUES: (
        _too_many_values,
        "many.yaml:1:10008: tags: expected at most 5,000 entries in one list, got more; shorten or split it",
    ),
    Rule.TOO_MANY_PROBLEMS: (
        _too_many_problems,
        "tags.yaml:1:1: expected at most 100 problems in one file, got more; repair these first",
    ),
}
"""Rules whose wrong files cannot be stored as text: what makes one, and its first message."""


def test_the_right_catalogue_is_right(tmp_path: Path) -> None:
    report = checks.check(copy_valid(tmp_path))
    assert report.problems == ()
    assert (report.records, report.references, report.results) == (3, 1, 1)


def test_every_rule_is_broken_once() -> None:
    assert sorted([*STORED, *GENERATED]) == sorted(Rule)


@pytest.mark.parametrize("rule", STORED)
def test_a_wrong_file_gives_exactly_its_messages(rule: str, tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    break_catalogue(root, rule)
    problems = checks.check(root).problems
    assert [str(problem) for problem in problems] == STORED[rule]["expected"].splitlines()
    assert {problem.rule for problem in problems} == {rule}


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
