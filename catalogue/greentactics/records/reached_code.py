"""What computes a result: the definitions that a function reaches, and a checksum of them.

From a root, say a recipe's `run`, names are followed through imports to functions, classes and constants of
`recipes`, wherever they stand. The checksum numbers them in the order in which they are met, so that neither
their names nor those of their modules are in it. Left out is what cannot change a number of a run that ended:

- comments, docstrings, layout, annotations, imports;
- what stops the run: `raise` with all that leads to it alone, such as the condition of an `if` or the loop
  that does nothing else, and `assert`. A condition must not change anything, and a `try` that answers its
  own `raise` keeps it;
- what only talks: calls of `print` and `warnings.warn`, strings that are a sentence, assignments that nothing
  reads, functions of which nothing else is left, and arguments that a function does not use.

Names of other packages count as they are written out, those of `greentactics` by their last part: they name
files and their formats. What hangs on an object that is handed in is found where the object is made.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import itertools
import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from greentactics.records.known_checksums import KnownChecksums
from greentactics.text.files import RECORD_BYTES, TextFile, read_text_file
from greentactics.text.problems import CatalogueError, Problem, Rule

PACKAGE = "recipes"
"""The package whose definitions are followed."""

_OWN = "greentactics"
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
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_UNTOUCHED = frozenset({ast.Name, ast.Load, ast.Store, ast.alias})
"""The commonest of the nodes from which nothing is taken out."""
_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Place:
    """A definition: where it stands, and its name there."""

    module: str
    """Dotted name of the module."""
    name: str
    """Name at the module's top level; empty for the statements there that bind none."""


@dataclass
class _Module:
    """The top level of one file."""

    name: str
    package: str
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)
    """Dotted names by the local name."""
    statements: list[ast.stmt] = field(default_factory=list)
    """What is done when the module is imported and binds no name."""

    def add(self, body: Iterable[ast.stmt]) -> None:
        """Take the statements of the top level, also those below an `if` or `try` there."""
        for node in body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                self.imports |= _imported(node, self.package)
            elif isinstance(node, ast.If | ast.Try | ast.With) and not _for_others(node):
                for part in _BLOCKS:
                    self.add(getattr(node, part, ()))
                for handler in getattr(node, "handlers", ()):
                    self.add(handler.body)
            elif not isinstance(node, ast.If) and not _is_string(node):
                names = _bound_by(node)
                for name in names:
                    self.definitions.setdefault(name, []).append(node)
                if not names:
                    self.statements.append(node)


def parse_python(text: str, file: str) -> ast.Module:
    """Parse Python without running it.

    Raises:
        CatalogueError: It is not Python.
    """
    try:
        return ast.parse(text)
    except SyntaxError as error:
        line, column, got = error.lineno or 1, error.offset or 1, error.msg
    except (ValueError, RecursionError, MemoryError) as error:
        line, column, got = 1, 1, str(error) or "code that is nested too deep"
    raise CatalogueError([Problem(file, max(line, 1), max(column, 1), "", Rule.RECIPE_SYNTAX, "Python", got)])


@dataclass(frozen=True)
class _Signature:
    """What those who call a function need to know of it."""

    parameters: list[str]
    """Parameters that may be given by position."""
    unused: set[str]
    """Parameters that it does not read."""
    does_nothing: bool


