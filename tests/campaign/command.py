"""The command of the campaign."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click

from greentactics.cli.group import example
from tests.campaign import importers, loader, renderer, schema
from tests.campaign.ledger import Ledger, feed
from tests.campaign.observing import Kind
from tests.campaign.sandbox import sandbox
from tests.campaign.seeds import prepare

AREAS = {
    "loader": loader.KINDS,
    "importers": importers.KINDS,
    "schema": schema.KINDS,
    "renderer": renderer.KINDS,
}
_SHARES = {"loader": 25, "importers": 29, "schema": 35, "renderer": 11}
"""How many of all inputs, in per cent; rendering costs the most."""
_RULES_SHOWN = 12


@click.command(
    epilog=example(
        "python -m tests.campaign --inputs 20000 --seed 0",
        "python -m tests.campaign --area loader --inputs 500",
    )
)
@click.option("--inputs", default=20_000, show_default=True, help="Number of inputs in all.")
@click.option("--seed", default=0, show_default=True, help="First seed; the same one draws the same inputs.")
@click.option(
    "--area",
    "areas",
    type=click.Choice(list(AREAS)),
    multiple=True,
    help="Only this one; may be given again.",
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("build/campaign"), show_default=True,
              help="Folder for the inputs that showed a defect.")  # fmt: skip
def main(inputs: int, seed: int, areas: Sequence[str], out: Path) -> None:
    """Feed right files made wrong to loader, importers, schema and renderer, and print what came of them.

    Only clean errors may come out, in bounded time, and no file may be written or read elsewhere. Exits with
    1 when an input showed a defect.
    """
    wanted = list(areas) or list(AREAS)
    whole = sum(_SHARES[area] for area in wanted)
    ledgers: list[Ledger] = []
    with sandbox(prepare) as place:
        for area in wanted:
            for kind in AREAS[area]:
                count = _draws(kind, inputs * _SHARES[area] / whole)
                ledger = feed(kind, place, count, seed)
                ledgers.append(ledger)
                click.echo(_line(ledger))
    click.echo(f"\n{_summary(ledgers)}")
    _write_defects(ledgers, out)
    click.get_current_context().exit(1 if any(ledger.defects for ledger in ledgers) else 0)


def _draws(kind: Kind, inputs: float) -> int:
    return max(1, round(inputs * kind.share / 100 / kind.together))


def _line(ledger: Ledger) -> str:
    kind, accepted = ledger.kind, ledger.accepted / ledger.inputs
    return (
        f"{kind.area:10} {kind.name:28} {ledger.inputs:6,} inputs, {accepted:4.0%} accepted, "
        f"{len(ledger.reached):3} rules, slowest {1000 * ledger.slowest_s:6.0f} ms, "
        f"{ledger.peak_memory_bytes / 2**20:5.0f} MiB, {len(ledger.defects)} defects"
    )


def _summary(ledgers: Sequence[Ledger]) -> str:
    lines = []
    for area in dict.fromkeys(ledger.kind.area for ledger in ledgers):
        own = [ledger for ledger in ledgers if ledger.kind.area == area]
        reached = sum((ledger.reached for ledger in own), Counter[str]())
        inputs, accepted = (sum(getattr(ledger, name) for ledger in own) for name in ("inputs", "accepted"))
        distinct = sum(len(ledger.distinct) * ledger.kind.together for ledger in own)
        slowest = max(own, key=lambda ledger: ledger.slowest_s)
        cpu_s, memory = sum(ledger.cpu_s for ledger in own), max(ledger.peak_memory_bytes for ledger in own)
        lines.append(
            f"{area}: {inputs:,} inputs ({distinct:,} distinct), {accepted:,} accepted "
            f"({accepted / inputs:.0%}), {inputs - accepted:,} refused; {len(reached)} rules reached"
        )
        lines.append(
            f"  slowest: {1000 * slowest.slowest_s:.0f} ms of processor time ({slowest.kind.name}); "
            f"all: {cpu_s:.0f} s; peak memory {memory / 2**20:.0f} MiB"
        )
        lines += [f"  {count / inputs:6.1%} {rule}" for rule, count in reached.most_common(_RULES_SHOWN)]
    total = sum(ledger.inputs for ledger in ledgers)
    defects = sum(len(ledger.defects) for ledger in ledgers)
    rules = len({rule for ledger in ledgers for rule in ledger.reached})
    return "\n".join([*lines, f"{total:,} inputs in all, {rules} rules reached, {defects} defects"])


def _write_defects(ledgers: Sequence[Ledger], out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    slowest = max(ledgers, key=lambda ledger: ledger.slowest_s)
    text = f"{slowest.kind.name}: {slowest.slowest_s:.2f} s\n\n{slowest.slowest!a}\n"
    (out / "slowest.txt").write_text(text, encoding="utf-8")
    for ledger in ledgers:
        for number, (defect, drawn) in enumerate(ledger.defects.items(), start=1):
            path = (
                out
                / f"{ledger.kind.area}-{ledger.kind.name.replace(', ', '-').replace(' ', '-')}-{number}.txt"
            )
            path.write_text(f"{defect}\n\n{drawn!a}\n", encoding="utf-8", errors="backslashreplace")
            click.echo(f"{path}: {defect.strip().splitlines()[-1][:160]}")
