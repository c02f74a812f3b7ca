"""What was made before, kept in one file from run to run by the digest of all that it was made from.

Nothing kept can be out of date: with any other input the digest is another one, and it is made again.
"""

from __future__ import annotations

import functools
import hashlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from greentactics.text.files import write_atomically

Made = TypeVar("Made")
PACKAGE = Path(__file__).parents[1]


def digest(*parts: str | bytes) -> str:
    """Return the SHA-256 of some parts; no other parts have the same one, also where they join alike."""
    total = hashlib.sha256()
    for part in parts:
        data = part.encode(errors="surrogatepass") if isinstance(part, str) else part
        total.update(b"%d:" % len(data))
        total.update(data)
    return total.hexdigest()


def digest_of_files(folder: Path) -> str:
    """Return the digest of the names and bytes of all files below a folder, less what Python compiled."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix != ".pyc" and path.is_file())
    return digest(
        *(part for path in paths for part in (path.relative_to(folder).as_posix(), path.read_bytes()))
    )


def digest_of_program() -> str:
    """Return the digest of Python, of the packages beside this one, and of this one with its templates.

    It holds the package as the process found it, which is what runs, and as it is now, from which templates
    are read. So a process that went on after an edit shares nothing with one that was started after it.
    """
    return digest(_digest_at_start(), digest_of_files(PACKAGE))


@functools.cache
def _digest_at_start() -> str:
    installed = {path.name for entry in sys.path for path in Path(entry).glob("*.dist-info")}
    return digest(sys.version, *sorted(installed), digest_of_files(PACKAGE))


class Kept:
    """What is kept; what a run did not ask for is forgotten where it makes something new."""

    def __init__(self, file: Path | None = None) -> None:
        """Read what was kept: nothing without a file, or from one that is not whole."""
        self._file = file
        self._before: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        with suppress(OSError, ValueError):
            found = json.loads(file.read_bytes()) if file else {}
            self._before = found if isinstance(found, dict) else {}

    def get(self, key: str) -> Any | None:  # noqa: ANN401 - what JSON can hold
        """Return what is kept under a digest."""
        if key in self._before:
            self._asked[key] = self._before[key]
        return self._asked.get(key)

    def put(self, key: str, made: object) -> None:
        """Keep what was made, of what JSON can hold, under the digest of all that it was made from."""
        if self._file:
            self._asked[key] = made

    def made(
        self,
        make: Callable[[], Made],
        *parts: str,
        dump: Callable[[Made], object] = lambda made: made,
        load: Callable[[Any], Made] = lambda kept: kept,
    ) -> Made:
        """Return what is kept, or else make it and keep it.

        Args:
            make: Makes it.
            parts: What names it, and what stands for all that it is made from.
            dump: Returns it as something that JSON can hold.
            load: Does the opposite.
        """
        key = digest(*parts)
        if (found := self.get(key)) is not None:
            return load(found)
        made = make()
        if self._file:
            self.put(key, dump(made))
        return made

    def write(self) -> None:
        """Write what was asked for, where anything is new; where it cannot be written all is made again."""
        if self._file and self._asked.keys() - self._before.keys():
            with suppress(OSError):
                write_atomically(self._file, json.dumps(self._asked, default=str), flush_to_disk=False)
