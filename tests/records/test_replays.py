"""Replays in a catalogue: read, and held to the rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from greentactics.records import checks
from greentactics.records.loading import load_catalogue, load_replay
from greentactics.records.reached_code import ReachedCode
from greentactics.records.replays import replay_checksum, replay_ids
from greentactics.text.problems import CatalogueError
from tests.examples.example_files import copy_valid
from tests.examples.replays import replay

TACTIC = "base-awesome"
FILE = f"recipes/results/{TACTIC}/replays/ml-energy.json"
PROGRAM = "from recipes.replays.shared import factor\ndef replay(folder):\n    return [factor()]\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a right catalogue with a program and what it wrote, all but the reference in the record."""
    root = copy_valid(tmp_path)
    programs = root / "recipes" / "replays"
    programs.mkdir()
    (programs / "base_awesome.py").write_text(PROGRAM, encoding="utf-8")
    (programs / "shared.py").write_text("def factor():\n    return 2\n", encoding="utf-8")
    path = root / FILE
    path.parent.mkdir(parents=True)
    code = replay_checksum(ReachedCode(root), TACTIC)
    entry = replay(TACTIC).model_copy(update={"code_sha256": code})
    path.write_text(entry.model_dump_json(indent=1), encoding="utf-8")
    return root


def problems(root: Path) -> list[str]:
    return [str(problem) for problem in checks.check(root).problems]


def test_it_is_read_and_its_data_have_to_be_cited(root: Path) -> None:
    assert replay_ids(root) == (TACTIC,)
    assert load_catalogue(root).replays[TACTIC] == (load_replay(root / FILE),)
    (problem,) = problems(root)
    assert problem.startswith(
        f"{FILE}:1:1: expected a record that cites the-ml-energy-initiative-2025, got none"
    )
    assert problem.endswith(f"add it to the sources of tactics/{TACTIC}.yaml")


def test_another_computation_makes_it_stale_and_another_word_does_not(root: Path) -> None:
    shared = root / "recipes" / "replays" / "shared.py"
    shared.write_text('def factor():\n    """Say more."""\n    return 2\n', encoding="utf-8")
    assert len(problems(root)) == 1
    shared.write_text("def factor():\n    return 3\n", encoding="utf-8")
    (stale, _) = sorted(problems(root), key=lambda text: "code_sha256" not in text)
    assert "code_sha256: expected the checksum of the program as it is now" in stale
    assert stale.endswith(f"recompute it: greentactics replay {TACTIC}")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            f'"{TACTIC}"',
            '"base-dark"',
            f'tactic: expected "{TACTIC}", the name of the folder, got "base-dark"',
        ),
        (
            '"data_sha256": "3',
            '"data_sha256": "4',
            "expected the checksum of the published data, got another",
        ),
        ('"data": "ml-energy"', '"data": "others"', "data: expected"),
        ('"seconds": 1.0', '"seconds": 0.0', "seconds: expected"),
    ],
)
def test_what_is_wrong_is_named(root: Path, old: str, new: str, said: str) -> None:
    text = (root / FILE).read_text(encoding="utf-8")
    assert old in text
    (root / FILE).write_text(text.replace(old, new, 1), encoding="utf-8")
    assert any(said in problem for problem in problems(root)), problems(root)


def test_a_file_needs_program_record_and_its_place(root: Path) -> None:
    (root / "recipes" / "replays" / "base_awesome.py").unlink()
    assert any(
        "expected the program recipes/replays/base_awesome.py, got none" in one for one in problems(root)
    )
    (root / "recipes" / "results" / TACTIC).rename(root / "recipes" / "results" / "base-gone")
    assert any("expected the record tactics/base-gone.yaml, got none" in one for one in problems(root))
    other = root / "recipes" / "results" / "base-gone" / "replays" / "notes.json"
    other.write_text("{", encoding="utf-8")
    with pytest.raises(CatalogueError):
        load_catalogue(root)
