"""Small catalogues for tests: one that is right, to start from."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from greentactics.text.files import decode
from greentactics.text.yaml_source import tree_of_right_yaml

HERE = Path(__file__).parent
VALID = HERE / "valid"
REPOSITORY = HERE.parent.parent

needs_any_name = pytest.mark.skipif(
    sys.getfilesystemencoding() != "utf-8", reason="names of files are not UTF-8 in this locale"
)
"""For tests of names that no terminal shows, which another encoding cannot write."""


def copy_valid(folder: Path) -> Path:
    """Copy the right catalogue into a new folder `root` and return it."""
    return Path(shutil.copytree(VALID, folder / "root"))


def record_text(name: str = "base-awesome") -> str:
    """Return the text of a right record."""
    return (VALID / "tactics" / f"{name}.yaml").read_text(encoding="utf-8")


def record_tree(name: str = "base-awesome") -> dict[str, Any]:
    """Return a right record as plain values, ready to be changed and validated as JSON."""
    source = decode((VALID / "tactics" / f"{name}.yaml").read_bytes(), f"{name}.yaml")
    tree = tree_of_right_yaml(source)
    assert tree is not None
    return tree
