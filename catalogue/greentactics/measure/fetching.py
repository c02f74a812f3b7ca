"""Data sets from the network: with consent, checked, and complete or not at all."""

from __future__ import annotations

import hashlib
import http.client
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Protocol

from greentactics import __version__
from greentactics.models.datasets import DataFile
from greentactics.text.files import write_atomically
from greentactics.text.problems import UserError, why_broken

_CHUNK_BYTES = 1 << 16
_TIMEOUT_S = 30.0
_ATTEMPTS = 3
_PAUSE_S = 1.0


class Progress(Protocol):
    """Where a download says how far it is."""

    def begin(self, name: str, size_bytes: int) -> None:
        """Begin with a file, or begin it again."""

    def advance(self, count: int) -> None:
        """Count bytes that have come in."""

    def note(self, text: str) -> None:
        """Say something worth knowing."""


class _BrokenConnectionError(Exception):
    """The connection broke; another attempt may help."""


def is_complete(path: Path, file: DataFile) -> bool:
    """Tell whether a file is there and is the published one."""
    if not path.is_file() or path.stat().st_size != file.size_bytes:
        return False
    with path.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest() == file.sha256


def missing_files(folder: Path, files: Sequence[DataFile]) -> tuple[DataFile, ...]:
    """Return the files that are absent from a folder or differ from the published ones."""
    return tuple(file for file in files if not is_complete(folder / file.name, file))


def fetch_files(
    folder: Path,
    files: Sequence[DataFile],
    progress: Progress,
    *,
    base_url: str | None = None,
    pause_s: float = _PAUSE_S,
) -> None:
    """Download files into a folder.

    Each file is checked before it is stored. A broken connection is tried again and goes on where it broke,
    where the server can do that.

    Args:
        folder: Made when missing.
        files: What to download.
        progress: Told how far it is.
        base_url: Address of a folder that holds the files, in place of the published addresses.
        pause_s: Wait before the second attempt; twice as long before the third.

    Raises:
        UserError: A file cannot be had or is not the published one. Files that arrived before it are kept.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror}); choose another with --dest") from None
    if not os.access(folder, os.W_OK):
        raise UserError(f"{folder}: may not be written to; choose another with --dest")
    for file in files:
        url = f"{base_url.rstrip('/')}/{file.name}" if base_url else file.url
        _require_web(url)
        _fetch_file(folder / file.name, file, url, progress, pause_s)
        progress.note(f"{folder / file.name}: {file.size_bytes:,} bytes, checksum right")


def _require_web(url: str) -> None:
    if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
        raise UserError(f"{url}: expected an address that begins with https:// or http://")


def _fetch_file(path: Path, file: DataFile, url: str, progress: Progress, pause_s: float) -> None:
    """Download one file, in several attempts where the connection breaks."""
    received = bytearray()
    progress.begin(file.name, file.size_bytes)
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            _receive(received, file, url, progress)
            break
        except _BrokenConnectionError as error:
            if attempt == _ATTEMPTS:
                raise UserError(
                    f"{url}: {error}, after {_ATTEMPTS} attempts; check the network and run the command "
                    "again, or name another address with --base-url"
                ) from None
            progress.note(f"{file.name}: {error}; trying again")
            time.sleep(pause_s * attempt)
    found = hashlib.sha256(received).hexdigest()
    if found != file.sha256:
        raise UserError(f"{url}: expected sha256 {file.sha256}, got {found}; nothing was stored")
    write_atomically(path, bytes(received))


def _receive(received: bytearray, file: DataFile, url: str, progress: Progress) -> None:
    """Receive what is still missing of a file.

    Raises:
        _BrokenConnectionError: The connection failed or broke.
        UserError: The server refuses, or sends more than the file has.
    """
    have = len(received)
    headers = {"User-Agent": f"greentactics/{__version__}"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 - the scheme has been checked
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as response:  # noqa: S310
            if have and response.status != HTTPStatus.PARTIAL_CONTENT:
                received.clear()
                progress.begin(file.name, file.size_bytes)
            while chunk := response.read(_CHUNK_BYTES):
                received += chunk
                if len(received) > file.size_bytes:
                    raise UserError(
                        f"{url}: expected {file.size_bytes:,} bytes, got more; nothing was stored"
                    )
                progress.advance(len(chunk))
    except urllib.error.HTTPError as error:
        with error:
            _refused(error, url)
    except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
        raise _BrokenConnectionError(why_broken(error)) from None
    if len(received) < file.size_bytes:
        raise _BrokenConnectionError(
            f"the connection ended after {len(received):,} of {file.size_bytes:,} bytes"
        )


def _refused(error: urllib.error.HTTPError, url: str) -> None:
    """Tell a refusal for good from one that may pass."""
    if error.code >= HTTPStatus.INTERNAL_SERVER_ERROR or error.code in (
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    ):
        raise _BrokenConnectionError(f"the server answered {error.code} {error.reason}")
    raise UserError(
        f"{url}: the server answered {error.code} {error.reason}; name another address with --base-url"
    )
