"""Which names a piece of Python binds, reads and means, told from its syntax."""

from __future__ import annotations

import ast
from collections.abc import Iterable

COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Function = ast.FunctionDef | ast.AsyncFunctionDef


def walk(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    """Return nodes and all nodes below them, but not how a name is used, which half of all nodes say."""
    parts = list(nodes)
    for part in parts:  # grows meanwhile
        if not isinstance(part, ast.Name):
            parts += ast.iter_child_nodes(part)
    return parts


def name_and_attributes(node: ast.expr) -> tuple[str, list[str]]:
    """Return the name that a chain of attributes starts from, empty without one, and the attributes."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.insert(0, node.attr)
        node = node.value
    return node.id if isinstance(node, ast.Name) else "", attributes


def names_stored(node: ast.AST) -> list[str]:
    """Return the names that a statement or a target assigns to."""
    return [
        part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    ]


def names_read(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names that some code reads."""
    return {part.id for part in walk(nodes) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def imported(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
    """Return dotted names by the local names that an import binds."""
    if isinstance(node, ast.Import):
        return {
            alias.asname or alias.name.split(".")[0]: alias.name if alias.asname else alias.name.split(".")[0]
            for alias in node.names
        }
    parts = package.split(".")
    above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
    base = ".".join(part for part in (above, node.module) if part)
    return {alias.asname or alias.name: f"{base}.{alias.name}" for alias in node.names}


def local_names(node: Function | ast.Lambda, package: str) -> dict[str, str | None]:
    """Return the names that are local to a function, with what is imported under them."""
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    names: dict[str, str | None] = {argument.arg: None for argument in every}
    outer: set[str] = set()
    waiting: list[ast.AST] = [] if isinstance(node, ast.Lambda) else list(node.body)
    while waiting:
        part = waiting.pop()
        if isinstance(part, ast.Name):
            if isinstance(part.ctx, ast.Store):
                names[part.id] = None
        elif isinstance(part, COMPREHENSIONS):
            walruses = (inner.target for inner in ast.walk(part) if isinstance(inner, ast.NamedExpr))
            names |= dict.fromkeys(target.id for target in walruses)
        elif isinstance(part, ast.expr):
            waiting += [] if isinstance(part, ast.Lambda) else list(ast.iter_child_nodes(part))
        elif isinstance(part, ast.Import | ast.ImportFrom):
            names |= imported(part, package)
        elif isinstance(part, ast.Global | ast.Nonlocal):
            outer.update(part.names)
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[part.name] = None
        else:
            if isinstance(part, ast.ExceptHandler) and part.name:
                names[part.name] = None
            waiting += list(ast.iter_child_nodes(part))
    return {name: dotted for name, dotted in names.items() if name not in outer}
