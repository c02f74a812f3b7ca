"""What the command lines share: errors of one line, and files that are written whole or not at all."""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from recipes.common.errors import UserError


class OneLineParser(argparse.ArgumentParser):
    """Reports wrong usage in one line, exit code 2."""

    def error(self, message: str) -> NoReturn:
        """Print the message and leave."""
        self.exit(2, f"{self.prog}: error: {message}; see --help\n")


def whole_number(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least`, for the `type` of an argument."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"expected a whole number from {least}, got {text!r}")
        return number

    return parse


def require_writable(option: str, path: Path) -> None:
    """Find out before the work, not after it, that a file cannot be written.

    Raises:
        UserError: It cannot; the message names the option.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from None
    if path.is_dir():
        raise UserError(f"{option} {path}: expected a file, found a folder")


@contextmanager
def written_whole(option: str, path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to, and rename it at the end: no reader ever sees half a file.

    Raises:
        UserError: The file cannot be written; the message names the option.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise UserError(f"{option} {path}: cannot be written ({error.strerror})") from None
    finally:
        if partial.exists():
            partial.unlink()


def write_json(option: str, path: Path, record: Mapping[str, Any]) -> None:
    """Write a record as JSON, whole or not at all.

    Raises:
        UserError: The file cannot be written; the message names the option.
    """
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    with written_whole(option, path) as partial:
        partial.write_text(text, encoding="utf-8")