class ReachedCode:
    """Checksums of what functions of a checkout reach; each definition is read once for all of them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources: dict[str, tuple[TextFile, str] | None] = {}
        self._modules: dict[str, _Module | None] = {}
        self._shortened: dict[Place, list[ast.stmt]] = {}
        self._signatures: dict[Place, _Signature | None] = {}
        self._tokens: dict[Place, tuple[str | Place, ...]] = {}

    def has(self, place: Place) -> bool:
        """Return whether there is such a definition.

        Raises:
            CatalogueError: The module cannot be read or is not Python.
        """
        module = self.module(place.module)
        return module is not None and place.name in module.definitions

    def checksum(self, roots: Iterable[Place], *, settings: Place | None = None) -> str:
        """Return the SHA-256 of what the roots reach.

        Args:
            roots: Functions and classes, in a fixed order; those that do not exist are left out.
            settings: A constant that calls a dataclass. Of the class only the defaults count that the call
                does not replace, so that settings with a value of their own do not change with a default.

        Raises:
            CatalogueError: A file cannot be read or is not Python.
        """
        roots = tuple(roots)
        question = repr((roots, settings))
        checksum = self._known.get(question)
        if checksum is None:
            checksum = hashlib.sha256("\0".join(self._numbered(roots, settings)).encode()).hexdigest()
            self._known.keep(question, checksum, self._sources)
        return checksum

    @functools.cached_property
    def _known(self) -> KnownChecksums:
        return KnownChecksums(self._root, Path(__file__), self._sha256)

    def _numbered(self, roots: Iterable[Place], settings: Place | None) -> Iterator[str]:
        numbers: dict[Place, int] = {}
        waiting: list[Place] = []

        def text(token: str | Place) -> str:
            if isinstance(token, str):
                return token
            if token not in numbers:
                numbers[token] = len(numbers)
                waiting.append(token)
            return f"@{numbers[token]}"

        if settings is not None:
            yield from map(text, self._settings_tokens(settings))
        for place in roots:
            if self.has(place):
                yield text(place)
        for place in waiting:  # grows meanwhile
            yield from map(text, self._tokens_of(place))

    def _tokens_of(self, place: Place) -> tuple[str | Place, ...]:
        if place not in self._tokens:
            module = self._module_of(place)
            nodes = module.statements
            if place.name:
                nodes = self.shortened(place)
                if self.signature(place) is None:
                    # Cleaned in a copy, as settings are read from what is shortened.
                    nodes = pickle.loads(pickle.dumps(nodes))  # noqa: S301 - our own tree
                nodes = [_Cleaner(self, module).visit(node) for node in nodes]
            encoder = _Encoder(self, module, place)
            for node in nodes:
                encoder.encode(node)
            if place.name and module.statements:
                encoder.tokens.append(Place(place.module, ""))
            tokens: list[str | Place] = []
            for is_text, run in itertools.groupby(encoder.tokens, lambda token: isinstance(token, str)):
                pieces = list(run)
                tokens += ["\0".join(map(str, pieces))] if is_text else pieces
            self._tokens[place] = tuple(tokens)
        return self._tokens[place]

    def _settings_tokens(self, place: Place) -> list[str | Place]:
        """Return the fields of a dataclass as a constant sets them."""
        if not self.has(place):
            return []
        (node, *_) = self.shortened(place)
        call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
        made = self.resolve(self._module_of(place), call.func) if isinstance(call, ast.Call) else None
        if not isinstance(call, ast.Call) or call.args or not isinstance(made, Place):
            return [place]
        (definition, *_) = self.shortened(made)
        if not isinstance(definition, ast.ClassDef):
            return [place]
        own = _Encoder(self, self._module_of(place), place)
        of_class = _Encoder(self, self._module_of(made), made)
        of_class.tokens = own.tokens
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        for statement in definition.body:
            name = getattr(getattr(statement, "target", None), "id", None)
            if name in given:
                own.tokens.append(str(name))
                own.encode(given[name])
            else:
                of_class.encode(statement)
        return own.tokens

    def module(self, name: str) -> _Module | None:
        """Return the top level of a module of the package; None where there is none of that name."""
        if name not in self._modules:
            self._modules[name] = self._read(name) if name.split(".")[0] == PACKAGE else None
        return self._modules[name]

    def _module_of(self, place: Place) -> _Module:
        module = self.module(place.module)
        assert module is not None  # noqa: S101 - a place comes from its module
        return module

    def _read(self, name: str) -> _Module | None:
        if (found := self._source(name)) is None:
            return None
        source, package = found
        module = _Module(name, package)
        module.add(parse_python(source.text, source.file).body)
        return module

    def _source(self, name: str) -> tuple[TextFile, str] | None:
        """Return the text of a module, and the package that its relative imports start from."""
        if name not in self._sources:
            self._sources[name] = self._read_source(name)
        return self._sources[name]

    def _read_source(self, name: str) -> tuple[TextFile, str] | None:
        base = self._root.joinpath(*name.split("."))
        for path, package in (
            (base.with_suffix(".py"), name.rpartition(".")[0]),
            (base / "__init__.py", name),
        ):
            if path.is_file():
                source = read_text_file(path, root=self._root, max_bytes=RECORD_BYTES)
                if source.problems:
                    raise CatalogueError(source.problems)
                return source, package
        return None

    def _sha256(self, name: str) -> str | None:
        found = self._source(name)
        return found and hashlib.sha256("\0".join((found[0].file, found[0].text)).encode()).hexdigest()

    def resolve(self, module: _Module, node: ast.expr) -> Place | str | None:
        """Return what a name or a chain of attributes means at a module's top level.

        A definition of the package, or a dotted name: of another package, or of a definition and what is
        taken of it. None where the expression is neither.
        """
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.insert(0, node.attr)
            node = node.value
        return self.resolve_name(module, node.id, parts) if isinstance(node, ast.Name) else None

    def resolve_name(self, module: _Module, name: str, parts: list[str]) -> Place | str | None:
        """Return what a name bound at a module's top level means, with attributes taken of it."""
        if name in module.definitions:
            return None if parts else Place(module.name, name)
        if name in module.imports:
            return self.resolve_import(module.imports[name], parts)
        return ".".join((name, *parts))

    def resolve_import(self, dotted: str, parts: list[str]) -> Place | str | None:
        """Return what an imported name means, with attributes taken of it."""
        path = [*dotted.split("."), *parts]
        for end in range(len(path) - 1, 0, -1):
            module = self.module(".".join(path[:end]))
            if module is not None:
                return self.resolve_name(module, path[end], path[end + 1 :])
        return path[-1] if path[0] == _OWN else ".".join(path)

    def shortened(self, place: Place) -> list[ast.stmt]:
        """Return the statements that make a definition, less what by itself cannot change a number."""
        if place not in self._shortened:
            nodes = self._module_of(place).definitions[place.name]
            self._shortened[place] = [_Shortener().visit(node) for node in nodes]
        return self._shortened[place]

    def signature(self, place: Place | str | None) -> _Signature | None:
        """Return what there is to know of a shortened function without decorators; None for all else."""
        if not isinstance(place, Place) or not self.has(place):
            return None
        if place not in self._signatures:
            (node, *others) = self.shortened(place)
            is_plain = isinstance(node, ast.FunctionDef) and not node.decorator_list and not others
            self._signatures[place] = (
                _Signature(_parameters(node), _unused(node, _names_read(node.body)), not node.body)
                if isinstance(node, ast.FunctionDef) and is_plain
                else None
            )
        return self._signatures[place]


