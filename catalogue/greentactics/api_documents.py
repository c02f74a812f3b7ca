"""The JSON document of a tactic, from which all other machine-readable forms of it are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from greentactics.api_addresses import page_path, raw_path
from greentactics.api_models import (
    ComparisonDocument,
    EstimateDocument,
    EvidenceDocument,
    LatencyDocument,
    ReproducedDocument,
    RunDocument,
    SourceDocument,
    TacticDocument,
)
from greentactics.bibliography import Reference
from greentactics.claims import headline_claim
from greentactics.comparison import Estimate, NotComparable, absolute, compare
from greentactics.escaping import safe_address
from greentactics.evidence import doubt, objections, timing_is_stale, within_tolerance
from greentactics.latency import PassesCompared, Quantity, compare_passes, engines, timed_arms
from greentactics.loading import Catalogue
from greentactics.recipe_source import RecipeChecksum
from greentactics.results import BASELINE, SMOKE_PRESET, TACTIC, Results
from greentactics.schema import Record
from greentactics.tactic import Tactic
from greentactics.timings import CONTROL, Timing
from greentactics.verdict import headline_results

QUANTITIES: tuple[tuple[Quantity, Literal["ms", "J"], Literal["measured", "metered"]], ...] = (
    ("wall_ms", "ms", "measured"),
    ("cpu_ms", "ms", "measured"),
    ("energy_j", "J", "metered"),
    ("energy_above_idle_j", "J", "metered"),
)
"""What timing passes read, with unit and provenance."""


def tactic_document(tactic: Tactic, catalogue: Catalogue) -> TacticDocument:
    """Return a tactic with everything computed from its committed results; smoke runs are left out."""
    record, evidence = tactic.record, tactic.evidence
    claim = headline_claim(record)
    runs = tuple(
        _run(record.id, entry, tactic.checksum, catalogue.timing_sha256)
        for entry in tactic.committed
        if entry.preset != SMOKE_PRESET
    )
    return TacticDocument(
        id=record.id,
        page=page_path(record.id),
        record=record,
        evidence=EvidenceDocument(
            level=evidence.level,
            meaning=evidence.level.definition,
            contested=evidence.contested,
            reasons=evidence.reasons,
        ),
        verdict=tactic.verdict,
        claimed=tactic.claimed,
        headline_claim=None if claim is None else record.impact.claims.index(claim),
        reproduced=_reproduced(tactic, runs),
        results=runs,
        sources=_sources(record, catalogue.bibliography),
    )


def _run(
    tactic: str, results: Results, checksum: RecipeChecksum | None, timing_sha256: str | None
) -> RunDocument:
    against = objections(results, checksum)
    stale = timing_is_stale(results, timing_sha256)
    return RunDocument(
        run=results.device_slug,
        raw=raw_path(tactic, results, local=False),
        preset=results.preset,
        data=results.data.name,
        device=results.device,
        threads=results.threads,
        meter=results.meter.energy,
        date=results.repeats[0].started.date(),
        commit=results.commit,
        seeds=results.seeds,
        counts_as_evidence=not against,
        not_counted_because=against,
        metrics=results.metrics,
        comparisons=tuple(_comparisons(results)),
        latency_is_stale=stale,
        latency=tuple(_latencies(results.timings, stale)),
    )


def _comparisons(results: Results) -> Iterable[ComparisonDocument]:
    ran = {repeat.arm for repeat in results.repeats}
    arms = [arm for arm in (*results.arms, CONTROL) if arm in ran and arm != BASELINE]
    for metric, info in results.metrics.items():
        baseline = _estimate(absolute(results, BASELINE, metric))
        for arm in arms:
            treated = _estimate(absolute(results, arm, metric))
            if treated is None:
                continue
            compared, reason = _compared(results, arm, metric)
            yield ComparisonDocument(
                metric=metric,
                arm=arm,
                provenance=info.provenance,
                against_baseline=_estimate(compared),
                not_comparable_because=reason,
                baseline=baseline,
                treated=treated,
            )


def _compared(results: Results, arm: str, metric: str) -> tuple[Estimate | None, str | None]:
    try:
        return compare(results, arm, metric), None
    except NotComparable as refusal:
        return None, str(refusal)


def _latencies(timings: tuple[Timing, ...], stale: bool) -> Iterable[LatencyDocument]:
    for engine in engines(timings):
        passes = [entry for entry in timings if entry.engine == engine]
        for arm in timed_arms(passes):
            for quantity, unit, provenance in QUANTITIES:
                try:
                    compared = compare_passes(passes, engine, arm, quantity)
                except NotComparable:
                    continue
                yield _latency(compared, passes[0], quantity, unit, provenance, stale)


def _latency(
    compared: PassesCompared,
    conditions: Timing,
    quantity: Quantity,
    unit: Literal["ms", "J"],
    provenance: Literal["measured", "metered"],
    stale: bool,
) -> LatencyDocument:
    return LatencyDocument(
        engine=compared.engine,
        arm=compared.arm,
        quantity=quantity,
        unit=unit,
        provenance=provenance,
        batch_size=conditions.batch_size,
        threads=conditions.threads,
        against_baseline=_given(compared.estimate),
        baseline_against_itself=_given(compared.control),
        difference_shown=compared.difference_shown and not stale,
        baseline=compared.baseline,
        treated=compared.treated,
    )


def _reproduced(tactic: Tactic, runs: Iterable[RunDocument]) -> ReproducedDocument | None:
    """Take the verdict's figures from the document of the run it rests on."""
    record = tactic.record
    shown = headline_results(record, tactic.committed, tactic.checksum)
    if shown is None or record.recipe is None:
        return None
    run = next(entry for entry in runs if entry.run == shown.device_slug)
    of_tactic = {entry.metric: entry for entry in run.comparisons if entry.arm == TACTIC}
    reason = doubt(record, shown)
    return ReproducedDocument(
        run=run.run,
        label=record.recipe.cost_label,
        condition=record.recipe.condition,
        cost=of_tactic[record.recipe.cost_metric],
        quality_label=record.recipe.quality_label,
        quality=of_tactic.get(record.recipe.quality_metric),
        quality_tolerance_points=record.recipe.quality_tolerance_points,
        within_tolerance=within_tolerance(record, shown),
        difference_shown=reason is None,
        not_shown_because=reason,
    )


def _sources(record: Record, bibliography: Mapping[str, Reference]) -> tuple[SourceDocument, ...]:
    return tuple(
        SourceDocument(
            key=use.key,
            supports=use.supports,
            type=reference.type,
            title=reference.title,
            authors=reference.author,
            year=reference.year,
            doi=reference.doi,
            arxiv=reference.arxiv,
            address=safe_address(reference.link),
        )
        for use in record.sources
        if (reference := bibliography.get(use.key)) is not None
    )


def _estimate(estimate: Estimate | None) -> EstimateDocument | None:
    return None if estimate is None else _given(estimate)


def _given(estimate: Estimate) -> EstimateDocument:
    interval = None if estimate.low is None or estimate.high is None else (estimate.low, estimate.high)
    return EstimateDocument(value=estimate.value, interval_95=interval, n=estimate.n, unit=estimate.unit)
