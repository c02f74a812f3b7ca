"""Energy by layer and data type, dense above pruned, as stacked bars between the name and the figures.

Drawn from any table among a run's details whose rows name a `layer` and split its `energy` into columns
`energy_<data type>`; rows with different `batch_size` give one figure each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from greentactics.evidence.wording import plain_label, quantity
from greentactics.models.results import BASELINE, TACTIC, Results
from greentactics.site.drawings.svg import Figure
from greentactics.text.escaping import text_to_html

PREFIX = "energy_"

Rows = Sequence[Mapping[str, Any]]


def layer_figures(results: Results) -> list[Figure]:
    """Return a figure for each batch size, of the first seed with both arms; none without such a table."""
    arms = _tables(results)
    if arms is None:
        return []
    seed, tables = arms
    kinds = [column for column in tables[TACTIC][0] if column.startswith(PREFIX)]
    batches = list(dict.fromkeys(row.get("batch_size") for row in tables[TACTIC]))
    figures = []
    for batch in batches:
        chosen = {
            arm: {str(row["layer"]): row for row in rows if row.get("batch_size") == batch}
            for arm, rows in tables.items()
        }
        condition = f", batch {batch}" if batch is not None else ""
        title = f"Modelled energy by layer{condition}, seed {seed}"
        figures.append(Figure(title, _layers_table(chosen, kinds, title)))
    return figures


def _tables(results: Results) -> tuple[int, dict[str, Rows]] | None:
    """Return the seed and the rows by arm."""
    for seed in results.seeds:
        details = {repeat.arm: repeat.details for repeat in results.repeats if repeat.seed == seed}
        for name, rows in details.get(TACTIC, {}).items():
            both = {arm: details.get(arm, {}).get(name) for arm in (BASELINE, TACTIC)}
            if _is_split(rows) and _is_split(both[BASELINE]):
                return seed, {arm: table for arm, table in both.items() if table is not None}
    return None


def _is_split(rows: object) -> bool:
    """Tell whether a detail is a table of layers with at least two numeric columns of energy by data type."""
    if not isinstance(rows, Sequence) or isinstance(rows, str) or not rows:
        return False
    return all(
        isinstance(row, Mapping)
        and "layer" in row
        and sum(key.startswith(PREFIX) for key in row) >= 2
        and all(isinstance(value, (int, float)) for key, value in row.items() if key.startswith(PREFIX))
        for row in rows
    )


def _layers_table(
    arms: Mapping[str, Mapping[str, Mapping[str, Any]]], kinds: Sequence[str], title: str
) -> Markup:
    layers = list(arms[TACTIC])
    totals = {
        arm: {name: sum(float(row.get(kind, 0)) for kind in kinds) for name, row in rows.items()}
        for arm, rows in arms.items()
    }
    largest = max((value for rows in totals.values() for value in rows.values()), default=1.0) or 1.0
    rows = Markup("\n").join(
        Markup('<tr><th scope="row">{}</th><td>{}</td><td>{}</td></tr>').format(
            text_to_html(name),
            Markup("").join(
                _layer_bar(arms[arm].get(name, {}), kinds, largest) for arm in (BASELINE, TACTIC)
            ),
            _layer_change(totals, name),
        )
        for name in layers
    )
    return Markup(
        '<ul class="gt-arms">{}</ul>\n'
        '<table class="gt-forest gt-layers" aria-label="{}">\n<tbody>\n{}\n</tbody>\n'
        "<tfoot><tr><td></td><td>above: baseline, below: tactic</td><td>MAC</td></tr></tfoot>\n</table>"
    ).format(_layers_legend(kinds), text_to_html(title), rows)


def _layer_change(totals: Mapping[str, Mapping[str, float]], layer: str) -> str:
    before, after = totals[BASELINE].get(layer, 0.0), totals[TACTIC].get(layer, 0.0)
    return f"{quantity(before, '').strip()} \u2192 {quantity(after, '').strip()}"


def _layer_bar(row: Mapping[str, Any], kinds: Sequence[str], largest: float) -> Markup:
    start, parts = 0.0, []
    for index, kind in enumerate(kinds):
        share = 100 * float(row.get(kind, 0)) / largest
        parts.append(
            Markup('<rect class="gt-share-{}" x="{:.1f}%" width="{:.1f}%" height="100%"/>').format(
                index % 4, start, share
            )
        )
        start += share
    return Markup('<svg class="gt-stack">{}</svg>').format(Markup("").join(parts))


def _layers_legend(kinds: Sequence[str]) -> Markup:
    return Markup("").join(
        Markup(
            '<li><svg viewBox="0 0 12 12" aria-hidden="true"><rect class="gt-share-{}" width="12" '
            'height="12"/></svg>{}</li>'
        ).format(index % 4, text_to_html(plain_label(kind.removeprefix(PREFIX))))
        for index, kind in enumerate(kinds)
    )
