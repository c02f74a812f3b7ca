"""The JSON document of a tactic, from which all other machine-readable forms of it are made."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from greentactics import __version__
from greentactics.api.addresses import (
    ADDRESSES,
    CATALOGUE_NAME,
    document_path,
    page_path,
    raw_path,
    replay_path,
    schema_path,
    vocabulary_path,
)
from greentactics.api.models import (
    Carrier,
    ChangeEntry,
    ChangesDocument,
    ComparisonDocument,
    Counts,
    EffectDocument,
    EstimateDocument,
    EvidenceDocument,
    IndexDocument,
    LatencyDocument,
    Link,
    ReplayDocument,
    ReproducedDocument,
    RivalDocument,
    RunDocument,
    SourceDocument,
    TacticDocument,
    TacticEntry,
    TermDocument,
    VocabulariesDocument,
    VocabularyDocument,
    VocabularyEntry,
)
from greentactics.citing.bibtex import LICENCE
from greentactics.evidence.claims import headline_claim
from greentactics.evidence.comparison import Estimate, NotComparable
from greentactics.evidence.latency import Quantity, engines, timed_arms
from greentactics.evidence.replays import Effect, TacticReplay
from greentactics.evidence.rivals import BestRival
from greentactics.evidence.runs import TacticRun
from greentactics.evidence.tactic import Tactic
from greentactics.evidence.terms import VOCABULARIES, WAYS, TermPage, question
from greentactics.models.bibliography import Reference
from greentactics.models.datasets import DATA_SETS
from greentactics.models.record import Record
from greentactics.models.results import BASELINE, TACTIC
from greentactics.models.timings import CONTROL
from greentactics.text.escaping import safe_address

QUANTITIES: tuple[tuple[Quantity, Literal["ms", "J"], Literal["measured", "metered"]], ...] = (
    ("wall_ms", "ms", "measured"),
    ("cpu_ms", "ms", "measured"),
    ("energy_j", "J", "metered"),
    ("energy_above_idle_j", "J", "metered"),
)
"""What timing passes read, with unit and provenance."""


def tactic_document(tactic: Tactic, bibliography: Mapping[str, Reference]) -> TacticDocument:
    """Return a tactic with everything computed from its committed results; smoke runs are left out."""
    record, evidence = tactic.record, tactic.evidence
    claim = headline_claim(record)
    runs = {run: _run(run) for run in tactic.runs if not run.local}
    return TacticDocument(
        id=record.id,
        page=page_path(record.id),
        record=record,
        evidence=EvidenceDocument(
            level=evidence.level,
            meaning=evidence.level.definition,
            marks=evidence.marks,
            reasons=evidence.reasons,
        ),
        verdict=tactic.verdict.line,
        claimed=tactic.claimed,
        headline_claim=None if claim is None else record.impact.claims.index(claim),
        reproduced=_reproduced(tactic.shown, runs[tactic.shown]) if tactic.shown else None,
        results=tuple(runs.values()),
        replays=tuple(map(_replay, tactic.replays)),
        sources=_sources(record, bibliography),
    )


def _run(run: TacticRun) -> RunDocument:
    results = run.results
    return RunDocument(
        run=results.device_slug,
        raw=raw_path(run),
        preset=results.preset,
        data=results.data.name,
        device=results.device,
        threads=results.threads,
        meter=results.meter.energy,
        date=results.repeats[0].started.date(),
        commit=results.commit,
        seeds=results.seeds,
        counts_as_evidence=not run.against,
        not_counted_because=run.against,
        metrics=results.metrics,
        comparisons=tuple(_comparisons(run)),
        latency_is_stale=run.timing_is_stale,
        latency=tuple(_latencies(run)),
    )


def _comparisons(run: TacticRun) -> Iterable[ComparisonDocument]:
    ran = {repeat.arm for repeat in run.results.repeats}
    arms = [arm for arm in (*run.results.arms, CONTROL) if arm in ran and arm != BASELINE]
    for metric, info in run.results.metrics.items():
        baseline = run.mean(BASELINE, metric)
        for arm in arms:
            treated = run.mean(arm, metric)
            if treated is None:
                continue
            answer = run.compared(arm, metric)
            yield ComparisonDocument(
                metric=metric,
                arm=arm,
                provenance=info.provenance,
                against_baseline=_estimate(answer) if isinstance(answer, Estimate) else None,
                not_comparable_because=str(answer) if isinstance(answer, NotComparable) else None,
                baseline=baseline and _estimate(baseline),
                treated=_estimate(treated),
            )


def _latencies(run: TacticRun) -> Iterable[LatencyDocument]:
    for engine in engines(run.results.timings):
        passes = [entry for entry in run.results.timings if entry.engine == engine]
        for arm, (quantity, unit, provenance) in itertools.product(timed_arms(passes), QUANTITIES):
            compared = run.passes(engine, arm, quantity)
            if isinstance(compared, NotComparable):
                continue
            yield LatencyDocument(
                engine=engine,
                arm=arm,
                quantity=quantity,
                unit=unit,
                provenance=provenance,
                batch_size=passes[0].batch_size,
                threads=passes[0].threads,
                against_baseline=_estimate(compared.estimate),
                baseline_against_itself=_estimate(compared.control),
                difference_shown=compared.difference_shown and not run.timing_is_stale,
                baseline=compared.baseline,
                treated=compared.treated,
            )


def _reproduced(run: TacticRun, document: RunDocument) -> ReproducedDocument | None:
    """Take the verdict's figures from the document of the run it rests on."""
    recipe = run.record.recipe
    if recipe is None:
        return None
    of_tactic = {entry.metric: entry for entry in document.comparisons if entry.arm == TACTIC}
    return ReproducedDocument(
        run=document.run,
        label=recipe.cost_label,
        condition=recipe.condition,
        cost=of_tactic[recipe.cost_metric],
        quality_label=run.quality_label,
        quality=of_tactic.get(run.quality_metric),
        quality_tolerance_points=run.tolerance_points,
        within_tolerance=run.within_tolerance,
        difference_shown=run.doubt is None,
        not_shown_because=run.doubt,
        rival=run.best_rival and _rival(run.best_rival),
        felt=tuple(entry for entry in document.latency if (entry.arm, entry.quantity) == (TACTIC, "wall_ms")),
    )


