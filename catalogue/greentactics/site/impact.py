"""Rows and panels of the impact section: claims, and each arm of each run beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from greentactics.evidence.claims import (
    claim_figure,
    claimed_times,
    direction_word,
    effect_claims,
    other_quantity,
    short_setting,
)
from greentactics.evidence.comparison import (
    DIFFERENCES,
    TIMES_HIGHER,
    Estimate,
    NotComparable,
    differences_shown,
)
from greentactics.evidence.rivals import combinations, rivals
from greentactics.evidence.runs import NOISY, TacticRun
from greentactics.evidence.wording import (
    DASH,
    estimate_phrase,
    includes_no_effect,
    metric_title,
    plain_label,
    points_word,
    quantity,
    typographic,
)
from greentactics.models.record import Record
from greentactics.models.results import AS_GIVEN, BASELINE, TACTIC, MetricInfo
from greentactics.models.timings import CONTROL
from greentactics.models.vocabulary import ClaimDirection, ClaimUnit, Kind, Quantity
from greentactics.site.drawings.curve import curve_figures
from greentactics.site.drawings.forest import Mark, Panel, forest, forest_key, shared_scale
from greentactics.site.drawings.svg import Figure, Role

AGAIN = "baseline again (A/A)"
"""How the page calls the control: the baseline, run a second time."""


@dataclass(frozen=True)
class Row:
    """One arm of one run against the baseline."""

    arm: str
    """Its name in the results."""
    label: str
    """What the page calls it."""
    compared: str
    n: str
    baseline: str
    treated: str
    run: TacticRun


@dataclass(frozen=True)
class MetricGroup:
    """All rows of one metric."""

    name: str
    title: str
    unit: str
    better: str
    provenance: str
    description: str
    claimed: str
    rows: tuple[Row, ...]


def shown_metrics(record: Record, runs: Sequence[TacticRun]) -> tuple[str, ...]:
    """Return headline cost, quality, then the further metrics that some run has."""
    if record.recipe is None:
        return ()
    qualities = (record.recipe.quality_metric, *(run.quality_metric for run in runs))
    wanted = (record.recipe.cost_metric, *qualities, *record.recipe.also_metrics)
    return tuple(name for name in dict.fromkeys(wanted) if any(name in run.results.metrics for run in runs))


def metric_groups(record: Record, runs: Sequence[TacticRun]) -> tuple[MetricGroup, ...]:
    """Return the table's groups, one a metric, with a row for each arm of each run."""
    return tuple(_metric_group(record, runs, name) for name in shown_metrics(record, runs))


def _metric_group(record: Record, runs: Sequence[TacticRun], name: str) -> MetricGroup:
    info = next(run.results.metrics[name] for run in runs if name in run.results.metrics)
    better = {"lower": "lower is better", "higher": "higher is better", "neither": "neither way is better"}
    claims = [_claim_words(record, index) for index in _claims_beside(record, name)]
    return MetricGroup(
        name=name,
        title=metric_title(record, name, info),
        unit=_unit_words(info),
        better=better[info.better],
        provenance=info.provenance,
        description=info.description,
        claimed="; ".join(claims),
        rows=tuple(
            _metric_row(run, arm, name)
            for run in runs
            for arm in (*run.results.arms, *([CONTROL] if info.provenance in NOISY else []))
            if arm != BASELINE and run.results.values(arm, name)
        ),
    )


def _unit_words(info: MetricInfo) -> str:
    words = {
        "MAC energy": "multiples of one 16-bit MAC",
        "count": "a number",
        "fraction": "percent; differences in percentage points",
        "nats": "nats; differences in hundredths of a nat, each about 1 % of the perplexity",
    }
    return words.get(info.unit, info.unit)


def _metric_row(run: TacticRun, arm: str, name: str) -> Row:
    answer = run.compared(arm, name)
    if isinstance(answer, NotComparable):
        compared, counted, alone = f"{DASH} ({answer})", run.mean(arm, name), True
    else:
        compared, counted, alone = typographic(estimate_phrase(answer)), answer, False
    return Row(
        arm=arm,
        label=AGAIN if arm == CONTROL else plain_label(arm),
        compared=compared,
        n=str(counted.n) if counted else DASH,
        baseline=_mean_words(run, BASELINE, name, interval=False),
        treated=_mean_words(run, arm, name, interval=alone),
        run=run,
    )


