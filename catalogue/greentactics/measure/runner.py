"""From a recipe to results: repeats and timing passes in fresh processes, kept one by one, then joined."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import get_args

from pydantic import Field, ValidationError

from greentactics.measure.conditions import differences, require_equal
from greentactics.measure.journal import Journal, Plan, RunError, first_fault, read_run
from greentactics.measure.processes import (
    Ended,
    Launch,
    Pair,
    Progress,
    TimeLimit,
    child_environment,
    interleave,
    run_pairs,
    termination_interrupts,
)
from greentactics.models.bibliography import StrictModel, Text
from greentactics.models.datasets import absent_folder
from greentactics.models.results import (
    BASELINE,
    TACTIC,
    Conditions,
    DeviceInfo,
    Failure,
    Measurement,
    MetricInfo,
    Repeat,
    Results,
    Run,
)
from greentactics.models.timings import CONTROL, Engine, Timing
from greentactics.records.git import read_revision
from greentactics.records.loading import recipe_checksum
from greentactics.records.reached_code import ReachedCode
from greentactics.records.recipes import (
    TIMING_PROTOCOL,
    RecipeChecksum,
    check_choice,
    checksum_of_timing,
    read_outline,
    recipe_file,
)
from greentactics.text.files import write_atomically
from greentactics.text.problems import UserError

ALL_ARMS = "all arms"
"""What a process is called that runs all arms with one seed."""
ENVIRONMENT = "recipes.common.run.environment"
"""The program that says what device nets are trained on."""
LONGEST_ANSWER_S = 120
STEP = "latency"
"""What a timing pass is called where arms are named."""


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
    """Number of seeds."""
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
    """Seeds whose nets are timed, the first ones; 0 times none."""
    latency_cap_s: float = 30.0
    """Longest time for the rounds of one engine in one timing pass."""
    engines: tuple[str, ...] = ()
    """Engines to time in; all of them when empty."""
    subject: str | None = None
    """What the arms are tried on, by name or as a reader's file; None for that of the preset."""
    first_seed: int = 0
    """Where counting begins."""
    accelerator: DeviceInfo | None = None
    """Where nets are trained; None for the processor."""
    until_s: float | None = None
    """When work has to be over, on the monotonic clock; None for no limit."""

    @property
    def seeds(self) -> range:
        """The seeds."""
        return range(self.first_seed, self.first_seed + self.seed_count)

    @property
    def timed_seeds(self) -> range:
        """Those whose nets are timed."""
        return self.seeds[: self.latency_seeds]


class PassFile(StrictModel):
    """The file that one timing process writes."""

    timings: tuple[Timing, ...]
    """One entry an engine."""
    not_timed: dict[str, str] = Field(default_factory=dict)
    """Why an engine could not be timed, by engine."""
    device: DeviceInfo
    """The machine."""
    versions: dict[str, str]
    """Versions of Python and of the libraries."""


class TrialFile(PassFile):
    """The file of a process that ran all arms with one seed, and timed their nets."""

    runs: tuple[Run, ...]
    """One for each arm."""
    left_out: dict[str, str] = Field(default_factory=dict)
    """Why a rival does not fit the subject, by arm."""


class LeftOut(StrictModel):
    """The file of a process whose arm, a rival, cannot run here."""

    arm: Text
    """The arm."""
    seed: int
    """The seed."""
    left_out: Text
    """Why it cannot."""


