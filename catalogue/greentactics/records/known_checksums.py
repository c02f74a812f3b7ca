"""Checksums that were computed before, so that code which has not changed is not followed again.

One file a checkout keeps them, in the user's cache folder. They hold as long as this wing of the program,
the Python that parses and every module it looked at, present or absent, are the same to the byte; else all
are forgotten.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import platformdirs

from greentactics.text.files import write_atomically
from greentactics.text.problems import CatalogueError


def checksums_file(root: Path) -> Path:
    """Return where the checksums of a checkout are kept."""
    name = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return platformdirs.user_cache_path("greentactics") / "checksums" / f"{name}.json"


class KnownChecksums:
    """The checksums of one checkout, by what was asked."""

    def __init__(self, root: Path, module_sha256: Callable[[str], str | None]) -> None:
        """Read what is known and still holds.

        Args:
            root: The checkout.
            module_sha256: Returns the SHA-256 of a module's text by its dotted name; None without one.
        """
        self._file = checksums_file(root)
        programs = sorted(Path(__file__).parent.glob("*.py"))
        program = [sys.version.encode(), *(path.read_bytes() for path in programs)]
        self._program = hashlib.sha256(b"\0".join(program)).hexdigest()
        self._module_sha256 = module_sha256
        self._modules: dict[str, str | None] = {}
        self._checksums: dict[str, str] = {}
        # Whatever else the file may hold is not from this program.
        with suppress(OSError, ValueError, LookupError, TypeError, AttributeError, CatalogueError):
            kept = json.loads(self._file.read_text(encoding="utf-8"))
            modules: Mapping[str, str | None] = kept["modules"]
            if kept["program"] == self._program and all(
                module_sha256(name) == sha256 for name, sha256 in modules.items()
            ):
                self._modules, self._checksums = dict(modules), dict(kept["checksums"])

    def get(self, question: str) -> str | None:
        """Return a checksum that is known."""
        return self._checksums.get(question)

    def keep(self, question: str, checksum: str, modules: Mapping[str, object]) -> None:
        """Keep a checksum; where the cache cannot be written to it is computed again next time.

        Args:
            question: What was asked.
            checksum: The answer.
            modules: All modules that were looked at for it, by dotted name.
        """
        self._checksums[question] = checksum
        self._modules |= {name: self._module_sha256(name) for name in modules}
        content = {"program": self._program, "modules": self._modules, "checksums": self._checksums}
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, json.dumps(content), flush_to_disk=False)