def _mean_words(run: TacticRun, arm: str, name: str, *, interval: bool) -> str:
    """Write an arm's mean; with its interval where no comparison carries one."""
    mean = run.mean(arm, name)
    if mean is None:
        return DASH
    if not interval or mean.low is None or mean.high is None:
        return typographic(_quantity_unbroken(mean.value, mean.unit))
    ends = f"[{_quantity_unbroken(mean.low, mean.unit)}, {_quantity_unbroken(mean.high, mean.unit)}]"
    return typographic(f"{_quantity_unbroken(mean.value, mean.unit)} {ends}")


def _quantity_unbroken(value: float, unit: str) -> str:
    """Write a value so that its unit stays on its line."""
    return quantity(value, unit).replace(" ", "\u00a0")


def _claims_beside(record: Record, metric: str) -> tuple[int, ...]:
    """Return the indices of the claims that belong beside a metric: the effect, or the quality."""
    if record.recipe is None or metric not in (record.recipe.cost_metric, record.recipe.quality_metric):
        return ()
    effects = effect_claims(record)
    if metric == record.recipe.quality_metric:
        chosen = [claim for claim in record.impact.claims if claim.quantity is Quantity.QUALITY]
    else:
        chosen = [claim for claim in effects if claim.quantity is effects[0].quantity]
    return tuple(index for index, claim in enumerate(record.impact.claims) if claim in chosen)


def _claim_words(record: Record, index: int) -> str:
    claim = record.impact.claims[index]
    number = source_number(record, claim.source)
    words = (other_quantity(record, claim), claim_figure(claim), direction_word(claim))
    return typographic(f"{' '.join(word for word in words if word)}, {short_setting(claim)} [{number}]")


def source_number(record: Record, key: str) -> int:
    """Return the number of a source on the page, counted from 1; 0 where the record does not list it."""
    keys = [source.key for source in record.sources]
    return keys.index(key) + 1 if key in keys else 0


def panels(record: Record, runs: Sequence[TacticRun]) -> dict[str, Panel]:
    """Return the forest plots by metric: headline cost with its claims, quality, then further metrics."""
    usable = [run for run in runs if not run.stale]
    built = {name: _panel(record, usable, name) for name in shown_metrics(record, usable)}
    return {
        name: panel
        for name, panel in built.items()
        if any(mark.role is not Role.CLAIM for mark in panel.marks)
    }


def _panel(record: Record, runs: Sequence[TacticRun], name: str) -> Panel:
    info = next(run.results.metrics[name] for run in runs if name in run.results.metrics)
    points = info.unit in DIFFERENCES
    harm = record.kind is Kind.DARK and not points
    higher = (info.better == "higher") != harm
    axis = (
        f"difference in {DIFFERENCES[info.unit]}"
        if points
        else f"times {'higher' if higher else 'lower'}, logarithmic"
    )
    beside = () if info.unit == "nats" else _claims_beside(record, name)  # no claim is in nats
    marks = [mark for index in beside if (mark := _claim_mark(record, index, points))]
    marks += _run_marks(runs, name, harm)
    return Panel(metric_title(record, name, info), axis, not points, tuple(marks))


def _claim_mark(record: Record, index: int, points: bool) -> Mark | None:
    claim = record.impact.claims[index]
    if points:
        if claim.unit is not ClaimUnit.PERCENTAGE_POINTS or claim.value is None:
            return None
        value = -claim.value if claim.direction is ClaimDirection.DECREASE else claim.value
    else:
        times = claimed_times(claim)
        if times is None:
            return None
        value = times
    what = " ".join(word for word in ("claimed", other_quantity(record, claim)) if word)
    label = f"{what}: {short_setting(claim)} [{source_number(record, claim.source)}]"
    return Mark(label, Role.CLAIM, value, None, None, typographic(claim_figure(claim)))


