"""What the page of one tactic is filled with."""

from __future__ import annotations

import ast
import keyword
import re
import statistics
import symtable
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from greentactics.evidence.claims import claim_figure, direction_word
from greentactics.evidence.relations import Tie
from greentactics.evidence.runs import TacticRun
from greentactics.evidence.tactic import Tactic, effects_by_direction
from greentactics.evidence.verdict import headline_run, verdict_output
from greentactics.evidence.wording import (
    duration,
    sentence,
    stored_line,
    tolerance_phrase,
    typographic,
)
from greentactics.models.bibliography import Reference
from greentactics.models.datasets import FASHION_MNIST_FOLDER, SMOLLM2, SPAM
from greentactics.models.record import Record
from greentactics.models.vocabulary import Kind
from greentactics.records.loading import Catalogue
from greentactics.records.reached_code import PACKAGE
from greentactics.site.drawings.layers import layer_figures
from greentactics.site.impact import (
    full_impact,
    headline_impact,
    rival_rows,
    rivals_table,
    source_number,
    together_table,
)
from greentactics.site.measurements import certainty_rows, detail_tables, timed_views
from greentactics.site.recipe_files import archive_path, archived_files, needed_files, packed
from greentactics.site.replays import replay_views
from greentactics.text.escaping import listing_to_html, paragraphs, safe_address

LINE_LENGTH = 80
_START = re.compile(r"^\s*# --8<-- \[start:tactic\]\s*$", re.MULTILINE)
_END = re.compile(r"^\s*# --8<-- \[end:tactic\]\s*$", re.MULTILINE)
_MARKER_LINE = re.compile(r"^\s*# --8<-- \[(?:start|end):[a-z_]+\]\s*\n", re.MULTILINE)
# A class for each token, as highlighters write it, would make a listing four times as heavy as its text.
_COLOURED = re.compile(
    rf"""
    (?P<s>(?<!\w)[bfruBFRU]{{0,2}}(?:
        \"{{3}}.*?\"{{3}} | '{{3}}.*?'{{3}} | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'
    ))
    | (?P<c>\#[^\n]*)
    | (?P<nf>(?<=\bdef\ )\w+ | (?<=\bclass\ )\w+)
    | (?P<k>\b(?:{"|".join(keyword.kwlist)})\b)
    """,
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True)
class Usage:
    """How to use the functions of the marked lines in other code."""

    text: str
    """An import, and the statements with which the recipe calls them."""
    modules: tuple[str, ...]
    """Files that the marked lines need, directly or not, from the repository's root."""
    definitions: tuple[str, ...]
    """Names that the recipe defines elsewhere and that the marked lines need, directly or not."""

    @property
    def folders(self) -> dict[str, list[str]]:
        """Names of the files by folder."""
        named: dict[str, list[str]] = {}
        for path in self.modules:
            folder, _, name = path.rpartition("/")
            named.setdefault(folder, []).append(name)
        return named


def key_lines(text: str) -> str | None:
    """Return the lines between the markers `start:tactic` and `end:tactic`, or None without them."""
    region = _region(text)
    if region is None:
        return None
    lines = _MARKER_LINE.sub("", text[region[0] : region[1]].strip("\n") + "\n")
    return f"{textwrap.dedent(lines).rstrip()}\n"


def highlighted(text: str) -> Markup:
    """Return Python escaped for `<pre>`, with spans for strings, comments, keywords and defined names."""
    parts, end = [], 0
    for token in _COLOURED.finditer(text):
        parts.append(listing_to_html(text[end : token.start()]))
        parts.append(Markup('<span class="{}">{}</span>').format(token.lastgroup, listing_to_html(token[0])))
        end = token.end()
    return Markup().join([*parts, listing_to_html(text[end:])])


def fetched(text: str) -> tuple[str, ...]:
    """Return the names of the data sets that a recipe reads and `greentactics data fetch` brings."""
    words = {FASHION_MNIST_FOLDER: "fashion", SMOLLM2.name: "smollm2", SPAM.name: "e_mail"}
    return tuple(name for name, word in words.items() if word in text)


def usage(text: str, module: str, modules: Mapping[str, str]) -> Usage | None:
    """Return how a recipe calls the public functions of its marked lines; None where it calls none.

    Args:
        text: The recipe.
        module: Its name below `recipes`.
        modules: Text of the files that recipes may import, by path.
    """
    region = _region(text)
    if region is None:
        return None
    first, last = (text.count("\n", 0, position) + 1 for position in region)
    tree = ast.parse(text)
    marked = [node for node in tree.body if first <= node.lineno <= last]
    functions = {
        node.name: node
        for node in marked
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")
    }
    calls = _shortest_calls(text, [node for node in tree.body if node not in marked], functions)
    if not calls:
        return None
    names = ", ".join(name for name in functions if name in calls)
    lines = "\n".join(dict.fromkeys(calls.values()))
    definitions, used = _needed_definitions(tree, marked)
    files = needed_files(_imported_modules(tree, used), modules)
    shown = tuple(path for path in files if not path.endswith("/__init__.py"))  # they hold nothing
    return Usage(f"from {PACKAGE}.{module} import {names}\n\n{lines}\n", shown, definitions)


