"""Waits for changes of the files that a check reads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

INTERVAL_S = 0.5
"""Time between two looks at the files; a look at a thousand of them takes some milliseconds."""

_PATTERNS = ("tactics/*", "recipes/**/*.py", "recipes/results/*/*.json")

States = dict[Path, tuple[int, int]]


def changes(root: Path) -> Iterator[None]:
    """Yield at once, and then each time that a file has been changed, added or removed; never end."""
    before: States | None = None
    while True:
        now = _states(root)
        if now != before:
            before = now
            yield
        time.sleep(INTERVAL_S)


def _states(root: Path) -> States:
    found: States = {}
    for pattern in _PATTERNS:
        for path in root.glob(pattern):
            try:
                status = path.lstat()
            except OSError:  # gone since it was listed
                continue
            found[path] = (status.st_mtime_ns, status.st_size)
    return found
