"""The documents of tactics as tables in CSV: one row a tactic, a claim, a comparison or a timing.

RFC 4180: a head, fields separated by commas, lines ended by CRLF; UTF-8. A cell without a value is empty,
and words in one cell are separated by spaces. Text that a spreadsheet would take for a formula is led by
an apostrophe (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from greentactics.api.addresses import API
from greentactics.api.models import TacticDocument
from greentactics.models.vocabulary import Direction
from greentactics.text.escaping import one_line

Cell = str | float | bool | None
"""What a cell is made from; a date or a term is given as text."""

Columns = Mapping[str, str]
"""Paths of values in flattened rows, by the name of the column."""

FORMULA_SIGNS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""Signs at which spreadsheets begin a formula, also in their wide forms."""


def _fields(path: str, *names: str) -> Columns:
    """Return columns that are called as the fields are."""
    return {name: f"{path}.{name}" for name in names}


def _interval(path: str, value: str, stem: str) -> Columns:
    """Return the columns of an estimate and the ends of its interval."""
    return {
        value: f"{path}.value",
        f"{stem}_low": f"{path}.interval_95.0",
        f"{stem}_high": f"{path}.interval_95.1",
    }


TACTIC_COLUMNS: Columns = {
    "id": "id",
    **_fields("record", "title", "kind", "type", "category", "group", "stages"),
    "participants": "record.participant",
    "artifacts": "record.artifact",
    **_fields("record", "tags", "target_quality"),
    **_fields("effects", "improves", "worsens", "depends"),
    "effort": "record.effort.level",
    "status": "record.status",
    "evidence": "evidence.level",
    "marks": "evidence.marks",
    "claimed": "claimed",
    "reproduced_run": "reproduced.run",
    "reproduced_metric": "reproduced.cost.metric",
    "reproduced_provenance": "reproduced.cost.provenance",
    **_interval("reproduced.cost.against_baseline", "reproduced_value", "reproduced"),
    "reproduced_unit": "reproduced.cost.against_baseline.unit",
    "reproduced_n": "reproduced.cost.against_baseline.n",
    "difference_shown": "reproduced.difference_shown",
    "quality_metric": "reproduced.quality.metric",
    **_interval("reproduced.quality.against_baseline", "quality_change", "quality"),
    "quality_unit": "reproduced.quality.against_baseline.unit",
    **_fields("reproduced", "quality_tolerance_points", "within_tolerance"),
    "rival": "reproduced.rival.arm",
    "rival_outcome": "reproduced.rival.outcome",
    **_interval("reproduced.rival.cost", "rival_cost", "rival_cost"),
    **_interval("reproduced.rival.quality", "rival_quality", "rival_quality"),
    "verdict": "verdict",
    **_fields("record", "created", "modified"),
    "page": "page",
}

CLAIM_COLUMNS: Columns = {
    "tactic": "tactic",
    "position": "position",
    "headline": "headline",
    **_fields("claim", "quantity", "value"),
    **_fields("claim.range", "low", "high"),
    **_fields("claim", "unit", "direction", "bound", "baseline", "setting", "kind", "source"),
    "doi": "doi",
    **_fields("claim", "read_in", "note"),
}

_RUN_COLUMNS: Columns = {
    "tactic": "tactic",
    "run": "run.run",
    "device": "run.device.name",
    "device_kind": "run.device.kind",
    **_fields("run", "preset", "data", "date", "commit", "counts_as_evidence", "not_counted_because"),
}

_COMPARED_COLUMNS: Columns = {
    **_interval("entry.against_baseline", "estimate", "estimate"),
    "estimate_unit": "entry.against_baseline.unit",
    "n": "entry.against_baseline.n",
}

MEASUREMENT_COLUMNS: Columns = {
    **_RUN_COLUMNS,
    "threads": "run.threads",
    **_fields("entry", "arm", "metric"),
    **_fields("metric", "unit", "better"),
    "provenance": "entry.provenance",
    **_interval("entry.baseline", "baseline_mean", "baseline"),
    "baseline_n": "entry.baseline.n",
    **_interval("entry.treated", "arm_mean", "arm"),
    "arm_n": "entry.treated.n",
    **_COMPARED_COLUMNS,
    "not_comparable_because": "entry.not_comparable_because",
    "description": "metric.description",
    "raw": "run.raw",
}

LATENCY_COLUMNS: Columns = {
    **_RUN_COLUMNS,
    **_fields("entry", "engine", "batch_size", "threads"),
    "stale": "run.latency_is_stale",
    **_fields("entry", "arm", "quantity", "unit", "provenance"),
    "baseline_median": "entry.baseline",
    "arm_median": "entry.treated",
    **_COMPARED_COLUMNS,
    **_interval("entry.baseline_against_itself", "control", "control"),
    "difference_shown": "entry.difference_shown",
    "raw": "run.raw",
}


def table_files(documents: Sequence[TacticDocument]) -> dict[str, str]:
    """Return the tables by path, after one pass over the documents."""
    tactics, claims, measurements, latencies = (list[dict[str, Cell]]() for _ in range(4))
    for document in documents:
        whole = document.model_dump(mode="json")
        runs, sources = whole.pop("results"), whole.pop("sources")
        record = whole["record"]
        effects = {
            direction.value: [one["quality"] for one in record["effects"] if one["direction"] == direction]
            for direction in Direction
        }
        tactics.append(flattened(whole | {"effects": effects}))
        doi = {source["key"]: source["doi"] for source in sources}
        for index, claim in enumerate(record["impact"]["claims"]):
            about = {
                "tactic": document.id,
                "position": index + 1,
                "headline": index == document.headline_claim,
                "doi": doi.get(claim["source"]),
            }
            claims.append(flattened(about | {"claim": claim}))
        for run in runs:
            metrics, comparisons, timings = (run.pop(key) for key in ("metrics", "comparisons", "latency"))
            because = "; ".join(run["not_counted_because"])  # sentences, not words
            shared = flattened({"tactic": document.id, "run": run | {"not_counted_because": because}})
            measurements += [
                shared | flattened({"entry": entry, "metric": metrics[entry["metric"]]})
                for entry in comparisons
            ]
            latencies += [shared | flattened({"entry": entry}) for entry in timings]
    return {
        f"{API}/tactics.csv": _table(TACTIC_COLUMNS, tactics),
        f"{API}/claims.csv": _table(CLAIM_COLUMNS, claims),
        f"{API}/measurements.csv": _table(MEASUREMENT_COLUMNS, measurements),
        f"{API}/latencies.csv": _table(LATENCY_COLUMNS, latencies),
    }


def flattened(value: Any, path: str = "") -> dict[str, Cell]:  # noqa: ANN401 - any JSON value
    """Return the values of a JSON document by their paths, such as `cost.interval_95.0`.

    Texts in a list become one, separated by spaces.
    """
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return {path: " ".join(value)}
    if isinstance(value, list):
        value = dict(enumerate(value))
    if not isinstance(value, dict):
        return {path: value}
    return {
        name: cell
        for key, inner in value.items()
        for name, cell in flattened(inner, f"{path}.{key}" if path else f"{key}").items()
    }


def _table(columns: Columns, rows: Iterable[Mapping[str, Cell]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell_text(row.get(path)) for path in columns.values()] for row in rows)
    return text.getvalue()


def cell_text(value: Cell) -> str:
    """Return a value as the text of a cell that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return repr(value)
    flat = one_line(value)
    return f"'{flat}" if flat.startswith(FORMULA_SIGNS) and not _is_number(flat) else flat


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