class _Shortener(ast.NodeTransformer):
    """Takes out what cannot change a number of a run that ended, as far as one definition tells."""

    def __init__(self) -> None:
        self._caught = 0
        """How many blocks around this one may answer an exception."""

    def visit(self, node: ast.AST) -> Any:  # noqa: ANN401 - of the kind that was given
        return node if type(node) in _UNTOUCHED else super().visit(node)

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
        return (
            kept[-1:] if ends and not any(isinstance(part, _LEAVING) for part in _walk(kept[:-1])) else kept
        )

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        """Return what is left of a statement."""
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            return [] if _dotted(node.value.func) in _TALKING else [node]
        if not isinstance(node, ast.If):
            return [node]
        stops = not self._caught and (_stops(node.body) or _stops(node.orelse))
        if stops and not any(isinstance(part, ast.NamedExpr) for part in _walk([node.test])):
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

    def __init__(self, code: ReachedCode, module: _Module) -> None:
        super().__init__()
        self._code = code
        self._module = module
        self._local: list[Mapping[str, object]] = []

    def _called(self, call: ast.Call) -> _Signature | None:
        base = call.func
        while isinstance(base, ast.Attribute):
            base = base.value
        if isinstance(base, ast.Name) and any(base.id in names for names in self._local):
            return None
        return self._code.signature(self._code.resolve(self._module, call.func))

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
        self._local.append(_local_names(node, self._module.package))
        super().visit_FunctionDef(node)
        self._local.pop()
        return node


