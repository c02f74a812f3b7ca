"""Files to models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import greentactics
from greentactics.models.bibliography import Bibliography, Reference
from greentactics.models.record import Record
from greentactics.models.replays import REPLAYS, Replay
from greentactics.models.results import DEFAULT_PRESET, Results
from greentactics.records.documents import Document, read_document
from greentactics.records.reached_code import ReachedCode
from greentactics.records.recipes import RecipeChecksum, checksum_of_recipe, checksum_of_timing, recipe_file
from greentactics.records.replays import replay_checksum
from greentactics.text.files import RECORD_BYTES, TextFile, display_name, read_text_file
from greentactics.text.problems import CatalogueError, Problem, UserError

BIBLIOGRAPHY = "tactics/references.yaml"
LICENCE = "LICENSE"
OWN_PACKAGES = ("greentactics", "recipes")
"""Packages that recipes import and that no index holds."""


@dataclass(frozen=True)
class RecipeSource:
    """The text of a recipe and the checksum that ties results to it."""

    text: str
    """The file's text."""
    checksum: RecipeChecksum
    """Tells the checksum of what it computes."""

    @property
    def sha256(self) -> str:
        """Checksum of what it computes with the settings that are published, without meters."""
        return self.checksum(DEFAULT_PRESET, metered=False)


@dataclass(frozen=True)
class Catalogue:
    """Everything the pages are made from."""

    root: Path
    """Folder that holds `tactics/` and `recipes/`."""
    records: Mapping[str, Record]
    """Records by identifier, in alphabetical order."""
    bibliography: Mapping[str, Reference]
    """References by key, in alphabetical order."""
    results: Mapping[str, tuple[Results, ...]]
    """Committed results by tactic, one entry a device."""
    recipes: Mapping[str, RecipeSource]
    """Recipes by tactic."""
    timing_sha256: str | None = None
    """Checksum of the timing protocol as it is now; None where the checkout has none."""
    modules: Mapping[str, str] = field(default_factory=dict)
    """Text of the Python files that recipes may import, by path from the folder they run in, and of the
    licence."""
    replays: Mapping[str, tuple[Replay, ...]] = field(default_factory=dict)
    """What was recomputed from published data, by tactic."""
    replay_sha256: Mapping[str, str] = field(default_factory=dict)
    """Checksums of the programs of replays as they are now, by tactic."""


@dataclass(frozen=True)
class Files:
    """All files of a catalogue, right or wrong."""

    root: Path
    """Folder that holds `tactics/` and `recipes/`."""
    records: Mapping[str, Document[Record]]
    """Records by the stem of their file, in alphabetical order."""
    bibliography: Document[Bibliography]
    """The bibliography."""
    recipes: Mapping[str, Document[RecipeSource]]
    """Recipes by tactic, in alphabetical order."""
    results: Mapping[Path, Document[Results]]
    """Results by file, in alphabetical order."""
    replays: Mapping[Path, Document[Replay]]
    """Replays by file, in alphabetical order."""

    @property
    def readable_records(self) -> list[Record]:
        """The records that have no mistakes by themselves."""
        return [document.model for document in self.records.values() if document.model]

    @property
    def problems(self) -> tuple[Problem, ...]:
        """What is wrong with the files, each by itself."""
        documents: list[Document[Any]] = [
            *self.records.values(),
            self.bibliography,
            *self.recipes.values(),
            *self.results.values(),
            *self.replays.values(),
        ]
        return tuple(problem for document in documents for problem in document.problems)


def read_files(root: Path) -> Files:
    """Read all files of a catalogue; every mistake is collected.

    Raises:
        UserError: There is no catalogue at this place.
    """
    root = catalogue_root(root)
    code = ReachedCode(root)
    tactics = sorted(path for path in (root / "tactics").glob("*.yaml") if path.name != "references.yaml")
    recipes = sorted(path for path in (root / "recipes").glob("*.py") if not path.name.startswith("_"))
    results = sorted((root / "recipes" / "results").glob("*/*.json"))
    replays = sorted((root / "recipes" / "results").glob(f"*/{REPLAYS}/*.json"))
    return Files(
        root,
        {path.stem: read_document(path, Record, root=root) for path in tactics},
        read_document(root / BIBLIOGRAPHY, Bibliography, root=root),
        {path.stem.replace("_", "-"): _read_recipe(path, root, code) for path in recipes},
        {path: read_document(path, Results, root=root) for path in results},
        {path: read_document(path, Replay, root=root) for path in replays},
    )


