"""The code of a recipe as text: which files it is made of, and a checksum of what it computes."""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from greentactics.errors import CatalogueError, Problem
from greentactics.rules import Rule
from greentactics.text_file import RECORD_BYTES, read_text_file

PACKAGE = "recipes"
TIMING_PROTOCOL = "recipes.common.timing"
"""The module that makes a timing pass."""

_LAYOUT = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER})
# Python 3.12 splits formatted strings into pieces that 3.11 does not know; they are put together again below.
_STRING_STARTS = frozenset(
    getattr(tokenize, name) for name in ("FSTRING_START", "TSTRING_START") if hasattr(tokenize, name)
)
_STRING_ENDS = frozenset(
    getattr(tokenize, name) for name in ("FSTRING_END", "TSTRING_END") if hasattr(tokenize, name)
)


@dataclass(frozen=True)
class _Module:
    """What a checksum needs to know of one file."""

    imports: tuple[str, ...]
    """Names that may be modules of `recipes`."""
    sha256: str
    """Checksum of the file's code."""


def recipe_file(root: Path, tactic_id: str) -> Path:
    """Return where the recipe of a tactic lies."""
    return root / PACKAGE / f"{tactic_id.replace('-', '_')}.py"


def parse_python(text: str, file: str) -> ast.Module:
    """Parse Python without running it.

    Raises:
        CatalogueError: It is not Python.
    """
    try:
        return ast.parse(text)
    except SyntaxError as error:
        line, column, found = error.lineno or 1, error.offset or 1, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        line, column, found = 1, 1, str(error) or "code that is nested too deep"
    problem = Problem(file, max(line, 1), max(column, 1), "", Rule.RECIPE_SYNTAX, "Python", found)
    raise CatalogueError([problem])


def top_level_assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Yield the names assigned at the top level and what is assigned."""
    for node in tree.body:
        if isinstance(node, ast.Assign):
            yield from ((target.id, node.value) for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            yield node.target.id, node.value


class RecipeChecksums:
    """Checksums of recipes; each module is read once, however many recipes import it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._modules: dict[str, _Module | None] = {}

    def of(self, tactic_id: str) -> str:
        """Return the SHA-256 of a recipe's code and of all modules of `recipes` it imports, directly or not.

        Raises:
            CatalogueError: A file cannot be read or is not Python.
        """
        return self._closure(f"{PACKAGE}.{recipe_file(self._root, tactic_id).stem}")

    def of_module(self, name: str) -> str | None:
        """Return the same of any module of `recipes`; None where there is none of that name.

        Raises:
            CatalogueError: A file cannot be read or is not Python.
        """
        return None if self._module(name) is None else self._closure(name)

    def _closure(self, name: str) -> str:
        found: dict[str, str] = {}
        waiting = [name]
        while waiting:
            name = waiting.pop()
            module = self._module(name)
            if module is not None and name not in found:
                found[name] = module.sha256
                waiting += module.imports
        lines = "".join(f"{name} {sha256}\n" for name, sha256 in sorted(found.items()))
        return hashlib.sha256(lines.encode()).hexdigest()

    def _module(self, name: str) -> _Module | None:
        if name not in self._modules:
            path = _module_file(self._root, name)
            self._modules[name] = _read_module(self._root, path, name) if path else None
        return self._modules[name]


def code_tokens(text: str) -> Iterator[str]:
    """Yield what a program is made of, without comments, docstrings and layout.

    A statement that is nothing but a string does nothing, wherever it stands, and is left out.
    """
    statement: list[tuple[int, str]] = []
    for kind, token in _whole_strings(text):
        statement.append((kind, token))
        if kind == tokenize.NEWLINE:
            if any(kind not in (tokenize.STRING, tokenize.NEWLINE) for kind, _ in statement):
                yield from (token for _, token in statement)
            statement = []
        elif kind in (tokenize.INDENT, tokenize.DEDENT):
            yield token
            statement.pop()
    yield from (token for _, token in statement)


def _whole_strings(text: str) -> Iterator[tuple[int, str]]:
    """Yield kind and text of each token that matters, formatted strings in one piece."""
    lines = text.splitlines(keepends=True)
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _STRING_STARTS:
            start = start if depth else token.start
            depth += 1
        elif token.type in _STRING_ENDS:
            depth -= 1
            if depth == 0:
                yield tokenize.OP, _between(lines, start, token.end)
        elif depth == 0 and token.type not in _LAYOUT:
            yield _comparable(token)


def _comparable(token: tokenize.TokenInfo) -> tuple[int, str]:
    if token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE):
        return token.type, tokenize.tok_name[token.type]
    return token.type, token.string


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    if start[0] == end[0]:
        return lines[start[0] - 1][start[1] : end[1]]
    middle = lines[start[0] : end[0] - 1]
    return "".join([lines[start[0] - 1][start[1] :], *middle, lines[end[0] - 1][: end[1]]])


def _read_module(root: Path, path: Path, name: str) -> _Module:
    source = read_text_file(path, root=root, max_bytes=RECORD_BYTES)
    if source.problems:
        raise CatalogueError(source.problems)
    tree = parse_python(source.text, source.file)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    code = "\0".join(code_tokens(source.text))
    return _Module(tuple(_imports(tree, package)), hashlib.sha256(code.encode()).hexdigest())


def _module_file(root: Path, module: str) -> Path | None:
    base = root.joinpath(*module.split("."))
    for path in (base.with_suffix(".py"), base / "__init__.py"):
        if path.is_file():
            return path
    return None


def _imports(tree: ast.Module, package: str) -> Iterator[str]:
    """Yield names that may be modules of `recipes`; names that are none lead to no file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(part for part in (above, node.module) if part)
            found = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in found:
            parts = name.split(".")
            if parts[0] == PACKAGE:
                yield from (".".join(parts[:end]) for end in range(2, len(parts) + 1))
