"""The command `evidence`: what is claimed, what was reproduced, and whether the results still hold."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from greentactics.command_group import example, root_of
from greentactics.evidence import SMOKE_PRESET, is_stale, objections
from greentactics.export import json_text
from greentactics.results import Results
from greentactics.tactic_page import Tactic, join

_WIDTH_WITHOUT_TERMINAL = 160


@click.command(epilog=example("greentactics evidence", "greentactics evidence --json"))
@click.option("--json", "as_json", is_flag=True, help="For tools: one entry a tactic.")
@click.pass_context
def evidence(context: click.Context, as_json: bool) -> None:
    """Print the evidence of all tactics: claimed, reproduced, verdict, and what has become stale.

    Everything is computed from records and committed results; nothing is run.
    """
    from greentactics.loading import load_catalogue

    tactics = join(load_catalogue(root_of(context)), {}).values()
    if as_json:
        click.echo(json_text([_entry(tactic) for tactic in tactics]), nl=False)
        return
    console = Console(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    console.print(_table(tactics))


def results_state(tactic: Tactic) -> str:
    """Return in words whether the committed results count, and why not where they do not."""
    shown = [entry for entry in tactic.committed if entry.preset != SMOKE_PRESET]
    if not shown:
        return "none"
    return "\n".join(
        f"{entry.device.name}: {', '.join(objections(entry, tactic.recipe_sha256)) or 'counts'}"
        for entry in shown
    )


def _table(tactics: Iterable[Tactic]) -> Table:
    table = Table(show_lines=True)
    for column in ("tactic", "level", "claimed", "reproduced", "verdict", "results"):
        table.add_column(column, overflow="fold", no_wrap=column in ("tactic", "level"))
    for tactic in tactics:
        level = tactic.evidence.level.value + ("\ncontested" if tactic.evidence.contested else "")
        verdict = tactic.verdict[:1].upper() + tactic.verdict[1:]
        cells = (tactic.record.id, level, tactic.claimed, tactic.reproduced, verdict, results_state(tactic))
        table.add_row(*cells)
    return table


def _entry(tactic: Tactic) -> dict[str, Any]:
    return {
        "id": tactic.record.id,
        "kind": tactic.record.kind.value,
        "level": tactic.evidence.level.value,
        "contested": tactic.evidence.contested,
        "reasons": list(tactic.evidence.reasons),
        "claimed": tactic.claimed,
        "reproduced": tactic.reproduced,
        "verdict": tactic.verdict,
        "results": [_results_entry(tactic, entry) for entry in tactic.committed],
    }


def _results_entry(tactic: Tactic, results: Results) -> dict[str, Any]:
    against = objections(results, tactic.recipe_sha256)
    return {
        "device": results.device.name,
        "preset": results.preset,
        "data": results.data.name,
        "seeds": len(results.seeds),
        "counts": not against,
        "stale": is_stale(results, tactic.recipe_sha256),
        "not_counted_because": list(against),
    }
