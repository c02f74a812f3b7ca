"""Timing passes: the nets of one seed in turns in a fresh process, one process after the other."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from pydantic import BaseModel, Field, ValidationError

from greentactics.measure.journal import Journal
from greentactics.measure.processes import (
    Ended,
    Launch,
    Pair,
    Progress,
    child_environment,
    run_pairs,
    termination_interrupts,
)
from greentactics.models.bibliography import STRICT
from greentactics.models.results import BASELINE, DeviceInfo, Failure
from greentactics.models.timings import Engine, Timing
from greentactics.records.reached_code import ReachedCode
from greentactics.records.recipes import TIMING_PROTOCOL, checksum_of_timing
from greentactics.text.files import write_atomically
from greentactics.text.problems import UserError

STEP = "latency"
"""What a timing pass is called where arms are named."""


@dataclass(frozen=True)
class TimingRequest:
    """What is to be timed."""

    root: Path
    """The checkout."""
    threads: int
    """Threads of each engine."""
    seeds: int
    """Seeds whose nets are timed, counted from 0."""
    cap_s: float
    """Longest time for the rounds of one engine."""
    device: DeviceInfo
    """Device of the repeats."""
    versions: Mapping[str, str]
    """Versions of the repeats."""
    engines: tuple[str, ...] = ()
    """Engines; all of them when empty."""
    timeout_s: float | None = None
    """Longest time for one pass."""


@dataclass(frozen=True)
class Timed:
    """What the timing passes gave."""

    timings: tuple[Timing, ...] = ()
    """Passes by seed and engine."""
    not_timed: Mapping[str, str] = field(default_factory=dict)
    """Why an engine could not be timed, by engine."""
    failures: tuple[Failure, ...] = ()
    """Passes that failed."""
    protocol_sha256: str | None = None
    """Checksum of the code that timed."""


NOTHING_TIMED = Timed()


class PassFile(BaseModel):
    """The file that one timing process writes."""

    model_config = STRICT

    timings: tuple[Timing, ...]
    """One entry an engine."""
    not_timed: dict[str, str] = Field(default_factory=dict)
    """Why an engine could not be timed, by engine."""
    device: DeviceInfo
    """The machine."""
    versions: dict[str, str]
    """Versions of Python and of the libraries."""


def protocol_checksum(root: Path) -> str | None:
    """Return the checksum of the timing protocol; None where a checkout has none."""
    return checksum_of_timing(ReachedCode(root.resolve()))


def time_nets(request: TimingRequest, journal: Journal, progress: Progress) -> Timed:
    """Time the nets that the repeats have left in the journal; passes made before are kept.

    A seed is timed when its baseline and at least one other arm have left a net.

    Raises:
        UserError: The protocol was edited meanwhile, or device or versions are not those of the repeats.
        KeyboardInterrupt: The user stopped the run; no process is left behind.
    """
    nets = {seed: journal.nets(seed) for seed in range(request.seeds)}
    nets = {seed: arms for seed, arms in nets.items() if BASELINE in arms and len(arms) > 1}
    protocol = protocol_checksum(request.root)
    if not nets or protocol is None:
        return NOTHING_TIMED
    folder = journal.passes(protocol)
    found = {seed: kept for seed in nets if (kept := _kept(request, folder / f"{seed}.json", nets[seed]))}
    missing = [Pair(STEP, seed) for seed in nets if seed not in found]
    launch = Launch(
        root=request.root,
        command=lambda pair, out_file: _command(request, nets[pair.seed], pair.seed, out_file),
        environment=child_environment(request.threads),
        folder=journal.scratch(),
        jobs=1,  # a neighbour would be in every reading
        on_start=progress.started,
        on_data=progress.note,
        timeout_s=request.timeout_s,
    )
    failures = []
    progress.begin(total=len(nets), done=len(found))
    with termination_interrupts(), closing(run_pairs(missing, launch)) as processes:
        for ended in processes:
            if protocol_checksum(request.root) != protocol:
                raise UserError(
                    "the timing protocol was edited meanwhile; continue with --resume to time again"
                )
            made = _accept(request, ended, nets[ended.pair.seed])
            if isinstance(made, Failure):
                failures.append(made)
                progress.failed(made)
                continue
            write_atomically(folder / f"{ended.pair.seed}.json", made.model_dump_json() + "\n")
            found[ended.pair.seed] = made
            progress.ended(ended.pair, ended.duration_s)
    passes = [found[seed] for seed in sorted(found)]
    return Timed(
        timings=tuple(timing for entry in passes for timing in entry.timings),
        not_timed={engine: reason for entry in passes for engine, reason in entry.not_timed.items()},
        failures=tuple(failures),
        protocol_sha256=protocol,
    )


def _command(request: TimingRequest, nets: Mapping[str, Path], seed: int, out_file: Path) -> list[str]:
    command = ["-m", TIMING_PROTOCOL]
    for arm, path in nets.items():
        command += ["--net", f"{arm}={path}"]
    command += [word for engine in request.engines for word in ("--engine", engine)]
    command += ["--seed", str(seed), "--threads", str(request.threads)]
    return [*command, "--cap-s", f"{request.cap_s:g}", "--out", str(out_file)]


def _kept(request: TimingRequest, path: Path, nets: Mapping[str, Path]) -> PassFile | None:
    """Return a pass made before, unless engines or conditions were others, or one of its nets is newer."""
    if not path.exists() or any(net.stat().st_mtime > path.stat().st_mtime for net in nets.values()):
        return None
    made = _read(path)
    wanted = set(request.engines or get_args(Engine))
    same = made is not None and wanted == {timing.engine for timing in made.timings} | set(made.not_timed)
    return made if made is not None and same and not _differences(request, made) else None


def _read(path: Path) -> PassFile | None:
    try:
        return PassFile.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


def _accept(request: TimingRequest, ended: Ended, nets: Mapping[str, Path]) -> PassFile | Failure:
    """Return what a timing process wrote, or why it failed.

    Raises:
        UserError: Device or versions are not those of the repeats.
    """
    made = _read(ended.out_file) if ended.exit_code == 0 else None
    if made is not None and all(_fits(timing, ended.pair.seed, nets) for timing in made.timings):
        if found := _differences(request, made):
            raise UserError(
                "conditions of the timing pass differ from those of the repeats; a results file needs equal "
                "ones:\n  " + "\n  ".join(found) + "\nmeasure anew with --replace"
            )
        return made
    wrong = "what the process wrote is not a timing pass of these nets" if ended.exit_code == 0 else ""
    output = "\n".join(filter(None, [ended.output, wrong]))
    return Failure(arm=STEP, seed=ended.pair.seed, exit_code=ended.exit_code, output=output)


def _differences(request: TimingRequest, made: PassFile) -> list[str]:
    """Return how device and versions of a pass differ from those of the repeats."""
    there = request.device.model_dump() | dict(request.versions)
    here = made.device.model_dump() | made.versions
    names = dict.fromkeys([*there, *here])
    return [
        f"{name}: {there.get(name, 'absent')} before, {here.get(name, 'absent')} now"
        for name in names
        if there.get(name) != here.get(name)
    ]


def _fits(timing: Timing, seed: int, nets: Mapping[str, Path]) -> bool:
    return timing.seed == seed and set(nets) <= set(timing.wall_ms)
