from __future__ import annotations

import subprocess
from pathlib import Path

from greentactics.records.git import read_revision


def git(root: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false")
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_knows_commit_and_changes(checkout):
    assert read_revision(checkout).commit is None
    git(checkout, "init", "-q")
    assert read_revision(checkout).commit is None
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "first")
    clean = read_revision(checkout)
    assert clean.commit is not None
    assert len(clean.commit) == 40
    assert not clean.dirty
    results = checkout / "recipes" / "results" / "fake-tactic" / "some-device.json"
    results.parent.mkdir(parents=True)
    results.write_text("{}")
    (checkout / "notes.txt").touch()
    assert read_revision(checkout) == clean
    (checkout / "recipes" / "new.py").touch()
    assert read_revision(checkout).dirty
    (checkout / "recipes" / "new.py").unlink()
    (checkout / "recipes" / "fake_tactic.py").write_text("ARMS = ()")
    assert read_revision(checkout).dirty


def test_does_without_git(checkout, monkeypatch):
    git(checkout, "init", "-q")
    monkeypatch.setenv("PATH", str(checkout))
    assert read_revision(checkout).commit is None
    assert not read_revision(checkout).dirty
