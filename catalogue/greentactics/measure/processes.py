"""Repeats as processes: each arm with each seed in a fresh interpreter, a few at a time, none left behind."""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

import greentactics
from greentactics.models.datasets import ENVIRONMENT_VARIABLE
from greentactics.models.results import Failure
from greentactics.text.files import visible


class Progress(Protocol):
    """Where the runner says what happens."""

    def begin(self, total: int, done: int) -> None:
        """Say how many repeats or timing passes there are, and how many of them were finished before."""

    def started(self, pair: Pair) -> None:
        """Say that a repeat has been started."""

    def ended(self, pair: Pair, duration_s: float) -> None:
        """Say that a repeat has ended well."""

    def failed(self, failure: Failure) -> None:
        """Say that a repeat has failed, with its last lines."""

    def note(self, text: str) -> None:
        """Say something else worth knowing."""


@dataclass
class TimeLimit:
    """When work has to be over; a repeat that would not end before is not begun."""

    until_s: float
    """On the monotonic clock."""
    longest_s: float = 0.0
    """Of the repeats that have ended; the first is begun whatever it takes."""

    @property
    def is_over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.until_s

    @property
    def is_enough(self) -> bool:
        """Whether one more repeat would fit, should it take a tenth longer than the longest."""
        return time.monotonic() + 1.1 * self.longest_s < self.until_s


_KILL: int = getattr(signal, "SIGKILL", 9)  # Windows has no such signal, and ends a process at once
TIMED_OUT = -_KILL
"""Exit code of a repeat that was stopped because it took too long."""

_POLL_S = 0.02
_GRACE_S = 5.0
_TAIL_BYTES = 32_768
_DATA_LINE = "data: "
_TAIL_LINES = 15
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[^\t\n\x20-\x7e\xa0-\U0010ffff]")


@dataclass(frozen=True)
class Pair:
    """One arm with one seed."""

    arm: str
    """The arm."""
    seed: int
    """The seed."""

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


@dataclass(frozen=True)
class Ended:
    """A process that has come to its end."""

    pair: Pair
    """What it ran."""
    exit_code: int
    """Exit code; negative for a signal."""
    duration_s: float
    """Wall-clock time from start to end."""
    output: str
    """Last lines it printed, without control characters and without the names of private folders."""
    out_file: Path
    """Where it was told to write; the file is missing when it did not."""


@dataclass(frozen=True)
class Launch:
    """How each repeat is started."""

    root: Path
    """Working folder."""
    command: Callable[[Pair, Path], Sequence[str]]
    """Command line for a pair and the file to write."""
    environment: Mapping[str, str]
    """Environment of the processes."""
    folder: Path
    """Where output files and logs go; exists."""
    jobs: int
    """Processes at the same time."""
    progress: Progress
    """Told of each repeat that is started, and once of its data, in a line that begins with `data: `."""
    timeout_s: float | None = None
    """Longest time for one repeat."""
    limit: TimeLimit | None = None
    """Of all repeats; those under way when it is over are stopped, and are not yielded."""


@dataclass
class _Running:
    pair: Pair
    process: subprocess.Popen[bytes]
    log: Path
    out_file: Path
    started_s: float = field(default_factory=time.monotonic)
    timed_out: bool = False


def interleave(arms: Sequence[str], seeds: Sequence[int], jobs: int = 1) -> list[Pair]:
    """List the pairs seed by seed, the arms of each seed in an order that depends on the seed alone.

    A machine that slowly becomes hot or busy so meets all arms alike, and a continued run keeps the order.
    With several jobs as many seeds take turns, so that repeats side by side do not train the same net twice.
    """
    orders = {seed: random.Random(seed).sample(list(arms), len(arms)) for seed in seeds}  # noqa: S311 - no secret
    groups = [seeds[first : first + jobs] for first in range(0, len(seeds), jobs)]
    return [Pair(orders[seed][turn], seed) for group in groups for turn in range(len(arms)) for seed in group]


