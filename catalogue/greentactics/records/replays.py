"""Replays: where the programs lie, a checksum of what they compute, and mistakes in what they wrote."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from greentactics.models.datasets import DATA_SETS, KNOWN_SHA256
from greentactics.models.record import Record
from greentactics.models.replays import REPLAYS, Replay
from greentactics.records.reached_code import PACKAGE, Place, ReachedCode
from greentactics.text.problems import Finding, Rule, printable


def replay_module(tactic: str) -> str:
    """Return the dotted name of the program of a tactic."""
    return f"{PACKAGE}.{REPLAYS}.{tactic.replace('-', '_')}"


def replay_ids(root: Path) -> tuple[str, ...]:
    """Return the identifiers of the tactics that have a program, in alphabetical order.

    Modules that programs share stand beside them; a program has the name of a record.
    """
    names = (path.stem.replace("_", "-") for path in (root / PACKAGE / REPLAYS).glob("*.py"))
    return tuple(sorted(name for name in names if (root / "tactics" / f"{name}.yaml").is_file()))


def replay_checksum(code: ReachedCode, tactic: str) -> str | None:
    """Return the checksum of what the program of a tactic reaches; None where there is no program.

    Raises:
        CatalogueError: A file cannot be read or is not Python.
    """
    place = Place(replay_module(tactic), "replay")
    return code.checksum((place,)) if code.has(place) else None


def replay_findings(
    replay: Replay, path: Path, record: Record | None, code_sha256: str | None
) -> Iterator[Finding]:
    """Yield what is wrong with one replay.

    Args:
        replay: Content of the file.
        path: The file; the folder above its own names the tactic, and its stem the data set.
        record: The record of that tactic; None where it is missing or broken.
        code_sha256: Checksum of the tactic's program as it is now; None where there is no program.
    """
    tactic, again = printable(path.parents[1].name), f"recompute it: greentactics replay {replay.tactic}"
    if replay.tactic != tactic:
        expected = f'"{tactic}", the name of the folder'
        yield Finding(("tactic",), Rule.RESULTS_FOLDER, expected, f'"{replay.tactic}"', "move the file")
    if replay.data != path.stem:
        expected = f'"{printable(path.stem)}", the name of the file'
        yield Finding(("data",), Rule.RESULTS_FILE_NAME, expected, f'"{replay.data}"', "rename the file")
    if code_sha256 is None:
        name = f"{replay_module(tactic).replace('.', '/')}.py"
        yield Finding((), Rule.RESULTS_WITHOUT_RECIPE, f"the program {name}", "none", "remove the replay")
    elif code_sha256 != replay.code_sha256:
        expected = f"the checksum of the program as it is now, {code_sha256[:12]}..."
        found = f"{replay.code_sha256[:12]}..."
        yield Finding(("code_sha256",), Rule.RESULTS_STALE, expected, found, again)
    if KNOWN_SHA256.get(replay.data) != replay.data_sha256:
        yield Finding(
            ("data_sha256",), Rule.RESULTS_STALE, "the checksum of the published data", "another", again
        )
    elif record and not any(source.key == DATA_SETS[replay.data].reference for source in record.sources):
        key = DATA_SETS[replay.data].reference
        expected, cure = f"a record that cites {key}", f"add it to the sources of tactics/{tactic}.yaml"
        yield Finding((), Rule.MISSING_REFERENCE, expected, "none", cure)
