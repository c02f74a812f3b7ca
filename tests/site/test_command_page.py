from __future__ import annotations

import re

import click

from greentactics.cli.main import main
from greentactics.site.command_page import command_page
from greentactics.site.pages import template_environment
from tests.cli.test_cli import all_commands


def page(commands: click.Group) -> str:
    return command_page(template_environment(), commands)["commands/index.md"]


def test_every_command_is_there_with_its_options() -> None:
    text = page(main)
    paths = set(all_commands())
    groups = {path[:-1] for path in paths if path}
    heads = re.findall(r"^## greentactics (.+) \{#", text, re.MULTILINE)
    assert {tuple(head.split()) for head in heads} == paths - groups
    assert heads == sorted(heads)
    assert "--grid-intensity FLOAT" in text
    assert "-h, --help" in text
    assert "\n  Example:\n    greentactics meters</code>" in text


def test_help_is_text() -> None:
    @click.command(help="Turn <b>x</b> into ``` and {{ y }}.")
    def turn() -> None: ...

    text = page(click.Group(commands={"turn": turn}))
    assert "&lt;b&gt;x&lt;/b&gt;" in text
    assert "```" not in text
    assert "{{" not in text
