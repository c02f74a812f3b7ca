"""What the runner needs to know of a recipe, read from its text: the recipe itself is never imported here."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from pathlib import Path

from greentactics.errors import UserError
from greentactics.reached_code import PACKAGE, parse_python
from greentactics.recipe_source import recipe_file, top_level_assignments
from greentactics.text_file import RECORD_BYTES, display_name, read_text_file


@dataclass(frozen=True)
class Outline:
    """Arms and presets of a recipe."""

    arms: tuple[str, ...]
    """Arms, `baseline` first."""
    presets: tuple[str, ...]
    """Presets in lower case, in the order of the file."""


def recipe_ids(root: Path) -> tuple[str, ...]:
    """Return the identifiers of all tactics that have a recipe, in alphabetical order."""
    stems = (path.stem for path in (root / PACKAGE).glob("*.py"))
    return tuple(sorted(stem.replace("_", "-") for stem in stems if not stem.startswith("_")))


def read_outline(root: Path, tactic: str) -> Outline:
    """Read arms and presets from a recipe's text.

    Raises:
        UserError: There is no such recipe, or its arms cannot be read from the text.
        CatalogueError: The recipe is not Python.
    """
    known = recipe_ids(root)
    if tactic not in known:
        close = difflib.get_close_matches(tactic, known, n=1)
        cure = f"did you mean {close[0]}?" if close else f"recipes there are: {', '.join(known) or 'none'}"
        raise UserError(f"{tactic}: no recipe of this name in {root / PACKAGE}; {cure}")
    path = recipe_file(root, tactic)
    tree = parse_python(
        read_text_file(path, root=root, max_bytes=RECORD_BYTES).text, display_name(path, root)
    )
    values = dict(top_level_assignments(tree))
    try:
        arms = ast.literal_eval(values["ARMS"])
    except (KeyError, ValueError):
        arms = None
    if not isinstance(arms, tuple) or not arms or not all(isinstance(arm, str) for arm in arms):
        raise UserError(f"{path}: expected ARMS, a tuple of names written out; see `greentactics check`")
    presets = tuple(name.lower() for name in values if name in ("SMOKE", "DEFAULT", "FULL"))
    return Outline(arms, presets)


def check_choice(what: str, chosen: tuple[str, ...], known: tuple[str, ...]) -> None:
    """Refuse names a recipe does not have.

    Raises:
        UserError: A name is unknown.
    """
    for name in chosen:
        if name not in known:
            raise UserError(f"{name}: no such {what} in this recipe; expected one of {', '.join(known)}")
