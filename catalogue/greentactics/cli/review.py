"""The commands of a review: what a change means, a form to a draft, a result from another machine."""

from __future__ import annotations

import datetime
from pathlib import Path

import click

from greentactics.cli.group import example, root_of
from greentactics.contribute.accepting import accept as accept_results
from greentactics.contribute.diff import FORMATS, compare_catalogues, render_diff
from greentactics.contribute.draft_files import write_draft
from greentactics.contribute.issue import draft_of
from greentactics.records.earlier_catalogue import read_earlier_catalogue
from greentactics.records.loading import load_catalogue
from greentactics.text.files import RECORD_BYTES, read_named_file


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
    root = root_of(context)
    now = load_catalogue(root)
    earlier = read_earlier_catalogue(root, base)
    found = compare_catalogues(earlier.catalogue, now, earlier.unreadable)
    text = render_diff(found, f"{base or 'main'} at {earlier.commit[:12]}", format_)
    if text:
        click.echo(text)


@click.command(epilog=example("greentactics accept ~/Downloads/cuda-nvidia-h200.json"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path), metavar="FILE")
@click.option("--replace", is_flag=True, help="Replace results of the same tactic and device.")
@click.pass_context
def accept(context: click.Context, file: Path, replace: bool) -> None:
    """Look through results from another machine and file them as a further device.

    FILE is what `greentactics measure ID --out FILE` wrote there. Everything that speaks against it is
    named at once: its form, another recipe than ours, figures that no run gives, a missing A/A control, and
    text that tells whose machine it was.
    """
    now = datetime.datetime.now(datetime.UTC)
    accepted = accept_results(load_catalogue(root_of(context)), file, replace=replace, now=now)
    results, before, after = accepted.results, accepted.before, accepted.after
    click.echo(
        f"{accepted.path.as_posix()}: filed, {len(results.repeats)} repeats with {len(results.seeds)} seeds "
        f"on {results.device.name}"
    )
    click.echo(f"this device: {accepted.verdict}")
    reasons = "; ".join(after.reasons)
    click.echo(f"evidence of {results.tactic}: {before.text} before, {after.text} now: {reasons}")
    click.echo("Commit the file and open a pull request.")


@click.command("from-issue", epilog=example("greentactics from-issue issue.md"))
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path, allow_dash=True))
@click.pass_context
def from_issue(context: click.Context, file: Path) -> None:
    """Turn a filled form of an issue into a draft of a record.

    FILE holds the text of the issue as GitHub gives it, for example from `gh issue view 12 --json body
    --jq .body`; - reads standard input. The draft goes to drafts/, outside of the catalogue, and replaces
    nothing.
    """
    root = root_of(context)
    source = read_named_file(file, max_bytes=RECORD_BYTES)
    draft = draft_of(root, source, datetime.datetime.now(datetime.UTC).date())
    cure = "finish it, or move it away"
    written = write_draft(root, draft.id, draft.text, replace=False, cure=cure)
    click.echo(f"{written.path.as_posix()}: {written.state}")
    for entry in draft.to_cite:
        click.echo(f"to do: add with greentactics cite: {entry}")
    click.echo(f"Complete it, move it to tactics/ and run `greentactics check tactics/{draft.id}.yaml`.")
