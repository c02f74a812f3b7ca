"""The command `check`: what it puts in order, and what it leaves alone."""

from __future__ import annotations

import json
from pathlib import Path

from tests.examples.command_line import call
from tests.examples.example_files import record_text


def disorder(root: Path, name: str) -> Path:
    path = root / "tactics" / f"{name}.yaml"
    lines = record_text(name).splitlines(keepends=True)
    path.write_text("".join([lines[1], lines[0], *lines[2:]]) + "\n\n", encoding="utf-8")
    return path


def test_fix_puts_files_in_order_and_then_checks(root: Path) -> None:
    assert call(root, "check", "--fix").exit_code == 0
    path = disorder(root, "base-dark")
    result = call(root, "check", "--fix")
    assert (result.exit_code, result.stderr) == (0, "tactics/base-dark.yaml: put in order\n")
    assert result.stdout == "3 records, 1 reference, 1 result file: no problems\n"
    assert path.read_text(encoding="utf-8").splitlines()[1] == "id: base-dark"
    assert call(root, "check", "--fix").stderr == ""


def test_fix_changes_only_what_is_named_and_leaves_what_it_cannot_read(root: Path) -> None:
    named, other = disorder(root, "base-dark"), disorder(root, "base-awesome")
    before = other.read_bytes()
    assert "base-dark" in call(root, "check", "--fix", named).stderr
    assert other.read_bytes() == before
    named.write_text("id: [", encoding="utf-8")
    result = call(root, "check", "--fix", named, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["summary"]["problems"] > 0
    assert named.read_text(encoding="utf-8") == "id: ["


def test_fix_of_a_file_outside_the_catalogue(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("id: a")
    result = call(root, "check", "--fix", outside)
    assert result.exit_code == 1
    assert "lies outside the catalogue" in result.stderr
