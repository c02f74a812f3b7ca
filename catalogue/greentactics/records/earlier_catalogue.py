"""The catalogue as it stood at a git revision, read without touching the working tree."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greentactics.records.git import GitRefusalError, run_git
from greentactics.records.loading import Catalogue, catalogue_of, read_files
from greentactics.text.files import errors_name
from greentactics.text.problems import UserError

_GIT_TIMEOUT_S = 120
_FOLDERS = ("tactics", "recipes")
_MAIN = ("origin/main", "main")
_CURE = "git fetch --unshallow origin, or actions/checkout with fetch-depth: 0, brings the history"


@dataclass(frozen=True)
class EarlierCatalogue:
    """A catalogue as it was."""

    commit: str
    """Full name of the commit."""
    catalogue: Catalogue
    """What can be read of it by the rules of today."""
    unreadable: tuple[str, ...]
    """Files that break the rules of today and are left out."""


def read_earlier_catalogue(root: Path, base: str | None) -> EarlierCatalogue:
    """Read the catalogue of a revision.

    Args:
        root: The checkout.
        base: A git revision; None for the commit at which the current one left main.

    Raises:
        UserError: Git is missing or refuses, the revision is unknown here, or it holds no catalogue.
    """
    commit = _commit(root, base)
    listed = _git(root, "ls-tree", "--name-only", commit, "--", *_FOLDERS)
    if listed is None or set(listed.decode().split()) != set(_FOLDERS):
        raise UserError(f"{commit[:12]}: no tactics/ and recipes/ at this revision; name a later one")
    archive = _git(root, "archive", "--format=tar", commit, "--", *_FOLDERS)
    if archive is None:
        raise UserError(f"{commit[:12]}: git cannot read the files of this revision; {_CURE}")
    with tempfile.TemporaryDirectory(prefix="greentactics-") as folder:
        try:
            with errors_name(Path(folder)), tarfile.open(fileobj=io.BytesIO(archive)) as packed:
                packed.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise UserError(
                f"{commit[:12]}: the files of this revision cannot be unpacked: {error}"
            ) from None
        files = read_files(Path(folder))
        return EarlierCatalogue(
            commit, catalogue_of(files), tuple(sorted({problem.file for problem in files.problems}))
        )


def _commit(root: Path, base: str | None) -> str:
    _git(root, "rev-parse", "--git-dir")
    if base is None:
        mains = [name for name in _MAIN if _known(root, name)]
        bases = [found for name in mains if (found := _git(root, "merge-base", "HEAD", name))]
        if bases:
            return _nearest(root, [base.decode().strip() for base in bases])
        missing = "a common commit with main" if mains else "a branch main"
        raise UserError(f"expected {missing}, got none; name a BASE, or get more history: {_CURE}")
    commit = _known(root, base)
    if commit is None:
        raise UserError(f"{base}: expected a revision that is here, got an unknown one; {_CURE}")
    return commit


def _nearest(root: Path, bases: Sequence[str]) -> str:
    """Return the commit after which the branch has least of its own; on main itself, the first.

    In a clone whose remote was not asked for a while, origin/main lies behind main.
    """
    if _git(root, "symbolic-ref", "--short", "--quiet", "HEAD") == b"main\n":
        return bases[0]
    return min(bases, key=lambda base: int(_git(root, "rev-list", "--count", f"{base}..HEAD") or 0))


def _known(root: Path, revision: str) -> str | None:
    found = _git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    return None if found is None else found.decode().strip()


def _git(root: Path, *arguments: str) -> bytes | None:
    """Return what git prints, or None where it refuses without a word, as it does when asked to be quiet.

    Raises:
        UserError: Git is missing, or says why it refuses.
    """
    try:
        return run_git(root, *arguments, timeout_s=_GIT_TIMEOUT_S)
    except GitRefusalError as error:
        if str(error):
            raise UserError(f"{root}: the history, which tells a change, cannot be read: {error}") from None
        return None
