"""The code of a recipe as text: where it lies, what it assigns, and a checksum of what it computes."""

from __future__ import annotations

import ast
import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

from greentactics.models.results import AS_GIVEN, BASELINE, TACTIC, Results
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
_TRIAL = Place("recipes.common.trial.harness", "run_trial")
_TRIAL_NAMES = (
    "ARMS",
    "COST",
    "RETRAINS",
    "STARTS_FROM_NOTHING",
    "TAUGHT",
    "INPUT_DEPENDENT",
    "DRAWS_MORE",
    "extra_costs",
)
"""What a recipe that is tried on subjects says to the harness."""
_SUBJECTS = re.compile(r"^SUBJECTS\b", re.MULTILINE)
_SUBJECT_NAMES = (
    "build_model",
    "train",
    "evaluate",
    "example_inputs",
    "labelled_training_examples",
    "EPOCHS",
    "QUALITY",
    "BETTER",
    "TOLERANCE",
)
"""What a subject says to the harness."""


class RecipeChecksum(Protocol):
    """Tells the checksum of what a recipe computes, as its code is now."""

    def __call__(self, preset: str, *, metered: bool, subject: str | None = None) -> str:
        """Return it for results of a preset, with or without energy from a meter.

        Args:
            preset: Name of the settings.
            metered: Whether energy was read from a meter.
            subject: What the arms were tried on, by name; None where the recipe brings its own workload.
        """


def recipe_file(root: Path, tactic_id: str) -> Path:
    """Return where the recipe of a tactic lies."""
    return root / PACKAGE / f"{tactic_id.replace('-', '_')}.py"


def checksum_of_recipe(code: ReachedCode, tactic_id: str) -> RecipeChecksum:
    """Return what tells the checksum of the definitions that a recipe reaches.

    To them belong the settings of the preset, the clocks, and the meters where they are read; for a recipe
    that is tried on subjects what runs its arms, and the subject.

    Raises:
        CatalogueError: When the checksum is asked for: a file cannot be read or is not Python.
    """
    module = f"{PACKAGE}.{recipe_file(Path(), tactic_id).stem}"

    @cache
    def checksum(preset: str, *, metered: bool, subject: str | None = None) -> str:
        meters = (*_CLOCKS, *(_METERS if metered else ()))
        if not code.matches(module, _SUBJECTS):
            return code.checksum((Place(module, "run"), *meters), settings=Place(module, preset.upper()))
        subject_module = f"{PACKAGE}.subjects.{subject}"  # that of a reader's file is not there
        of_recipe = (Place(module, name) for name in _TRIAL_NAMES)
        of_subject = (Place(subject_module, name) for name in _SUBJECT_NAMES)
        return code.checksum((*of_recipe, _TRIAL, *of_subject, *meters))

    return checksum


def is_recipe_changed(results: Results, checksum: RecipeChecksum | None) -> bool:
    """Tell whether what computes the numbers has changed since the run."""
    if checksum is None:
        return False
    return results.recipe_sha256 != checksum(
        results.preset, metered=results.is_metered, subject=results.subject
    )


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
    subjects: Mapping[str, str]
    """What the arms are tried on, by preset; empty where the recipe brings its own workload."""


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
    subjects = _subjects(values.get("SUBJECTS"))
    arms = _trial_arms(values) if subjects else _texts(values.get("ARMS"))
    if not arms:
        raise UserError(f"{path}: expected ARMS, a tuple of names written out; see `greentactics check`")
    presets = tuple(subjects) or tuple(name.lower() for name in values if name in _PRESETS)
    return Outline(arms, presets, subjects)


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
_FROZEN = re.compile(r"(?:\w+\.)*dataclass\(.*\bfrozen=True\b.*\)")
_MAIN_GUARDS = ("__name__ == '__main__'", "'__main__' == __name__")
_Breach = tuple[ast.AST | int, str, Rule, str, str, str]
"""Node or line where the contract is broken, name, rule, what was expected, what was found, and the cure."""


def contract_problems(text: str, file: str, tactic_id: str) -> list[Problem]:
    """Return in which ways the text of a recipe misses the contract of `recipes.common.run.contract`.

    Raises:
        CatalogueError: The text is not Python.
    """
    tree = parse_python(text, file)
    values = dict(top_level_assignments(tree))
    own = _trial_values(values) if "SUBJECTS" in values else _workload(tree, values)
    breaches = (*_statements(tree), *_tactic(values, tactic_id), *own, *_key_lines(text))
    return [Problem(file, *((at, 1) if isinstance(at, int) else _place(at)), *said) for at, *said in breaches]


def _place(node: ast.AST) -> tuple[int, int]:
    """Return line and column of a node; the start of the file for the file itself."""
    return (node.lineno, node.col_offset + 1) if isinstance(node, ast.expr | ast.stmt) else (1, 1)


def _texts(value: ast.expr | None) -> tuple[str, ...]:
    """Return the entries of a tuple of texts that is written out; none of any other expression."""
    items = value.elts if isinstance(value, ast.Tuple) else []
    texts = [item.value for item in items if isinstance(item, ast.Constant) and isinstance(item.value, str)]
    return tuple(texts) if len(texts) == len(items) else ()


def _subjects(value: ast.expr | None) -> dict[str, str]:
    """Return what a recipe is tried on by preset, as far as it is written out."""
    try:
        found = ast.literal_eval(value) if value is not None else {}
    except ValueError:
        return {}
    return {str(preset): str(name) for preset, name in found.items()} if isinstance(found, dict) else {}