@dataclass(frozen=True)
class Performed:
    """What came of a request."""

    runs: tuple[Run, ...]
    """Finished repeats, those of an earlier unfinished run included."""
    failures: tuple[Failure, ...]
    """Repeats and timing passes that failed."""
    plan: Plan
    """What the run was made with."""
    checksum: RecipeChecksum
    """Tells the checksum of the recipe that ran."""
    passes: tuple[PassFile, ...] = ()
    """Timing passes, by seed."""
    timing_sha256: str | None = None
    """Checksum of the code that timed."""
    left_out: Mapping[str, str] = field(default_factory=dict)
    """Why a rival does not fit the subject, or cannot run here, by arm."""
    left: int = 0
    """Repeats and timing passes that there was no time for."""

    @property
    def complete(self) -> bool:
        """Whether every requested repeat and timing pass finished."""
        return not self.failures and not self.left

    def arms_missing(self, arms: tuple[str, ...]) -> tuple[str, ...]:
        """Return the arms without a single finished repeat."""
        present = {run.arm for run in self.runs} | set(self.left_out if self.runs else ())
        return tuple(arm for arm in arms if arm not in present)

    def results(self, device_slug: str) -> Results:
        """Put the repeats into one document, in the order they were run.

        Raises:
            ConditionsDiffer: Conditions or descriptions of metrics differ between repeats.
        """
        ordered = sorted(self.runs, key=lambda run: (run.started, run.seed, run.arm))
        first, metrics = ordered[0], dict[str, MetricInfo]()
        for run in ordered:
            require_equal(first, run)
            for name, measurement in run.metrics.items():
                metrics.setdefault(name, MetricInfo(**measurement.model_dump(exclude={"value"})))
        timings = tuple(timing for made in self.passes for timing in made.timings)
        return Results(
            **{name: getattr(first, name) for name in Conditions.model_fields},
            device_slug=device_slug,
            recipe_sha256=self.checksum(self.plan.preset, metered=first.is_metered, subject=first.subject),
            commit=self.plan.commit,
            dirty=self.plan.dirty,
            jobs=self.plan.jobs,
            complete=self.complete,
            metrics=metrics,
            repeats=tuple(_repeat(run) for run in ordered),
            failures=self.failures,
            timings=timings,
            timing_sha256=self.timing_sha256 if timings else None,
            not_timed={engine: why for made in self.passes for engine, why in made.not_timed.items()},
            left_out=dict(self.left_out),
        )


def trial_of(results: Results, seed: int) -> TrialFile:
    """Return a seed of results as the file that its process wrote."""
    conditions = {name: getattr(results, name) for name in Conditions.model_fields}
    observed = [name for name in Repeat.model_fields if name != "values"]
    runs = tuple(
        Run(
            **conditions,
            **{name: getattr(repeat, name) for name in observed},
            metrics={
                name: Measurement(**results.metrics[name].model_dump(), value=value)
                for name, value in repeat.values.items()
            },
        )
        for repeat in results.repeats
        if repeat.seed == seed
    )
    return TrialFile(
        runs=runs,
        timings=tuple(timing for timing in results.timings if timing.seed == seed),
        not_timed=results.not_timed,
        device=results.device,
        versions=results.versions,
        left_out=results.left_out,
    )


def _repeat(run: Run) -> Repeat:
    kept = {name: getattr(run, name) for name in Repeat.model_fields if name != "values"}
    return Repeat(**kept, values={name: entry.value for name, entry in run.metrics.items()})


def resolve(request: Request) -> tuple[str, ...]:
    """Return the arms to run, after checking tactic, preset and arms against the recipe.

    Raises:
        UserError: The recipe does not have one of them.
    """
    outline = read_outline(request.root, request.tactic)
    check_choice("preset", (request.preset,), outline.presets)
    check_choice("arm", request.arms, outline.arms)
    if outline.subjects and request.arms:
        raise UserError(
            f"--arm: expected none for {request.tactic}, as its arms are chosen and timed beside each other; "
            "leave it out to run all of them"
        )
    if request.subject is not None and not outline.subjects:
        raise UserError(f"--subject: expected none for {request.tactic}, which brings a workload of its own")
    return tuple(arm for arm in outline.arms if not request.arms or arm in request.arms)


