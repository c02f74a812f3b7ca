"""The command `greentactics`, run in this process or in one of its own."""

from __future__ import annotations

import os
from pathlib import Path

from click.testing import CliRunner, Result

import greentactics
from greentactics.cli.main import main


def call(root: Path | None, *arguments: object, typed: str | bytes | None = None) -> Result:
    """Run a command in a checkout, or where the tests are started, with something on standard input."""
    place = () if root is None else ("--root", str(root))
    return CliRunner().invoke(main, [*place, *map(str, arguments)], input=typed)


def environment(**changes: str) -> dict[str, str]:
    """Return the environment in which `python -m greentactics` finds the package that is tested."""
    return os.environ | {"PYTHONPATH": str(Path(greentactics.__file__).parents[1])} | changes