class _Encoder:
    """Turns code into text in which names of the package's definitions are places."""

    def __init__(self, code: ReachedCode, module: _Module, place: Place) -> None:
        self._code = code
        self._module = module
        self._place = place
        self.tokens: list[str | Place] = []
        """The pieces of what has been encoded."""
        self._scopes: list[dict[str, str | None]] = []
        """Local names, innermost scope last; with the dotted name of those that are imported there."""

    def encode(self, node: ast.AST) -> None:
        """Add the pieces of a statement or an expression."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.Name | ast.Attribute) and (target := self._target(node)) is not None:
            self.tokens.append(target)
            return
        self.tokens.append(type(node).__name__)
        if isinstance(node, ast.Name):
            self.tokens.append(node.id)
        elif isinstance(node, _SCOPES):
            self._function(node)
        elif isinstance(node, _COMPREHENSIONS):
            self._comprehension(node)
        elif isinstance(node, ast.ClassDef):
            self._class(node)
        else:
            self._fields(node)
        self.tokens.append(".")

    def _fields(self, node: ast.AST, left_out: tuple[str, ...] = ()) -> None:
        for name in node._fields:
            if name in ("ctx", "annotation", "returns", "type_comment", "type_params", *left_out):
                continue
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                self.tokens.append(name)
                self.encode(value)
            elif isinstance(value, list):
                self.tokens.append(name)
                for item in value:
                    if isinstance(item, ast.AST):
                        self.encode(item)
                    else:
                        self.tokens.append(repr(item))
            elif value is not None:
                self.tokens.append(repr(value))

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> None:
        self._fields(node, ("name", "args", "body"))  # decorators
        arguments = node.args
        for part in (arguments.posonlyargs, arguments.args, arguments.kwonlyargs):
            self.tokens += ("arguments", *(argument.arg for argument in part))
        self.tokens += (argument.arg for argument in (arguments.vararg, arguments.kwarg) if argument)
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is None:
                self.tokens.append("none")
            else:
                self.encode(default)
        if not isinstance(node, ast.Lambda) and self._scopes:
            self.tokens.append(node.name)
        self._scopes.append(_local_names(node, self._module.package))
        for statement in [node.body] if isinstance(node, ast.Lambda) else node.body:
            self.encode(statement)
        self._scopes.pop()

    def _class(self, node: ast.ClassDef) -> None:
        self._fields(node, ("name", "body"))
        if self._scopes:
            self.tokens.append(node.name)
        for statement in node.body:
            if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
                self.tokens.append(statement.name)
            self.encode(statement)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.encode(node.generators[0].iter)
        targets = [name for generator in node.generators for name in _names_stored(generator.target)]
        self._scopes.append(dict.fromkeys(targets))
        for generator in node.generators:
            self._fields(generator, ("iter",) if generator is node.generators[0] else ())
        self._fields(node, ("generators",))
        self._scopes.pop()

    def _target(self, node: ast.Name | ast.Attribute) -> Place | str | None:
        """Return what a name or a chain means; None where it is local, or an attribute of a definition."""
        parts: list[str] = []
        base: ast.expr = node
        while isinstance(base, ast.Attribute):
            parts.insert(0, base.attr)
            base = base.value
        if not isinstance(base, ast.Name):
            return None
        for scope in reversed(self._scopes):
            if base.id in scope:
                dotted = scope[base.id]
                return None if dotted is None else self._code.resolve_import(dotted, parts)
        if base.id in self._module.definitions and isinstance(base.ctx, ast.Store):
            return "itself" if base.id == self._place.name else "another"  # by whatever name
        return self._code.resolve_name(self._module, base.id, parts)


def _imported(node: ast.Import | ast.ImportFrom, package: str) -> dict[str, str]:
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


def _for_others(node: ast.stmt) -> bool:
    """Return whether a statement is for type checkers, or for the module run as a program."""
    test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
    return "TYPE_CHECKING" in test or "__name__" in test


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _bound_by(node: ast.stmt) -> list[str]:
    """Return the names that a statement of the top level defines."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For):
        return _names_stored(node)
    return []


def _children(node: ast.AST) -> list[ast.AST]:
    """Return the nodes right below a node, names and operators among them but not how a name is used."""
    children: list[ast.AST] = []
    for name in node._fields:
        value = getattr(node, name, None)
        if isinstance(value, list):
            children += [item for item in value if isinstance(item, ast.AST)]
        elif isinstance(value, ast.AST) and name != "ctx":
            children.append(value)
    return children


def _walk(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    """Return nodes and all nodes below them, as `ast.walk` does in three times the time."""
    parts = list(nodes)
    for part in parts:  # grows meanwhile
        if type(part) not in _UNTOUCHED:
            parts += _children(part)
    return parts


def _dotted(node: ast.expr) -> str:
    """Return a name or a chain of attributes as it is written; nothing for all else."""
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _names_stored(node: ast.AST) -> list[str]:
    return [
        part.id for part in _walk([node]) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)
    ]


def _local_names(
    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, package: str
) -> dict[str, str | None]:
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
        elif isinstance(part, _COMPREHENSIONS):
            walruses = (inner.target for inner in _walk([part]) if isinstance(inner, ast.NamedExpr))
            names |= dict.fromkeys(target.id for target in walruses)
        elif isinstance(part, ast.expr):
            waiting += [] if isinstance(part, ast.Lambda) else _children(part)
        elif isinstance(part, ast.Import | ast.ImportFrom):
            names |= _imported(part, package)
        elif isinstance(part, ast.Global | ast.Nonlocal):
            outer.update(part.names)
        elif isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names[part.name] = None
        else:
            if isinstance(part, ast.ExceptHandler) and part.name:
                names[part.name] = None
            waiting += _children(part)
    return {name: dotted for name, dotted in names.items() if name not in outer}


def _is_idle(node: ast.stmt) -> bool:
    return _is_string(node) or isinstance(node, ast.Assert | ast.Pass)


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
        for part in _walk([node])
    )


def _names_read(nodes: Iterable[ast.AST]) -> set[str]:
    return {part.id for part in _walk(nodes) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Load)}


def _parameters(function: _Function) -> list[str]:
    return [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]


def _unused(function: _Function, read: set[str]) -> set[str]:
    """Return the parameters that are not among the names that a function reads."""
    return {*_parameters(function), *(argument.arg for argument in function.args.kwonlyargs)} - read


def _drop_unread(function: _Function) -> set[str]:
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
        parts = _walk(function.body)
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