def accelerator_for(root: Path, tactic: str, wanted: str) -> DeviceInfo | None:
    """Return the accelerator that a recipe's nets would be trained on; None for the processor.

    Args:
        root: The checkout.
        tactic: The tactic.
        wanted: `cpu`, `cuda`, or `auto` for the accelerator where there is one and the recipe takes it.

    Raises:
        UserError: It is not there, or the recipe brings a workload of its own, which runs on the processor.
    """
    if wanted == "cpu":
        return None
    if not read_outline(root, tactic).subjects:
        if wanted == "auto":
            return None
        raise UserError(
            f"--device: expected cpu for {tactic}, which brings a workload of its own, got {wanted}; leave "
            "the option out"
        )
    return find_accelerator(root, wanted)


@cache
def find_accelerator(root: Path, wanted: str) -> DeviceInfo | None:
    """Ask torch, in a process of its own, for the accelerator; None for the processor.

    Raises:
        UserError: It is not there, or torch cannot be asked.
    """
    try:
        answer = subprocess.run(
            [sys.executable, "-m", ENVIRONMENT, "--device", wanted],
            cwd=root,
            env=child_environment(threads=1),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            timeout=LONGEST_ANSWER_S,
            check=False,
        )
        if answer.returncode:
            said = (answer.stderr.strip().splitlines() or ["it said nothing"])[-1]
            raise UserError(said.removeprefix("error: "))
        device = DeviceInfo.model_validate_json(answer.stdout)
    except (subprocess.TimeoutExpired, ValidationError):
        raise UserError(
            f"--device {wanted}: expected {ENVIRONMENT} to describe a device within {LONGEST_ANSWER_S} s, "
            "got nothing that can be read; take cpu"
        ) from None
    return None if device.kind == "cpu" else device


def make_plan(request: Request) -> Plan:
    """Describe the run as it would be begun now."""
    revision, subject = read_revision(request.root), request.subject
    return Plan(
        tactic=request.tactic,
        preset=request.preset,
        threads=request.threads,
        recipe_sha256=_checksum_now(request),
        subject=None if subject is None else Path(subject).stem,
        subject_sha256=_subject_checksum(request),
        commit=revision.commit,
        dirty=revision.dirty,
        jobs=request.jobs,
    )


def subject_name(request: Request) -> str | None:
    """Return the name of what the arms are tried on; None where the recipe brings its own workload."""
    if request.subject is not None:
        return Path(request.subject).stem
    return read_outline(request.root, request.tactic).subjects.get(request.preset)


def _checksum_now(request: Request) -> str:
    checksum = recipe_checksum(request.root, request.tactic)
    return checksum(request.preset, metered=True, subject=subject_name(request))


def is_readers_file(request: Request) -> bool:
    """Return whether the arms are tried on a reader's file."""
    return request.subject is not None and request.subject.endswith(".py")


def _subject_checksum(request: Request) -> str | None:
    """Return the checksum of the reader's file; None where there is none, or where it is gone."""
    if request.subject is None or not is_readers_file(request) or not Path(request.subject).is_file():
        return None
    return hashlib.sha256(Path(request.subject).read_bytes()).hexdigest()


def protocol_checksum(root: Path) -> str | None:
    """Return the checksum of the timing protocol; None where a checkout has none."""
    return checksum_of_timing(ReachedCode(root.resolve()))