def _rival(rival: BestRival) -> RivalDocument:
    return RivalDocument(
        arm=rival.arm,
        chosen_by=rival.chosen_by,
        cost=_estimate(rival.cost),
        quality=_estimate(rival.quality),
        outcome=rival.outcome,
    )


def _replay(entry: TacticReplay) -> ReplayDocument:
    replay, data_set = entry.replay, DATA_SETS[entry.replay.data]
    return ReplayDocument(
        data=replay.data,
        source=data_set.reference,
        licence=data_set.licence,
        raw=replay_path(replay),
        provenance=replay.provenance,
        is_current=not entry.against,
        not_current_because=entry.against,
        effects=tuple(map(_effect, entry.effects)),
    )


def _effect(effect: Effect) -> EffectDocument:
    replayed = effect.replayed
    least, most = effect.span
    return EffectDocument(
        name=replayed.name,
        tactic=replayed.tactic,
        baseline=replayed.baseline,
        alike=replayed.alike,
        pairs=len(replayed.pairs),
        clusters=replayed.clusters,
        energy_label=replayed.energy,
        energy=_estimate(effect.energy),
        least=least,
        most=most,
        time_label=replayed.time,
        time=_estimate(effect.time),
        note=replayed.note,
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


def _estimate(estimate: Estimate) -> EstimateDocument:
    interval = None if estimate.low is None or estimate.high is None else (estimate.low, estimate.high)
    return EstimateDocument(
        value=estimate.value,
        interval_95=interval,
        n=estimate.n,
        unit=estimate.unit,
        of_means=estimate.of_means,
    )


NAMESPACE = uuid.UUID("53ae0dfc-420e-47c6-9d96-0bc5a1baa8ce")
"""Namespace of the identifiers of changes; with another one every reader's feed would start anew."""


def index_document(
    documents: Sequence[TacticDocument], changes: ChangesDocument, source_count: int, site_url: str | None
) -> IndexDocument:
    """Return the entry to the API."""
    return IndexDocument(
        name=CATALOGUE_NAME,
        version=__version__,
        licence=LICENCE,
        site=site_url,
        updated=changes.updated,
        counts=Counts(
            tactics=len(documents),
            with_recipe=sum(document.record.recipe is not None for document in documents),
            with_results=sum(bool(document.results) for document in documents),
            claims=sum(len(document.record.impact.claims) for document in documents),
            sources=source_count,
            changes=changes.count,
        ),
        links=tuple(
            Link(
                address=address.path,
                title=address.title,
                media_type=address.media_type,
                schema_address=address.schema and schema_path(address.schema),
            )
            for address in ADDRESSES
        ),
        tactics=tuple(
            TacticEntry(
                id=document.id,
                title=document.record.title,
                kind=document.record.kind,
                evidence=document.evidence.level,
                marks=document.evidence.marks,
                verdict=document.verdict,
                page=document.page,
                document=document_path(document.id),
            )
            for document in documents
        ),
    )


def changes_document(documents: Iterable[TacticDocument]) -> ChangesDocument:
    """Return the histories of all records in one list, the latest change first."""
    entries = [
        ChangeEntry(
            id=uuid.uuid5(NAMESPACE, f"{document.id}/{position}").urn,
            tactic=document.id,
            title=document.record.title,
            kind=document.record.kind,
            page=document.page,
            date=change.date,
            change=change.change,
            corrections=change.corrections,
        )
        for document in documents
        for position, change in reversed(list(enumerate(document.record.history)))
    ]
    entries.sort(key=lambda entry: entry.date, reverse=True)  # stable: by tactic within a day
    updated = entries[0].date if entries else None
    return ChangesDocument(count=len(entries), updated=updated, changes=tuple(entries))


def vocabulary_documents(pages: Sequence[TermPage]) -> list[VocabularyDocument]:
    """Return a document for each vocabulary, from the pages of its terms."""
    return [
        VocabularyDocument(
            name=vocabulary.name,
            title=vocabulary.title,
            question=question(vocabulary.terms),
            terms=tuple(_term(page) for page in pages if page.vocabulary is vocabulary),
        )
        for vocabulary in VOCABULARIES
    ]


def _term(page: TermPage) -> TermDocument:
    effects = {words: direction for direction, words in WAYS.items()}
    carriers = (
        Carrier(id=tactic.record.id, effect=effects.get(way))
        for way, tactics in page.sections.items()
        for tactic in tactics
    )
    return TermDocument(
        term=page.term.value,
        label=page.term.label,
        definition=page.term.definition,
        page=f"{page.folder}/index.html",
        count=page.count,
        tactics=tuple(sorted(carriers, key=lambda carrier: carrier.id)),
    )


def vocabularies_document(vocabularies: Iterable[VocabularyDocument]) -> VocabulariesDocument:
    """Return the list of the vocabularies with the counts of their terms."""
    entries = (
        VocabularyEntry(
            name=vocabulary.name,
            title=vocabulary.title,
            question=vocabulary.question,
            address=vocabulary_path(vocabulary.name),
            counts={term.term: term.count for term in vocabulary.terms},
        )
        for vocabulary in vocabularies
    )
    return VocabulariesDocument(vocabularies=tuple(entries))