def load_catalogue(root: Path) -> Catalogue:
    """Read records, bibliography, results and recipes.

    What one file says by itself is checked; rules across files are left to `checks`.

    Raises:
        CatalogueError: Files are wrong; it carries the problems of all of them.
        UserError: There is no catalogue at this place.
    """
    files = read_files(root)
    if files.problems or files.bibliography.model is None:
        raise CatalogueError(files.problems)
    return replace(catalogue_of(files), modules=_read_modules(files.root))


def catalogue_of(files: Files) -> Catalogue:
    """Return what could be read of the files; wrong ones are left out."""
    bibliography = files.bibliography.model.root if files.bibliography.model else {}
    code = ReachedCode(files.root)
    replays: dict[str, tuple[Replay, ...]] = {}
    for document in files.replays.values():
        if replay := document.model:
            replays[replay.tactic] = (*replays.get(replay.tactic, ()), replay)
    return Catalogue(
        files.root,
        {tactic: document.model for tactic, document in files.records.items() if document.model},
        dict(sorted(bibliography.items())),
        _by_tactic(document.model for document in files.results.values() if document.model),
        {tactic: document.model for tactic, document in files.recipes.items() if document.model},
        checksum_of_timing(code),
        replays=replays,
        replay_sha256={tactic: sha256 for tactic in replays if (sha256 := replay_checksum(code, tactic))},
    )


def catalogue_root(root: Path) -> Path:
    """Return the resolved root, after a look whether it holds a catalogue.

    Raises:
        UserError: It does not.
    """
    if not (root / "tactics").is_dir():
        raise UserError(f"no folder tactics/ in {root}; run the command in the root of the repository")
    return root.resolve()


def load_results(path: Path) -> Results:
    """Read one results file.

    Raises:
        CatalogueError: It is not a results file.
    """
    document = read_document(path, Results, root=None)
    if document.model is None:
        raise CatalogueError(document.problems)
    return document.model


def load_replay(path: Path) -> Replay:
    """Read one replay.

    Raises:
        CatalogueError: It is not one.
    """
    document = read_document(path, Replay, root=None)
    if document.model is None:
        raise CatalogueError(document.problems)
    return document.model


def load_results_folder(folder: Path) -> dict[str, tuple[Results, ...]]:
    """Read all results below a folder laid out as `<tactic>/<device>.json`; none where it does not exist.

    Raises:
        CatalogueError: Files are wrong; it carries the problems of all of them.
    """
    documents = [read_document(path, Results, root=None) for path in sorted(folder.glob("*/*.json"))]
    problems = [problem for document in documents for problem in document.problems]
    if problems:
        raise CatalogueError(problems)
    return _by_tactic(document.model for document in documents if document.model)


def recipe_checksum(root: Path, tactic_id: str) -> RecipeChecksum:
    """Return what tells the checksum of what a recipe computes.

    Raises:
        UserError: There is no recipe.
    """
    if not recipe_file(root, tactic_id).is_file():
        name = recipe_file(Path(), tactic_id).as_posix()
        raise UserError(f"no recipe for {tactic_id}: expected {name}")
    return checksum_of_recipe(ReachedCode(root.resolve()), tactic_id)


def _read_recipe(path: Path, root: Path, code: ReachedCode) -> Document[RecipeSource]:
    checksum = checksum_of_recipe(code, path.stem.replace("_", "-"))
    try:
        source = read_text_file(path, root=root, max_bytes=RECORD_BYTES)
        checksum(DEFAULT_PRESET, metered=False)
    except CatalogueError as error:
        # A mistake in a shared module is the problem of that module, for each recipe that uses it.
        return Document(TextFile(display_name(path, root), "", ()), None, error.problems)
    return Document(source, RecipeSource(source.text, checksum), ())


def _read_modules(root: Path) -> dict[str, str]:
    """Read what recipes may import; a file that cannot be read is needed by none of those that were read."""
    modules = {}
    for path in (root / LICENCE, *sorted((root / "recipes").rglob("*.py"))):
        with suppress(CatalogueError):
            text = read_text_file(path, root=root, max_bytes=RECORD_BYTES).text
            modules[path.relative_to(root).as_posix()] = text
    package = Path(greentactics.__file__).parent
    for path in sorted(package.rglob("*.py")):
        modules[path.relative_to(package.parent).as_posix()] = path.read_text(encoding="utf-8")
    return modules


def _by_tactic(results: Iterable[Results]) -> dict[str, tuple[Results, ...]]:
    grouped: dict[str, list[Results]] = {}
    for result in results:
        grouped.setdefault(result.tactic, []).append(result)
    return {
        tactic: tuple(sorted(entries, key=lambda entry: entry.device_slug))
        for tactic, entries in sorted(grouped.items())
    }