def _trial_arms(values: Mapping[str, ast.expr]) -> tuple[str, ...]:
    """Return the arms of a recipe that is tried on subjects: those of the harness, then those it lists."""
    listed = values.get("ARMS")
    items = listed.elts if isinstance(listed, ast.Tuple) else []
    names = [item.id for item in items if isinstance(item, ast.Name)]

    def says(name: str, default: bool) -> bool:
        value = values.get(name)
        return bool(value.value) if isinstance(value, ast.Constant) else default

    retrains = says("RETRAINS", default=True) and not says("STARTS_FROM_NOTHING", default=False)
    leading = (BASELINE, AS_GIVEN) if retrains else (BASELINE,)
    return (*leading, *names) if names and len(names) == len(items) else ()


def _tactic(values: Mapping[str, ast.expr], tactic_id: str) -> Iterator[_Breach]:
    tactic = values.get("TACTIC")
    if not (isinstance(tactic, ast.Constant) and tactic.value == tactic_id):
        found = ast.unparse(tactic)[:60] if tactic else "nothing"
        yield tactic or 1, "TACTIC", Rule.RECIPE_TACTIC, f'"{tactic_id}", as the file\'s name says', found, ""


def _trial_values(values: Mapping[str, ast.expr]) -> Iterator[_Breach]:
    arms = values.get("ARMS")
    names = [name for name in _trial_arms(values) if name not in (BASELINE, AS_GIVEN)]
    if names[:1] != [TACTIC] or len(set(names)) != len(names):
        found = ast.unparse(arms)[:60] if arms else "nothing"
        expected = "a tuple of different functions, written out, that starts with tactic"
        yield arms or 1, "ARMS", Rule.RECIPE_ARMS, expected, found, ""
    for preset in (name.lower() for name in _PRESETS):
        if preset not in _subjects(values["SUBJECTS"]):
            expected, cure = f'a subject for the preset "{preset}"', "name a module of recipes/subjects"
            yield values["SUBJECTS"], "SUBJECTS", Rule.RECIPE_PRESETS, expected, "none", cure
    cost = values.get("COST")
    if not (isinstance(cost, ast.Constant) and isinstance(cost.value, str)):
        found = ast.unparse(cost)[:60] if cost else "nothing"
        yield cost or 1, "COST", Rule.RECIPE_RUN, "the name of the metric that is wanted lower", found, ""


def _workload(tree: ast.Module, values: Mapping[str, ast.expr]) -> Iterator[_Breach]:
    arms = values.get("ARMS")
    names = _texts(arms)
    if names[:2] != ("baseline", "tactic") or len(set(names)) != len(names):
        found = ast.unparse(arms)[:60] if arms else "nothing"
        expected = 'a tuple of different names, written out, that starts with "baseline", "tactic"'
        yield arms or 1, "ARMS", Rule.RECIPE_ARMS, expected, found, ""
    for name in _PRESETS:
        if name not in values:
            cure = f"add `{name} = Config(...)`"
            yield 1, name, Rule.RECIPE_PRESETS, "a preset at the top level", "none", cure
    named = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    config, run = named.get("Config"), named.get("run")
    if not isinstance(config, ast.ClassDef):
        yield 1, "Config", Rule.RECIPE_CONFIG, "a frozen dataclass", "nothing", "add it"
    elif not any(_FROZEN.fullmatch(ast.unparse(decorator)) for decorator in config.decorator_list):
        cure = "decorate it with @dataclass(frozen=True)"
        yield config, "Config", Rule.RECIPE_CONFIG, "a frozen dataclass", "another class", cure
    if not isinstance(run, ast.FunctionDef):
        yield 1, "run", Rule.RECIPE_RUN, f"a function {_RUN}", "nothing", "add it"
    else:
        positional = [*run.args.posonlyargs, *run.args.args]
        keywords = sorted(argument.arg for argument in run.args.kwonlyargs)
        if len(positional) != 1 or keywords != ["arm", "meter", "seed"]:
            yield run, "run", Rule.RECIPE_RUN, _RUN, f"run({ast.unparse(run.args)})"[:100], ""


def _statements(tree: ast.Module) -> Iterator[_Breach]:
    if not ast.get_docstring(tree):
        cure = "say what is shown, after which paper, what is simplified, the command and its time"
        yield 1, "", Rule.RECIPE_DOCSTRING, "a docstring at the top", "none", cure
    guards = [
        node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) in _MAIN_GUARDS
    ]
    calls = [node for guard in guards for node in ast.walk(guard) if isinstance(node, ast.Call)]
    if not any(ast.unparse(call.func).split(".")[-1] == "main" for call in calls):
        expected = 'a call of main under `if __name__ == "__main__":`'
        yield guards[0] if guards else 1, "main", Rule.RECIPE_MAIN, expected, "none", "add it at the end"


def _key_lines(text: str) -> Iterator[_Breach]:
    lines = [line.strip() for line in text.splitlines()]
    starts = [number for number, line in enumerate(lines, start=1) if line == KEY_LINES_START]
    ends = [number for number, line in enumerate(lines, start=1) if line == KEY_LINES_END]
    is_one = len(starts) == len(ends) == 1
    if is_one and any(lines[starts[0] : ends[0] - 1]):
        return
    expected = f"one region between `{KEY_LINES_START}` and `{KEY_LINES_END}`, with code in it"
    found = "an empty region" if is_one else f"{len(starts)} starts and {len(ends)} ends"
    yield (starts + ends + [1])[0], "", Rule.RECIPE_KEY_LINES, expected, found, "mark the tactic's function"