def perform(
    request: Request, journal: Journal, progress: Progress, gate: Callable[[Run], None] | None = None
) -> Performed:
    """Run every repeat of a request that the journal does not hold yet, then time the nets they have left.

    Args:
        request: What is to be run.
        journal: Begun; each finished repeat is added to it at once.
        progress: Told what happens.
        gate: Called with the first repeat that finishes; may raise a `UserError` to stop.

    Raises:
        UserError: Conditions differ between repeats, or the recipe was edited meanwhile. Finished repeats
            whose conditions are equal stay in the journal.
        KeyboardInterrupt: The user stopped the run; no process is left behind.
    """
    plan, runs = journal.plan(), journal.runs()
    arms = (*resolve(request), *([CONTROL] if request.control else []))
    if read_outline(request.root, request.tactic).subjects:
        return perform_trials(request, journal, progress, gate)
    pairs = interleave(arms, request.seeds, request.jobs)
    finished = {(run.arm, run.seed) for run in runs}
    missing = [pair for pair in pairs if (pair.arm, pair.seed) not in finished]
    left_out = dict[str, str]()

    def keep(ended: Ended) -> None:
        if (reason := _why_left_out(ended)) is not None:
            left_out[ended.pair.arm] = reason
            return
        run = read_run(ended.out_file)
        _require_asked(run, request, ended.pair)
        _require_unchanged(request, plan)
        if runs:
            require_equal(runs[0], run)
        run = run.model_copy(update={"arm": ended.pair.arm})
        journal.add(run)
        runs.append(run)
        if gate is not None and len(runs) == len(finished) + 1:
            gate(run)

    if absent := absent_folder(request.data_dir):
        progress.note(absent)
    progress.begin(total=len(pairs), done=len(pairs) - len(missing))
    command = partial(_command, request, journal)
    failures, left = _run_all(request, journal, progress, missing, command, keep, jobs=request.jobs)
    _require_unchanged(request, plan)
    checksum = recipe_checksum(request.root, request.tactic)
    performed = Performed(tuple(runs), failures, plan, checksum, left_out=left_out, left=left)
    if runs and request.latency_seeds:
        performed = time_nets(performed, request, journal, progress)
        _require_unchanged(request, plan)  # a net's code is read from the recipe when the net is timed
    return performed


def perform_trials(
    request: Request, journal: Journal, progress: Progress, gate: Callable[[Run], None] | None = None
) -> Performed:
    """Run all arms of each seed that the journal does not hold yet in one process, which times them, too.

    Raises:
        As `perform`.
    """
    plan, kept = journal.plan(), {seed: made for seed in request.seeds if (made := _trial(journal, seed))}
    missing = [Pair(ALL_ARMS, seed) for seed in request.seeds if seed not in kept]
    is_first = not kept
    subject = subject_name(request)

    def keep(ended: Ended) -> None:
        nonlocal is_first
        made = read_trial(ended.out_file)
        for run in made.runs:
            told = (run.tactic, run.preset, run.threads, run.subject, run.seed)
            asked = (request.tactic, request.preset, request.threads, subject, ended.pair.seed)
            if asked != told:
                raise RunError(f"the process was asked for {asked} and wrote {told}")
        _require_unchanged(request, plan)
        if kept:
            require_equal(next(iter(kept.values())).runs[0], made.runs[0])
        if is_first and gate is not None:
            gate(made.runs[0])
        is_first = False
        kept[ended.pair.seed] = made
        journal.add_trial(ended.pair.seed, made.model_dump_json() + "\n")

    if absent := absent_folder(request.data_dir):
        progress.note(absent)
    progress.begin(total=len(request.seeds), done=len(kept))
    failures, left = _run_all(
        request, journal, progress, missing, partial(_trial_command, request), keep, jobs=request.jobs
    )
    _require_unchanged(request, plan)
    ordered = [kept[seed] for seed in sorted(kept)]
    return Performed(
        runs=tuple(run for made in ordered for run in made.runs),
        failures=failures,
        plan=plan,
        checksum=recipe_checksum(request.root, request.tactic),
        passes=tuple(ordered),
        timing_sha256=protocol_checksum(request.root),
        left_out={arm: why for made in ordered for arm, why in made.left_out.items()},
        left=left,
    )


