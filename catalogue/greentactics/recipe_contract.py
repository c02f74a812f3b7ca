"""Whether a recipe offers what the runner and the pages need, told from its text; it is never imported."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from greentactics.errors import Problem
from greentactics.reached_code import parse_python
from greentactics.recipe_source import top_level_assignments
from greentactics.rules import Rule

KEY_LINES_START = "# --8<-- [start:tactic]"
KEY_LINES_END = "# --8<-- [end:tactic]"
_PRESETS = ("SMOKE", "DEFAULT", "FULL")
_RUN = "run(config, *, arm, seed, meter)"


def contract_problems(text: str, file: str, tactic_id: str) -> list[Problem]:
    """Return in which ways the text of a recipe misses the contract of `recipes.common.contract`.

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