def _region(text: str) -> tuple[int, int] | None:
    """Return where the marked text begins and ends."""
    start = _START.search(text)
    end = _END.search(text, start.end()) if start else None
    return (start.end(), end.start()) if start and end else None


def _shortest_calls(
    text: str, nodes: Sequence[ast.stmt], functions: Mapping[str, ast.FunctionDef]
) -> dict[str, str]:
    """Return the shortest statement that calls each function, in the order of the file."""
    found: dict[str, tuple[int, int, str]] = {}
    all_lines = text.splitlines()
    for statement in (statement for node in nodes for statement in ast.walk(node)):
        if not isinstance(statement, ast.stmt) or hasattr(statement, "body"):
            continue
        lines = all_lines[statement.lineno - 1 : statement.end_lineno]
        source = textwrap.dedent("\n".join(lines))
        for call in (node for node in ast.walk(statement) if isinstance(node, ast.Call)):
            is_partial = ast.unparse(call.func) == "partial" and call.args
            name = ast.unparse(call.args[0] if is_partial else call.func)
            if name in functions:
                function = functions[name]
                returned = isinstance(statement, ast.Return) and statement.value is call
                whole = f"{_assigned_to(function) if returned else ''}{source.removeprefix('return ')}"
                shown = _completed(call, function) if is_partial else whole
                candidate = (len(lines), statement.lineno, shown)
                found[name] = min(found.get(name, candidate), candidate)
    return {name: source for name, (_, _, source) in sorted(found.items(), key=lambda item: item[1][1])}


def _completed(call: ast.Call, function: ast.FunctionDef) -> str:
    """Write a call of `partial` as one of the function; arguments that it left open have their names."""
    bound, named = call.args[1:], {keyword.arg for keyword in call.keywords}
    positional = function.args.args
    needed = positional[len(bound) : len(positional) - len(function.args.defaults)]
    open_names = [argument.arg for argument in needed if argument.arg not in named]
    required = zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True)
    open_words = [
        f"{key.arg}={key.arg}" for key, default in required if default is None and key.arg not in named
    ]
    parts = [*map(ast.unparse, bound), *open_names, *map(ast.unparse, call.keywords), *open_words]
    start = f"{_assigned_to(function)}{function.name}("
    line = f"{start}{', '.join(parts)})"
    if len(line) <= LINE_LENGTH:
        return line
    return "\n".join([start, *(f"    {part}," for part in parts), ")"])


def _assigned_to(function: ast.FunctionDef) -> str:
    """Return what a call is led by, so that the value of a function that gives one is not lost."""
    return "" if function.returns is None or ast.unparse(function.returns) == "None" else "result = "


def _needed_definitions(tree: ast.Module, marked: Sequence[ast.stmt]) -> tuple[tuple[str, ...], set[str]]:
    """Return the names of what marked lines need from the rest of a file, and all names they use with it."""
    elsewhere = {name: node for node in tree.body if node not in marked for name in _defined(node)}
    needed, used, waiting = dict[str, ast.stmt](), set[str](), list(marked)
    while waiting:
        names = _names_from_outside(waiting.pop())
        used |= names
        new = {name: node for name, node in elsewhere.items() if name in names and name not in needed}
        needed |= new
        waiting += new.values()
    return tuple(name for name in elsewhere if name in needed), used


def _defined(node: ast.stmt) -> Iterator[str]:
    """Yield the names that a statement at the top of a file defines; what it imports is none of them."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (name.id for part in targets for name in ast.walk(part) if isinstance(name, ast.Name))


def _names_from_outside(node: ast.stmt) -> set[str]:
    """Return the names that a statement takes from the file around it."""
    names, scopes = set[str](), [symtable.symtable(ast.unparse(node), "recipe", "exec")]
    while scopes:
        scope = scopes.pop()
        names |= {one.get_name() for one in scope.get_symbols() if one.is_global() and one.is_referenced()}
        scopes += scope.get_children()
    return names


def _imported_modules(tree: ast.Module, used: set[str]) -> Iterator[str]:
    """Yield what may be the modules that some of a file's names come from."""
    for node in tree.body:
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if (alias.asname or alias.name).partition(".")[0] in used:
                above = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                yield from (above.rstrip("."), f"{above}{alias.name}")


