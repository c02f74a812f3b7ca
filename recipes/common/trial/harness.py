"""Runs all arms of a model recipe on one subject with one seed, up to the one reading of the test examples.

A recipe is a module with `ARMS`, generator functions from a study to (label, net), `tactic` first, then its
rivals; `COST`, the metric it wants lower, and `SUBJECTS`, by preset what it is tried on. The baseline is the
same for all: the trained net, trained on for as long as any arm may. Beside it stands the net as it was
given.

What else a recipe may say at its top level:

- `STARTS_FROM_NOTHING = True`, if it is about training itself: no net is given, the baseline is a training
  of the usual length, each arm yields one net, and `COST` is what the whole arm spent;
- `RETRAINS = False`, if it trains nothing: the baseline is the net as given;
- `TAUGHT = True`, if arms learn from the net as given: the baseline then is the better of two, of which one
  does, too;
- `INPUT_DEPENDENT = True`, if the work of a net depends on its input;
- `DRAWS_MORE`, by arm why one may draw more than the baseline;
- `extra_costs(net, inputs)`, which returns metrics that only this recipe has.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import ModuleType

import torch
from torch import Tensor, nn

from greentactics.models.results import BASELINE, FIRST_PUBLISHED_SEED, TACTIC
from greentactics.models.timings import CONTROL
from recipes.common.run.contract import CannotRun, Json, Meter, Metric, UserError, Window
from recipes.common.run.net_files import load_or_train
from recipes.common.trial.costs import MacsCounter, cost_of, metric, static_costs
from recipes.common.trial.rivals import Nets, distillation
from recipes.common.trial.study import (
    Ledger,
    Study,
    Trained,
    life_of,
    lifetime_examples,
    seed_all,
    uncounted_steps_refused,
)
from recipes.common.trial.subject import Subject

Arm = Callable[[Study], Nets]
LIFETIME_SLACK = 1.02
"""On what a net may have seen: loops end with whole batches."""
TOLERANCE_OF_GAIN = 0.01
"""Quality that may be lost, as a share of what training gains, where a subject does not say."""
MOST_PARAMETERS_KEPT = 10_000_000
"""Parameters of a net that is kept once another net of its arm is chosen."""
NORMAL_QUANTILE = 1.96
_DOES_NOT_FIT = (ArithmeticError, AssertionError, AttributeError, LookupError, NotImplementedError,
                 RuntimeError, TypeError, UserError, ValueError)  # fmt: skip
"""What an arm meets with a net that it was not made for; a test that was reached for is none of these."""


@dataclass
class Point:
    """One net that an arm has yielded."""

    label: str
    net: nn.Module
    """An empty module once the arm is over, where the net is a large one and another is chosen."""
    scores: Tensor
    """On the examples to choose with, (examples,)."""
    costs: Mapping[str, float]
    missing: Mapping[str, str]
    extra: Mapping[str, Metric] = field(default_factory=dict)

    @property
    def quality(self) -> float:
        """Mean score on the examples to choose with."""
        return float(self.scores.mean())


@dataclass
class Arrived:
    """What became of an arm."""

    points: list[Point]
    chosen: Point
    is_within: bool
    """Whether the loss of the chosen net is within the tolerance, by the upper end of its interval."""
    ledger: Ledger
    window: Window
    """Time and, with a meter, energy of the arm and of measuring its nets."""
    test_scores: Tensor | None = None
    """(examples,); None below the first published seed."""
    metrics: dict[str, Metric] = field(default_factory=dict)


@dataclass
class Trial:
    """What came of one seed."""

    seed: int
    tolerance: float
    arms: dict[str, Arrived]
    left_out: dict[str, str]
    """Why a rival does not fit this subject, by arm."""
    inputs: Tensor
    """Training inputs, for timing."""


def run_trial(recipe: ModuleType, subject: Subject, seed: int, preset: str, meter: Meter) -> Trial:
    """Run all arms with one seed.

    Raises:
        CannotRun: The tactic does not fit the subject, or an arm was unfair.
    """
    of_training = getattr(recipe, "STARTS_FROM_NOTHING", False)
    dense_epochs, budget = subject.epochs[preset]
    if not getattr(recipe, "RETRAINS", True):
        budget = 0.0
    inputs = subject.example_inputs(seed).clone()
    study = Study(
        seed=seed,
        inputs=inputs,
        tolerance=0.0,
        dense_epochs=0.0 if of_training else dense_epochs,
        budget_epochs=dense_epochs if of_training else budget,
        subject=subject,
        cost=partial(cost_of, inputs=inputs, name=recipe.COST),
    )
    trial = Trial(seed, 0.0, {}, {}, inputs)
    with subject.sealed():
        if of_training:
            study.train(study.fresh(), 1)  # the first training of a process takes longest
        else:
            study.dense = trained(study)
    for arm in arms_of(recipe):
        name, study = arm.__name__, _study_for(study, trial)
        try:
            with meter.window(name) as window:
                points = points_of(arm, study, recipe)
            if not trial.arms:
                points.sort(key=lambda point: -point.quality)  # the baseline is the better of its nets
                study.tolerance = trial.tolerance = tolerance_of(study, points[0])
            elif name not in getattr(recipe, "DRAWS_MORE", {}):
                refuse_overdrawn(name, points, trial.arms[BASELINE].chosen)
        except CannotRun as reason:
            if name in (BASELINE, TACTIC):
                raise
            trial.left_out[name] = str(reason)
            continue
        whole = trial.arms[BASELINE].chosen if trial.arms else points[0]
        chosen, is_within = (
            choose(points, whole, recipe.COST, study.tolerance) if trial.arms else (whole, True)
        )
        for point in points:
            if point is not chosen and point.costs["parameters"] > MOST_PARAMETERS_KEPT:
                point.net = nn.Module()  # those of all arms together would fill the memory
        trial.arms[name] = Arrived(points, chosen, is_within, study.ledger, window)
    if of_training:  # the baseline once more, to tell what times of training differ by anyway
        study = _study_for(study, trial)
        with meter.window(CONTROL) as window:
            again = points_of(from_nothing, study, recipe)
        trial.arms[CONTROL] = Arrived(again, again[0], True, study.ledger, window)
    _refuse_spoilt(subject, inputs, trial.arms[BASELINE].chosen, seed)
    for arrived in trial.arms.values():  # the one reading, after the last choice
        if seed >= FIRST_PUBLISHED_SEED:
            arrived.test_scores = subject.scores(arrived.chosen.net, "test")
        arrived.metrics = metrics_of(arrived, subject)
    return trial


def baseline(study: Study) -> Nets:
    """Train the net as given on, for as long as any arm may."""
    net = study.copy()
    study.train(net, study.budget_epochs)
    yield "whole", net


def taught_baseline(study: Study) -> Nets:
    """Train the net as given on, on its own and with itself as given for a teacher, as arms have it."""
    yield from baseline(study)
    net = study.copy()
    study.train(net, study.budget_epochs, **distillation(study.dense))
    yield "whole, taught", net


taught_baseline.__name__ = BASELINE


def as_given(study: Study) -> Nets:
    """Leave the trained net as it is."""
    yield "as given", study.copy()


def from_nothing(study: Study) -> Nets:
    """Train from random weights for the usual time."""
    net = study.fresh()
    study.train(net, study.budget_epochs)
    yield "whole training", net


from_nothing.__name__ = BASELINE


def trained(study: Study) -> nn.Module:
    """Return the trained net of the seed, with the life it has had.

    A net of the project's is kept on the disk, unless it comes trained. One of a reader's file is not: its
    training may change without a trace in the file.
    """
    if study.subject.is_readers or study.dense_epochs == 0:
        net = study.fresh()
        study.train(net, study.dense_epochs)
        return net

    class Kept(nn.Module):
        life: Tensor

        def __init__(self, net: nn.Module) -> None:
            super().__init__()
            self.net = net
            self.register_buffer("life", torch.zeros(5, dtype=torch.float64))

    def fill(kept: nn.Module) -> None:
        study.train(kept.net, study.dense_epochs)  # type: ignore[arg-type]
        life = life_of(kept.net)  # type: ignore[arg-type]
        seen = [life.examples, life.steps, life.judged, life.cpu_s, life.order]
        kept.life.copy_(torch.tensor(seen, dtype=torch.float64))  # type: ignore[operator]

    kept = Kept(study.fresh())
    load_or_train(kept, study.subject.training_key(study.seed, study.dense_epochs, kept.net), fill)
    examples, steps, judged, cpu_s, order = kept.life.tolist()
    vars(kept.net)["_life"] = Ledger(int(examples), int(steps), int(judged), cpu_s, int(order))
    return kept.net.eval()


def points_of(arm: Arm, study: Study, recipe: ModuleType) -> list[Point]:
    """Run an arm to its end, and only then measure its nets: measuring then touches no random number of it.

    Raises:
        CannotRun: The arm does not fit the net, yields none, or trains where nobody counts.
    """
    name = arm.__name__
    seed_all(study.seed, 3)
    yielded, started_s = list[tuple[str, nn.Module]](), time.process_time()
    try:
        with study.subject.sealed(), uncounted_steps_refused(study):
            for label, net in arm(study):
                yielded.append(
                    (label, copy.deepcopy(net).eval())
                )  # the arm may go on with the net it has yielded
        study.ledger.cpu_s = time.process_time() - started_s
        if not yielded:
            raise CannotRun(f"arm {name}: expected one net or more, got none; yield a label and a net")
        return [_point(label, net, study, recipe) for label, net in yielded]
    except CannotRun:
        raise
    except _DOES_NOT_FIT as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CannotRun(f"arm {name} on {study.subject.name}: {told}") from error


def _point(label: str, net: nn.Module, study: Study, recipe: ModuleType) -> Point:
    """Judge a net on the examples to choose with and count what it costs."""
    subject, seen = study.subject, 0

    def count(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        nonlocal seen
        seen += len(arguments[0])

    handle = net.register_forward_pre_hook(count)
    try:
        with MacsCounter() as counter:
            scores = subject.scores(net, "choice")
    finally:
        handle.remove()
    costs = static_costs(net, study.inputs)
    values = costs.values | {
        "macs": counter.macs / seen,
        "training_cpu_s": study.ledger.cpu_s,
        "training_passes": float(study.ledger.passes),
        "seen_examples": float(study.seen_by(net)),
    }
    extra = recipe.extra_costs(net, study.inputs) if hasattr(recipe, "extra_costs") else {}
    values |= {name: each.value for name, each in extra.items()}
    if recipe.COST not in values:
        why = costs.missing.get(recipe.COST, "it is not a metric of this recipe")
        raise CannotRun(
            f"{subject.name}: expected {recipe.COST}, by which this recipe chooses, got none: {why}"
        )
    return Point(label, net, scores, values, costs.missing, extra)


def tolerance_of(study: Study, whole: Point) -> float:
    """Return the quality that may be lost.

    Raises:
        CannotRun: Training has gained nothing, so that there is nothing to lose.
    """
    if study.subject.tolerance is not None:
        return study.subject.tolerance
    untrained = float(study.subject.scores(study.fresh(), "choice").mean())
    if not whole.quality > untrained:
        raise CannotRun(
            f"{study.subject.name}: expected training to raise the quality, got {untrained:.4g} before and "
            f"{whole.quality:.4g} after; train longer, with EPOCHS in the file"
        )
    return TOLERANCE_OF_GAIN * (whole.quality - untrained)


def choose(points: list[Point], whole: Point, cost: str, tolerance: float) -> tuple[Point, bool]:
    """Return the cheapest net shown to be within the tolerance, and True; without one the best, and False.

    A loss is within when the upper end of its 95 % interval over the examples is. Chosen by the mean, a net
    sits at the tolerance, and new examples show in a third of cases only that it is within.
    """

    def upper_end(point: Point) -> float:
        lost = whole.scores - point.scores
        if len(lost) < 2:
            return float(lost.mean())
        return float(lost.mean() + NORMAL_QUANTILE * lost.std() / len(lost) ** 0.5)

    within = [point for point in points if upper_end(point) <= tolerance]
    if within:
        return min(within, key=lambda point: point.costs[cost]), True
    return max(points, key=lambda point: point.quality), False


def refuse_overdrawn(arm: str, points: list[Point], whole: Point) -> None:
    """Refuse an arm one of whose nets has seen more than the baseline's in all its life.

    Raises:
        CannotRun: There is one.
    """
    most = int(max(point.costs["seen_examples"] for point in points))
    allowed = int(whole.costs["seen_examples"])
    if most > LIFETIME_SLACK * allowed:
        raise CannotRun(
            f"arm {arm}: expected at most {allowed:,} examples in the life of a net, as the baseline's has "
            f"seen, got {most:,}; draw fewer, or say in DRAWS_MORE why that is fair"
        )


def _refuse_spoilt(subject: Subject, inputs: Tensor, whole: Point, seed: int) -> None:
    """Refuse a trial in which the examples are no longer what they were.

    Raises:
        CannotRun: An arm has changed them.
    """
    with MacsCounter():  # by the kernels that judged it before
        scores = subject.scores(whole.net, "choice")
    if not (torch.equal(subject.example_inputs(seed), inputs) and torch.equal(scores, whole.scores)):
        raise CannotRun(
            f"{subject.name}: expected the examples after the last arm as they were before the first, got "
            "others; work on copies of them in the arms, and draw nothing in evaluate"
        )


def metrics_of(arrived: Arrived, subject: Subject) -> dict[str, Metric]:
    """Return the metrics of the net that an arm is judged by."""
    point, unit = arrived.chosen, subject.unit
    better = "higher" if subject.sign > 0 else "lower"
    found = {}
    for part, scores in (("choice", point.scores), ("test", arrived.test_scores)):
        if scores is not None:
            what = f"Mean {subject.quality} of the {part} examples" + (
                ", which no arm has searched with; nets are chosen by it."
                if part == "choice"
                else ", read once."
            )
            name = f"{part}_{subject.quality.replace(' ', '_').replace('-', '_')}"
            found[name] = Metric(subject.sign * float(scores.mean()), unit, better, "measured", what)  # type: ignore[arg-type]
    named = {name: metric(name, value) for name, value in point.costs.items() if name not in point.extra}
    return found | named | dict(point.extra)


def curve_of(arrived: Arrived, cost: str, sign: int) -> list[Json]:
    """Return one flat row for each net of an arm: what was there to choose from."""
    return [
        {"net": point.label, "chosen": point is arrived.chosen, "choice_quality": sign * point.quality,
         cost: point.costs[cost]}
        for point in arrived.points
    ]  # fmt: skip


def _study_for(study: Study, trial: Trial) -> Study:
    """Return the study of the next arm, with nets of its own and an empty ledger."""
    found = trial.arms[TACTIC].chosen.net if TACTIC in trial.arms else None
    dense, found = copy.deepcopy((study.dense, found))
    return replace(
        study,
        inputs=study.inputs.clone(),
        dense=dense,
        found=found,
        known=[Trained.of(net) for net in (dense, found) if net is not None and lifetime_examples(net)],
        ledger=Ledger(),
        is_training=False,
    )


def arms_of(recipe: ModuleType) -> list[Arm]:
    """Return all arms of a model recipe in the order in which they run: the baseline, the tactic, its rivals.

    Raises:
        ValueError: Two have one name.
    """
    if getattr(recipe, "STARTS_FROM_NOTHING", False):
        first: list[Arm] = [from_nothing]
    else:
        whole = taught_baseline if getattr(recipe, "TAUGHT", False) else baseline
        first = [whole, as_given] if getattr(recipe, "RETRAINS", True) else [whole]
    arms = [*first, *recipe.ARMS]
    names = [arm.__name__ for arm in arms]
    if len(set(names)) != len(names):
        raise ValueError(f"ARMS: expected different names, got {', '.join(names)}")
    return arms
