"""The commands `evidence` and `verdict`: what is claimed, what was reproduced, and whether it still holds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.table import Table

from greentactics.cli.console import print_table
from greentactics.cli.group import RESULTS_OPTION, example, require_tactics, root_of
from greentactics.evidence.runs import TacticRun, tactic_runs
from greentactics.evidence.tactic import Tactic, join
from greentactics.evidence.verdict import verdict_output
from greentactics.records.loading import load_catalogue, load_results_folder
from greentactics.text.json_source import json_text


@click.command(epilog=example("greentactics evidence", "greentactics evidence --json"))
@click.option("--json", "as_json", is_flag=True, help="For tools: one entry a tactic.")
@click.pass_context
def evidence(context: click.Context, as_json: bool) -> None:
    """Print the evidence of all tactics: claimed, reproduced, verdict, and what has become stale.

    Everything is computed from records and committed results; nothing is run.
    """
    catalogue = load_catalogue(root_of(context))
    tactics = join(catalogue, {}).values()
    if as_json:
        click.echo(json_text([_entry(tactic) for tactic in tactics]), nl=False)
        return
    print_table(_table(tactics))


def results_state(tactic: Tactic) -> str:
    """Return in words whether the committed results count, why not, and whether their timing is stale."""
    lines = [
        f"{run.results.device.label}: {', '.join(run.against) or 'counts'}"
        + (", timing stale" if run.timing_is_stale else "")
        for run in tactic.committed
        if not run.is_smoke
    ]
    return "\n".join(lines) or "none"


def _table(tactics: Iterable[Tactic]) -> Table:
    table = Table(show_lines=True)
    for column in ("tactic", "level", "claimed", "reproduced", "verdict", "results"):
        table.add_column(column, overflow="fold", no_wrap=column in ("tactic", "level"))
    for tactic in tactics:
        level = "\n".join([tactic.evidence.level.value, *tactic.evidence.marks])
        line = tactic.verdict.line
        verdict = line[:1].upper() + line[1:]
        cells = (tactic.record.id, level, tactic.claimed, tactic.reproduced, verdict)
        table.add_row(*cells, results_state(tactic))
    return table


def _entry(tactic: Tactic) -> dict[str, Any]:
    return {
        "id": tactic.record.id,
        "kind": tactic.record.kind.value,
        "level": tactic.evidence.level.value,
        "marks": list(tactic.evidence.marks),
        "reasons": list(tactic.evidence.reasons),
        "claimed": tactic.claimed,
        "reproduced": tactic.reproduced,
        "verdict": tactic.verdict.line,
        "results": [_results_entry(run) for run in tactic.committed],
    }


def _results_entry(run: TacticRun) -> dict[str, Any]:
    results = run.results
    return {
        "device": results.device.name,
        "preset": results.preset,
        "data": results.data.name,
        "seeds": len(results.seeds),
        "counts": not run.against,
        "stale": run.stale,
        "timing_stale": run.timing_is_stale,
        "not_counted_because": list(run.against),
    }


@click.command(epilog=example("greentactics verdict consider-energy-aware-pruning"))
@click.argument("tactic", metavar="ID")
@RESULTS_OPTION
@click.pass_context
def verdict(context: click.Context, tactic: str, folder: Path | None) -> None:
    """Print what is claimed of a tactic beside what was measured."""
    root = root_of(context)
    catalogue = load_catalogue(root)
    require_tactics([tactic], catalogue.records)
    record, recipe = catalogue.records[tactic], catalogue.recipes.get(tactic)
    runs = tactic_runs(
        record,
        catalogue.results.get(tactic, ()),
        load_results_folder(folder or root / "build" / "results").get(tactic, ()),
        checksum=recipe.checksum if recipe else None,
        timing_sha256=catalogue.timing_sha256,
    )
    for line in verdict_output(record, runs):
        click.echo(line)
