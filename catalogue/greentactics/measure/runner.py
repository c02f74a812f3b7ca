"""From a recipe to results: repeats in fresh interleaved processes, kept one by one, merged at the end."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from greentactics.measure.journal import Journal, Plan
from greentactics.measure.merging import RunError, merge, read_run, require_equal
from greentactics.measure.processes import (
    Ended,
    Launch,
    Pair,
    Progress,
    child_environment,
    interleave,
    run_pairs,
    termination_interrupts,
)
from greentactics.measure.timing_passes import NOTHING_TIMED, Timed, TimingRequest, time_nets
from greentactics.models.datasets import absent_folder
from greentactics.models.results import BASELINE, Failure, Results, Run
from greentactics.models.timings import CONTROL
from greentactics.records.git import read_revision
from greentactics.records.loading import recipe_checksum
from greentactics.records.recipes import RecipeChecksum, check_choice, read_outline, recipe_file
from greentactics.text.problems import UserError


@dataclass(frozen=True)
class Request:
    """What is to be run."""

    root: Path
    """The checkout."""
    tactic: str
    """The tactic."""
    preset: str
    """Name of the settings."""
    arms: tuple[str, ...]
    """Arms; empty for all."""
    seed_count: int
    """Number of seeds, counted from 0."""
    data_dir: Path | None = None
    """Folder of data sets, where the user named one."""
    threads: int = 1
    """Threads of each repeat."""
    jobs: int = 1
    """Repeats at the same time."""
    timeout_s: float | None = None
    """Longest time for one repeat."""
    control: bool = False
    """Whether the baseline is run a second time with each seed, for costs that the machine's noise is in."""
    latency_seeds: int = 0
    """Seeds whose nets are timed, counted from 0; 0 times none."""
    latency_cap_s: float = 30.0
    """Longest time for the rounds of one engine in one timing pass."""
    engines: tuple[str, ...] = ()
    """Engines to time in; all of them when empty."""


@dataclass(frozen=True)
class Performed:
    """What came of a request."""

    runs: tuple[Run, ...]
    """Finished repeats, those of an earlier unfinished run included."""
    failures: tuple[Failure, ...]
    """Repeats that failed."""
    plan: Plan
    """What the run was made with."""
    checksum: RecipeChecksum
    """Tells the checksum of the recipe that ran."""
    timed: Timed = NOTHING_TIMED
    """What the timing passes gave."""

    @property
    def complete(self) -> bool:
        """Whether every requested repeat and timing pass finished."""
        return not self.failures and not self.timed.failures

    def arms_missing(self, arms: tuple[str, ...]) -> tuple[str, ...]:
        """Return the arms without a single finished repeat."""
        present = {run.arm for run in self.runs}
        return tuple(arm for arm in arms if arm not in present)

    def results(self, device_slug: str) -> Results:
        """Merge the finished repeats."""
        return merge(
            self.runs,
            (*self.failures, *self.timed.failures),
            timings=self.timed.timings,
            timing_sha256=self.timed.protocol_sha256,
            not_timed=self.timed.not_timed,
            device_slug=device_slug,
            recipe_sha256=self.checksum(self.plan.preset, metered=self.runs[0].is_metered),
            commit=self.plan.commit,
            dirty=self.plan.dirty,
            jobs=self.plan.jobs,
            complete=self.complete,
        )


class Gate(Protocol):
    """A last word on the first finished repeat of a run, before the others are run."""

    def __call__(self, run: Run) -> None:
        """Raise a `UserError` to stop."""


def resolve(request: Request) -> tuple[str, ...]:
    """Return the arms to run, after checking tactic, preset and arms against the recipe.

    Raises:
        UserError: The recipe does not have one of them.
    """
    outline = read_outline(request.root, request.tactic)
    check_choice("preset", (request.preset,), outline.presets)
    check_choice("arm", request.arms, outline.arms)
    return tuple(arm for arm in outline.arms if not request.arms or arm in request.arms)


def make_plan(request: Request) -> Plan:
    """Describe the run as it would be begun now."""
    revision = read_revision(request.root)
    return Plan(
        tactic=request.tactic,
        preset=request.preset,
        threads=request.threads,
        recipe_sha256=recipe_checksum(request.root, request.tactic)(request.preset, metered=True),
        commit=revision.commit,
        dirty=revision.dirty,
        jobs=request.jobs,
    )


