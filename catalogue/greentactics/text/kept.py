"""What was made before, kept in one file from run to run by the digest of all that it was made from.

Nothing kept can be out of date: with any other input the digest is another one, and it is made again.
"""

from __future__ import annotations

import functools
import hashlib
import pickle
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
    """What is kept by one program; what a run did not ask for is forgotten where it makes something new."""

    def __init__(self, file: Path | None = None) -> None:
        """Read what was kept: nothing without a file, or from one that is not whole."""
        self._file = file
        self._program = digest_of_program() if file else ""
        self._before: dict[str, Any] = {}
        self._asked: dict[str, Any] = {}
        with suppress(Exception):  # whatever half a file gives
            self._before = pickle.loads(file.read_bytes()) if file else {}  # noqa: S301 - our own file

    def get(self, *parts: str) -> Any | None:  # noqa: ANN401 - of any type
        """Return what is kept of these parts: what names it, and what stands for all it is made from."""
        key = digest(self._program, *parts)
        if key in self._before:
            self._asked[key] = self._before[key]
        return self._asked.get(key)

    def put(self, made: object, *parts: str) -> None:
        """Keep what was made from these parts, in types of Python."""
        if self._file:
            self._asked[digest(self._program, *parts)] = made

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
            parts: As those of `get`.
            dump: Returns it in types of Python.
            load: Does the opposite.
        """
        if (found := self.get(*parts)) is not None:
            return load(found)
        made = make()
        if self._file:
            self.put(dump(made), *parts)
        return made

    def write(self) -> None:
        """Write what was asked for, where anything is new; where it cannot be written all is made again."""
        if self._file and self._asked.keys() - self._before.keys():
            with suppress(OSError):
                write_atomically(self._file, pickle.dumps(self._asked), flush_to_disk=False)
