"""The command `check`: what it puts in order, and how it waits for changes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from greentactics.cli import check as watching
from greentactics.cli.main import main
from tests.examples.example_files import copy_valid, record_text


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_valid(tmp_path).resolve()


def check(root: Path, *arguments: object) -> Result:
    return CliRunner().invoke(main, ["--root", str(root), "check", *map(str, arguments)])


def disorder(root: Path, name: str) -> Path:
    path = root / "tactics" / f"{name}.yaml"
    lines = record_text(name).splitlines(keepends=True)
    path.write_text("".join([lines[1], lines[0], *lines[2:]]) + "\n\n", encoding="utf-8")
    return path


def test_fix_puts_files_in_order_and_then_checks(root: Path) -> None:
    assert check(root, "--fix").exit_code == 0
    path = disorder(root, "base-dark")
    result = check(root, "--fix")
    assert (result.exit_code, result.stderr) == (0, "tactics/base-dark.yaml: put in order\n")
    assert result.stdout == "3 records, 1 reference, 1 result file: no problems\n"
    assert path.read_text(encoding="utf-8").splitlines()[1] == "id: base-dark"
    assert check(root, "--fix").stderr == ""


def test_fix_changes_only_what_is_named_and_leaves_what_it_cannot_read(root: Path) -> None:
    named, other = disorder(root, "base-dark"), disorder(root, "base-awesome")
    before = other.read_bytes()
    assert "base-dark" in check(root, "--fix", named).stderr
    assert other.read_bytes() == before
    named.write_text("id: [", encoding="utf-8")
    result = check(root, "--fix", named, "--format", "json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["summary"]["problems"] > 0
    assert named.read_text(encoding="utf-8") == "id: ["


def test_fix_of_a_file_outside_the_catalogue(root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.yaml"
    outside.write_text("id: a")
    result = check(root, "--fix", outside)
    assert result.exit_code == 1
    assert "lies outside the catalogue" in result.stderr


@pytest.mark.parametrize("further", [("--fix",), ("--format", "json")])
def test_watch_stands_alone(root: Path, further: tuple[str, ...]) -> None:
    result = check(root, "--watch", *further)
    assert result.exit_code == 2
    assert "--watch goes with neither --fix nor another --format than text" in result.stderr


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[float]]:
    """Let what shall happen happen between two looks; then Ctrl-C."""

    def use(*events: Callable[[], object]) -> list[float]:
        waiting, slept = list(events), []

        def sleep(duration_s: float) -> None:
            slept.append(duration_s)
            if not waiting:
                raise KeyboardInterrupt
            waiting.pop(0)()

        monkeypatch.setattr(watching.time, "sleep", sleep)
        return slept

    return use


def test_watch_checks_again_after_each_change(root: Path, clock: Callable[..., list[float]]) -> None:
    path = root / "tactics" / "new.yaml"
    slept = clock(lambda: None, lambda: path.write_text("id: ["), lambda: None, path.unlink)
    result = check(root, "--watch")
    summaries = [line for line in result.stdout.splitlines() if "result file" in line]
    assert [line.split(": ")[1] for line in summaries] == ["no problems", "1 problem", "no problems"]
    assert "tactics/new.yaml:2:1: expected YAML" in result.stdout
    assert result.stderr.count("Waiting for changes; Ctrl-C ends.") == 3
    assert slept == [watching.INTERVAL_S] * 5
    assert result.exit_code == 0


def test_watch_outlives_a_file_that_is_gone_for_a_moment(
    root: Path, clock: Callable[..., list[float]]
) -> None:
    path = root / "tactics" / "base-dark.yaml"
    clock(path.unlink, lambda: path.write_text("id: ["))
    result = check(root, "--watch", path)
    assert f"no such file or folder: {path}" in result.stderr
    assert result.stdout.endswith("1 record, 0 references, 0 result files: 1 problem\n")
    assert result.exit_code == 1


def test_files_that_vanish_while_they_are_listed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def vanish(path: Path) -> None:
        raise FileNotFoundError(path)

    monkeypatch.setattr(Path, "lstat", vanish)
    next(watching.changes(root))
