"""The code of a recipe as text: where it lies, what it assigns, and a checksum of what it computes."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Protocol

from greentactics.reached_code import PACKAGE, Place, ReachedCode
from greentactics.results import Results

_CLOCKS = (Place("recipes.common.meters", "ProcessMeter"),)
_METERS = (
    Place("recipes.common.meters", "EnergyMeter"),
    Place("recipes.common.rapl", "find_source"),
    Place("recipes.common.nvml", "find_source"),
    Place("recipes.common.zeus_meter", "find_source"),
)
TIMING_PROTOCOL = "recipes.common.timing"
"""The module that makes a timing pass."""
_TIMING = Place(TIMING_PROTOCOL, "time_all")


class RecipeChecksum(Protocol):
    """Tells the checksum of what a recipe computes, as its code is now."""

    def __call__(self, preset: str, *, metered: bool) -> str:
        """Return it for results of a preset, with or without energy from a meter."""


def recipe_file(root: Path, tactic_id: str) -> Path:
    """Return where the recipe of a tactic lies."""
    return root / PACKAGE / f"{tactic_id.replace('-', '_')}.py"


def checksum_of_recipe(code: ReachedCode, tactic_id: str) -> RecipeChecksum:
    """Return what tells the checksum of the definitions that a recipe's `run` reaches.

    To them belong the settings of the preset, the clocks, and the meters where they are read.

    Raises:
        CatalogueError: When the checksum is asked for: a file cannot be read or is not Python.
    """
    module = f"{PACKAGE}.{recipe_file(Path(), tactic_id).stem}"

    @cache
    def checksum(preset: str, *, metered: bool) -> str:
        roots = (Place(module, "run"), *_CLOCKS, *(_METERS if metered else ()))
        return code.checksum(roots, settings=Place(module, preset.upper()))

    return checksum


def is_recipe_changed(results: Results, checksum: RecipeChecksum | None) -> bool:
    """Tell whether what computes the numbers has changed since the run."""
    if checksum is None:
        return False
    return results.recipe_sha256 != checksum(results.preset, metered=results.is_metered)


def checksum_of_timing(code: ReachedCode) -> str | None:
    """Return the checksum of the timing protocol; None where a checkout has none.

    Raises:
        CatalogueError: A file cannot be read or is not Python.
    """
    return code.checksum((_TIMING,)) if code.has(_TIMING) else None


def top_level_assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names assigned at the top level and what is assigned."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value
