"""Energy by layer and data type, dense beside pruned, as stacked bars in inline SVG.

Drawn from any table among a run's details whose rows name a `layer` and split its `energy` into columns
`energy_<data type>`; rows with different `batch_size` give one figure each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from greentactics.figures import Figure
from greentactics.results import BASELINE, TACTIC, Results
from greentactics.wording import plain_label, quantity

WIDTH = 360
LEFT = 66
RIGHT = 10
BAR = 12
ROW = 52
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
    for index, batch in enumerate(batches):
        chosen = {
            arm: {str(row["layer"]): row for row in rows if row.get("batch_size") == batch}
            for arm, rows in tables.items()
        }
        condition = f", batch {batch}" if batch is not None else ""
        title = f"Modelled energy by layer{condition}, seed {seed}"
        figures.append(Figure(title, _draw(chosen, kinds, f"layers-{index + 1}", title)))
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


def _draw(
    arms: Mapping[str, Mapping[str, Mapping[str, Any]]], kinds: Sequence[str], identifier: str, title: str
) -> Markup:
    layers = list(arms[TACTIC])
    totals = {
        arm: {name: sum(float(row.get(kind, 0)) for kind in kinds) for name, row in rows.items()}
        for arm, rows in arms.items()
    }
    largest = max((value for rows in totals.values() for value in rows.values()), default=1.0) or 1.0
    height = ROW * len(layers) + 34
    described = "; ".join(f"{name}: {_change(totals, name)}" for name in layers)
    parts = [
        Markup('<svg class="gt-layers" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d">').format(
            WIDTH, height, identifier, identifier
        ),
        Markup('<title id="{}-t">{}</title>').format(identifier, title),
        Markup('<desc id="{}-d">Baseline to tactic. {}.</desc>').format(identifier, described),
        _legend(kinds),
    ]
    for index, name in enumerate(layers):
        top = 30 + ROW * index
        parts.append(
            Markup('<text x="10" y="{}">{}</text><text class="gt-value" x="{}" y="{}">{}</text>').format(
                top + 14, name[:20], WIDTH - RIGHT, top + 14, _change(totals, name)
            )
        )
        for line, arm in enumerate((BASELINE, TACTIC)):
            y = top + 19 + line * (BAR + 3)
            parts.append(Markup('<text class="gt-small" x="10" y="{}">{}</text>').format(y + 10, arm))
            parts.append(_bar(arms[arm].get(name, {}), kinds, y, (WIDTH - LEFT - RIGHT) / largest))
    return Markup("\n").join([*parts, Markup("</svg>")])


def _change(totals: Mapping[str, Mapping[str, float]], layer: str) -> str:
    before, after = totals[BASELINE].get(layer, 0.0), totals[TACTIC].get(layer, 0.0)
    return f"{quantity(before, '').strip()} \u2192 {quantity(after, '').strip()} MAC"


def _bar(row: Mapping[str, Any], kinds: Sequence[str], y: int, scale: float) -> Markup:
    x = float(LEFT)
    parts = []
    for index, kind in enumerate(kinds):
        width = float(row.get(kind, 0)) * scale
        parts.append(
            Markup('<rect class="gt-share-{}" x="{:.1f}" y="{}" width="{:.1f}" height="{}"/>').format(
                index % 4, x, y, width, BAR
            )
        )
        x += width
    return Markup("").join(parts)


def _legend(kinds: Sequence[str]) -> Markup:
    x = 10
    parts = []
    for index, kind in enumerate(kinds):
        word = plain_label(kind.removeprefix(PREFIX))
        parts.append(
            Markup(
                '<rect class="gt-share-{}" x="{}" y="6" width="11" height="11"/>'
                '<text class="gt-small" x="{}" y="16">{}</text>'
            ).format(index % 4, x, x + 15, word)
        )
        x += 24 + 7 * len(word)
    return Markup("").join(parts)