def child_environment(threads: int) -> dict[str, str]:
    """Return the environment of a repeat: a fixed number of threads that sleep while they wait.

    Args:
        threads: Threads for OpenMP and the linear-algebra libraries.
    """
    package_root = str(Path(greentactics.__file__).parents[1])
    paths = [package_root, *filter(None, [os.environ.get("PYTHONPATH")])]
    counts = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(threads))
    settings = {"OMP_WAIT_POLICY": "PASSIVE", "PYTHONHASHSEED": "0", "PYTHONUNBUFFERED": "1"}
    found = {**os.environ, **counts, **settings, "PYTHONPATH": os.pathsep.join(paths)}
    if found.get(
        ENVIRONMENT_VARIABLE
    ):  # may be relative to the user's folder, which is not that of the repeat
        found[ENVIRONMENT_VARIABLE] = str(Path(found[ENVIRONMENT_VARIABLE]).resolve())
    return found


def run_pairs(pairs: Sequence[Pair], launch: Launch) -> Generator[Ended]:
    """Run each pair in a process of its own and yield each one that ends, as far as the time limit allows.

    Close the iterator to stop: processes that still run are ended with all their children.
    """
    waiting, running, data_line, limit = deque(pairs), list[_Running](), "", launch.limit
    try:
        while waiting or running:
            if limit is not None and not limit.is_enough:
                waiting.clear()
            if limit is not None and limit.is_over:
                return
            while waiting and len(running) < launch.jobs:
                running.append(_start(waiting.popleft(), launch))
                launch.progress.started(running[-1].pair)
            if running and not data_line:
                data_line = _data_line(running[0].log)
                if data_line:
                    launch.progress.note(data_line)
            for entry in list(running):
                if _has_ended(entry, launch.timeout_s):
                    running.remove(entry)
                    ended = _ended(entry, launch)
                    if limit is not None:
                        limit.longest_s = max(limit.longest_s, ended.duration_s)
                    yield ended
            time.sleep(_POLL_S)
    finally:
        stop_all([entry.process for entry in running])


def stop_all(processes: Sequence[subprocess.Popen[bytes]], grace_s: float = _GRACE_S) -> None:
    """End processes together with everything they started: first politely, after a while for good."""
    for process in processes:
        _signal_group(process, signal.SIGTERM)
    deadline_s = time.monotonic() + grace_s
    try:
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline_s - time.monotonic()))
    finally:  # an impatient second Ctrl-C must leave nothing behind either
        for process in processes:
            _signal_group(process, _KILL)
    for process in processes:
        process.wait()


@contextmanager
def termination_interrupts() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end the block as Ctrl-C does, so that nothing is left running or lost."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    former = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _start(pair: Pair, launch: Launch) -> _Running:
    """Start a process in a group of its own, so that Ctrl-C reaches us first and we can end its children."""
    out_file = launch.folder / f"{pair.arm}-{pair.seed}.json"
    log = out_file.with_suffix(".log")
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *launch.command(pair, out_file)],
            cwd=launch.root,
            env=dict(launch.environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return _Running(pair, process, log, out_file)


def _has_ended(entry: _Running, timeout_s: float | None) -> bool:
    if entry.process.poll() is not None:
        return True
    if timeout_s is None or time.monotonic() - entry.started_s < timeout_s:
        return False
    entry.timed_out = True
    _signal_group(entry.process, _KILL)
    entry.process.wait()
    return True


def _ended(entry: _Running, launch: Launch) -> Ended:
    _signal_group(entry.process, _KILL)  # what the process may have left running
    output = _last_lines(entry.log, launch.root)
    if entry.timed_out:
        output = f"{output}\nstopped: it took longer than {launch.timeout_s:g} s".lstrip()
    exit_code = TIMED_OUT if entry.timed_out else entry.process.returncode
    return Ended(entry.pair, exit_code, time.monotonic() - entry.started_s, output, entry.out_file)


def _signal_group(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)  # the group bears the number of the process that leads it
        else:
            process.kill()


def _data_line(log: Path) -> str:
    """Return what a repeat has said of its data so far; empty where it has said nothing yet."""
    with log.open("rb") as file:
        text = _CONTROL.sub("", file.read(_TAIL_BYTES).decode(errors="replace"))
    complete_lines = text.split("\n")[:-1]
    return next((line for line in complete_lines if line.startswith(_DATA_LINE)), "")


def _last_lines(log: Path, root: Path) -> str:
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        text = visible(_CONTROL.sub("", file.read().decode(errors="replace")))
    lines = text.rstrip().splitlines()[-_TAIL_LINES:]
    tail = "\n".join(lines).replace(f"{root}{os.sep}", "")
    home = str(Path.home())
    return tail.replace(home, "~") if len(home) > 1 else tail
