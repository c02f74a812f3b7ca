"""The verdict in plain text: what was reproduced beside what is claimed, the best rival, and time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from greentactics.evidence.claims import (
    claim_figure,
    claim_phrase,
    effect_claims,
    has_figure,
    headline_claim,
    other_quantity,
    quality_claim,
    short_setting,
)
from greentactics.evidence.comparison import Estimate
from greentactics.evidence.latency import PassesCompared
from greentactics.evidence.rivals import Against, rivals
from greentactics.evidence.runs import TacticRun, needs_control
from greentactics.evidence.wording import (
    estimate_phrase,
    plain_label,
    points_interval,
    points_phrase,
    times_phrase,
    with_provenance,
)
from greentactics.models.record import RecipeUse, Record
from greentactics.models.results import DEFAULT_PRESET
from greentactics.models.timings import Engine
from greentactics.models.vocabulary import Kind


@dataclass(frozen=True)
class Verdict:
    """A verdict in up to three parts, each without a full stop."""

    against_baseline: str
    """Saving and quality against the baseline, and the claim; or that nothing was reproduced."""
    against_rival: str | None = None
    """The same against the best rival; None where nothing was reproduced, and of a habit to avoid."""
    felt: str | None = None
    """What one call takes on the device; None where nothing was reproduced, or the first part tells it."""
    reproduced: str | None = None
    """Saving and quality alone, without conditions and claim; None where nothing was reproduced."""

    @property
    def parts(self) -> tuple[str, ...]:
        """The parts that there are."""
        return tuple(filter(None, (self.against_baseline, self.against_rival, self.felt)))

    @property
    def line(self) -> str:
        """All parts in one line."""
        return ". ".join(self.parts)


def verdict(record: Record, runs: Iterable[TacticRun] = ()) -> Verdict:
    """Return the verdict: saving and quality with intervals, seeds, data, condition, claim; rival; time.

    Smoke and stale runs are never shown. Runs that do not count as evidence for another reason are shown with
    that reason.

    Args:
        record: The tactic.
        runs: Its runs, committed ones or those of this machine.
    """
    known = tuple(runs)
    shown = headline_run(known)
    if record.recipe is None or shown is None or shown.cost is None:
        return Verdict(_without_reproduction(record, any(run.stale and not run.is_smoke for run in known)))
    found, contested = _reproduced(shown, record.recipe, shown.cost), not shown.against and shown.contests
    found = f"Contested: {found}" if contested else found
    line = f"{found} ({_conditions(shown, record.recipe, shown.cost)}); {_claimed(record)}"
    if contested:
        quality = quality_claim(record) if shown.contests_quality else None
        line += f", {claim_phrase(quality)}" if quality else ""
    if shown.against:
        line += f"; not counted as evidence: {', '.join(shown.against)}"
        found += "; not counted as evidence"
    return Verdict(line, _against_rival(shown, record.recipe), _felt(shown), found)


def verdict_output(record: Record, runs: Sequence[TacticRun]) -> tuple[str, ...]:
    """Return the lines of the command `verdict`: those of this machine only where it has results."""
    here = [run for run in runs if run.local]
    published = verdict(record, (run for run in runs if not run.local))
    lines = [f"published: {published.against_baseline}", *_further(published)]
    if here:
        of_machine = verdict(record, here)
        lines += [f"this machine: {of_machine.against_baseline}", *_further(of_machine)]
    return tuple(lines)


def _further(found: Verdict) -> Iterator[str]:
    return (f"  {part}" for part in found.parts[1:])


def headline_run(runs: Iterable[TacticRun]) -> TacticRun | None:
    """Return the run a verdict rests on: counting ones first, the default preset, then more seeds."""
    return min(
        (run for run in runs if not run.is_smoke and not run.stale and run.cost is not None),
        key=lambda run: (
            bool(run.against),
            run.results.preset != DEFAULT_PRESET,
            -len(run.results.seeds),
            run.results.device_slug,
        ),
        default=None,
    )


def _reproduced(run: TacticRun, recipe: RecipeUse, cost: Estimate) -> str:
    label = with_provenance(recipe.cost_label, run.results.metrics[recipe.cost_metric])
    lead = f"{run.doubt}: " if cost.n > 1 and run.doubt else ""
    return f"{lead}{label} {estimate_phrase(cost)} {_quality(run)}"


def _conditions(run: TacticRun, recipe: RecipeUse, cost: Estimate) -> str:
    parts = [f"{cost.n} seed, no interval" if cost.n == 1 else f"{cost.n} seeds", run.results.data.name]
    return ", ".join([*parts, recipe.condition] if recipe.condition else parts)


def _quality(run: TacticRun) -> str:
    quality = run.quality
    if quality is None:
        return f"({run.quality_label} was not measured)"
    words, loss = _quality_words(quality, run.quality_label), run.loss_interval
    if not quality.is_difference or run.record.kind is Kind.DARK or loss is None or run.within_tolerance:
        return words
    beyond = loss[0] > run.tolerance_points
    where = "outside the tolerance" if beyond else "not shown to lie within the tolerance"
    return f"{words}, {where} of {run.tolerance_points:.3g}"


def _quality_words(quality: Estimate, label: str) -> str:
    if not quality.is_difference:
        return f"at {label} {estimate_phrase(quality)}"
    return f"at {points_phrase(quality)} of {label}{points_interval(quality)}"


_FARES = {
    Against.WINS: "the tactic wins",
    Against.MATCHED: "matched",
    Against.BEATEN: "the tactic is beaten",
    Against.CHEAPER: Against.CHEAPER.definition,
    Against.DEARER: Against.DEARER.definition,
    None: "no interval",
}


def _against_rival(run: TacticRun, recipe: RecipeUse) -> str | None:
    rival = run.best_rival
    if run.record.kind is Kind.DARK:
        return None
    if rival is None:
        return "No rival compares in cost and quality" if rivals(run.results) else "No rival was run"
    label = with_provenance(recipe.cost_label, run.results.metrics[recipe.cost_metric])
    compared = f"{label} {estimate_phrase(rival.cost)} {_quality_words(rival.quality, run.quality_label)}"
    return f"Against the best rival, {plain_label(rival.arm)}: {compared}: {_FARES[rival.outcome]}"


_ENGINES: dict[Engine, str] = {
    "pytorch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "onnxruntime_int8": "ONNX Runtime with 8 bits",
}


def _felt(run: TacticRun) -> str | None:
    """Return what one call of the tactic takes, engine by engine, those of one answer together."""
    where = run.results.device.label
    if not run.felt:
        return None if needs_control(run.record, run.results) else f"Not timed on {where}"
    if run.timing_is_stale:
        return f"Timed on {where} by a protocol that has changed since"
    by_words: dict[str, list[str]] = {}
    for compared in run.felt:
        by_words.setdefault(_time_words(compared), []).append(_ENGINES[compared.engine])
    return f"Time on {where}: " + "; ".join(f"{words} in {_listed(by_words[words])}" for words in by_words)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _time_words(compared: PassesCompared) -> str:
    if not compared.difference_shown:
        return "no difference shown"
    return times_phrase(compared.estimate).replace("lower", "faster").replace("higher", "slower")


def _claimed(record: Record) -> str:
    claim = headline_claim(record)
    if claim is None:
        return "no published figure"
    if not has_figure(claim):
        return "claimed without a figure"
    if other_quantity(record, claim):
        return f"claimed {claim_phrase(claim)}"
    return f"claimed {claim_figure(claim)} ({short_setting(claim)})"


def _without_reproduction(record: Record, stale: bool) -> str:
    lead = (
        "No current reproduction, as the recipe or its data have changed since it was measured"
        if stale
        else "No reproduction yet"
    )
    claim = headline_claim(record)
    if claim is None:
        return f"{lead}, and no published figure"
    if not has_figure(claim):
        return f"{lead}; the effect is argued, without a figure"
    sources = len({entry.source for entry in effect_claims(record) if has_figure(entry)})
    who = "one source claims" if sources == 1 else f"{sources} sources give figures, the first"
    return f"{lead}; {who} {claim_phrase(claim)}"
