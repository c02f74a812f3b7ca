"""What all commands share: the checkout they work in, and mistakes as messages instead of tracebacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from greentactics.errors import CatalogueError, UserError
from greentactics.repository import find_root

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""


class CatalogueGroup(click.Group):
    """A group of commands that ends with a message and an exit code, never with a traceback."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's signature
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (UserError, CatalogueError) as error:
            click.echo(str(error), err=True)
        except KeyboardInterrupt:
            click.echo("Interrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            raise
        except OSError as error:
            place = "" if error.filename is None else f"{error.filename}: "
            click.echo(f"{place}{error.strerror or error}", err=True)
        return ctx.exit(1)


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
