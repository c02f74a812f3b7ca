"""A checkout to feed inputs to, and a watch over what is done meanwhile."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greentactics.contribute.issue import NEW_TACTIC
from tests.examples.example_files import REPOSITORY, VALID

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_CHANGES = frozenset(
    [
        "os.rename",
        "os.remove",
        "os.mkdir",
        "os.rmdir",
        "os.symlink",
        "os.link",
        "os.chmod",
        "os.chown",
        "os.truncate",
        "os.utime",
    ]
)
_NEVER = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "subprocess.Popen",
"socket.connect",
          "socket.getaddrinfo", "urllib.Request", "pty.spawn")  # fmt: skip
_watching: list[Watch] = []
_hooked = False


class TooSlowError(Exception):
    """The processor time of one input is spent."""


@dataclass
class Watch:
    """What happened while an input was read."""

    folder: Path
    """Where files may be written."""
    secret: Path
    """Folder from which nothing may be read."""
    breaches: list[str] = field(default_factory=list)
    """Files touched elsewhere, programs started, connections opened."""
    cpu_s: float = 0.0
    """Processor time."""

    def saw(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note an event that must not happen; called by the interpreter itself."""
        if event == "open" and isinstance(arguments[0], str | bytes):
            if arguments[2] & _WRITING:
                self._outside("written", arguments[0])
            elif self._real(arguments[0]).startswith(f"{self.secret}/"):
                self.breaches.append(f"read: {arguments[0]!r}")
        elif event in _CHANGES:
            # What a new link says is no place that is touched.
            for path in arguments[1:2] if event == "os.symlink" else arguments[:2]:
                if isinstance(path, str | bytes | os.PathLike):
                    self._outside(event, path)
        elif event in _NEVER and arguments[0] != "git":  # it is asked which identifiers there were
            self.breaches.append(f"{event}: {str(arguments)[:200]}")

    def _outside(self, what: str, path: str | bytes | os.PathLike[str]) -> None:
        if not self._real(path).startswith(f"{self.folder}/"):
            self.breaches.append(f"{what}: {path!r}")

    @staticmethod
    def _real(path: Any) -> str:
        # The last part may be a link that is itself replaced or removed; links on the way lead elsewhere.
        folder, name = os.path.split(os.fsdecode(path))
        return os.path.join(os.path.realpath(folder or "."), name)  # noqa: PTH118 - called for every file opened


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for watch in _watching:
        watch.saw(event, arguments)


@dataclass(frozen=True)
class Sandbox:
    """A small right catalogue that is put back as it was after each input."""

    folder: Path
    """Everything that belongs to it."""
    before: dict[Path, bytes]
    """Files of the catalogue."""

    @property
    def root(self) -> Path:
        """The catalogue."""
        return self.folder / "root"

    @property
    def desk(self) -> Path:
        """Where files lie that commands are given."""
        return self.folder / "desk"

    @property
    def outside(self) -> Path:
        """Where nothing is read or written."""
        return self.folder / "outside"

    def reset(self) -> None:
        """Put catalogue and desk back as they were."""
        shutil.rmtree(self.desk)
        self.desk.mkdir()
        for parent, folders, names in os.walk(self.root, topdown=False):
            here = Path(parent)
            for name in names:
                if here / name not in self.before:
                    (here / name).unlink()
            for name in folders:
                if (here / name).is_symlink():
                    (here / name).unlink()
                else:
                    with suppress(OSError):  # folders with files of the catalogue stay
                        (here / name).rmdir()
        for path, data in self.before.items():
            if path.is_symlink() or not path.is_file() or path.read_bytes() != data:
                path.unlink(missing_ok=True)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)

    @contextmanager
    def watched(self, limit_s: float) -> Iterator[Watch]:
        """Watch what is done in a block, and end it when its processor time is spent."""
        watch = Watch(self.folder, self.outside)
        previous = signal.signal(signal.SIGPROF, _too_slow)
        start = time.process_time()
        _watching.append(watch)
        signal.setitimer(signal.ITIMER_PROF, limit_s)
        try:
            yield watch
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
            _watching.remove(watch)
            watch.cpu_s = time.process_time() - start
            signal.signal(signal.SIGPROF, previous)


def _too_slow(*_: object) -> None:
    raise TooSlowError


@contextmanager
def sandbox(prepare: Callable[[Path], None] = lambda _: None) -> Iterator[Sandbox]:
    """Make a catalogue in a temporary folder.

    Args:
        prepare: Adds files to the catalogue.
    """
    global _hooked
    if not _hooked:
        sys.addaudithook(_hook)  # stays for the life of the interpreter; without a watch it does nothing
        _hooked = True
    with tempfile.TemporaryDirectory(prefix="campaign-") as name:
        folder = Path(name).resolve()
        root = Path(shutil.copytree(VALID, folder / "root"))
        (root / NEW_TACTIC.parent).mkdir(parents=True)
        shutil.copy(REPOSITORY / NEW_TACTIC, root / NEW_TACTIC)
        prepare(root)
        (folder / "desk").mkdir()
        (folder / "outside").mkdir()
        (folder / "outside" / "secret.yaml").write_bytes(
            (VALID / "tactics" / "base-awesome.yaml").read_bytes()
        )
        yield Sandbox(folder, {path: path.read_bytes() for path in root.rglob("*") if path.is_file()})
