"""The code of a recipe as text: where it lies, what it assigns, and a checksum of what it computes."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from greentactics.models.results import Results
from greentactics.records.reached_code import PACKAGE, Place, ReachedCode, parse_python
from greentactics.text.files import RECORD_BYTES, display_name, read_text_file
from greentactics.text.problems import Problem, Rule, UserError

_CLOCKS = (Place("recipes.common.meters.choice", "ProcessMeter"),)
_METERS = (
    Place("recipes.common.meters.choice", "EnergyMeter"),
    Place("recipes.common.meters.rapl", "find_source"),
    Place("recipes.common.meters.nvml", "find_source"),
    Place("recipes.common.meters.zeus", "find_source"),
)
TIMING_PROTOCOL = "recipes.common.timing"
"""The program that makes a timing pass."""
_TIMING = Place(f"{TIMING_PROTOCOL}.__main__", "time_all")


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


KEY_LINES_START = "# --8<-- [start:tactic]"
KEY_LINES_END = "# --8<-- [end:tactic]"
_PRESETS = ("SMOKE", "DEFAULT", "FULL")
_RUN = "run(config, *, arm, seed, meter)"


def contract_problems(text: str, file: str, tactic_id: str) -> list[Problem]:
    """Return in which ways the text of a recipe misses the contract of `recipes.common.run.contract`.

    Raises:
        CatalogueError: The text is not Python.
    """
    return list(_Contract(parse_python(text, file), text, file).problems(tactic_id))


class _Contract:
    """One recipe under examination."""

    def __init__(self, tree: ast.Module, text: str, file: str) -> None:
        self._tree = tree
        self._text = text
        self._file = file
        self._assigned = dict(top_level_assignments(tree))

    def problems(self, tactic_id: str) -> Iterator[Problem]:
        """Yield what is missing or wrong."""
        if not ast.get_docstring(self._tree):
            cure = "say what is shown, after which paper, what is simplified, the command and its time"
            yield self._problem(None, "", Rule.RECIPE_DOCSTRING, "a docstring at the top", "none", cure)
        yield from self._tactic(tactic_id)
        yield from self._arms()
        yield from self._config()
        for name in _PRESETS:
            if name not in self._assigned:
                cure = f"add `{name} = Config(...)`"
                yield self._problem(
                    None, name, Rule.RECIPE_PRESETS, "a preset at the top level", "none", cure
                )
        yield from self._run()
        yield from self._main()
        yield from self._key_lines()

    def _tactic(self, tactic_id: str) -> Iterator[Problem]:
        value = self._assigned.get("TACTIC")
        if not (isinstance(value, ast.Constant) and value.value == tactic_id):
            found = ast.unparse(value)[:60] if value else "nothing"
            expected = f'"{tactic_id}", as the file\'s name says'
            yield self._problem(value, "TACTIC", Rule.RECIPE_TACTIC, expected, found)

    def _arms(self) -> Iterator[Problem]:
        value = self._assigned.get("ARMS")
        names = (
            [item.value for item in value.elts if isinstance(item, ast.Constant)]
            if isinstance(value, ast.Tuple)
            else []
        )
        texts = [name for name in names if isinstance(name, str)]
        complete = isinstance(value, ast.Tuple) and len(texts) == len(value.elts)
        if not complete or texts[:2] != ["baseline", "tactic"] or len(set(texts)) != len(texts):
            found = ast.unparse(value)[:60] if value else "nothing"
            expected = 'a tuple of different names, written out, that starts with "baseline", "tactic"'
            yield self._problem(value, "ARMS", Rule.RECIPE_ARMS, expected, found)

    def _config(self) -> Iterator[Problem]:
        found = [node for node in self._tree.body if isinstance(node, ast.ClassDef) and node.name == "Config"]
        if not found:
            yield self._problem(None, "Config", Rule.RECIPE_CONFIG, "a frozen dataclass", "nothing", "add it")
        elif not any(_freezes(decorator) for decorator in found[0].decorator_list):
            expected, cure = "a frozen dataclass", "decorate it with @dataclass(frozen=True)"
            yield self._problem(found[0], "Config", Rule.RECIPE_CONFIG, expected, "another class", cure)

    def _run(self) -> Iterator[Problem]:
        found = [node for node in self._tree.body if isinstance(node, ast.FunctionDef) and node.name == "run"]
        if not found:
            yield self._problem(None, "run", Rule.RECIPE_RUN, f"a function {_RUN}", "nothing", "add it")
            return
        arguments = found[0].args
        positional = [argument.arg for argument in (*arguments.posonlyargs, *arguments.args)]
        keywords = [argument.arg for argument in arguments.kwonlyargs]
        if len(positional) != 1 or sorted(keywords) != ["arm", "meter", "seed"]:
            signature = f"run({ast.unparse(arguments)})"[:100]
            yield self._problem(found[0], "run", Rule.RECIPE_RUN, _RUN, signature)

    def _main(self) -> Iterator[Problem]:
        guards = [node for node in self._tree.body if isinstance(node, ast.If) and _is_main_guard(node.test)]
        calls = [node for guard in guards for node in ast.walk(guard) if isinstance(node, ast.Call)]
        if not any(ast.unparse(call.func).split(".")[-1] == "main" for call in calls):
            expected = 'a call of main under `if __name__ == "__main__":`'
            yield self._problem(
                guards[0] if guards else None, "main", Rule.RECIPE_MAIN, expected, "none", "add it at the end"
            )

    def _key_lines(self) -> Iterator[Problem]:
        lines = [line.strip() for line in self._text.splitlines()]
        starts = [number for number, line in enumerate(lines, start=1) if line == KEY_LINES_START]
        ends = [number for number, line in enumerate(lines, start=1) if line == KEY_LINES_END]
        if len(starts) == 1 and len(ends) == 1 and any(lines[starts[0] : ends[0] - 1]):
            return
        expected = f"one region between `{KEY_LINES_START}` and `{KEY_LINES_END}`, with code in it"
        found = (
            f"{len(starts)} starts and {len(ends)} ends"
            if (len(starts), len(ends)) != (1, 1)
            else "an empty region"
        )
        line = (starts + ends + [1])[0]
        yield Problem(
            self._file, line, 1, "", Rule.RECIPE_KEY_LINES, expected, found, "mark the tactic's function"
        )

    def _problem(
        self,
        node: ast.expr | ast.stmt | None,
        field: str,
        rule: Rule,
        expected: str,
        found: str,
        cure: str = "",
    ) -> Problem:
        line, column = (node.lineno, node.col_offset + 1) if node else (1, 1)
        return Problem(self._file, line, column, field, rule, expected, found, cure)


def _freezes(decorator: ast.expr) -> bool:
    if not isinstance(decorator, ast.Call) or ast.unparse(decorator.func).split(".")[-1] != "dataclass":
        return False
    return any(
        keyword.arg == "frozen" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in decorator.keywords
    )


def _is_main_guard(test: ast.expr) -> bool:
    return ast.unparse(test) in ("__name__ == '__main__'", "'__main__' == __name__")
