"""Drafts as files: written beside the catalogue, and never over someone's work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from greentactics.models.record import DRAFTS
from greentactics.text.files import RECORD_BYTES, catalogue_locked, read_text_file, write_atomically
from greentactics.text.problems import UserError


@dataclass(frozen=True)
class Written:
    """What became of one draft."""

    path: Path
    """Its file, from the root."""
    state: str
    """`written`, `unchanged` or `replaced`."""


def write_draft(root: Path, identifier: str, text: str, *, replace: bool, cure: str) -> Written:
    """Write a draft to its file, unless it is there already.

    Args:
        root: Folder that holds `tactics/`.
        identifier: Identifier of the tactic to be.
        text: The draft.
        replace: Whether a file with another text is overwritten.
        cure: What to do about such a file.

    Raises:
        UserError: A file with another text is there, the folder of drafts lies elsewhere, or another command
            holds the lock of the catalogue.
        CatalogueError: What is there cannot be read.
    """
    folder = root / DRAFTS
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"{DRAFTS}: expected a folder, got a link or a file; remove it")
    path = folder / f"{identifier}.yaml"
    name, state = path.relative_to(root), "written"
    with catalogue_locked(root):
        if path.is_symlink() or path.exists():
            known = "" if path.is_symlink() else read_text_file(path, root=None, max_bytes=RECORD_BYTES).text
            state = "unchanged" if known == text else "replaced"
        if state == "replaced" and not replace:
            raise UserError(
                f"{name.as_posix()}: expected no such file, or the text that is to be written, got another "
                f"text; it was edited or made from something else, and stays as it is; {cure}"
            )
        if path.is_symlink():
            path.unlink()  # what it leads to is no draft
        if state != "unchanged":
            write_atomically(path, text)
    return Written(name, state)
