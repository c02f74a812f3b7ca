"""The command `greentactics`: arguments in, exit code out."""

from __future__ import annotations

from pathlib import Path

import click

from greentactics import __version__
from greentactics.cli.group import CatalogueGroup, example

COMMANDS = {
    "accept": (
        "review:accept",
        "Look through results from another machine and file them as a further device.",
    ),
    "bibliography": ("cite:bibliography", "Print the bibliography, or the sources of the tactics named."),
    "check": ("check:check", "Report all mistakes in records, references, recipes and results."),
    "cite": ("cite:cite", "Add works to the bibliography and print the keys to cite them by."),
    "coverage": ("coverage:coverage", "Compare our records with other catalogues."),
    "data": ("data:data", "Find and download data sets."),
    "diff": (
        "review:diff",
        "Show what a change means: verdicts, evidence, claims, relations and sources before and after.",
    ),
    "evidence": (
        "evidence:evidence",
        "Print the evidence of all tactics: claimed, reproduced, verdict, and what has become stale.",
    ),
    "from-issue": ("review:from_issue", "Turn a filled form of an issue into a draft of a record."),
    "import": ("import_:import_", "Turn entries of another catalogue into drafts of records."),
    "measure": ("measure:measure", "Measure a tactic in fresh processes and store the repeats."),
    "meters": (
        "meters:meters",
        "List the meters of this machine, and what would help where one cannot be used.",
    ),
    "new": (
        "new:new",
        "Write record, recipe and test of a new tactic; on a terminal, without TITLE, ask for what is needed.",  # noqa: E501
    ),
    "render": (
        "render:render",
        "Write the pages, generated and hand-written, as Markdown, JSON and SVG for any site generator.",
    ),
    "replay": (
        "replay:replay",
        "Recompute effects from raw data that others metered and published, and store the pairs.",
    ),
    "run": ("measure:run", "Run a tactic's recipe and show a table; nothing is stored."),
    "schema": (
        "render:schema",
        "Write the JSON Schemas of records, bibliography and results to catalogue/schema/, for editors.",
    ),
    "sci": ("meters:sci", "Compute the Software Carbon Intensity of an arm from its metered energy."),
    "verdict": ("evidence:verdict", "Print what is claimed of a tactic beside what was measured."),
}
"""Module and attribute of each command in this wing, and what its help says first."""


@click.group(
    cls=CatalogueGroup,
    places=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("greentactics run consider-energy-aware-pruning --preset smoke"),
)
@click.version_option(__version__, prog_name="greentactics", message="%(prog)s %(version)s")
@click.option(
    "--root",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder with tactics/ and recipes/; found from the current folder upwards when not given.",
)
@click.pass_context
def main(context: click.Context, root: Path | None) -> None:
    """Check, run and measure tactics for energy-efficient machine learning."""
    context.obj = root
