"""The journal of a measuring run: each finished repeat on disk at once, so that nothing finished is lost.

A journal is a folder: `plan.json` says what the run was begun with, `runs/` holds one file for each
finished repeat. A lock beside the folder keeps a second run out; it is given up when the process ends,
however it ends.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from greentactics.models.bibliography import StrictModel, Text
from greentactics.models.record import TacticId
from greentactics.models.results import Run, Sha256
from greentactics.text.files import write_atomically
from greentactics.text.problems import UserError


class RunError(Exception):
    """A process failed, or ended well and yet what it wrote cannot be used; the message says why."""


def read_run(path: Path) -> Run:
    """Read the file that a recipe's process wrote.

    Raises:
        RunError: The file is missing or is not a run.
    """
    try:
        run = Run.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise RunError("the process ended without writing its file") from None
    except ValidationError as error:
        raise RunError(f"what the process wrote is not a run: {first_fault(error)}") from None
    for name, measurement in run.metrics.items():
        if not math.isfinite(measurement.value):
            raise RunError(f"{name} is {measurement.value}, expected a finite number")
    return run


def first_fault(error: ValidationError) -> str:
    """Return place and reason of the first thing that is wrong with a file."""
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc']) or 'the file'}: {first['msg']}"


class Plan(StrictModel):
    """What a measuring run was begun with."""

    tactic: TacticId
    """The tactic."""
    preset: Text
    """Name of the settings."""
    threads: int
    """Threads of each repeat."""
    recipe_sha256: Sha256
    """Checksum of the recipe when the run was begun, with the meters it may read."""
    subject: Text | None = None
    """What the arms are tried on, by name, where the user named it."""
    subject_sha256: Sha256 | None = None
    """Checksum of the reader's file, where it is one."""
    commit: str | None
    """Commit when the run was begun."""
    dirty: bool
    """Whether the working tree differed from it, then or when the run was continued."""
    jobs: int = 1
    """Most repeats at the same time, then or when the run was continued."""


class Journal:
    """The finished repeats of one measuring run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._runs, self._nets, self._trials = folder / "runs", folder / "nets", folder / "trials"

    @property
    def count(self) -> int:
        """Number of finished repeats, or of seeds that were run with all arms at once."""
        return len(self._finished())

    def versions(self) -> dict[str, str]:
        """Return the versions that a finished repeat was run with; none where it does not tell."""
        try:
            versions = json.loads(self._finished()[0].read_bytes())["versions"]
        except (OSError, ValueError, LookupError, TypeError):
            return {}
        return dict(versions)

    def _finished(self) -> list[Path]:
        return sorted((*self._runs.glob("*.json"), *self._trials.glob("*.json")))

    def begin(self, plan: Plan) -> None:
        """Write the plan; finished repeats stay."""
        self._runs.mkdir(parents=True, exist_ok=True)
        write_atomically(self.folder / "plan.json", plan.model_dump_json(indent=1) + "\n")

    def plan(self) -> Plan:
        """Read the plan.

        Raises:
            UserError: It is missing or damaged.
        """
        try:
            return Plan.model_validate_json((self.folder / "plan.json").read_bytes())
        except (OSError, ValidationError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is damaged"
            raise UserError(
                f"{self.folder}: the plan of this unfinished run cannot be read ({reason}); begin anew with "
                "--replace"
            ) from None

    def runs(self) -> list[Run]:
        """Read the finished repeats.

        Raises:
            UserError: One of them is damaged.
        """
        runs = []
        for path in sorted(self._runs.glob("*.json")):
            try:
                runs.append(read_run(path))
            except RunError as error:
                raise UserError(f"{path}: {error}; remove the file to have this repeat run again") from None
        return runs

    def add(self, run: Run) -> None:
        """Keep a repeat that has just ended; it is safe afterwards."""
        write_atomically(self._runs / f"{run.arm}-{run.seed}.json", run.model_dump_json() + "\n")

    def trial(self, seed: int) -> Path:
        """Return where a seed that was run with all arms at once is kept."""
        return self._trials / f"{seed}.json"

    def add_trial(self, seed: int, content: str) -> None:
        """Keep a seed that has just ended; it is safe afterwards."""
        self._trials.mkdir(parents=True, exist_ok=True)
        write_atomically(self.trial(seed), content)

    def net(self, arm: str, seed: int) -> Path:
        """Return where the net of a repeat lies, or is to be stored, until it has been timed."""
        self._nets.mkdir(parents=True, exist_ok=True)
        return self._nets / f"{arm}-{seed}.pt"

    def nets(self, seed: int) -> dict[str, Path]:
        """Return the stored nets of one seed by arm, without those of repeats that failed afterwards."""
        stored = sorted(self._nets.glob(f"*-{seed}.pt"))
        finished = (path for path in stored if (self._runs / f"{path.stem}.json").exists())
        return {path.stem.removesuffix(f"-{seed}"): path for path in finished}

    def passes(self, protocol_sha256: str) -> Path:
        """Return the folder for the timing passes that were made with this code."""
        folder = self.folder / "timings" / protocol_sha256[:16]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def scratch(self) -> Path:
        """Return an empty folder for the processes to write to."""
        folder = self.folder / "scratch"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def discard(self) -> None:
        """Remove everything."""
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other measuring runs away from a journal's folder.

    Raises:
        UserError: Another run is at work there.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.with_name(f"{folder.name}.lock"), blocking=False):
            yield
    except Timeout:
        raise UserError(
            f"{folder}: another measuring run of this tactic and preset is under way; wait for its end"
        ) from None
