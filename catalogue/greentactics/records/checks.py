"""All rules over all files of a catalogue."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from greentactics.models.bibliography import Bibliography
from greentactics.models.record import DRAFTS, DraftRecord, Record
from greentactics.models.replays import REPLAYS
from greentactics.models.results import Results
from greentactics.records.diagnosis import did_you_mean, one_of
from greentactics.records.documents import Document, read_document
from greentactics.records.ids import former_ids, taken_ids
from greentactics.records.loading import BIBLIOGRAPHY, Files, read_files
from greentactics.records.reached_code import ReachedCode
from greentactics.records.recipes import RecipeChecksum, contract_problems, is_recipe_changed
from greentactics.records.replays import replay_checksum, replay_findings
from greentactics.records.rules import life_cycle_findings, record_findings, relation_findings
from greentactics.text.files import TextFile, display_name
from greentactics.text.problems import (
    CatalogueError,
    FieldPath,
    Finding,
    Problem,
    Rule,
    UserError,
    printable,
    shown,
)
from greentactics.text.yaml_source import parse_yaml

MARKER = "TODO:"
"""What every hint starts with."""
PLACEHOLDER_KEY = "todo-2000"
"""Citation key that stands until a source has been chosen."""


def placeholder_problems(source: TextFile) -> Iterator[Problem]:
    """Yield the hints that are left in a record or a recipe."""
    if MARKER not in source.text and PLACEHOLDER_KEY not in source.text:
        return
    is_record = source.file.endswith(".yaml")
    if is_record:
        yield from _values(source)
    for number, line in enumerate(source.text.split("\n"), start=1):
        comment = line.lstrip()
        if MARKER in comment and (comment.startswith(f"# {MARKER}") or not is_record):
            expected, cure = "no hint of the template", "follow it, then remove it"
            column = len(line) - len(comment) + 1
            found = f"`{shown(comment)}`"
            yield Problem(source.file, number, column, "", Rule.PLACEHOLDER, expected, found, cure)


def _values(source: TextFile) -> Iterator[Problem]:
    places = parse_yaml(source).places
    for path, place in places.values.items():
        text = place.raw or ""
        if text == PLACEHOLDER_KEY:
            expected, cure = "a key of tactics/references.yaml", "add the source there first"
        elif MARKER in text:
            expected, cure = "words of your own", "write them in place of the hint"
        else:
            continue
        found = f'"{shown(text)}"'
        yield places.problem(source.file, Finding(path, Rule.PLACEHOLDER, expected, found, cure))


_ARMS = ("baseline", "tactic")


def results_findings(
    results: Results,
    path: Path,
    *,
    known: frozenset[str],
    renamed: Mapping[str, str],
    checksum: RecipeChecksum | None,
    has_recipe: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with one results file.

    Args:
        results: Content of the file.
        path: The file; its folder names the tactic and its stem the device.
        known: Identifiers of all records.
        renamed: Their former identifiers, each with the present one.
        checksum: Tells the checksum of the tactic's recipe as it is now; None where it cannot be told.
        has_recipe: Whether there is a recipe.
    """
    tactic, stem = printable(path.parent.name), printable(path.stem)
    again = f"measure again: greentactics measure {tactic} --replace"
    if results.tactic != tactic:
        expected = f'"{tactic}", the name of the folder'
        yield Finding(("tactic",), Rule.RESULTS_FOLDER, expected, f'"{results.tactic}"', "move the file")
    if results.device_slug != path.stem:
        expected = f'"{stem}", the name of the file'
        yield Finding(
            ("device_slug",), Rule.RESULTS_FILE_NAME, expected, f'"{results.device_slug}"', "rename the file"
        )
    if tactic not in known:
        cure = (
            f"it is {renamed[tactic]} now: measure that, as results carry the identifier"
            if tactic in renamed
            else did_you_mean(tactic, sorted(known)) or f"add tactics/{tactic}.yaml or remove the results"
        )
        yield Finding((), Rule.RESULTS_WITHOUT_RECORD, f"the record of {tactic}", "none", cure)
    elif not has_recipe:
        name = f"recipes/{tactic.replace('-', '_')}.py"
        yield Finding((), Rule.RESULTS_WITHOUT_RECIPE, f"the recipe {name}", "none", "remove the results")
    elif checksum is not None and is_recipe_changed(results, checksum):
        now = checksum(results.preset, metered=results.is_metered, subject=results.subject)
        expected = f"the checksum of the recipe as it is now, {now[:12]}..."
        found = f"{results.recipe_sha256[:12]}..."
        yield Finding(("recipe_sha256",), Rule.RESULTS_STALE, expected, found, again)
    yield from _unpublishable(results, again)


