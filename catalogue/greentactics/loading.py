"""Files to models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from greentactics.bibliography import Reference
from greentactics.results import Results
from greentactics.schema import Record


@dataclass(frozen=True)
class RecipeSource:
    """The text of a recipe and the checksum that ties results to it."""

    text: str
    """The file's text."""
    sha256: str
    """Checksum of the recipe and of the shared modules it uses."""


@dataclass(frozen=True)
class Catalogue:
    """Everything the pages are made from."""

    root: Path
    """Folder that holds `tactics/` and `recipes/`."""
    records: Mapping[str, Record]
    """Records by identifier, in alphabetical order."""
    bibliography: Mapping[str, Reference]
    """References by key, in alphabetical order."""
    results: Mapping[str, tuple[Results, ...]]
    """Committed results by tactic, one entry a device."""
    recipes: Mapping[str, RecipeSource]
    """Recipes by tactic."""
