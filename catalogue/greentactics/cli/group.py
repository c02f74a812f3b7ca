"""What all commands share: the checkout they work in, and mistakes as messages instead of tracebacks."""

from __future__ import annotations

import errno
import io
import math
import os
import sys
from pathlib import Path
from typing import Any

import click

from greentactics.records.git import find_root
from greentactics.text.problems import CatalogueError, UserError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class CatalogueGroup(click.Group):
    """A group of commands that ends with a message and an exit code, never with a traceback."""

    def main(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - click's signature
        """Run the program with streams that are open and take any text."""
        prepare_streams()
        try:
            return super().main(*arguments, **settings)
        except OSError as error:  # such as from the help, which is printed before a command is invoked
            click.echo(_reason(error), err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (UserError, CatalogueError) as error:
            click.echo(str(error), err=True)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except OSError as error:
            if isinstance(error, BrokenPipeError) and error.filename is None:
                raise  # the reader of our output has seen enough, and click leaves without a word
            click.echo(_reason(error), err=True)
        return ctx.exit(1)


def prepare_streams() -> None:
    """Put the null device in the place of closed standard streams, and write UTF-8 with line feeds to files.

    What the encoding of a terminal lacks is shown as an escape.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - to the end
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
            if not stream.isatty() and "PYTHONIOENCODING" not in os.environ:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="\n")


def _reason(error: OSError) -> str:
    """Return what went wrong, and with which file or stream as far as that is known."""
    place = error.filename
    if place is None and error.errno in _NO_SPACE:
        try:
            print(flush=True)  # noqa: T201 - does standard output take a line end?
        except OSError:
            place = "standard output"
    return f"{'' if place is None else f'{place}: '}{error.strerror or error}"


class FiniteRange(click.FloatRange):
    """Numbers within bounds; click takes what is no number at all for one inside of any."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        """Return the number of an argument."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not in the range {self._describe_range()}.", param, ctx)
        return number


def root_of(context: click.Context) -> Path:
    """Return the checkout that --root names, or the one around the current folder.

    Raises:
        UserError: There is none.
    """
    named: Path | None = context.find_root().obj
    return find_root(Path.cwd() if named is None else named)


def example(*commands: str) -> str:
    """Return the example below a command's help, one line for each command."""
    return "\b\nExample:\n" + "\n".join(f"  {command}" for command in commands)
