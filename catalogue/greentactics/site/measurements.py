"""Rows of the latency section: each arm in each engine, against the baseline timed beside it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greentactics.evidence.comparison import (
    DIFFERENCES,
    Estimate,
    NotComparable,
    detectable,
    equivalence_in_points,
)
from greentactics.evidence.intervals import ALPHA
from greentactics.evidence.latency import PassesCompared, Quantity, engines, timed_arms
from greentactics.evidence.runs import TacticRun
from greentactics.evidence.wording import (
    DASH,
    estimate_phrase,
    metric_title,
    plain_label,
    points_digits,
    points_word,
    quantity,
    ratio_digits,
    typographic,
)
from greentactics.models.results import BASELINE, TACTIC, Repeat, Results
from greentactics.models.timings import Engine, Timing

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
                    _detail_table(f"{plain_label(name)}: {plain_label(arm)}, seed {first[arm].seed}", value)
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


def _detail_table(title: str, value: Sequence[Mapping[str, Any]]) -> DetailTable:
    shown = value[:MOST_ROWS]
    numeric = {column: all(_is_numeric_cell(row.get(column)) for row in shown) for column in value[0]}
    columns = tuple(sorted(numeric, key=numeric.__getitem__))  # words first, so that they head the rows
    return DetailTable(
        title=title[:1].upper() + title[1:],
        columns=tuple(plain_label(column) for column in columns),
        rows=tuple(tuple(_detail_cell(row.get(column)) for column in columns) for row in shown),
        left_out=len(value) - len(shown),
        numeric=all(numeric[column] for column in columns[1:]),
    )


def _is_numeric_cell(value: object) -> bool:
    return value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))


def _detail_cell(value: object) -> str:
    if value is None:
        return DASH
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return quantity(value, "").rstrip() if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class CertaintyRow:
    """One metric of one arm against the baseline."""

    metric: str
    arm: str
    students: str
    n: int
    detectable: str
    equivalent: str


def certainty_rows(run: TacticRun | None) -> tuple[CertaintyRow, ...]:
    """Return the rows for headline cost and quality of each arm of a run; none without at least two pairs."""
    if run is None or run.record.recipe is None:
        return ()
    metrics = (run.record.recipe.cost_metric, run.quality_metric)
    arms = run.results.arms[1:]
    rows = (_certainty_row(run, arm, metric) for metric in dict.fromkeys(metrics) for arm in arms)
    return tuple(row for row in rows if row is not None)


def _certainty_row(run: TacticRun, arm: str, metric: str) -> CertaintyRow | None:
    results = run.results
    estimate = run.compared(arm, metric)
    if isinstance(estimate, NotComparable):
        return None
    try:
        smallest = detectable(results, arm, metric)
    except NotComparable:
        return None
    return CertaintyRow(
        metric=metric_title(run.record, metric, results.metrics[metric]),
        arm=arm,
        students=typographic(estimate_phrase(estimate)),
        n=estimate.n,
        detectable=_smallest(smallest, estimate),
        equivalent=_equivalent(run, arm, metric),
    )


def _smallest(value: float, estimate: Estimate) -> str:
    if estimate.is_difference:
        return f"{value:.{points_digits(estimate)}f} {points_word(estimate)}"
    return typographic(f"{value:.{ratio_digits(value)}f}x")


def _equivalent(run: TacticRun, arm: str, metric: str) -> str:
    margin = run.tolerance_points
    if run.results.metrics[metric].unit not in DIFFERENCES or margin == 0:  # nothing lies within no margin
        return DASH
    try:
        p = equivalence_in_points(run.results, arm, metric, margin)
    except NotComparable as refusal:
        return f"{DASH} ({refusal})"
    return f"{'shown' if p < ALPHA else 'not shown'}, p {p_value(p)}"


def p_value(value: float) -> str:
    """Write a probability with two digits, or as a bound where it is tiny."""
    return "< 0.001" if value < 0.001 else f"= {value:.2g}"


ENGINE_LABELS: dict[str, str] = {
    "pytorch": "PyTorch, eager",
    "onnxruntime": "ONNX Runtime, fp32",
    "onnxruntime_int8": "ONNX Runtime, static int8",
}
EQUAL_OUTPUTS = 1e-3
"""Difference from eager PyTorch, as a share of the largest output, that rounding in 32 bits explains."""
_ENERGY: tuple[tuple[Quantity, str], ...] = (
    ("energy_j", "metered energy, gross"),
    ("energy_above_idle_j", "metered energy above idle"),
)


@dataclass(frozen=True)
class TimedRow:
    """One arm in one engine."""

    arm: str
    time: str
    compared: str
    processor_time: str
    shown: str
    accuracy: str
    size: str


@dataclass(frozen=True)
class CountedRow:
    """What one call of one arm computes and allocates."""

    arm: str
    flops: str
    allocated: str


@dataclass(frozen=True)
class EnergyRow:
    """Metered energy of one call of one arm."""

    arm: str
    what: str
    energy: str
    compared: str
    shown: str


@dataclass(frozen=True)
class EngineGroup:
    """All arms in one engine."""

    engine: str
    conditions: str
    control: str
    rows: tuple[TimedRow, ...]
    energy: tuple[EnergyRow, ...]
    passes: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TimedView:
    """The timing passes of one run as the page shows them."""

    run: TacticRun
    groups: tuple[EngineGroup, ...]
    counted: tuple[CountedRow, ...]
    not_timed: tuple[tuple[str, str], ...]
    """Which engine was not timed, in words, and why."""
    test_count: int


def meter_words(run: TacticRun) -> str:
    """Name the energy meter and the power at rest it read, or say that there was none."""
    if run.results.meter.energy == "none":
        return "none, so no joules"
    idle = [
        repeat.energy.idle_power_w
        for repeat in run.results.repeats
        if repeat.energy is not None and repeat.energy.idle_power_w is not None
    ]
    rest = f"; {quantity(statistics.median(idle), 'W')} at rest" if idle else ""
    return f"{run.results.meter.energy}{rest}"


def timed_views(runs: Iterable[TacticRun]) -> tuple[TimedView, ...]:
    """Return the timing passes of the first run of each device that has any and is not stale."""
    first: dict[tuple[str, str, str | None], TacticRun] = {}
    for run in runs:
        if run.results.timings and not run.stale:
            device = run.results.device
            first.setdefault((device.kind, device.name, device.model), run)
    return tuple(_timed_view(run) for run in first.values())


def _timed_view(run: TacticRun) -> TimedView:
    results = run.results
    return TimedView(
        run=run,
        groups=tuple(_engine_group(run, engine) for engine in engines(results.timings)),
        counted=_counted_rows(results.timings),
        not_timed=_not_timed(results),
        test_count=results.timings[0].test_count,
    )


def _engine_group(run: TacticRun, engine: Engine) -> EngineGroup:
    passes = [entry for entry in run.results.timings if entry.engine == engine]
    arms = timed_arms(passes)
    compared = [answer for arm in arms if not isinstance(answer := run.passes(engine, arm), NotComparable)]
    rounds = sorted(len(entry.wall_ms[BASELINE]) for entry in passes)
    spread = f"{rounds[0]}" if rounds[0] == rounds[-1] else f"{rounds[0]} to {rounds[-1]}"
    capped = sum(not entry.precise for entry in passes)
    ended = f"; {capped} of them ended at the time cap" if capped else ""
    return EngineGroup(
        engine=ENGINE_LABELS[engine],
        conditions=f"batch {passes[0].batch_size}, {_count_words(passes[0].threads, 'thread')}, "
        f"{_count_words(len(passes), 'process')} of {spread} rounds{ended}{_unequal(passes)}",
        control=_ratio(compared[0].control),
        rows=(_baseline_row(passes, compared[0]), *(_latency_row(run, passes, entry) for entry in compared)),
        energy=tuple(row for arm in arms for row in _energy_rows(run, engine, arm)),
        passes=tuple(_pass_cells(entry, index) for entry in compared for index in range(len(entry.passes))),
    )


def _unequal(passes: Sequence[Timing]) -> str:
    """Name the arms whose outputs are not those of eager PyTorch for a few of the inputs.

    A pass lets one in a hundred differ, for activation functions that jump. In 8 bits the accuracy tells.
    """
    if passes[0].engine == "onnxruntime_int8":
        return ""
    largest = {
        arm: max(entry.output_difference.get(arm, 0.0) for entry in passes)
        for arm in (BASELINE, *timed_arms(passes))
    }
    return "".join(
        f"; outputs of {plain_label(arm)} differ for up to 1\u00a0% of the inputs, by at most "
        f"{100 * value:.2g}\u00a0% of the largest output"
        for arm, value in largest.items()
        if value > EQUAL_OUTPUTS
    )


def _baseline_row(passes: Sequence[Timing], compared: PassesCompared) -> TimedRow:
    time = _milliseconds(compared.baseline)
    return TimedRow(BASELINE, time, DASH, DASH, "", _accuracy(passes, BASELINE), _size(passes, BASELINE))


def _latency_row(run: TacticRun, passes: Sequence[Timing], compared: PassesCompared) -> TimedRow:
    arm = compared.arm
    on_cpu = run.passes(compared.engine, arm, "cpu_ms")
    return TimedRow(
        arm=arm,
        time=_milliseconds(compared.treated),
        compared=_ratio(compared.estimate),
        processor_time=f"{DASH} ({on_cpu})" if isinstance(on_cpu, NotComparable) else _ratio(on_cpu.estimate),
        shown=_difference_words(compared, "faster", "slower"),
        accuracy=_accuracy(passes, arm),
        size=_size(passes, arm),
    )


def _not_timed(results: Results) -> tuple[tuple[str, str], ...]:
    timed = engines(results.timings)
    verdicts = {True: "was timed with some seeds only", False: "was not timed"}
    return tuple(
        (f"{ENGINE_LABELS.get(name, name)} {verdicts[name in timed]}", why)
        for name, why in results.not_timed.items()
    )


def _counted_rows(timings: Sequence[Timing]) -> tuple[CountedRow, ...]:
    """Return the mean counts over all passes that have them; they may differ between seeds."""
    passes = [entry for entry in timings if entry.flops and entry.allocated_bytes]
    if not passes:
        return ()
    rows = []
    for arm in (BASELINE, *timed_arms(passes)):
        flops = _mean([entry.flops for entry in passes], arm)
        allocated = _mean([entry.allocated_bytes for entry in passes], arm)
        rows.append(CountedRow(arm, quantity(flops, "count"), quantity(allocated, "bytes")))
    return tuple(rows)


def _energy_rows(run: TacticRun, engine: Engine, arm: str) -> list[EnergyRow]:
    rows = []
    for name, what in _ENERGY:
        compared = run.passes(engine, arm, name)
        if isinstance(compared, NotComparable):
            if any(getattr(entry, name) for entry in run.results.timings if entry.engine == engine):
                rows.append(EnergyRow(arm, what, DASH, f"{DASH} ({compared})", ""))
            continue
        energy = quantity(compared.treated, "J")
        shown = _difference_words(compared, "less", "more")
        rows.append(EnergyRow(arm, what, energy, _ratio(compared.estimate), shown))
    return rows


def _pass_cells(compared: PassesCompared, index: int) -> tuple[str, ...]:
    """Return arm, seed, ratio and control of one process, each with its interval over rounds."""
    entry = compared.passes[index]
    cells = (
        f"{value.value:.3f} [{value.low:.3f}, {value.high:.3f}]" for value in (entry.ratio, entry.control)
    )
    return (plain_label(compared.arm), str(entry.seed), *cells, str(entry.ratio.rounds))


def _difference_words(compared: PassesCompared, less: str, more: str) -> str:
    if not compared.difference_shown:
        return "no difference shown"
    return less if compared.estimate.value > 1 else more


def _ratio(estimate: Estimate) -> str:
    return typographic(estimate_phrase(estimate))


def _milliseconds(value: float) -> str:
    return quantity(value, "ms").replace(" ", "\u00a0")


def _accuracy(passes: Sequence[Timing], arm: str) -> str:
    accuracies = [entry.accuracy_fraction for entry in passes]
    if not any(arm in (values or {}) for values in accuracies):
        return DASH
    return f"{100 * _mean(accuracies, arm):.2f}\u00a0%"


def _size(passes: Sequence[Timing], arm: str) -> str:
    size = _mean([entry.stored_bytes for entry in passes], arm)
    return quantity(size, "bytes").replace(" ", "\u00a0")


def _mean(by_pass: Sequence[Mapping[str, float] | None], arm: str) -> float:
    """Return an arm's mean over the passes that have it: a failed repeat leaves no net to time."""
    return statistics.fmean(values[arm] for values in by_pass if values and arm in values)


def _count_words(count: int, noun: str) -> str:
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
