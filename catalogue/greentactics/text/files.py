"""Files to text, whatever lies on the disk: size, kind of file, encoding and characters are checked first."""

from __future__ import annotations

import codecs
import errno
import itertools
import os
import re
import secrets
import stat
import sys
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from greentactics.text.problems import CatalogueError, FieldPath, Finding, Problem, Rule, UserError, printable

RECORD_BYTES = 1_000_000
RESULTS_BYTES = 64_000_000
PROBLEMS_SHOWN = 100
STANDARD_INPUT = Path("-")

_LONGEST_TYPED_LINE = 10_000

# Control characters, marks that change the direction of the text, invisible characters, characters that some
# programs take for the end of a line, those without a meaning of their own, and what remains of a failed
# decoding. The two joiners have their place between letters of other scripts and in emoji.
_FORBIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u2800\u3164\ud800-\uf8ff\ufdd0-\ufdef\ufeff\uffa0\ufff9-\uffff\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e00ff\U000e01f0-\U0010ffff]|\t"
    "|(?<![^\x00-\u024f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\u024f])"
)

_NOT_COMPOSED = (
    Rule.NOT_NORMALISED,
    "composed characters (Unicode NFC)",
    "a letter and its accent as two characters",
    "type the word again",
)

_CONTROL_BYTES = bytes({*range(32), 127} - {ord("\n")})


@dataclass(frozen=True)
class TextFile:
    """The text of a file and what is wrong with its characters."""

    file: str
    """Name for problems."""
    text: str
    """Text with Unix line ends; forbidden characters stand as spaces, so that places stay the same."""
    problems: tuple[Problem, ...]
    """What is wrong with the characters."""


def display_name(path: Path, root: Path | None) -> str:
    """Return the name of a file for problems: relative to the root where it lies under it, and printable."""
    if root is not None:
        with suppress(ValueError):  # it lies elsewhere
            path = path.relative_to(root)
    return printable(path.as_posix())


def read_text_file(path: Path, *, root: Path | None, max_bytes: int) -> TextFile:
    """Read a file that may be hostile.

    Args:
        path: The file.
        root: Folder which the file must not leave through a link; None where any place is good.
        max_bytes: Size above which the file is refused without being read.

    Raises:
        CatalogueError: The file cannot be read as text.
    """
    file = display_name(path, root)
    return decode(_read_bytes(path, file, root, max_bytes), file)


def read_named_file(path: Path, *, max_bytes: int) -> TextFile:
    """Read what a user named: a file, a pipe such as the shell's <(...), or - for standard input.

    A byte-order mark of UTF-8, which other programs write, is left out.

    Raises:
        CatalogueError: It cannot be read as text, or is too long.
    """
    file = "standard input" if path == STANDARD_INPUT else display_name(path, None)
    if path == STANDARD_INPUT:
        data = sys.stdin.buffer.read(max_bytes + 1)
    elif path.is_fifo():
        with errors_name(path), path.open("rb") as stream:
            data = stream.read(max_bytes + 1)
    else:
        data = _read_bytes(path, file, None, max_bytes)
    if len(data) > max_bytes:
        expected, cure = f"at most {max_bytes:,} bytes", "shorten it or split it"
        raise CatalogueError.of_file(file, Rule.FILE_TOO_LARGE, expected, "more", cure)
    return decode(data.removeprefix(codecs.BOM_UTF8), file)