def perform(request: Request, journal: Journal, progress: Progress, gate: Gate | None = None) -> Performed:
    """Run every repeat of a request that the journal does not hold yet.

    Args:
        request: What is to be run.
        journal: Begun; each finished repeat is added to it at once.
        progress: Told what happens.
        gate: Called with the first repeat that finishes.

    Raises:
        UserError: Conditions differ between repeats, or the recipe was edited meanwhile. Finished repeats
            whose conditions are equal stay in the journal.
        KeyboardInterrupt: The user stopped the run; no process is left behind.
    """
    plan, runs, failures = journal.plan(), journal.runs(), list[Failure]()
    arms = (*resolve(request), *([CONTROL] if request.control else []))
    pairs = interleave(arms, range(request.seed_count), request.jobs)
    finished = {(run.arm, run.seed) for run in runs}
    missing = [pair for pair in pairs if (pair.arm, pair.seed) not in finished]
    launch = Launch(
        root=request.root,
        command=lambda pair, out_file: _command(request, journal, pair, out_file),
        environment=child_environment(request.threads) | _metering(request.jobs),
        folder=journal.scratch(),
        jobs=request.jobs,
        on_start=progress.started,
        on_data=progress.note,
        timeout_s=request.timeout_s,
    )
    if absent := absent_folder(request.data_dir):
        progress.note(absent)
    progress.begin(total=len(pairs), done=len(pairs) - len(missing))
    with termination_interrupts(), closing(run_pairs(missing, launch)) as processes:
        for ended in processes:
            run = _accept(ended, request, runs, plan)
            if isinstance(run, Failure):
                failures.append(run)
                progress.failed(run)
                continue
            journal.add(run)
            runs.append(run)
            progress.ended(ended.pair, ended.duration_s)
            if gate is not None and len(runs) == len(finished) + 1:
                gate(run)
    _require_unchanged(request, plan)
    performed = Performed(tuple(runs), tuple(failures), plan, recipe_checksum(request.root, request.tactic))
    return _with_nets_timed(performed, request, journal, progress) if request.latency_seeds else performed


def _with_nets_timed(
    performed: Performed, request: Request, journal: Journal, progress: Progress
) -> Performed:
    if not performed.runs:
        return performed
    passes = TimingRequest(
        root=request.root,
        threads=request.threads,
        seeds=request.latency_seeds,
        cap_s=request.latency_cap_s,
        device=performed.runs[0].device,
        versions=performed.runs[0].versions,
        engines=request.engines,
        timeout_s=request.timeout_s,
    )
    timed = time_nets(passes, journal, progress)
    _require_unchanged(request, performed.plan)  # a net's code is read from the recipe when the net is timed
    return replace(performed, timed=timed)


def _accept(ended: Ended, request: Request, runs: list[Run], plan: Plan) -> Run | Failure:
    """Return what a process wrote when it can stand beside the other repeats, or why the repeat failed.

    Raises:
        UserError: It is sound, but was made under other conditions.
    """
    pair = ended.pair
    if ended.exit_code == 0:
        try:
            run = read_run(ended.out_file)
            _require_asked(run, request, pair)
        except RunError as error:
            return _failure(ended, str(error))
        _require_unchanged(request, plan)
        if runs:
            require_equal(runs[0], run)
        return run.model_copy(update={"arm": pair.arm})
    return _failure(ended)


def _failure(ended: Ended, reason: str = "") -> Failure:
    output = "\n".join(filter(None, [ended.output, reason]))
    return Failure(arm=ended.pair.arm, seed=ended.pair.seed, exit_code=ended.exit_code, output=output)


def _require_asked(run: Run, request: Request, pair: Pair) -> None:
    asked = (request.tactic, request.preset, request.threads, _arm_run(pair), pair.seed)
    told = (run.tactic, run.preset, run.threads, run.arm, run.seed)
    if asked != told:
        raise RunError(f"the process was asked for {asked} and wrote {told}")


def _require_unchanged(request: Request, plan: Plan) -> None:
    if recipe_checksum(request.root, request.tactic)(request.preset, metered=True) != plan.recipe_sha256:
        raise UserError(
            "the recipe, or a shared module it uses, was edited meanwhile; nothing was written, as old and "
            "new code must not stand in one file; measure anew with --replace"
        )


def _metering(jobs: int) -> dict[str, str]:
    """Switch energy meters off for repeats side by side: a meter covers the machine, not the process."""
    return {"GREENTACTICS_METER": "none"} if jobs > 1 else {}


def _arm_run(pair: Pair) -> str:
    """Return the arm that a recipe is asked for: the control is the baseline again."""
    return BASELINE if pair.arm == CONTROL else pair.arm


def _command(request: Request, journal: Journal, pair: Pair, out_file: Path) -> list[str]:
    """Return the command line of one repeat, without the interpreter."""
    command = [
        "-m",
        f"recipes.{recipe_file(request.root, request.tactic).stem}",
        "--arm",
        _arm_run(pair),
        "--seed",
        str(pair.seed),
    ]
    command += ["--preset", request.preset, "--threads", str(request.threads), "--out", str(out_file)]
    if pair.seed < request.latency_seeds and pair.arm != CONTROL:
        command += ["--save-net", str(journal.net(pair.arm, pair.seed))]
    return [*command, "--data-dir", str(request.data_dir)] if request.data_dir else command
