"""A short slice of the campaign `python -m tests.campaign`, and proof that it sees what it looks for."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from greentactics.records.checks import check
from tests.campaign.command import AREAS, main
from tests.campaign.hostile import CANARY
from tests.campaign.mutation import changed_text, changed_tree
from tests.campaign.observing import Kind, observe, require, tell_line
from tests.campaign.renderer import _look_at
from tests.campaign.sandbox import Sandbox, sandbox
from tests.campaign.seeds import RECORD_TREES, prepare

KINDS = {f"{kind.area}, {kind.name}": kind for kinds in AREAS.values() for kind in kinds}


@pytest.fixture(scope="module")
def place() -> Iterator[Sandbox]:
    with sandbox(prepare) as made:
        yield made


def test_the_seeds_are_right(place: Sandbox) -> None:
    assert check(place.root).problems == ()


@pytest.mark.parametrize("name", KINDS)
def test_hostile_inputs_come_to_nothing_but_clean_errors(name: str, place: Sandbox) -> None:
    kind = KINDS[name]

    @settings(
        max_examples=1 if kind.together > 1 else 12, derandomize=True, suppress_health_check=list(HealthCheck)
    )
    @given(kind.inputs)
    def feed(drawn: object) -> None:
        seen = observe(kind, place, drawn)
        assert not seen.defect
        assert len(seen.outcomes) == kind.together

    feed()


def _defect(place: Sandbox, misdeed: object) -> str:
    def feed(sandbox: Sandbox, drawn: object) -> list[str]:
        misdeed(sandbox)
        return ["accepted"]

    return observe(Kind("loader", "test", 100, st.none(), feed), place, None).defect


def test_misdeeds_are_seen(place: Sandbox, tmp_path: Path) -> None:
    secret = place.outside / "secret.yaml"
    link = place.desk / "link"
    assert "written" in _defect(place, lambda _: (tmp_path / "x").write_text("x"))
    assert "os.mkdir" in _defect(place, lambda _: (tmp_path / "y").mkdir())
    assert "read" in _defect(place, lambda _: secret.read_text())
    assert "os.remove" in _defect(place, lambda _: (tmp_path / "x").unlink())
    assert "subprocess.Popen" in _defect(place, lambda _: subprocess.run(["true"], check=True))
    assert "os.system" in _defect(place, lambda _: os.system("true"))
    assert "written" in _defect(place, lambda _: (link.symlink_to(tmp_path), (link / "z").write_text("z")))
    assert "ZeroDivisionError" in _defect(place, lambda _: 1 / 0)
    assert "signs that no terminal shows" in _defect(place, lambda _: tell_line("a\nb"))
    assert "surrogates not allowed" in _defect(place, lambda _: tell_line("\udcff"))
    assert "unescaped" in _defect(place, lambda _: _look_at("index.md", f"<p>{CANARY}>"))
    assert "a file at" in _defect(place, lambda _: _look_at("../index.md", ""))
    assert _defect(place, lambda _: (place.desk / "a").write_text("a")) == ""


def test_an_input_without_end_is_stopped(place: Sandbox) -> None:
    kind = Kind("loader", "test", 100, st.none(), lambda *_: [str(_) for _ in iter(int, 1)], limit_s=0.02)
    assert observe(kind, place, None).defect == "stopped after 0.1 s of processor time"


def test_the_sandbox_is_put_back(place: Sandbox) -> None:
    record = place.root / "tactics" / "base-awesome.yaml"
    before = set(place.folder.rglob("*"))
    text = record.read_bytes()
    record.unlink()
    record.symlink_to(place.outside / "secret.yaml")
    (place.root / "drafts").mkdir()
    (place.root / "drafts" / "x.yaml").write_text("x")
    (place.root / "tactics" / "links").symlink_to(place.outside)
    place.reset()
    assert set(place.folder.rglob("*")) == before
    assert record.read_bytes() == text
    assert (place.outside / "secret.yaml").exists()


def test_the_same_steps_make_the_same_input() -> None:
    steps = [(7, "splice", "x", None), (9, "nest", "abc", 1), (3, "drop", "", None)]
    assert changed_tree(RECORD_TREES[0], steps) == changed_tree(RECORD_TREES[0], steps) != RECORD_TREES[0]
    assert changed_text("a: b\nc: d", [(1, "value", "x", None)]) == "a: b\nc: x"
    require(True, "nothing")


def test_the_command_prints_the_table_and_keeps_what_showed_a_defect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = Kind(
        "schema", "zeros", 100, st.integers(0, 9), lambda _, number: [str("accepted" * bool(9 // number))]
    )
    monkeypatch.setitem(AREAS, "schema", [kind])
    done = CliRunner().invoke(main, ["--area", "schema", "--inputs", "10", "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "schema: 10 inputs (10 distinct), 9 accepted (90%), 1 refused" in done.stdout
    assert "10 inputs in all, 0 rules reached, 1 defects" in done.stdout
    assert (
        (tmp_path / "schema-zeros-1.txt")
        .read_text()
        .endswith("ZeroDivisionError: integer division or modulo by zero\n\n\n0\n")
    )
    assert "Example:" in CliRunner().invoke(main, ["--help"]).stdout