def time_nets(performed: Performed, request: Request, journal: Journal, progress: Progress) -> Performed:
    """Time the nets that the repeats have left in the journal; passes made before are kept.

    A seed is timed when its baseline and at least one other arm have left a net.

    Raises:
        UserError: The protocol was edited meanwhile, or device or versions are not those of the repeats.
        KeyboardInterrupt: The user stopped the run; no process is left behind.
    """
    nets = {seed: journal.nets(seed) for seed in request.timed_seeds}
    nets = {seed: arms for seed, arms in nets.items() if BASELINE in arms and len(arms) > 1}
    protocol = protocol_checksum(request.root)
    if not nets or protocol is None:
        return performed
    folder, run = journal.passes(protocol), performed.runs[0]
    passes = {
        seed: made for seed in nets if (made := _kept(request, run, folder / f"{seed}.json", nets[seed]))
    }
    missing = [Pair(STEP, seed) for seed in nets if seed not in passes]

    def keep(ended: Ended) -> None:
        if protocol_checksum(request.root) != protocol:
            raise UserError("the timing protocol was edited meanwhile; continue with --resume to time again")
        seed = ended.pair.seed
        passes[seed] = _accepted(ended, run, nets[seed])
        write_atomically(folder / f"{seed}.json", passes[seed].model_dump_json() + "\n")

    progress.begin(total=len(nets), done=len(passes))
    command = partial(_timing_command, request, nets)
    # A neighbour would be in every reading, so passes never run side by side.
    failures, left = _run_all(request, journal, progress, missing, command, keep, jobs=1)
    return replace(
        performed,
        failures=performed.failures + failures,
        left=performed.left + left,
        passes=tuple(passes[seed] for seed in sorted(passes)),
        timing_sha256=protocol,
    )


def _run_all(
    request: Request,
    journal: Journal,
    progress: Progress,
    pairs: Sequence[Pair],
    command: Callable[[Pair, Path], Sequence[str]],
    keep: Callable[[Ended], None],
    *,
    jobs: int,
) -> tuple[tuple[Failure, ...], int]:
    """Run each pair in a process and have each that ends well kept at once.

    Returns:
        The failures, and how many pairs there was no time for.

    Args:
        request: What they are part of.
        journal: Has the folder that they write to.
        progress: Told what happens.
        pairs: What is to be run.
        command: Command line for a pair and the file to write, without the interpreter.
        keep: Stores what a process wrote, or raises `RunError` where that cannot be used.
        jobs: Processes at the same time.
    """
    environment = child_environment(request.threads)
    if jobs > 1:  # an energy meter covers the machine, not the process
        environment["GREENTACTICS_METER"] = "none"
    folder = journal.scratch()
    limit = None if request.until_s is None else TimeLimit(request.until_s)
    launch = Launch(request.root, command, environment, folder, jobs, progress, request.timeout_s, limit)
    failures, left = list[Failure](), len(pairs)
    with termination_interrupts(), closing(run_pairs(pairs, launch)) as processes:
        for ended in processes:
            left -= 1
            try:
                if ended.exit_code != 0:
                    raise RunError
                keep(ended)
            except RunError as error:
                pair, output = ended.pair, "\n".join(filter(None, [ended.output, str(error)]))
                failure = Failure(arm=pair.arm, seed=pair.seed, exit_code=ended.exit_code, output=output)
                failures.append(failure)
                progress.failed(failure)
            else:
                progress.ended(ended.pair, ended.duration_s)
    return tuple(failures), left


def _why_left_out(ended: Ended) -> str | None:
    """Return why a rival cannot run here, where that is what its process wrote."""
    try:
        found = LeftOut.model_validate_json(ended.out_file.read_bytes())
    except (OSError, ValidationError):
        return None
    told = found.arm == ended.pair.arm and found.seed == ended.pair.seed
    return found.left_out if told and found.arm not in (BASELINE, TACTIC) else None


def _require_asked(run: Run, request: Request, pair: Pair) -> None:
    asked = (request.tactic, request.preset, request.threads, _arm_run(pair), pair.seed)
    told = (run.tactic, run.preset, run.threads, run.arm, run.seed)
    if asked != told:
        raise RunError(f"the process was asked for {asked} and wrote {told}")


