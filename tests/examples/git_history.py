"""Small git repositories for tests."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SETTINGS = (
    "user.name=Test",
    "user.email=test@example.org",
    "commit.gpgsign=false",
    "init.defaultBranch=main",
)


def git(root: Path, *arguments: str) -> str:
    """Run git with an identity of its own and return what it prints."""
    settings = [part for setting in _SETTINGS for part in ("-c", setting)]
    command = ["git", "-C", str(root), *settings, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commit_all(root: Path, message: str) -> str:
    """Commit everything and return the commit's name."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--allow-empty", "-m", message)
    return git(root, "rev-parse", "HEAD")
