"""The documents of tactics as tables in CSV: one row a tactic, a claim, a comparison or a timing.

RFC 4180: a head, fields separated by commas, lines ended by CRLF; UTF-8. A cell without a value is empty,
and words in one cell are separated by spaces. Text that a spreadsheet would take for a formula is led by
an apostrophe (OWASP, CSV Injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from greentactics.api.addresses import API
from greentactics.api.models import (
    ComparisonDocument,
    EstimateDocument,
    LatencyDocument,
    RunDocument,
    TacticDocument,
)
from greentactics.models.record import Claim
from greentactics.models.vocabulary import Direction
from greentactics.text.escaping import one_line

Cell = str | float | bool | None
"""What a cell is made from; a date or a term is given as text."""

Row = TypeVar("Row")
Value = TypeVar("Value")

FORMULA_SIGNS = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""Signs at which spreadsheets begin a formula, also in their wide forms."""


@dataclass(frozen=True)
class ClaimRow:
    """One published claim."""

    document: TacticDocument
    claim: Claim
    position: int


@dataclass(frozen=True)
class RunRow:
    """One comparison or one timing of a run."""

    document: TacticDocument
    run: RunDocument


@dataclass(frozen=True)
class MeasurementRow(RunRow):
    """One metric of one arm of one run."""

    entry: ComparisonDocument


@dataclass(frozen=True)
class LatencyRow(RunRow):
    """One arm in one engine."""

    entry: LatencyDocument


TACTIC_COLUMNS: Mapping[str, Callable[[TacticDocument], Cell]] = {
    "id": lambda document: document.id,
    "title": lambda document: document.record.title,
    "kind": lambda document: document.record.kind,
    "type": lambda document: document.record.type,
    "category": lambda document: document.record.category,
    "group": lambda document: document.record.group,
    "stages": lambda document: _words(document.record.stages),
    "participants": lambda document: _words(document.record.participant),
    "artifacts": lambda document: _words(document.record.artifact),
    "tags": lambda document: _words(document.record.tags),
    "target_quality": lambda document: document.record.target_quality,
    "improves": lambda document: _qualities(document, Direction.IMPROVES),
    "worsens": lambda document: _qualities(document, Direction.WORSENS),
    "depends": lambda document: _qualities(document, Direction.DEPENDS),
    "effort": lambda document: document.record.effort.level,
    "status": lambda document: document.record.status,
    "evidence": lambda document: document.evidence.level,
    "contested": lambda document: document.evidence.contested,
    "claimed": lambda document: document.claimed,
    "reproduced_run": lambda document: _of(document.reproduced, lambda shown: shown.run),
    "reproduced_metric": lambda document: _of(document.reproduced, lambda shown: shown.cost.metric),
    "reproduced_provenance": lambda document: _of(document.reproduced, lambda shown: shown.cost.provenance),
    "reproduced_value": lambda document: _value(_cost(document)),
    "reproduced_low": lambda document: _end(_cost(document), 0),
    "reproduced_high": lambda document: _end(_cost(document), 1),
    "reproduced_unit": lambda document: _unit(_cost(document)),
    "reproduced_n": lambda document: _pairs(_cost(document)),
    "difference_shown": lambda document: _of(document.reproduced, lambda shown: shown.difference_shown),
    "quality_metric": lambda document: _of(_quality_entry(document), lambda entry: entry.metric),
    "quality_change": lambda document: _value(_quality(document)),
    "quality_low": lambda document: _end(_quality(document), 0),
    "quality_high": lambda document: _end(_quality(document), 1),
    "quality_unit": lambda document: _unit(_quality(document)),
    "quality_tolerance_points": lambda document: _of(
        document.reproduced, lambda shown: shown.quality_tolerance_points
    ),
    "within_tolerance": lambda document: _of(document.reproduced, lambda shown: shown.within_tolerance),
    "verdict": lambda document: document.verdict,
    "created": lambda document: str(document.record.created),
    "modified": lambda document: str(document.record.modified),
    "page": lambda document: document.page,
}

CLAIM_COLUMNS: Mapping[str, Callable[[ClaimRow], Cell]] = {
    "tactic": lambda row: row.document.id,
    "position": lambda row: row.position,
    "headline": lambda row: row.position - 1 == row.document.headline_claim,
    "quantity": lambda row: row.claim.quantity,
    "value": lambda row: row.claim.value,
    "low": lambda row: _of(row.claim.range, lambda ends: ends.low),
    "high": lambda row: _of(row.claim.range, lambda ends: ends.high),
    "unit": lambda row: row.claim.unit,
    "direction": lambda row: row.claim.direction,
    "bound": lambda row: row.claim.bound,
    "baseline": lambda row: row.claim.baseline,
    "setting": lambda row: row.claim.setting,
    "kind": lambda row: row.claim.kind,
    "source": lambda row: row.claim.source,
    "doi": lambda row: next(
        (source.doi for source in row.document.sources if source.key == row.claim.source), None
    ),
    "read_in": lambda row: row.claim.read_in,
    "note": lambda row: row.claim.note,
}

_RUN_COLUMNS: Mapping[str, Callable[[RunRow], Cell]] = {
    "tactic": lambda row: row.document.id,
    "run": lambda row: row.run.run,
    "device": lambda row: row.run.device.name,
    "device_kind": lambda row: row.run.device.kind,
    "preset": lambda row: row.run.preset,
    "data": lambda row: row.run.data,
    "date": lambda row: str(row.run.date),
    "commit": lambda row: row.run.commit,
    "counts_as_evidence": lambda row: row.run.counts_as_evidence,
    "not_counted_because": lambda row: "; ".join(row.run.not_counted_because),
}