def _run_marks(runs: Sequence[TacticRun], name: str, harm: bool) -> list[Mark]:
    """Return a row for each arm of the first run, and for the tactic's arm of the others.

    The net as it was given is shown by its quality alone: what it costs is the baseline's, and a training
    that it did not have would stretch the scale beyond reading.
    """
    marks: list[Mark] = []
    several = sum(not run.local for run in runs) > 1
    for index, run in enumerate(runs):
        drawn = [arm for arm in run.results.arms if arm not in (BASELINE, *combinations(run.results))]
        arms = [arm for arm in drawn if index == 0 or arm == TACTIC]
        for arm in arms:
            if arm == AS_GIVEN and name != run.quality_metric:
                continue
            if (estimate := run.estimate(arm, name)) is None:
                continue
            role = Role.RIVAL if arm != TACTIC else Role.LOCAL if run.local else Role.TACTIC
            named = {TACTIC: "reproduced: tactic", AS_GIVEN: "net as given"}
            is_rival = arm in rivals(run.results)
            label = named.get(arm, f"rival: {plain_label(arm)}" if is_rival else plain_label(arm))
            if run.local:
                label += ", this machine"
            elif several:
                label += f", run {run.label}"
            marks.append(_mark(label, role, estimate, harm))
    return marks


def _mark(label: str, role: Role, estimate: Estimate, harm: bool) -> Mark:
    text = typographic(estimate_phrase(estimate).replace(f" {points_word(estimate)}", ""))
    if estimate.is_difference or not harm:
        return Mark(label, role, estimate.value, estimate.low, estimate.high, _short(text, estimate))
    low = None if estimate.high is None else 1 / estimate.high
    high = None if estimate.low is None else 1 / estimate.low
    return Mark(label, role, 1 / estimate.value, low, high, text)


def _short(text: str, estimate: Estimate) -> str:
    """Leave out the direction where the axis already says it."""
    usual = " higher" if estimate.unit == TIMES_HIGHER else " lower"
    return text.replace(usual, "") if estimate.value >= 1 else text


@dataclass(frozen=True)
class RivalRow:
    """One metric of the tactic against one rival in one run."""

    rival: str
    """Name of the rival's arm."""
    metric: str
    """Name of the metric."""
    title: str
    """What the page calls the metric."""
    compared: str
    n: int
    run: TacticRun


def rival_rows(record: Record, runs: Sequence[TacticRun]) -> tuple[RivalRow, ...]:
    """Return the rows for metrics that baseline, tactic and rival all have; stale runs are left out.

    A row whose interval holds no difference says so in words, and so does one whose difference may be the
    chance find of so many comparisons.
    """
    rows = []
    for run in (run for run in runs if not run.stale):
        joined = combinations(run.results)
        arms = [arm for arm in run.results.arms if arm not in (BASELINE, TACTIC, *joined)]
        names = [name for name in shown_metrics(record, [run]) if run.results.values(BASELINE, name)]
        shown = {name: differences_shown(run.results, TACTIC, name, arms) for name in names}
        for rival in arms:
            for name in names:
                if (estimate := run.estimate(TACTIC, name, rival)) is None:
                    continue
                words = estimate_phrase(estimate)
                if includes_no_effect(estimate):
                    words += "; no difference shown"
                elif not shown[name].get(rival, False):
                    words += f"; not shown among {len(shown[name])} comparisons"
                title = metric_title(record, name, run.results.metrics[name])
                rows.append(RivalRow(rival, name, title, typographic(words), estimate.n, run))
    return tuple(rows)


@dataclass(frozen=True)
class ArmsTable:
    """Rivals, or the tactic joined with other arms, in the metrics of the verdict."""

    columns: tuple[str, ...]
    """Column heads after the name of the arm."""
    rows: tuple[tuple[str, ...], ...]
    """Cells, the name of the arm first and the number of seeds last."""


@dataclass(frozen=True)
class ImpactView:
    """Drawings and tables of one page."""

    panels: Mapping[str, Panel]
    """Forest plots by metric."""
    groups: tuple[MetricGroup, ...]
    """Each metric against the baseline."""
    curves: tuple[tuple[TacticRun, tuple[Figure, ...]], ...]
    """Operating points of each run that has them."""

    @property
    def figures(self) -> list[Figure]:
        """The panels drawn."""
        return forest_figures([*self.panels.values()])

    @property
    def key(self) -> str:
        """What the marks of the panels stand for."""
        return forest_key([*self.panels.values()])


def full_impact(record: Record, runs: Sequence[TacticRun]) -> ImpactView:
    """Return every metric, arm and run."""
    return ImpactView(panels(record, runs), metric_groups(record, runs), curve_views(record, runs))


