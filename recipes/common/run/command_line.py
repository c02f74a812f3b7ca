"""What the command lines share: errors of one line, and files that are written whole or not at all."""

from __future__ import annotations

import argparse
import contextlib
import errno
import json
import os
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from recipes.common.run.contract import UserError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

MOST_SEED = 2**32 - 1
"""NumPy takes no larger one."""
MOST_THREADS = 512
"""Far more than a run gains from; torch falls over a hundred thousand without a word."""
MOST_EXAMPLES, MOST_ROUNDS, LONGEST_S = 1_000_000, 100_000, 24 * 3600.0


class OneLineParser(argparse.ArgumentParser):
    """Reports wrong usage in one line, exit code 2."""

    def print_help(self, file: SupportsWrite[str] | None = None) -> None:
        """Print the help; the reader may have gone."""
        if file is None:
            show(self.format_help().rstrip())
        else:
            super().print_help(file)

    def error(self, message: str) -> NoReturn:
        """Print the message and leave."""
        self.exit(2, f"{self.prog}: error: {message}; see --help\n")


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Return a parser of whole numbers between two bounds, for the `type` of an argument."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least} to {most}, got {text!r}")
        return number

    return parse


def open_streams() -> None:
    """Put the null device in the place of standard streams that are closed."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to the end


def show(text: str) -> None:
    """Print a text; a reader who has gone, such as `head`, has seen enough.

    Raises:
        UserError: Standard output takes no more, as on a full disk.
    """
    try:
        print(text, flush=True)  # noqa: T201
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    except OSError as error:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        raise UserError(f"standard output: cannot be written ({error.strerror})") from None


def run_program(main: Callable[[], int]) -> int:
    """Run a program that prints while it works; return its exit code, 1 where nobody reads on."""
    open_streams()
    try:
        return main()
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
        return 1


def require_writable(option: str, path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written.

    Raises:
        UserError: It cannot; the message names the option.
    """
    if path.is_dir():
        raise UserError(f"{option} {path}: expected a file, found a folder")
    try:
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if not path.exists() or path.is_file():
            target = Path(os.path.realpath(path))
            target.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=target.parent):
                pass
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from None


def write_whole(option: str, path: Path, content: bytes) -> None:
    """Write a file so that no reader ever sees half of it.

    The content goes to a temporary file in the same folder and takes the file's name in one step. A link
    stays what it is, and the file it leads to is written; a pipe or a device is written to. A file that was
    there keeps its mode; a new one gets the mode of the umask.

    Raises:
        UserError: The file cannot be written; the message names the option. What was there is as it was.
    """
    try:
        if path.is_symlink():
            with contextlib.suppress(FileNotFoundError):
                path.stat()  # a link that leads to itself is refused, as it leads to no file
        if path.exists() and not path.is_file():
            path.write_bytes(content)
            return
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".greentactics-{secrets.token_hex(8)}.partial")
        try:
            with temporary.open("xb") as file:
                file.write(content)
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from None


def write_json(option: str, path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, whole or not at all.

    Raises:
        UserError: The file cannot be written; the message names the option.
    """
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    write_whole(option, path, text.encode())