MEASUREMENT_COLUMNS: Mapping[str, Callable[[MeasurementRow], Cell]] = {
    **_RUN_COLUMNS,
    "threads": lambda row: row.run.threads,
    "arm": lambda row: row.entry.arm,
    "metric": lambda row: row.entry.metric,
    "unit": lambda row: row.run.metrics[row.entry.metric].unit,
    "better": lambda row: row.run.metrics[row.entry.metric].better,
    "provenance": lambda row: row.entry.provenance,
    "baseline_mean": lambda row: _value(row.entry.baseline),
    "baseline_low": lambda row: _end(row.entry.baseline, 0),
    "baseline_high": lambda row: _end(row.entry.baseline, 1),
    "baseline_n": lambda row: _pairs(row.entry.baseline),
    "arm_mean": lambda row: row.entry.treated.value,
    "arm_low": lambda row: _end(row.entry.treated, 0),
    "arm_high": lambda row: _end(row.entry.treated, 1),
    "arm_n": lambda row: row.entry.treated.n,
    "estimate": lambda row: _value(row.entry.against_baseline),
    "estimate_low": lambda row: _end(row.entry.against_baseline, 0),
    "estimate_high": lambda row: _end(row.entry.against_baseline, 1),
    "estimate_unit": lambda row: _unit(row.entry.against_baseline),
    "n": lambda row: _pairs(row.entry.against_baseline),
    "not_comparable_because": lambda row: row.entry.not_comparable_because,
    "description": lambda row: row.run.metrics[row.entry.metric].description,
    "raw": lambda row: row.run.raw,
}

LATENCY_COLUMNS: Mapping[str, Callable[[LatencyRow], Cell]] = {
    **_RUN_COLUMNS,
    "engine": lambda row: row.entry.engine,
    "batch_size": lambda row: row.entry.batch_size,
    "threads": lambda row: row.entry.threads,
    "stale": lambda row: row.run.latency_is_stale,
    "arm": lambda row: row.entry.arm,
    "quantity": lambda row: row.entry.quantity,
    "unit": lambda row: row.entry.unit,
    "provenance": lambda row: row.entry.provenance,
    "baseline_median": lambda row: row.entry.baseline,
    "arm_median": lambda row: row.entry.treated,
    "estimate": lambda row: row.entry.against_baseline.value,
    "estimate_low": lambda row: _end(row.entry.against_baseline, 0),
    "estimate_high": lambda row: _end(row.entry.against_baseline, 1),
    "estimate_unit": lambda row: row.entry.against_baseline.unit,
    "n": lambda row: row.entry.against_baseline.n,
    "control": lambda row: row.entry.baseline_against_itself.value,
    "control_low": lambda row: _end(row.entry.baseline_against_itself, 0),
    "control_high": lambda row: _end(row.entry.baseline_against_itself, 1),
    "difference_shown": lambda row: row.entry.difference_shown,
    "raw": lambda row: row.run.raw,
}


def table_files(documents: Sequence[TacticDocument]) -> dict[str, str]:
    """Return the tables by path; one pass over the documents for each."""
    claims = (
        ClaimRow(document, claim, position)
        for document in documents
        for position, claim in enumerate(document.record.impact.claims, start=1)
    )
    runs = [(document, run) for document in documents for run in document.results]
    measurements = (
        MeasurementRow(document, run, entry) for document, run in runs for entry in run.comparisons
    )
    latencies = (LatencyRow(document, run, entry) for document, run in runs for entry in run.latency)
    return {
        f"{API}/tactics.csv": _table(TACTIC_COLUMNS, documents),
        f"{API}/claims.csv": _table(CLAIM_COLUMNS, claims),
        f"{API}/measurements.csv": _table(MEASUREMENT_COLUMNS, measurements),
        f"{API}/latencies.csv": _table(LATENCY_COLUMNS, latencies),
    }


def _table(columns: Mapping[str, Callable[[Row], Cell]], rows: Iterable[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([cell_text(cell(row)) for cell in columns.values()] for row in rows)
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


def _words(terms: Iterable[str]) -> str:
    return " ".join(terms)


def _qualities(document: TacticDocument, direction: Direction) -> str:
    return _words(effect.quality for effect in document.record.effects if effect.direction is direction)


def _of(source: Row | None, read: Callable[[Row], Value]) -> Value | None:
    return None if source is None else read(source)


def _cost(document: TacticDocument) -> EstimateDocument | None:
    return _of(document.reproduced, lambda shown: shown.cost.against_baseline)


def _quality_entry(document: TacticDocument) -> ComparisonDocument | None:
    return _of(document.reproduced, lambda shown: shown.quality)


def _quality(document: TacticDocument) -> EstimateDocument | None:
    return _of(_quality_entry(document), lambda entry: entry.against_baseline)


def _value(estimate: EstimateDocument | None) -> float | None:
    return _of(estimate, lambda entry: entry.value)


def _end(estimate: EstimateDocument | None, index: int) -> float | None:
    return None if estimate is None or estimate.interval_95 is None else estimate.interval_95[index]


def _unit(estimate: EstimateDocument | None) -> str | None:
    return _of(estimate, lambda entry: entry.unit)


def _pairs(estimate: EstimateDocument | None) -> int | None:
    return _of(estimate, lambda entry: entry.n)
