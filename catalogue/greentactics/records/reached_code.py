"""What computes a result: the definitions that a function reaches, and a checksum of them.

From a root, say a recipe's `run`, names are followed through imports to functions, classes and constants of
`recipes`, wherever they stand. The checksum numbers them in the order in which they are met, so that neither
their names nor those of their modules are in it. Left out is what cannot change a number of a run that
ended: annotations, imports, and what `shortening` takes out.

Names of other packages count as they are written out, those of `greentactics` by their last part: they name
files and their formats. What hangs on an object that is handed in is found where the object is made.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import pickle
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from greentactics.records.known_checksums import KnownChecksums
from greentactics.records.python_names import (
    COMPREHENSIONS,
    Function,
    imported,
    local_names,
    name_and_attributes,
    names_stored,
)
from greentactics.records.shortening import Signature, clean, is_string, shorten
from greentactics.text.files import RECORD_BYTES, TextFile, read_text_file
from greentactics.text.problems import CatalogueError, Problem, Rule

PACKAGE = "recipes"
"""The package whose definitions are followed."""

_OWN = "greentactics"


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
                self.imports |= imported(node, self.package)
            elif isinstance(node, ast.If | ast.Try | ast.With) and not _for_others(node):
                for part in ("body", "orelse", "finalbody"):
                    self.add(getattr(node, part, ()))
                for handler in getattr(node, "handlers", ()):
                    self.add(handler.body)
            elif not isinstance(node, ast.If) and not is_string(node):
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


class ReachedCode:
    """Checksums of what functions of a checkout reach; each definition is read once for all of them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._sources: dict[str, tuple[TextFile, str] | None] = {}
        self._modules: dict[str, _Module | None] = {}
        self._shortened: dict[Place, list[ast.stmt]] = {}
        self._signatures: dict[Place, Signature | None] = {}
        self._tokens: dict[Place, tuple[str | Place, ...]] = {}

    def has(self, place: Place) -> bool:
        """Return whether there is such a definition.

        Raises:
            CatalogueError: The module cannot be read or is not Python.
        """
        module = self.module(place.module)
        return module is not None and place.name in module.definitions

    def matches(self, module: str, pattern: re.Pattern[str]) -> bool:
        """Return whether a pattern is in the text of a module: quicker to tell than what it defines.

        Raises:
            CatalogueError: The module cannot be read.
        """
        found = self._source(module)
        return found is not None and pattern.search(found[0].text) is not None

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
        return KnownChecksums(self._root, self._sha256)

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
                if self._signature(place) is None:
                    # Cleaned in a copy, as settings are read from what is shortened.
                    nodes = pickle.loads(pickle.dumps(nodes))  # noqa: S301 - our own tree, ten times as fast as copy
                nodes = [clean(node, self._signature_in(module), module.package) for node in nodes]
            encoder = _Encoder(self, module, place)
            for node in nodes:
                encoder.encode(node)
            if place.name and module.statements:
                encoder.tokens.append(Place(place.module, ""))
            self._tokens[place] = tuple(encoder.tokens)
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
        name, attributes = name_and_attributes(node)
        return self.resolve_name(module, name, attributes) if name else None

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
            self._shortened[place] = [shorten(node) for node in nodes]
        return self._shortened[place]

    def _signature(self, place: Place | str | None) -> Signature | None:
        """Return what there is to know of a shortened function without decorators; None for all else."""
        if not isinstance(place, Place) or not self.has(place):
            return None
        if place not in self._signatures:
            (node, *others) = self.shortened(place)
            if isinstance(node, ast.FunctionDef) and not node.decorator_list and not others:
                self._signatures[place] = Signature.of(node)
            else:
                self._signatures[place] = None
        return self._signatures[place]

    def _signature_in(self, module: _Module) -> Callable[[ast.expr], Signature | None]:
        return lambda called: self._signature(self.resolve(module, called))


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
        elif isinstance(node, Function | ast.Lambda):
            self._function(node)
        elif isinstance(node, COMPREHENSIONS):
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

    def _function(self, node: Function | ast.Lambda) -> None:
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
        self._scopes.append(local_names(node, self._module.package))
        for statement in [node.body] if isinstance(node, ast.Lambda) else node.body:
            self.encode(statement)
        self._scopes.pop()

    def _class(self, node: ast.ClassDef) -> None:
        self._fields(node, ("name", "body"))
        if self._scopes:
            self.tokens.append(node.name)
        for statement in node.body:
            if isinstance(statement, Function):
                self.tokens.append(statement.name)
            self.encode(statement)

    def _comprehension(self, node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp) -> None:
        self.encode(node.generators[0].iter)
        targets = [name for generator in node.generators for name in names_stored(generator.target)]
        self._scopes.append(dict.fromkeys(targets))
        for generator in node.generators:
            self._fields(generator, ("iter",) if generator is node.generators[0] else ())
        self._fields(node, ("generators",))
        self._scopes.pop()

    def _target(self, node: ast.Name | ast.Attribute) -> Place | str | None:
        """Return what a name or a chain means; None where it is local, or an attribute of a definition."""
        name, attributes = name_and_attributes(node)
        if not name:
            return None
        for scope in reversed(self._scopes):
            if name in scope:
                dotted = scope[name]
                return None if dotted is None else self._code.resolve_import(dotted, attributes)
        if name in self._module.definitions and not attributes and isinstance(node.ctx, ast.Store):
            return "itself" if name == self._place.name else "another"  # by whatever name
        return self._code.resolve_name(self._module, name, attributes)


def _for_others(node: ast.stmt) -> bool:
    """Return whether a statement is for type checkers, or for the module run as a program."""
    test = ast.unparse(node.test) if isinstance(node, ast.If) else ""
    return "TYPE_CHECKING" in test or "__name__" in test


def _bound_by(node: ast.stmt) -> list[str]:
    """Return the names that a statement of the top level defines."""
    if isinstance(node, Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For):
        return names_stored(node)
    return []
