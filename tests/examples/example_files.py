"""Small catalogues for tests: a right one to start from, and wrong files laid over it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from greentactics.text.files import decode
from greentactics.text.problems import Rule
from greentactics.text.yaml_source import tree_of_right_yaml

HERE = Path(__file__).parent
VALID = HERE / "valid"
BAD_RECORDS = HERE.parent / "bad_records"
REPOSITORY = HERE.parent.parent

EXPECTED = "# expected: "

needs_any_name = pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="names of files are not UTF-8 in this locale"
)
"""For tests of names that no terminal shows, which another encoding cannot write."""


def copy_valid(folder: Path) -> Path:
    """Copy the right catalogue into a new folder `root` and return it."""
    return Path(shutil.copytree(VALID, folder / "root"))


def lay_over(root: Path, wrong: Path) -> None:
    """Add a wrong record, or the files of a wrong folder, to a catalogue."""
    if wrong.is_dir():
        shutil.copytree(wrong, root, dirs_exist_ok=True)
    else:
        shutil.copy(wrong, root / "tactics" / wrong.name)


def expected_messages(wrong: Path) -> list[str]:
    """Return the messages that a wrong file is stored with, in its comments or in a file beside it."""
    beside = wrong.with_suffix(".expected")
    if beside.exists():
        return beside.read_text(encoding="utf-8").splitlines()
    lines = wrong.read_bytes().decode("utf-8", "replace").splitlines()
    return [line.removeprefix(EXPECTED) for line in lines if line.startswith(EXPECTED)]


def record_text(name: str = "base-awesome") -> str:
    """Return the text of a right record."""
    return (VALID / "tactics" / f"{name}.yaml").read_text(encoding="utf-8")


def record_tree(name: str = "base-awesome") -> dict[str, Any]:
    """Return a right record as plain values, ready to be changed and validated as JSON."""
    source = decode((VALID / "tactics" / f"{name}.yaml").read_bytes(), f"{name}.yaml")
    tree = tree_of_right_yaml(source)
    assert tree is not None
    return tree


def stored_bad_records() -> list[Path]:
    """Return the wrong files and folders that are kept under version control."""
    return sorted(
        path for path in BAD_RECORDS.iterdir() if path.suffix != ".expected" and not path.name.startswith(".")
    )


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
"""Rules whose wrong files cannot be kept under version control: what makes one, and its first message."""