def _unpublishable(results: Results, again: str) -> Iterator[Finding]:
    """Yield what keeps results from being published, whatever tactic they belong to."""
    missing = [arm for arm in _ARMS if arm not in results.arms]
    if missing:
        expected = "repeats of the arms baseline and tactic"
        yield Finding(("repeats",), Rule.RESULTS_ARMS, expected, f"none of {' and '.join(missing)}", again)
    if results.preset == "smoke":
        expected = "a preset for published results, default or full"
        yield Finding(("preset",), Rule.RESULTS_SMOKE, expected, '"smoke"', again)
    if results.dirty:
        expected = "results of a clean working tree"
        yield Finding(("dirty",), Rule.RESULTS_DIRTY, expected, "true", f"commit, then {again}")


def metric_findings(record: Record, measured: Sequence[tuple[str, Results]]) -> Iterator[Finding]:
    """Yield metrics that a record names and its results lack.

    Args:
        record: The record.
        measured: Its results, each with the name of the file.
    """
    use = record.recipe
    if use is None:
        return
    quality = use.quality_metric
    known = any(quality in results.metrics for _, results in measured)  # else no subject has it
    for file, results in measured:
        metrics, without = sorted(results.metrics), results.metrics_without_values
        named: list[tuple[FieldPath, str]] = [
            (("recipe", "cost_metric"), use.cost_metric),
            (("recipe", "quality_metric"), results.quality_metric(quality) if known else quality),
            *((("recipe", "also_metrics", index), name) for index, name in enumerate(use.also_metrics)),
        ]
        for path, name in named:
            if name not in metrics and name not in without:
                expected = f"a metric of {file}" + (f", {one_of(metrics, name)}" if metrics else "")
                cure = did_you_mean(name, metrics)
                yield Finding(path, Rule.RESULTS_METRIC, expected, f'"{name}"', cure)


@dataclass(frozen=True)
class CheckReport:
    """What a check found and how much it looked at."""

    problems: tuple[Problem, ...]
    """Problems, sorted by place."""
    records: int
    """Records looked at."""
    references: int
    """References looked at."""
    results: int
    """Results files looked at."""

    @property
    def summary(self) -> str:
        """How much was looked at and how many problems there are, in one line."""
        counts = ", ".join(
            (
                _count(self.records, "record"),
                _count(self.references, "reference"),
                _count(self.results, "result file"),
            )
        )
        found = _count(len(self.problems), "problem") if self.problems else "no problems"
        return f"{counts}: {found}"


def check(root: Path, paths: Sequence[Path] = ()) -> CheckReport:
    """Check a catalogue.

    Args:
        root: Folder that holds `tactics/` and `recipes/`.
        paths: Files or folders to report about, from the working directory or from the root; all but
            drafts when empty. Rules across files always see the whole catalogue.

    Raises:
        UserError: There is no catalogue at the root, a path does not exist in it, or no path holds
            anything to check.
    """
    files = read_files(root)
    is_wanted = selection(files.root, paths)
    drafts = [document for document in _drafts(files.root) if is_wanted(document.file)] if paths else []
    found = [*_problems(files), *_draft_problems(drafts, files)]
    problems = {problem for problem in found if is_wanted(problem.file)}
    references = len(files.bibliography.keys) if is_wanted(files.bibliography.file) else 0
    _require_some(paths, [*_looked_at(files), *(draft.file for draft in drafts)], problems, is_wanted)
    return CheckReport(
        tuple(sorted(problems)),
        sum(is_wanted(document.file) for document in files.records.values()) + len(drafts),
        references,
        sum(is_wanted(document.file) for document in files.results.values()),
    )


def _looked_at(files: Files) -> Iterator[str]:
    """Yield the names of all files that the rules are about, drafts aside."""
    yield files.bibliography.file
    for documents in (files.records, files.recipes, files.results, files.replays):
        yield from (document.file for document in documents.values())


def _require_some(
    paths: Sequence[Path], files: list[str], problems: set[Problem], is_wanted: Callable[[str], bool]
) -> None:
    """Stop where nothing was looked at, which would read like a file without mistakes.

    Raises:
        UserError: None of the paths is or holds a file that the rules are about.
    """
    if paths and not problems and not any(map(is_wanted, files)):
        names = ", ".join(map(printable, map(str, paths)))
        expected = "records, references, recipes, results or drafts, or folders of them"
        cure = f"name one, such as {BIBLIOGRAPHY}, or leave the path out"
        raise UserError(f"{names}: expected {expected}, got none; {cure}")


