"""What of a definition cannot change a number of a run that ended, taken out of its syntax.

- comments, docstrings, layout;
- what stops the run: `raise` with all that leads to it alone, such as the condition of an `if` or the loop
  that does nothing else, and `assert`. A condition must not change anything, and a `try` that answers its
  own `raise` keeps it;
- what only talks: calls of `print` and `warnings.warn`, strings that are a sentence, assignments that nothing
  reads, functions of which nothing else is left, and arguments that a function does not use.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from greentactics.records.python_names import (
    Function,
    local_names,
    name_and_attributes,
    names_read,
    walk,
)

_TALKING = frozenset({"print", "warnings.warn"})
_PLAIN = frozenset(
    ["getattr", "isinstance", "join", "len", "list", "repr", "set", "sorted", "str", "tuple", "type"]
)
"""Functions and methods that give a value and do nothing else."""
_SENTENCE = re.compile(r"[A-Z].*\s.*\.", re.DOTALL)
_ACTING = (ast.Call, ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr)
_LEAVING = (ast.Return, ast.Yield, ast.YieldFrom, ast.Break, ast.Continue)
_BLOCKS = ("body", "orelse", "finalbody")
_HOLDERS = (ast.stmt, ast.excepthandler, ast.match_case)
"""What may hold blocks of statements."""


@dataclass(frozen=True)
class Signature:
    """What those who call a function need to know of it."""

    parameters: list[str]
    """Parameters that may be given by position."""
    unused: set[str]
    """Parameters that it does not read."""
    does_nothing: bool

    @classmethod
    def of(cls, function: ast.FunctionDef) -> Signature:
        """Return what there is to know of a function that has been shortened."""
        return cls(_parameters(function), _unused(function, names_read(function.body)), not function.body)


def shorten(definition: ast.stmt) -> ast.stmt:
    """Take out, in place, what a definition shows by itself."""
    shortened: ast.stmt = _Shortener().visit(definition)
    return shortened


def clean(definition: ast.stmt, signature: Callable[[ast.expr], Signature | None], package: str) -> ast.stmt:
    """Take out, in place, calls of functions that do nothing, and arguments that functions do not read.

    Args:
        definition: Has been shortened.
        signature: Tells the signature of the function that an expression means at the module's top level.
        package: What relative imports of the module start from.
    """
    cleaned: ast.stmt = _Cleaner(signature, package).visit(definition)
    return cleaned


class _Shortener(ast.NodeTransformer):
    """Takes out what cannot change a number of a run that ended, as far as one definition tells."""

    def __init__(self) -> None:
        self._caught = 0
        """How many blocks around this one may answer an exception."""

    def visit_Name(self, node: ast.Name) -> ast.Name:
        return node  # the commonest of nodes, and nothing is taken out of it

    def generic_visit(self, node: ast.AST) -> ast.AST:
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                if name in _BLOCKS:
                    answered = name == "body" and _may_answer(node)
                    self._caught += answered
                    value = self._block(value)
                    self._caught -= answered
                elif value:
                    value = [self.visit(item) if isinstance(item, ast.AST) else item for item in value]
                setattr(node, name, value)
            elif isinstance(value, ast.AST) and name != "ctx":
                setattr(node, name, self.visit(value))
        return node

    def _block(self, statements: list[ast.stmt]) -> list[ast.stmt]:
        kept: list[ast.stmt] = []
        for statement in statements:
            checks = isinstance(statement, ast.For) and not all(map(_is_idle, statement.body))
            if not _is_idle(statement):
                left = self.statement(self.visit(statement))
                kept += [node for node in left if not (checks and _is_empty(node))]
        ends = bool(kept) and isinstance(kept[-1], ast.Raise) and not self._caught
        return kept[-1:] if ends and not any(isinstance(part, _LEAVING) for part in walk(kept[:-1])) else kept

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """Return what is left of a statement."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            name, attributes = name_and_attributes(node.value.func)
            return [] if ".".join((name, *attributes)) in _TALKING else [node]
        if not isinstance(node, ast.If):
            return [node]
        stops = not self._caught and (_stops(node.body) or _stops(node.orelse))
        if stops and not any(isinstance(part, ast.NamedExpr) for part in walk([node.test])):
            return node.orelse if _stops(node.body) else node.body
        return [node] if node.body or node.orelse or _acts(node.test) else []

    def visit_Raise(self, node: ast.Raise) -> ast.Raise:
        return ast.copy_location(ast.Raise(), node)

    def visit_Constant(self, node: ast.Constant) -> ast.Constant:
        is_sentence = isinstance(node.value, str) and _SENTENCE.fullmatch(node.value)
        return ast.copy_location(ast.Constant(""), node) if is_sentence else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        parts = [str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values]
        if _SENTENCE.fullmatch("".join(parts)):
            return ast.copy_location(ast.Constant(""), node)
        self.generic_visit(node)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self.generic_visit(node)
        unused = _unused(node, _drop_unread(node))
        names = _parameters(node)
        first = len(names) - len(node.args.defaults)
        for index, name in enumerate(names[first:]):
            if name in unused:
                node.args.defaults[index] = ast.Constant(None)
        for index, argument in enumerate(node.args.kwonlyargs):
            if argument.arg in unused:
                node.args.kw_defaults[index] = None
        return node


