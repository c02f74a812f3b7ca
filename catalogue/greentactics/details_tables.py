"""Tables from a run's details, such as energy by layer and data type, whatever the recipe put there.

A detail is shown when it is a list of flat mappings that share their keys. The first mapping gives the
columns; columns of words stand before columns of numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greentactics.results import BASELINE, TACTIC, Repeat, Results
from greentactics.wording import plain_label, quantity

MOST_ROWS = 40


@dataclass(frozen=True)
class DetailTable:
    """One table of one arm."""

    title: str
    """Name of the detail and of the arm."""
    columns: tuple[str, ...]
    """Column heads."""
    rows: tuple[tuple[str, ...], ...]
    """Cells as text."""
    left_out: int
    """Rows beyond the ones shown; the raw JSON has them."""
    numeric: bool
    """Whether all columns but the first hold numbers only, or nothing."""


def detail_tables(results: Results) -> list[DetailTable]:
    """Return the tables of the baseline and the tactic, first seed; those of rivals stay in the raw JSON."""
    first: dict[str, Repeat] = {}
    for repeat in sorted(results.repeats, key=lambda repeat: repeat.seed):
        first.setdefault(repeat.arm, repeat)
    tables = []
    for arm in (BASELINE, TACTIC):
        if arm not in first:
            continue
        for name, value in first[arm].details.items():
            if _is_table(value):
                tables.append(
                    _table(f"{plain_label(name)}: {plain_label(arm)}, seed {first[arm].seed}", value)
                )
    return tables


def _is_table(value: object) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str) or not value:
        return False
    return all(
        isinstance(row, Mapping)
        and row
        and not any(isinstance(cell, (Mapping, list)) for cell in row.values())
        for row in value
    )


def _table(title: str, value: Sequence[Mapping[str, Any]]) -> DetailTable:
    shown = value[:MOST_ROWS]
    numeric = {column: all(_is_number(row.get(column)) for row in shown) for column in value[0]}
    columns = tuple(sorted(numeric, key=numeric.__getitem__))  # words first, so that they head the rows
    return DetailTable(
        title=title[:1].upper() + title[1:],
        columns=tuple(plain_label(column) for column in columns),
        rows=tuple(tuple(_cell(row.get(column)) for column in columns) for row in shown),
        left_out=len(value) - len(shown),
        numeric=all(numeric[column] for column in columns[1:]),
    )


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _cell(value: object) -> str:
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return quantity(value, "").rstrip() if isinstance(value, float) else str(value)