def _require_unchanged(request: Request, plan: Plan) -> None:
    if _checksum_now(request) != plan.recipe_sha256:
        raise UserError(
            "the recipe, or a shared module it uses, was edited meanwhile; nothing was written, as old and "
            "new code must not stand in one file; measure anew with --replace"
        )
    if _subject_checksum(request) != plan.subject_sha256:
        raise UserError(
            f"{request.subject}: expected a file that stays as it is until all seeds are run, got another; "
            "nothing was written; measure anew with --replace"
        )


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
    if pair.seed in request.timed_seeds and pair.arm != CONTROL:
        command += ["--save-net", str(journal.net(pair.arm, pair.seed))]
    return [*command, "--data-dir", str(request.data_dir)] if request.data_dir else command


def _trial_command(request: Request, pair: Pair, out_file: Path) -> list[str]:
    """Return the command line of one seed with all arms, without the interpreter."""
    command = ["-m", f"recipes.{recipe_file(request.root, request.tactic).stem}", "--seed", str(pair.seed)]
    command += ["--preset", request.preset, "--threads", str(request.threads), "--out", str(out_file)]
    cap_s = request.latency_cap_s if pair.seed in request.timed_seeds else 0.0
    command += [
        "--cap-s",
        f"{cap_s:g}",
        *(word for engine in request.engines for word in ("--engine", engine)),
    ]
    command += ["--subject", request.subject] if request.subject else []
    command += ["--device", request.accelerator.kind] if request.accelerator else []
    return [*command, "--data-dir", str(request.data_dir)] if request.data_dir else command


def _trial(journal: Journal, seed: int) -> TrialFile | None:
    """Return a trial that the journal holds; None where it holds none that can be read."""
    try:
        return read_trial(journal.trial(seed))
    except RunError:
        return None


def read_trial(path: Path) -> TrialFile:
    """Read the file of a process that ran all arms with one seed.

    Raises:
        RunError: The file is missing or is none.
    """
    try:
        return TrialFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RunError("the process ended without writing its file") from None
    except ValidationError as error:
        raise RunError(f"what the process wrote is not a trial: {first_fault(error)}") from None


def _timing_command(
    request: Request, nets: Mapping[int, Mapping[str, Path]], pair: Pair, out_file: Path
) -> list[str]:
    """Return the command line of one timing pass, without the interpreter."""
    command = ["-m", TIMING_PROTOCOL]
    for arm, path in nets[pair.seed].items():
        command += ["--net", f"{arm}={path}"]
    command += [word for engine in request.engines for word in ("--engine", engine)]
    command += ["--seed", str(pair.seed), "--threads", str(request.threads)]
    return [*command, "--cap-s", f"{request.latency_cap_s:g}", "--out", str(out_file)]


def _kept(request: Request, run: Run, path: Path, nets: Mapping[str, Path]) -> PassFile | None:
    """Return a pass made before, unless engines or conditions were others, or one of its nets is newer."""
    if not path.exists() or any(net.stat().st_mtime > path.stat().st_mtime for net in nets.values()):
        return None
    made = _read_passes(path)
    if made is None or _pass_differences(run, made):
        return None
    wanted = set(request.engines or get_args(Engine))
    return made if wanted == {timing.engine for timing in made.timings} | set(made.not_timed) else None


def _read_passes(path: Path) -> PassFile | None:
    try:
        return PassFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _accepted(ended: Ended, run: Run, nets: Mapping[str, Path]) -> PassFile:
    """Return what a timing process wrote.

    Raises:
        RunError: It is not a pass of these nets.
        UserError: Device or versions are not those of the repeats.
    """
    made = _read_passes(ended.out_file)
    if made is None or not all(
        timing.seed == ended.pair.seed and set(nets) <= set(timing.wall_ms) for timing in made.timings
    ):
        raise RunError("what the process wrote is not a timing pass of these nets")
    if different := _pass_differences(run, made):
        raise UserError(
            "conditions of the timing pass differ from those of the repeats; a results file needs equal "
            "ones:\n  " + "\n  ".join(different) + "\nmeasure anew with --replace"
        )
    return made


def _pass_differences(run: Run, made: PassFile) -> list[str]:
    return differences(run, made, {"device", "versions"})