def decode(data: bytes, file: str) -> TextFile:
    """Decode UTF-8 and find characters that have no place in a record.

    Raises:
        CatalogueError: The bytes are not UTF-8 without byte-order mark.
    """
    if data.startswith((b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")):
        expected, cure = "UTF-8 without byte-order mark", "save the file as plain UTF-8"
        raise CatalogueError.of_file(file, Rule.ENCODING, expected, "a byte-order mark", cure)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8", "replace")
        line, column = line_and_column(before, len(before))
        found, cure = f"byte 0x{data[error.start]:02x}", "save the file as UTF-8"
        raise CatalogueError.of_file(
            file, Rule.ENCODING, "UTF-8", found, cure, line=line, column=column
        ) from None
    text = text.replace("\r\n", "\n")
    if text.isascii() and len(data.translate(None, _CONTROL_BYTES)) == len(data) - data.count(b"\r\n"):
        return TextFile(file, text, ())
    problems = [*_forbidden_characters(text, file), *_not_normalised(text, file)]
    if problems:
        text = _FORBIDDEN.sub(" ", text)
    return TextFile(file, text, tuple(problems))


def character_finding(path: FieldPath, value: str, *, at_key: bool = False) -> Finding | None:
    """Return what is wrong with the characters of a value; escapes bring in what `decode` does not see."""
    if value.isascii() and value.isprintable():
        return None
    if match := _FORBIDDEN.search(value):
        return Finding(path, *_wrong_character(match[0]), at_key=at_key)
    if not unicodedata.is_normalized("NFC", value):
        return Finding(path, *_NOT_COMPOSED, at_key=at_key)
    return None


def readable(text: str) -> str:
    """Return text as it may stand in a record: composed, on one line, without forbidden characters."""
    return " ".join(unicodedata.normalize("NFC", _FORBIDDEN.sub(" ", text)).split())


def visible(text: str) -> str:
    """Return lines as they may stand in a record: composed, without forbidden characters, tabs as spaces."""
    return unicodedata.normalize("NFC", _FORBIDDEN.sub("", text.expandtabs(4)))


def _read_bytes(path: Path, file: str, root: Path | None, max_bytes: int) -> bytes:
    refuse = partial(CatalogueError.of_file, file)
    try:
        real = path if root is None else Path(os.path.realpath(path, strict=True))
        if root is not None and not real.is_relative_to(root):
            expected = "a file inside the catalogue"
            raise refuse(Rule.OUTSIDE_TREE, expected, "a link to a place outside", "copy it here")
        # Without O_NONBLOCK, opening a named pipe waits for a writer that may never come. Windows has another
        # flag, without which line ends are changed.
        flags = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(real, os.O_RDONLY | flags)
        with os.fdopen(descriptor, "rb") as stream:
            status = os.fstat(stream.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise refuse(Rule.NOT_A_FILE, "a regular file", _sort_of_file(status.st_mode))
            if status.st_size > max_bytes:
                size = f"{status.st_size:,} bytes"
                raise refuse(Rule.FILE_TOO_LARGE, f"at most {max_bytes:,} bytes", size, "shorten the file")
            data = stream.read(max_bytes + 1)
    except FileNotFoundError:
        found = "a link to nothing" if path.is_symlink() else "none"
        raise refuse(Rule.MISSING_FILE, "a file of this name", found, "add it") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        if path.is_dir():
            raise refuse(Rule.NOT_A_FILE, "a regular file", "a folder") from None
        raise refuse(Rule.UNREADABLE_FILE, "a file that can be read", reason.lower()) from None
    if len(data) > max_bytes:
        raise refuse(
            Rule.FILE_TOO_LARGE, f"at most {max_bytes:,} bytes", "a file that grows", "shorten the file"
        )
    return data


def _sort_of_file(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a device or socket"


def _forbidden_characters(text: str, file: str) -> list[Problem]:
    problems = []
    tab_lines = set()
    for match in itertools.islice(_FORBIDDEN.finditer(text), PROBLEMS_SHOWN + 1):
        line, column = line_and_column(text, match.start())
        if match[0] == "\t":  # one for the whole line, as indentation has several
            if line in tab_lines:
                continue
            tab_lines.add(line)
        problems.append(Problem(file, line, column, "", *_wrong_character(match[0])))
    return problems


def _wrong_character(character: str) -> tuple[Rule, str, str, str]:
    """Return rule, what it expects, what was found, and the cure."""
    if character == "\t":
        return Rule.TAB, "spaces", "a tab", "replace tabs by spaces"
    kind = "a control character" if unicodedata.category(character) == "Cc" else "a character without name"
    found = f"U+{ord(character):04X} ({unicodedata.name(character, kind).lower()})"
    return Rule.FORBIDDEN_CHARACTER, "visible text", found, "remove the character"


def _not_normalised(text: str, file: str) -> list[Problem]:
    problems = []
    for number, line in enumerate(text.split("\n"), start=1):
        if unicodedata.is_normalized("NFC", line):
            continue
        problems.append(Problem(file, number, _first_difference(line), "", *_NOT_COMPOSED))
        if len(problems) > PROBLEMS_SHOWN:
            break
    return problems


def _first_difference(line: str) -> int:
    """Return the column at which a line differs from its composed form; 1 for lines too long to be typed."""
    if len(line) > _LONGEST_TYPED_LINE:
        return 1
    composed = unicodedata.normalize("NFC", line)
    return next(
        (column for column, pair in enumerate(zip(line, composed, strict=False), 1) if pair[0] != pair[1]), 1
    )


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    """Return line and column, counted from 1, of a position in a text."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


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
