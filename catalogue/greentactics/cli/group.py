"""What all commands share: the checkout they work in, and mistakes as messages instead of tracebacks."""

from __future__ import annotations

import errno
import gc
import io
import math
import os
import pkgutil
import re
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from greentactics.records.git import find_root
from greentactics.text.problems import CatalogueError, UserError

_NO_SPACE = frozenset({errno.ENOSPC, errno.EFBIG, errno.EDQUOT})
RESULTS_OPTION = click.option(
    "--results",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Results of this machine.  [default: build/results]",
)
INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class CatalogueGroup(click.Group):
    """A group of commands that ends with a message and an exit code, never with a traceback.

    A command is imported when it is asked for, and not for the list of all.
    """

    def __init__(self, *, places: Mapping[str, tuple[str, str]], **settings: Any) -> None:  # noqa: ANN401 - click's
        """Take module and attribute of each command in this wing, and what it does, by its name."""
        super().__init__(
            commands={name: click.Command(name, help=text) for name, (_, text) in places.items()}, **settings
        )
        self._places = places

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        """Import a command; None where there is none of this name."""
        if cmd_name not in self._places:
            return None
        command: click.Command = pkgutil.resolve_name(f"{__package__}.{self._places[cmd_name][0]}")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        """Write the list of all commands as click does, which would import each of them."""
        limit = formatter.width - 6 - max(map(len, self.commands))
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.get_short_help_str(limit)) for name, command in sorted(self.commands.items())]
            )

    def main(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 - click's signature
        """Run the program with streams that are open and take any text."""
        # Commands make many objects and hardly a circle of them: to look for circles after each 700, as
        # Python does by itself, takes a quarter of their time.
        gc.set_threshold(200_000)
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


class Duration(click.ParamType[float]):
    """A time with its unit, such as 90s, 8m or 2h."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:  # noqa: ANN401 - click's signature
        """Return seconds."""
        found = re.fullmatch(r"(\d{1,6}(?:\.\d+)?)([smh])", str(value).strip())
        if found is None or not float(found[1]):
            self.fail(f"expected a time with its unit, such as 90s, 8m or 2h, got {value!r}", param, ctx)
        return float(found[1]) * {"s": 1, "m": 60, "h": 3600}[found[2]]


def root_of(context: click.Context) -> Path:
    """Return the checkout that --root names, or the one around the current folder.

    Raises:
        UserError: There is none.
    """
    named: Path | None = context.find_root().obj
    return find_root(Path.cwd() if named is None else named)


def require_tactics(wanted: Iterable[str], known: Collection[str]) -> None:
    """Stop with the tactics there are where one is asked for that there is not.

    Raises:
        click.UsageError: It names those that are unknown.
    """
    if unknown := [tactic for tactic in wanted if tactic not in known]:
        raise click.UsageError(f"{', '.join(unknown)}: no such tactic; there are {', '.join(known)}")


def example(*commands: str) -> str:
    """Return the example below a command's help, one line for each command."""
    return "\b\nExample:\n" + "\n".join(f"  {command}" for command in commands)
