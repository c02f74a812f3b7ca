"""The tables of the page on the smallest cost: nets in 8-bit integers beside the dense one.

`python -m greentactics.site.smallest_cost`, in the root of the repository, renews the page after measuring.
"""

from __future__ import annotations

import re
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

from greentactics.evidence.comparison import Estimate, NotComparable, compare, loss_interval
from greentactics.evidence.runs import tactic_runs
from greentactics.evidence.verdict import headline_run
from greentactics.evidence.wording import DASH, estimate_phrase, plain_label, quantity, typographic
from greentactics.models.record import RecipeUse
from greentactics.models.results import BASELINE, TACTIC, Results
from greentactics.models.timings import CONTROL
from greentactics.records.loading import load_catalogue
from greentactics.text.files import write_atomically
from greentactics.text.problems import CatalogueError, UserError

ID = "redesign-distil-and-quantise"
PAGE = Path("catalogue/pages/smallest-cost.md")
BLOCK = re.compile(r"(?<=^<!-- figures -->\n).*?(?=^<!-- /figures -->$)", re.MULTILINE | re.DOTALL)
SHAPES = "macs_and_time_of_untrained_nets"
TYPES = "types_of_8_bit_numbers_batch_64"
RECIPE_COST, OTHER_COST = "relative_int8_time_batch_64", "relative_int8_time_batch_1"
NOT_MEASURED = "*Not measured since the recipe last changed.*\n"


def block(root: Path) -> str:
    """Return what stands between the page's marks: the tables, or a line that there are no results."""
    catalogue = load_catalogue(root)
    record, recipe = catalogue.records[ID], catalogue.recipes[ID]
    run = headline_run(tactic_runs(record, catalogue.results.get(ID, ()), checksum=recipe.checksum))
    if run is None or record.recipe is None:
        return NOT_MEASURED
    return table(run.results, record.recipe) + shapes_table(run.results) + types_table(run.results)


def table(results: Results, recipe: RecipeUse) -> str:
    """Return a Markdown table with a row for each arm, the cheapest first.

    Args:
        results: Of one device, with the metrics of the recipe.
        recipe: Names of the headline cost and the quality, and the loss that is acceptable.
    """
    head = ("net", "MACs", "time, batch 64", "time, batch 1", "accuracy", "loss within the budget")
    named = [arm for arm in results.arms if arm != CONTROL and results.values(arm, recipe.cost_metric)]
    order = sorted(named, key=lambda arm: _mean(results, arm, recipe.cost_metric))
    rows = [_row(results, recipe, arm) for arm in order]
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ("---", *["---:"] * 4, "---"), *rows)]
    conditions = f"{results.data.name}, {len(results.seeds)} seeds, {results.device.name}"
    return "\n".join(lines) + f"\n\n*{conditions}; 95 % intervals over seeds.*\n"


def shapes_table(results: Results) -> str:
    """Return a Markdown table of untrained nets, MACs beside time; nothing where no repeat has one."""
    found = [r.details[SHAPES] for r in results.repeats if r.arm == BASELINE and SHAPES in r.details]
    if not found:
        return ""
    head = ("shape, untrained", "MACs", "time, batch 64", "time, batch 1")
    lines = [f"| {' | '.join(head)} |", "| --- | ---: | ---: | ---: |"]
    for rows in zip(*found, strict=True):
        times = (_share([row[name] for row in rows]) for name in (RECIPE_COST, OTHER_COST))
        name, macs = plain_label(rows[0]["net"]), f"{100 * rows[0]['relative_macs']:.0f} %"
        lines.append(f"| {' | '.join((name, macs, *times))} |")
    note = "Shares of the dense network's; means over seeds, least and most in brackets."
    return typographic("\n" + "\n".join(lines) + f"\n\n*{note}*\n")


def types_table(results: Results) -> str:
    """Return a Markdown table, the dense network's time by type of number; nothing where none has one."""
    found = [r.details[TYPES] for r in results.repeats if r.arm == BASELINE and TYPES in r.details]
    if not found:
        return ""
    lines = ["| activations | weights | time of the dense network, batch 64 |", "| --- | --- | ---: |"]
    for rows in zip(*found, strict=True):
        time = _share([row["relative_time"] for row in rows])
        lines.append(f"| {rows[0]['activations']} | {rows[0]['weights']} | {time} |")
    note = "Shares of the time with the first choice; means over seeds, least and most in brackets."
    return typographic("\n" + "\n".join(lines) + f"\n\n*{note}*\n")


def _share(values: Sequence[float]) -> str:
    mean, least, most = (
        f"{100 * value:.0f} %" for value in (statistics.fmean(values), min(values), max(values))
    )
    return f"{mean} ({least} to {most})"


def filled(page: str, text: str) -> str:
    """Return the page with the text between its marks.

    Raises:
        UserError: The page lacks the marks, or has them more than once.
    """
    if len(BLOCK.findall(page)) != 1:
        raise UserError(f"{PAGE}: expected once the lines <!-- figures --> and <!-- /figures -->; add them")
    return BLOCK.sub(lambda _: text, page)


def _row(results: Results, recipe: RecipeUse, arm: str) -> tuple[str, ...]:
    name = f"**{plain_label(arm)}**" if arm == TACTIC else plain_label(arm)
    macs = quantity(_mean(results, arm, "macs"), "count")
    accuracy = quantity(_mean(results, arm, recipe.quality_metric), "fraction")
    if arm == BASELINE:
        return name, macs, DASH, DASH, accuracy, DASH
    quality = _compared(results, arm, recipe.quality_metric)
    loss = loss_interval(quality, results.metrics[recipe.quality_metric].better)
    within = loss is not None and loss[1] <= recipe.quality_tolerance_points
    times = [_phrase(_compared(results, arm, metric)) for metric in (recipe.cost_metric, OTHER_COST)]
    return name, macs, *times, f"{accuracy}, {_phrase(quality)}", "yes" if within else "not shown"


def _mean(results: Results, arm: str, metric: str) -> float:
    return statistics.fmean(results.values(arm, metric).values())


def _compared(results: Results, arm: str, metric: str) -> Estimate | None:
    try:
        return compare(results, arm, metric)
    except NotComparable:
        return None


def _phrase(estimate: Estimate | None) -> str:
    return DASH if estimate is None else typographic(estimate_phrase(estimate))


def main(root: Path = Path()) -> int:
    """Renew the page; return the exit code, 1 after an error the user can put right."""
    path = root / PAGE
    try:
        write_atomically(path, filled(path.read_text(encoding="utf-8"), block(root)))
    except (CatalogueError, UserError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