def selection(root: Path, paths: Sequence[Path]) -> Callable[[str], bool]:
    """Return a test whether a file, named from the resolved root, is one of some paths or below one of them.

    Without paths every file is.

    Raises:
        UserError: A path does not exist in the catalogue.
    """
    wanted = [PurePosixPath(display_name(_inside(root, path), root)) for path in paths]
    return lambda file: not wanted or any(PurePosixPath(file).is_relative_to(path) for path in wanted)


def _problems(files: Files) -> Iterator[Problem]:
    yield from files.problems
    yield from _unexpected_files(files.root)
    findings: dict[str, list[Finding]] = {
        tactic: list(record_findings(document.model))
        for tactic, document in files.records.items()
        if document.model
    }
    records = {tactic: document.model for tactic, document in files.records.items() if document.model}
    known = frozenset(files.records)
    for tactic, finding in (*relation_findings(records, known), *life_cycle_findings(records, known)):
        findings[tactic].append(finding)
    measured: dict[str, list[tuple[str, Results]]] = {}
    for path, document in files.results.items():
        if document.model:
            measured.setdefault(path.parent.name, []).append((document.file, document.model))
    for tactic, record in records.items():
        findings[tactic] += _citations(record, files.bibliography)
        findings[tactic] += _recipe_of(record, files)
        findings[tactic] += metric_findings(record, measured.get(tactic, []) if record.recipe else [])
    for tactic, found in findings.items():
        yield from files.records[tactic].located(found)
    for sources in (files.records, files.recipes):
        for written in sources.values():
            yield from placeholder_problems(written.source)
    yield from files.bibliography.located(_bibliography(files))
    yield from _recipes(files)
    yield from _results(files)
    yield from _replays(files)


def _drafts(root: Path) -> list[Document[DraftRecord]]:
    return [read_document(path, DraftRecord, root=root) for path in sorted((root / DRAFTS).glob("*.yaml"))]


def _draft_problems(drafts: Sequence[Document[DraftRecord]], files: Files) -> Iterator[Problem]:
    """Yield what is missing before a draft can become a record; its own references count as cited."""
    taken = taken_ids(files.root, files.readable_records) if drafts else {}
    bibliography = files.bibliography
    for draft in drafts:
        yield from draft.problems
        if draft.model:
            known = bibliography.keys | draft.model.references.keys()
            cited = Document(bibliography.source, bibliography.model, (), known)
            yield from draft.located([*record_findings(draft.model), *_citations(draft.model, cited)])
        if holder := taken.get(Path(draft.file).stem):
            expected, cure = "an identifier that no tactic has or had", "choose another, and rename the file"
            found = f"{Path(draft.file).stem}: {holder}"
            yield from draft.located([Finding(("id",), Rule.DUPLICATE_ENTRY, expected, found, cure)])


def _citations(record: Record, bibliography: Document[Bibliography]) -> Iterator[Finding]:
    if bibliography.model is None and not bibliography.keys:
        return
    for index, source in enumerate(record.sources):
        if source.key not in bibliography.keys and source.key != PLACEHOLDER_KEY:
            cure = did_you_mean(source.key, sorted(bibliography.keys)) or f"add it to {BIBLIOGRAPHY}"
            expected = f"a key of {BIBLIOGRAPHY}"
            yield Finding(
                ("sources", index, "key"), Rule.MISSING_REFERENCE, expected, f'"{source.key}"', cure
            )


def _bibliography(files: Files) -> Iterator[Finding]:
    cited = {
        source.key
        for document in files.records.values()
        if document.model
        for source in document.model.sources
    }
    # A record that could not be read may still cite: its text is searched for the key.
    broken = [document.source.text for document in files.records.values() if document.model is None]
    unreadable = any(not text for text in broken)
    for key in sorted(files.bibliography.keys - cited):
        if not unreadable and not any(
            key in text and re.search(rf"(?<![\w-]){re.escape(key)}(?![\w-])", text) for text in broken
        ):
            cure = "cite it or remove it"
            yield Finding(
                (key,),
                Rule.UNCITED_REFERENCE,
                "a reference that a record cites",
                "none does",
                cure,
                at_key=True,
            )
    if files.bibliography.model is None:
        return
    first: dict[str, str] = {}
    for key, reference in files.bibliography.model.root.items():
        for field, value in (("DOI", reference.doi), ("arxiv", reference.arxiv)):
            if value and first.setdefault(value.lower(), key) != key:
                found = f'"{value}", which {first[value.lower()]} has too'
                yield Finding(
                    (key, field), Rule.DUPLICATE_ENTRY, "each work once", found, "cite one of the two"
                )


