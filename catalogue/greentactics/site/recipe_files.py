"""What a recipe needs to run elsewhere: the files that it imports, and an archive of them all."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, partial

from greentactics.records.loading import LICENCE, OWN_PACKAGES, Catalogue
from greentactics.text.kept import Kept, digest

_DATE = (1980, 1, 1, 0, 0, 0)
"""The first one that an archive can hold, so that the same files give the same bytes."""
_IMPORTS_SUBJECTS, _SUBJECTS = "recipes/common/trial/subject.py", "recipes/subjects/"


def needed_files(names: Iterable[str], modules: Mapping[str, str]) -> tuple[str, ...]:
    """Return the paths of modules and of all they import from packages of the repository, directly or not.

    Args:
        names: Names that may be modules, such as `recipes.common.pruning`; those that are none lead nowhere.
        modules: Text of each file by its path, such as `recipes/common/pruning.py`.
    """
    found, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        base, package = name.replace(".", "/"), name.rpartition(".")[0]
        path = next((path for path in (f"{base}.py", f"{base}/__init__.py") if path in modules), None)
        if path is None or path in found:
            continue
        found.add(path)
        waiting += [package, *_imported_names(modules[path], package if path == f"{base}.py" else name)]
    return tuple(sorted(found))


def archive_path(tactic: str) -> str:
    """Return where the archive of a recipe lies, relative to the site's root."""
    return f"recipes/{tactic}/{tactic}.zip"


def archived_files(tactic: str, catalogue: Catalogue) -> dict[str, str]:
    """Return the files of a recipe's archive by path: the recipe, all it imports, and the licence.

    With what imports subjects by their names come all of them. Empty where the catalogue does not hold them.
    """
    recipe = f"recipes.{tactic.replace('-', '_')}"
    names = needed_files([recipe], catalogue.modules)
    if _IMPORTS_SUBJECTS in names:
        subjects = (path for path in catalogue.modules if path.startswith(_SUBJECTS))
        modules = (path.removesuffix(".py").replace("/", ".") for path in subjects)
        names = needed_files([recipe, *modules], catalogue.modules)
    return {
        name: catalogue.modules[name] for name in (LICENCE, *names) if names and name in catalogue.modules
    }


def packed(files: Mapping[str, str]) -> bytes:
    """Return an archive of files, the same bytes for the same files.

    It is not compressed: another version of zlib would give other bytes.
    """
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_STORED) as archive:
        for path, text in sorted(files.items()):
            entry = zipfile.ZipInfo(path, _DATE)
            entry.create_system = 3  # Unix, whatever system makes it
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, text.encode())
    return data.getvalue()


def recipe_archives(catalogue: Catalogue, kept: Kept | None = None) -> Iterator[tuple[str, bytes]]:
    """Yield path and bytes of the archive of each recipe that has a record.

    They stand beside what is rendered, as that is text. With `kept` imports are not followed again.
    """
    kept = kept or Kept()
    shared = digest(*(part for file in catalogue.modules.items() for part in file))
    for tactic in sorted(catalogue.recipes.keys() & catalogue.records.keys()):
        make = partial(archived_files, tactic, catalogue)
        if files := kept.made(make, "archive", tactic, shared, dump=list):
            yield archive_path(tactic), packed({path: catalogue.modules[path] for path in files})


@lru_cache(maxsize=1024)  # recipes share most of what they import
def _imported_names(text: str, package: str) -> tuple[str, ...]:
    """Return names that may be modules which a file of a package imports, wherever in it."""
    found: list[str] = []
    waiting: list[ast.AST] = [ast.parse(text)]
    while waiting:
        node = waiting.pop()
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):  # no import is in an expression
            waiting += getattr(node, part, ())
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")
            above = ".".join(parts[: len(parts) - node.level + 1]) if node.level else ""
            base = ".".join(filter(None, (above, node.module)))
            found += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return tuple(name for name in found if name.partition(".")[0] in OWN_PACKAGES)
