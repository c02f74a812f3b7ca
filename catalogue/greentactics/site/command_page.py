"""The page of all commands: what `--help` says, so that the two never differ."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click
from jinja2 import Environment
from markupsafe import Markup

from greentactics.text.escaping import listing_to_html

WIDTH = 90
"""Characters of a line of help."""


@dataclass(frozen=True)
class Help:
    """What the page shows of one command."""

    name: str
    """As it is typed, with the names of the groups before it."""
    summary: str
    """What it does, in a sentence."""
    text: Markup
    """What `--help` prints, escaped."""


def command_page(environment: Environment, commands: click.Group) -> dict[str, str]:
    """Render the page: text by its path below the docs folder."""
    text = environment.get_template("commands.md.j2").render(commands=list(_helps(commands, "greentactics")))
    return {"commands/index.md": text}


def _helps(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[Help]:
    """Yield each command that does something, in alphabetical order."""
    settings = {"terminal_width": WIDTH, "max_content_width": WIDTH, **command.context_settings}
    context = click.Context(command, parent, info_name=name, **settings)
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            if child := command.get_command(context, word):
                yield from _helps(child, word, context)
        return
    text = listing_to_html(context.get_help())
    yield Help(context.command_path, command.get_short_help_str(limit=200), text)