def page_context(
    tactic: Tactic, catalogue: Catalogue, relations: Mapping[str, list[dict[str, str]]]
) -> dict[str, Any]:
    """Return the values for the templates of a tactic's pages; `relations` are those of `relation_groups`."""
    record = tactic.record
    runs = tactic.runs
    verdict_run = _verdict_run(runs)
    full, rivals = full_impact(record, runs), rival_rows(record, runs)
    return {
        "tactic": tactic,
        "record": record,
        "successor": record.withdrawn and catalogue.records.get(record.withdrawn.successor or ""),
        "dark": record.kind is Kind.DARK,
        "verdict": [sentence(part) for part in tactic.verdict.parts],
        "local_verdict": [sentence(part) for part in tactic.local_verdict.parts]
        if tactic.local_verdict
        else [],
        "effects": effects_by_direction(record),
        "problem": paragraphs(record.problem),
        "solution": paragraphs(record.solution),
        "claims": _claim_rows(record),
        "runs": runs,
        "full": full,
        "headline": headline_impact(record, full, verdict_run),
        "rivals": rivals,
        "rivals_table": rivals_table(record, full, rivals, verdict_run),
        "together_table": together_table(record, verdict_run),
        "details": detail_tables(verdict_run.results) if verdict_run else [],
        "energy_figures": layer_figures(verdict_run.results) if verdict_run else [],
        "certainty": certainty_rows(verdict_run),
        "tolerance": verdict_run and tolerance_phrase(verdict_run.tolerance_points, verdict_run.quality),
        "timed_devices": timed_views(runs),
        "replays": replay_views(tactic, catalogue),
        "relations": relations,
        "sources": source_entries(record, catalogue.bibliography),
        "aliases": [(alias, safe_address(alias.url)) for alias in record.aliases],
        "source_number": lambda key: source_number(record, key),
        "paragraphs": paragraphs,
        **_recipe_context(tactic, catalogue, runs),
    }


def _recipe_context(tactic: Tactic, catalogue: Catalogue, runs: Sequence[TacticRun]) -> dict[str, Any]:
    """Return what the pages show of the recipe: commands with their output, key lines, the whole file."""
    record = tactic.record
    source = catalogue.recipes.get(record.id)
    if source is None:
        return {"source": None}
    marked, used = key_lines(source.text), usage(source.text, record.module, catalogue.modules)
    archived = archived_files(record.id, catalogue)
    lines = verdict_output(record, (*tactic.committed, *tactic.local))
    if runs and not runs[0].local:
        path = Path(PACKAGE, "results", record.id, f"{runs[0].results.device_slug}.json")
        lines = (stored_line(path, runs[0].results), *lines)
    return {
        "source": source,
        "times": expected_times(runs),
        "output": listing_to_html("\n".join(lines)),
        "key_lines": highlighted(marked) if marked else None,
        "usage": used,
        "fetched": fetched(source.text),
        "usage_lines": highlighted(used.text) if used else None,
        "archive": archive_path(record.id) if archived else None,
        "archive_size": f"{len(archived)} files, {len(packed(archived)) / 1000:.0f} kB",
        "listing": highlighted(source.text),
        "line_count": source.text.count("\n"),
    }


def _claim_rows(record: Record) -> list[dict[str, Any]]:
    return [
        {
            "claim": claim,
            "figure": typographic(f"{claim_figure(claim)}, {direction_word(claim)}"),
            "number": source_number(record, claim.source),
        }
        for claim in record.impact.claims
    ]


def _verdict_run(runs: Sequence[TacticRun]) -> TacticRun | None:
    """Return the run whose details are shown: the one the verdict rests on, or else one of this machine."""
    fresh = [run for run in runs if not run.stale]
    return headline_run([run for run in fresh if not run.local] or fresh)


def expected_times(runs: Sequence[TacticRun]) -> dict[str, str] | None:
    """Return how long a whole measuring run and one arm took, on the first run shown; None without runs."""
    if not runs:
        return None
    results = runs[0].results
    seconds = [repeat.duration_s for repeat in results.repeats]
    return {
        "total": duration(sum(seconds)),
        "arm": duration(statistics.median(seconds)),
        "repeats": str(len(seconds)),
        "seeds": str(len(results.seeds)),
        "device": results.device.name,
        "cores": str(results.device.cores),
        "threads": str(results.threads),
        "data": results.data.name,
        "memory": f"{max(repeat.peak_memory_bytes for repeat in results.repeats) / 2**30:.1f} GiB",
    }


def relation_groups(ties: Iterable[Tie]) -> dict[str, list[dict[str, str]]]:
    """Return a tactic's relations by label, in the order given."""
    found: dict[str, list[dict[str, str]]] = {}
    for tie in ties:
        entry = {
            "id": tie.target.record.id,
            "title": tie.target.record.title,
            "reason": tie.reason,
            "verdict": sentence(tie.target.verdict.reproduced or tie.target.verdict.against_baseline),
        }
        found.setdefault(tie.label, []).append(entry)
    return found


def source_entries(record: Record, bibliography: Mapping[str, Reference]) -> list[dict[str, Any]]:
    """Return the numbered sources with their links."""
    return [
        {
            "use": use,
            "reference": reference,
            "authors": _author_line(reference),
            "link": safe_address(reference.link),
            "link_text": f"doi:{reference.doi}"
            if reference.doi
            else f"arXiv:{reference.arxiv}"
            if reference.arxiv
            else reference.link,
            "arxiv": f"https://arxiv.org/abs/{reference.arxiv}"
            if reference.arxiv and reference.doi
            else None,
        }
        for use in record.sources
        if (reference := bibliography.get(use.key)) is not None
    ]


def _author_line(reference: Reference) -> str:
    names = [str(name) for name in reference.author]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