def _recipe_of(record: Record, files: Files) -> Iterator[Finding]:
    name = f"recipes/{record.module}.py"
    has_recipe = record.id in files.recipes
    if record.recipe and not has_recipe:
        cure = "write the recipe, or remove `recipe:` until it is there"
        yield Finding(("recipe",), Rule.RECIPE_MISSING, f"the recipe {name}", "none", cure, at_key=True)
    if has_recipe and not record.recipe:
        cure = "add `recipe:` with the metrics to show"
        yield Finding(("recipe",), Rule.RECIPE_NOT_NAMED, f"`recipe:`, as there is {name}", "none", cure)


def _recipes(files: Files) -> Iterator[Problem]:
    for tactic, document in files.recipes.items():
        if tactic not in files.records:
            name = f"tactics/{printable(tactic)}.yaml"
            cure = did_you_mean(tactic, sorted(files.records)) or f"add {name}"
            finding = Finding((), Rule.RECIPE_WITHOUT_RECORD, f"the record {name}", "none", cure)
            yield from document.located([finding])
        if document.source.text:
            try:
                yield from contract_problems(document.source.text, document.file, tactic)
            except CatalogueError as error:
                yield from error.problems


def _results(files: Files) -> Iterator[Problem]:
    known = frozenset(files.records)
    renamed = former_ids(files.readable_records)
    for path, document in files.results.items():
        if document.model is None:
            continue
        recipe = files.recipes.get(path.parent.name)
        checksum = recipe.model.checksum if recipe and recipe.model else None
        yield from document.located(
            results_findings(
                document.model,
                path,
                known=known,
                renamed=renamed,
                checksum=checksum,
                has_recipe=recipe is not None,
            )
        )


def _replays(files: Files) -> Iterator[Problem]:
    code = ReachedCode(files.root)
    for path, document in files.replays.items():
        if document.model is None:
            continue
        try:
            sha256 = replay_checksum(code, path.parents[1].name)
        except CatalogueError as error:
            yield from error.problems
            continue
        record = files.records.get(path.parents[1].name)
        if record is None:
            name = f"tactics/{printable(path.parents[1].name)}.yaml"
            cure = f"add {name} or remove the replay"
            found = [Finding((), Rule.RESULTS_WITHOUT_RECORD, f"the record {name}", "none", cure)]
        else:
            found = [*replay_findings(document.model, path, record.model, sha256)]
        yield from document.located(found)


def _unexpected_files(root: Path) -> Iterator[Problem]:
    """Yield files that would be passed over in silence."""
    places = (
        ("tactics", "*", ".yaml", "records named <id>.yaml"),
        ("recipes/results", "*/*", ".json", "results named <device>.json"),
    )
    for folder, pattern, suffix, expected in places:
        for path in (root / folder).glob(pattern):
            is_folder_of_replays = folder != "tactics" and path.name == REPLAYS and path.is_dir()
            if path.suffix != suffix and not path.name.startswith(".") and not is_folder_of_replays:
                name, found = display_name(path, root), printable(path.name)
                yield Problem(name, 1, 1, "", Rule.UNEXPECTED_FILE, expected, found, "rename or remove it")
    for path in (root / "recipes" / "results").glob("*"):
        if not path.is_dir() and not path.name.startswith("."):
            name, expected = display_name(path, root), "folders named after tactics"
            found = printable(path.name)
            yield Problem(name, 1, 1, "", Rule.UNEXPECTED_FILE, expected, found, "rename or remove it")


def _inside(root: Path, path: Path) -> Path:
    """Return where a path lies that was given from the working directory or from the root."""
    existing = [candidate for candidate in (path, root / path) if candidate.exists()]
    for candidate in existing:
        # The last part is kept as it is: a record that is a link is named like the link.
        absolute = candidate.resolve() if candidate.is_dir() else candidate.parent.resolve() / candidate.name
        if absolute.is_relative_to(root):
            return absolute
    if existing:
        raise UserError(
            f"{path} lies outside the catalogue {root}; name a file in it, or another catalogue with --root"
        )
    raise UserError(f"no such file or folder: {path}")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
