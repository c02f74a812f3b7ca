"""The checkout the commands work in: where it is, and which commit it stands at."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greentactics.text.problems import UserError

_FOLDERS = ("tactics", "recipes")
_GIT_TIMEOUT_S = 20


@dataclass(frozen=True)
class Revision:
    """What a measuring run was made from."""

    commit: str | None
    """Full commit name; None without git or before the first commit."""
    dirty: bool
    """Whether files differed from that commit, results aside; False without a commit."""


def find_root(start: Path) -> Path:
    """Return the nearest folder, from `start` upwards, that holds `tactics/` and `recipes/`.

    Raises:
        UserError: There is none.
    """
    folder = start.resolve()
    for candidate in (folder, *folder.parents):
        if all((candidate / name).is_dir() for name in _FOLDERS):
            return candidate
    raise UserError(
        f"{start}: expected a checkout of Green Tactics, a folder with tactics/ and recipes/, here or "
        "further up; change into one, or name it with --root"
    )


def read_revision(root: Path) -> Revision:
    """Ask git for the commit, and whether the working tree differs from it.

    Tracked files count wherever they are, new files only where recipes stand. Results do not count: they
    come out of a run and do not go into it, so that several tactics can be measured one after the other.
    """
    commit = _git(root, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return Revision(None, dirty=False)
    changed = _git(
        root, "status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)recipes/results"
    )
    new = _git(
        root, "ls-files", "--others", "--exclude-standard", "--", "recipes", ":(exclude)recipes/results"
    )
    return Revision(commit, dirty=changed != "" or new != "")


def names_ever_committed(root: Path, folder: str) -> tuple[str, ...]:
    """Return the files below a folder that any commit which git knows here touched, named from the root.

    There are none without git. Both ends of a rename are among them.
    """
    names = _git(root, "log", "--all", "--format=", "--name-only", "--no-renames", "--relative", "--", folder)
    return tuple(sorted(set(names.splitlines()))) if names else ()


def why_no_commit(root: Path) -> str:
    """Return why git names no commit of a checkout, in git's own words; empty where it names one."""
    try:
        run_git(root, "rev-parse", "--verify", "HEAD")
    except GitRefusalError as error:
        return str(error)
    return ""


class GitRefusalError(Exception):
    """Git did not do what it was asked for; the message says why, and is empty where git kept quiet."""


def run_git(root: Path, *arguments: str, timeout_s: float = _GIT_TIMEOUT_S) -> bytes:
    """Return what git prints when it is run in a folder.

    Raises:
        GitRefusalError: It is missing, refuses or takes too long.
    """
    command: Sequence[str] = ("git", "-C", str(root), "--no-optional-locks", *arguments)
    try:
        finished = subprocess.run(command, capture_output=True, timeout=timeout_s, check=False)
    except FileNotFoundError:
        raise GitRefusalError("git is not installed here, or not on the PATH; install it") from None
    except subprocess.TimeoutExpired:
        raise GitRefusalError(f"git {arguments[0]} gave no answer in {timeout_s:g} s") from None
    except ValueError:
        raise GitRefusalError from None  # a null character, which no revision has
    except OSError as error:
        raise GitRefusalError(f"git cannot be run: {error.strerror}") from None
    if finished.returncode:
        words = finished.stderr.decode("utf-8", "replace").strip()
        raise GitRefusalError(f"git says: {words}" if words else "")
    return finished.stdout


def _git(root: Path, *arguments: str) -> str | None:
    """Return what git prints, or None where git is absent or refuses."""
    try:
        return run_git(root, *arguments).decode("utf-8", "replace").strip()
    except GitRefusalError:
        return None
