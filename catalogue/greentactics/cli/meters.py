"""The commands about energy meters, and about carbon from what they metered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import click

from greentactics.cli.group import RESULTS_OPTION, FiniteRange, example, require_tactics, root_of
from greentactics.evidence.carbon import STANDARD, MeteredEnergy, Stated, as_json, as_text, metered_energy
from greentactics.measure.processes import child_environment
from greentactics.records.loading import load_results_folder
from greentactics.text.files import display_name
from greentactics.text.problems import UserError

_MODULE = "recipes.common.meters"
_TIMEOUT_S = 120


@click.command(epilog=example("greentactics meters"))
@click.option("--json", "json_", is_flag=True, help="As JSON, for tools.")
@click.pass_context
def meters(context: click.Context, json_: bool) -> None:
    """List the meters of this machine, and what would help where one cannot be used.

    Recipes use the best of them; the environment variable GREENTACTICS_METER may name another: auto, none,
    rapl, nvml or zeus.
    """
    command = [sys.executable, "-m", _MODULE, *(["--json"] if json_ else [])]
    try:
        done = subprocess.run(
            command,
            cwd=root_of(context),
            env=child_environment(threads=1),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UserError(f"{_MODULE}: no answer after {_TIMEOUT_S} s; a driver may hang") from None
    if not done.stdout:
        raise UserError(f"{_MODULE}: {(done.stderr.strip().splitlines() or ['it said nothing'])[-1]}")
    click.echo(done.stdout, nl=False)
    context.exit(done.returncode)


@click.command(
    epilog=example(
        "greentactics sci consider-energy-aware-pruning --grid-intensity 56 --grid-source 'operator, 2025'"
    )
)
@click.argument("tactic", metavar="ID")
@click.option(
    "--grid-intensity",
    type=FiniteRange(0, 10_000),
    required=True,
    help="Carbon intensity of the grid in g/kWh.",
)
@click.option("--grid-source", required=True, help="Where that figure comes from.")
@click.option("--arm", default="tactic", show_default=True, help="The arm.")
@click.option("--embodied-g", type=FiniteRange(0, 1e9), help="Embodied emissions in g, shared out to one R.")
@click.option("--embodied-source", help="Where that figure comes from.")
@RESULTS_OPTION
@click.option("--json", "json_", is_flag=True, help="As JSON, for tools.")
@click.pass_context
def sci(
    context: click.Context,
    tactic: str,
    grid_intensity: float,
    grid_source: str,
    arm: str,
    embodied_g: float | None,
    embodied_source: str | None,
    folder: Path | None,
    json_: bool,
) -> None:
    """Compute the Software Carbon Intensity of an arm from its metered energy.

    SCI = (E * I + M) per R. E is metered, from published results and those of this machine; I and M are
    yours, with a source. R is 1,000 inferences where their energy was metered, else one run of the arm.
    Offsets are not taken.
    """
    grid = _stated("--grid-intensity", grid_intensity, "--grid-source", grid_source)
    has_embodied = embodied_g is not None or embodied_source is not None
    embodied = (
        _stated("--embodied-g", embodied_g, "--embodied-source", embodied_source) if has_embodied else None
    )
    root = root_of(context)
    energies = _metered(root, tactic, arm, folder or root / "build" / "results")
    if json_:
        entries = as_json(energies, grid, embodied)
        click.echo(json.dumps({"standard": STANDARD, "tactic": tactic, "arm": arm, "sci": entries}, indent=2))
    else:
        click.echo(f"{tactic}, arm {arm}\n{as_text(energies, grid, embodied)}")


def _stated(option: str, value: float | None, source_option: str, source: str | None) -> Stated:
    """Return a figure with its source, neither of which may be missing."""
    if value is None:
        raise click.UsageError(f"{option}: expected a number from 0, got none")
    if source is None or not source.strip():
        raise click.UsageError(f"{option}: expected its source in {source_option}, got none")
    return Stated(value, source.strip())


def _metered(root: Path, tactic: str, arm: str, local: Path) -> list[MeteredEnergy]:
    """Return the metered energy of an arm.

    Raises:
        UserError: There is none, or no such arm.
        CatalogueError: A results file is wrong.
    """
    tactics = sorted(path.stem for path in (root / "tactics").glob("*.yaml") if path.stem != "references")
    require_tactics([tactic], tactics)
    published = root / "recipes" / "results"
    folders = [published, *([] if local.resolve() == published.resolve() else [local])]
    results = [entry for folder in folders for entry in load_results_folder(folder).get(tactic, ())]
    arms = sorted({name for entry in results for name in entry.arms})
    if results and arm not in arms:
        raise UserError(f"--arm: expected one of {', '.join(arms)}, got {arm!r}")
    energies = metered_energy(results, arm)
    if not energies:
        places = " and ".join(display_name(folder / tactic, root) for folder in folders)
        found = "results without an energy meter" if results else "no results"
        raise UserError(
            f"{places}: expected metered energy of {arm}, got {found}; nothing is estimated in its place: "
            "`greentactics meters` says what this machine can meter, `greentactics measure` then stores it"
        )
    return energies
