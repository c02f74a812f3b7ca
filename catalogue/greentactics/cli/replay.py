"""The command `replay`: effects recomputed from published data."""

from __future__ import annotations

from pathlib import Path

import click

from greentactics.cli.group import example, root_of
from greentactics.evidence.replays import effect_lines, tactic_replays
from greentactics.measure.replaying import published_runs
from greentactics.measure.replaying import replay as replay_one
from greentactics.records.loading import load_replay
from greentactics.records.replays import replay_ids


@click.command(epilog=example("greentactics data fetch ml-energy", "greentactics replay batch-requests"))
@click.argument("tactics", metavar="[ID]...", nargs=-1)
@click.option(
    "--data-dir",
    type=click.Path(exists=True, file_okay=False, path_type=Path, resolve_path=True),
    help="Folder of data sets.  [default: $GREENTACTICS_DATA, then the user's data folder]",
)
@click.pass_context
def replay(context: click.Context, tactics: tuple[str, ...], data_dir: Path | None) -> None:
    """Recompute effects from raw data that others metered and published, and store the pairs.

    ID is a tactic with a program in recipes/replays; without one, all of them. Nothing is measured here, so
    that there are no seeds and no device: the same data give the same file.
    """
    root = root_of(context)
    known = replay_ids(root)
    if unknown := [tactic for tactic in tactics if tactic not in known]:
        there = ", ".join(known) or "none"
        raise click.UsageError(f"{', '.join(unknown)}: no replay of this name; there are {there}")
    folder = published_runs(data_dir)
    for tactic in tactics or known:
        path = replay_one(root, tactic, folder)
        (found,) = tactic_replays([load_replay(root / path)], None)
        click.echo(f"{path.as_posix()}:")
        for effect in found.effects:
            click.echo("".join(f"  {line}\n" for line in effect_lines(effect)), nl=False)