def headline_impact(record: Record, full: ImpactView, verdict_run: TacticRun | None) -> ImpactView:
    """Return the tactic in every metric: cost and quality in all runs and drawn, the rest in one run.

    Args:
        record: The tactic.
        full: All that was measured.
        verdict_run: The run the verdict rests on; None where none is fresh, which keeps all runs.
    """
    names = [group.name for group in _verdict_groups(record, full)]
    groups = []
    for group in full.groups:
        runs = None if group.name in names else verdict_run
        rows = [row for row in group.rows if row.arm in (TACTIC, CONTROL) and runs in (None, row.run)]
        groups.append(replace(group, rows=tuple(rows)))
    return ImpactView(
        panels={name: panel for name, panel in full.panels.items() if name in names},
        groups=tuple(group for group in groups if group.rows),
        curves=(),
    )


def rivals_table(
    record: Record, full: ImpactView, rivals: Sequence[RivalRow], verdict_run: TacticRun | None
) -> ArmsTable | None:
    """Return cost and quality of each rival in the run the verdict rests on; None where there is none.

    Args:
        record: The tactic.
        full: All that was measured.
        rivals: The tactic against each rival.
        verdict_run: The run the verdict rests on; None where none is fresh.
    """
    named = _verdict_groups(record, full)
    groups = [group for group in named if any(row.run is verdict_run for row in group.rows)]
    arms = dict.fromkeys(row.rival for row in rivals if row.run is verdict_run)
    against_baseline = {
        (row.arm, group.name): row for group in groups for row in group.rows if row.run is verdict_run
    }
    against_rival = {(row.rival, row.metric): row for row in rivals if row.run is verdict_run}
    columns = [f"{group.title}: against the baseline" for group in groups]
    columns += [f"{group.title}: the tactic against it" for group in groups]
    rows = []
    for arm in arms:
        found = [
            table.get((arm, group.name)) for table in (against_baseline, against_rival) for group in groups
        ]
        seeds = dict.fromkeys(str(row.n) for row in found if row)
        rows.append((plain_label(arm), *(row.compared if row else DASH for row in found), ", ".join(seeds)))
    return ArmsTable((*columns, "n"), tuple(rows)) if rows else None


def together_table(record: Record, verdict_run: TacticRun | None) -> ArmsTable | None:
    """Return cost and quality of the tactic joined with another arm, against each of the two alone.

    Args:
        record: The tactic.
        verdict_run: The run the verdict rests on; None where none is fresh.
    """
    recipe, rows = record.recipe, []
    if recipe is None or verdict_run is None:
        return None
    metrics = (recipe.cost_metric, recipe.quality_metric)
    for arm, other in combinations(verdict_run.results).items():
        for alone in (other, TACTIC):
            found = [verdict_run.estimate(arm, metric, alone) for metric in metrics]
            cells = [typographic(estimate_phrase(each)) if each else DASH for each in found]
            seeds = dict.fromkeys(str(each.n) for each in found if each)
            rows.append((f"{plain_label(arm)}, against {plain_label(alone)}", *cells, ", ".join(seeds)))
    titles = [metric_title(record, name, verdict_run.results.metrics[name]) for name in metrics]
    return ArmsTable((*titles, "n"), tuple(rows)) if rows else None


def _verdict_groups(record: Record, full: ImpactView) -> list[MetricGroup]:
    """Return the metrics that verdicts of runs name: cost and quality."""
    qualities = {row.run.quality_metric for group in full.groups for row in group.rows}
    names = {record.recipe.cost_metric, *qualities} if record.recipe else set[str]()
    return [group for group in full.groups if group.name in names]


def forest_figures(drawn: Sequence[Panel]) -> list[Figure]:
    """Draw the panels; those that share a unit share their axis."""
    scales = {
        logarithmic: shared_scale(panels)
        for logarithmic in (True, False)
        if (panels := [panel for panel in drawn if panel.logarithmic == logarithmic])
    }
    return [Figure(panel.title, forest(panel, scales[panel.logarithmic])) for panel in drawn]


def curve_views(
    record: Record, runs: Sequence[TacticRun]
) -> tuple[tuple[TacticRun, tuple[Figure, ...]], ...]:
    """Return the drawings of operating points, of each run that has them; stale runs are left out."""
    drawn = [
        (run, tuple(curve_figures(record, run.results, f"c{run.label}"))) for run in runs if not run.stale
    ]
    return tuple((run, figures) for run, figures in drawn if figures)
