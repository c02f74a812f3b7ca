"""Replays: the program of a tactic run on published data, and its pairs stored."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from greentactics.measure.processes import child_environment
from greentactics.models.datasets import (
    ENVIRONMENT_VARIABLE,
    ML_ENERGY,
    ML_ENERGY_ARCHIVE,
    archived_contents,
    contents_sha256,
    find_data,
)
from greentactics.models.replays import REPLAYS, Replay
from greentactics.records.reached_code import PACKAGE, ReachedCode
from greentactics.records.replays import replay_checksum, replay_module
from greentactics.text.files import write_atomically
from greentactics.text.problems import UserError

_LINES_SHOWN = 5


def published_runs(data_dir: Path | None) -> Path:
    """Return the folder of the metered runs, after comparing their checksum.

    Raises:
        UserError: They are not there, or not as they were published.
    """
    folder = find_data(ML_ENERGY, data_dir)
    if folder is None:
        raise UserError(
            f"{ML_ENERGY.name}: not found in the data folders: {ML_ENERGY.about}; run "
            f"`{ML_ENERGY.fetch_command}`, or name a folder with --data-dir or {ENVIRONMENT_VARIABLE}"
        )
    if contents_sha256(archived_contents(folder, ML_ENERGY_ARCHIVE)) != ML_ENERGY_ARCHIVE.sha256:
        raise UserError(f"{folder}: not the published files; run `{ML_ENERGY.fetch_command} --dest {folder}`")
    return folder


def replay(root: Path, tactic: str, folder: Path) -> Path:
    """Run the program of a tactic and store what it makes of the data; the same data give the same bytes.

    Args:
        root: The checkout.
        tactic: A tactic that has a program.
        folder: What `published_runs` returned.

    Returns:
        Where the replay lies, from the root.

    Raises:
        UserError: The program failed.
        CatalogueError: It is not Python.
        pydantic.ValidationError: It printed something else than comparisons.
    """
    sha256 = replay_checksum(ReachedCode(root), tactic)
    done = subprocess.run(
        [sys.executable, "-m", replay_module(tactic), str(folder)],
        cwd=root,
        env=child_environment(threads=1),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        said = "\n".join(done.stderr.splitlines()[-_LINES_SHOWN:])
        raise UserError(f"{replay_module(tactic)} ended with exit code {done.returncode}:\n{said}")
    document = {
        "tactic": tactic,
        "data": ML_ENERGY.name,
        "data_sha256": ML_ENERGY_ARCHIVE.sha256,
        "code_sha256": sha256,
        "comparisons": json.loads(done.stdout),
    }
    found = Replay.model_validate_json(json.dumps(document))
    path = Path(PACKAGE, "results", tactic, REPLAYS, f"{ML_ENERGY.name}.json")
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        root / path, json.dumps(found.model_dump(mode="json"), indent=1, ensure_ascii=False) + "\n"
    )
    return path
