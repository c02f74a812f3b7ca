"""Files that are either the old ones or the new ones, never something between, and one writer at a time."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from greentactics.errors import UserError

LOCK = Path("build/catalogue.lock")
"""What a command locks, below the root, while it reads, changes and writes files of the catalogue."""
LONGEST_WAIT_S = 60.0
_SILENT_WAIT_S = 1.0


def write_atomically(path: Path, content: str | bytes, *, flush_to_disk: bool = True) -> None:
    """Write a file so that a reader, a crash or a full disk never meets half of it.

    The content goes to a temporary file in the same folder and takes the file's name in one step. A link
    stays what it is, and the file it leads to is written; a pipe or a device is written to. A file that was
    there keeps its mode and, as far as the system allows, its owner; a new one gets the mode of the umask.

    Args:
        path: The file; its folder is made when missing.
        content: Bytes, or text to be stored as UTF-8.
        flush_to_disk: Whether the content is safe from a loss of power before the name changes.

    Raises:
        OSError: It cannot be written; the error has the name of the file. What was there is as it was.
    """
    data = content.encode() if isinstance(content, str) else content
    with errors_name(path):
        try:
            old = path.stat()
        except FileNotFoundError:
            old = None
    if old is None or stat.S_ISREG(old.st_mode):
        with errors_name(path, "it is as it was" if old else "nothing was written"):
            _replace(path, old, data, flush_to_disk=flush_to_disk)
    elif stat.S_ISCHR(old.st_mode) or stat.S_ISFIFO(old.st_mode):
        with errors_name(path, "a part may have been written"):
            path.write_bytes(data)
    else:
        raise OSError(errno.EINVAL, "expected a file, a pipe or a device of characters", str(path))


def _replace(path: Path, old: os.stat_result | None, data: bytes, *, flush_to_disk: bool) -> None:
    if old is not None and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))  # a rename would not ask
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".greentactics-{secrets.token_hex(8)}.partial")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            if flush_to_disk:
                os.fsync(file.fileno())
        if old is not None:
            _keep_owner_and_mode(temporary, old)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _keep_owner_and_mode(path: Path, old: os.stat_result) -> None:
    new = path.stat()
    if hasattr(os, "chown") and (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):  # only root may give a file away
            os.chown(path, old.st_uid, old.st_gid)
    path.chmod(stat.S_IMODE(old.st_mode))


@contextmanager
def errors_name(path: Path, outcome: str = "") -> Iterator[None]:
    """Give errors the name of the file the user knows: that of a full disk has none, others that of a helper.

    Args:
        path: The file.
        outcome: What has become of it, for the message.

    Raises:
        OSError: Whatever the block raised, with the name.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise OSError(error.errno, f"{reason}; {outcome}" if outcome else reason, str(path)) from error


@contextmanager
def catalogue_locked(root: Path, longest_wait_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """Keep other commands from changing the catalogue, so that none overwrites what another has added.

    It says on stderr when it has to wait. The lock is given up when the process ends, however it ends.

    Args:
        root: Folder that holds `tactics/`.
        longest_wait_s: Time after which it gives up.

    Raises:
        UserError: Another command is still at work then.
    """
    path = root / LOCK
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=min(_SILENT_WAIT_S, longest_wait_s))
    except Timeout:
        sys.stderr.write("waiting for another command that changes the catalogue\n")
        try:
            lock.acquire(timeout=longest_wait_s)
        except Timeout:
            raise UserError(
                f"{path}: another command that changes the catalogue holds this lock, still after "
                f"{longest_wait_s:g} s; nothing was changed; end that command, then run this one again"
            ) from None
    try:
        yield
    finally:
        lock.release()