class _Cleaner(_Shortener):
    """Takes out, too, calls of functions that do nothing, and arguments that functions do not read."""

    def __init__(self, signature: Callable[[ast.expr], Signature | None], package: str) -> None:
        super().__init__()
        self._signature = signature
        self._package = package
        self._local: list[Mapping[str, object]] = []

    def _called(self, call: ast.Call) -> Signature | None:
        name, _ = name_and_attributes(call.func)
        return None if any(name in names for names in self._local) else self._signature(call.func)

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = self._called(node.value)
            arguments = [*node.value.args, *(keyword.value for keyword in node.value.keywords)]
            if function is not None and function.does_nothing and not any(map(_acts, arguments)):
                return []
        return super().statement(node)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        function = self._called(node)
        if function is None or any(isinstance(argument, ast.Starred) for argument in node.args):
            return node
        unused = function.unused
        node.keywords = [word for word in node.keywords if word.arg not in unused or _acts(word.value)]
        for index, (argument, name) in enumerate(zip(node.args, function.parameters, strict=False)):
            if name in unused and not _acts(argument):
                node.args[index] = ast.copy_location(ast.Constant(None), argument)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        self._local.append(local_names(node, self._package))
        super().visit_FunctionDef(node)
        self._local.pop()
        return node


def is_string(node: ast.stmt) -> bool:
    """Return whether a statement is a constant by itself, such as a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_idle(node: ast.stmt) -> bool:
    return is_string(node) or isinstance(node, ast.Assert | ast.Pass)


def _is_empty(node: ast.stmt) -> bool:
    """Return whether a loop has nothing left to do."""
    return isinstance(node, ast.For) and not node.body and not node.orelse


def _may_answer(node: ast.AST) -> bool:
    """Return whether an exception of a statement's body may be answered there, and the run go on."""
    if isinstance(node, ast.With | ast.AsyncWith):
        return any("suppress" in ast.unparse(item.context_expr) for item in node.items)
    return isinstance(node, ast.Try | ast.TryStar) and bool(node.handlers)


def _stops(block: list[ast.stmt]) -> bool:
    return bool(block) and isinstance(block[-1], ast.Raise)


def _acts(node: ast.AST) -> bool:
    """Return whether an expression may do more than give a value."""
    return any(
        isinstance(part, _ACTING)
        and not (
            isinstance(part, ast.Call) and getattr(part.func, "attr", getattr(part.func, "id", "")) in _PLAIN
        )
        for part in walk([node])
    )


def _parameters(function: Function) -> list[str]:
    return [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]


def _unused(function: Function, read: set[str]) -> set[str]:
    """Return the parameters that are not among the names that a function reads."""
    return {*_parameters(function), *(argument.arg for argument in function.args.kwonlyargs)} - read


def _drop_unread(function: Function) -> set[str]:
    """Take out assignments of plain values to names that the function does not read, until none is left.

    Returns:
        The names that what is left reads, and those that are not its own.
    """

    def is_read(node: ast.stmt) -> bool:
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target: ast.expr = node.targets[0]
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            target = node.target
        else:
            return not isinstance(node, ast.If) or bool(node.body or node.orelse) or _acts(node.test)
        if not isinstance(target, ast.Name) or target.id in read:
            return True
        return node.value is not None and _acts(node.value)

    while True:
        parts = walk(function.body)
        read = {part.id for part in parts if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}
        read.update(*(part.names for part in parts if isinstance(part, ast.Global | ast.Nonlocal)))
        dropped = False
        for part in (function, *parts):
            if not isinstance(part, _HOLDERS) or isinstance(part, ast.ClassDef):
                continue
            for name in _BLOCKS:
                block = getattr(part, name, None)
                if isinstance(block, list):
                    left = list(filter(is_read, block))
                    dropped |= len(left) < len(block)
                    setattr(part, name, left)
        if not dropped:
            return read
