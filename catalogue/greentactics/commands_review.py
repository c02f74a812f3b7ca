"""The commands of a review: what a change means, a form to a draft, a result from another machine."""

from __future__ import annotations

import click

from greentactics.catalogue_diff_text import FORMATS
from greentactics.command_group import example, root_of


@click.command(epilog=example("greentactics diff", "greentactics diff HEAD~1 --format markdown"))
@click.argument("base", required=False)
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    default="text",
    show_default=True,
    help="markdown: for a comment on a pull request; recipes: tactics whose recipe changed, one a line.",
)
@click.pass_context
def diff(context: click.Context, base: str | None, format_: str) -> None:
    """Show what a change means: verdicts, evidence, claims, relations and sources before and after.

    The files as they are now are compared with BASE, a git revision; without one, with the commit at which
    the current branch left main.
    """
    from greentactics.catalogue_diff import compare_catalogues
    from greentactics.catalogue_diff_text import render_diff
    from greentactics.earlier_catalogue import read_earlier_catalogue
    from greentactics.loading import load_catalogue

    root = root_of(context)
    now = load_catalogue(root)
    earlier = read_earlier_catalogue(root, base)
    found = compare_catalogues(earlier.catalogue, now, earlier.unreadable)
    text = render_diff(found, f"{base or 'main'} at {earlier.commit[:12]}", format_)
    if text:
        click.echo(text)
