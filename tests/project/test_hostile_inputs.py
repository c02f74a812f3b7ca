"""Whatever lies in a file, commands end with clean errors, write only where they say, and pages stay safe."""

from __future__ import annotations

import contextlib
import copy
import csv
import io
import json
import os
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from greentactics.cli.main import main
from greentactics.contribute.issue import NEW_TACTIC
from greentactics.models.record import Record
from greentactics.records import checks
from greentactics.records.documents import read_document
from greentactics.records.loading import load_catalogue, load_results
from greentactics.records.rules import record_findings
from greentactics.site.pages import render_site
from greentactics.text import files as text_file
from greentactics.text.json_source import values_of
from greentactics.text.problems import CatalogueError, Rule
from tests.contribute.test_importing_patterns import PATTERN
from tests.contribute.test_issue_draft import filled
from tests.examples.archive_entries import AWESOME, DARK, HTML, PAGE
from tests.examples.example_files import (
    REPOSITORY,
    VALID,
    needs_any_name,
    record_text,
    record_tree,
)

CANARY = "<x9y"
"""Start of a tag that stands unescaped in no page."""
PIECES = (
    f'{CANARY} onload="alert(1)">', f'">{CANARY}>', f"</script>{CANARY}>", f"</title>{CANARY}>", "<!--",
    "&#0;", "&#xD800;", "[x](javascript:alert(1))", "![x](https://example.org/x.png)", "`", "```", "\n# x",
    "| x |", "{{ 7 * 7 }}", "{% include 'x' %}", "{: .x }", '--8<-- "mkdocs.yml"', "\\textbf{x}", "!!! note",
    "\u202e", "\ufeff", "\x00", "\x1b[31m", "\x85", "\u200b", "\u2028", "e\u0301", "\ud800", "\r", "\t", "\n",
    "../../../etc/passwd", "/etc/passwd", "con", "%2e%2e%2f", "a" * 300, "http://[x", "https://x/%0d%0aa: b",
    "10.1234/%E2%80%AE", "arXiv:", "9999-12-31", "2026-02-30", "1e999", "NaN", "9" * 5000, "null", "=1+1",
    "&a [*a]", "*a", "<<: *a", "!!python/object/apply:os.system ['touch x']", "? [a]\n: b", "]]>",
    "%YAML 1.1\n---\n", "---\n", "|2-", "'", '"', '"\\uD800"', ": ", " #", "- " * 50, "[" * 50, "{a: " * 50,
    "@article{", "ER  - ",
)  # fmt: skip
"""Texts that have broken programs of this kind before."""
VALUES = (None, True, 0, -1, 10**30, 1e308, 5e-324, [], {}, [[]], [None], {"": ""}, {"a": {"b": []}}, "", " ")
BIBTEX = "@article{a, title = {A {\\'e}tude}, author = {Poe, Ann}, year = 2020, doi = {10.1234/a}}"
CSL = '[{"type": "article-journal", "title": "A", "author": [{"family": "Poe"}], "DOI": "10.1234/a"}]'
RIS = "TY  - CONF\nTI  - Reading\nAU  - Poe, Ann\nPY  - 2020/05/01\nDO  - 10.1234/a\nER  - \n"
REFERENCES = (VALID / "tactics" / "references.yaml").read_text(encoding="utf-8")
RESULTS = "recipes/results/base-measured/example-processor.json"
INPUTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "check": (record_text(), ("check",), "root/tactics/base-awesome.yaml"),
    "check --fix": (record_text(), ("check", "--fix"), "root/tactics/base-awesome.yaml"),
    "references": (REFERENCES, ("check",), "root/tactics/references.yaml"),
    "import aadt, awesome": (AWESOME, ("import", "aadt"), "2023-01-02-skip.md"),
    "import aadt, dark": (DARK, ("import", "aadt"), "2023-01-02-skip.md"),
    "import aadt, HTML": (HTML, ("import", "aadt"), "page.html"),
    "import aadt, text": (PAGE, ("import", "aadt"), "page.txt"),
    "import gsf": (PATTERN, ("import", "gsf"), "gsf.md"),
    "from-issue": (filled(), ("from-issue",), "issue.md"),
    "cite BibTeX": (BIBTEX, ("cite", "--file"), "a.bib"),
    "cite CSL": (CSL, ("cite", "--file"), "a.json"),
    "cite RIS": (RIS, ("cite", "--file"), "a.ris"),
}
"""For each reader a right text, the command that reads it, and where the file lies."""


@st.composite
def changed_text(draw: st.DrawFn, text: str) -> bytes:
    """Draw a right text after one to four replacements, some of them of bytes."""
    data = text.encode()
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.integers(0, 40))
        piece = draw(st.sampled_from(PIECES)).encode("utf-8", "surrogatepass")
        data = data[:start] + draw(st.just(piece) | st.binary(max_size=4)) + data[end:]
    return data


@st.composite
def changed_tree(draw: st.DrawFn, tree: Any) -> Any:
    """Draw a tree with other values in one to three places."""
    tree = copy.deepcopy(tree)
    for _ in range(draw(st.integers(1, 3))):
        *above, last = draw(st.sampled_from([path for path, _ in values_of(tree) if path]))
        at(tree, above)[last] = draw(st.sampled_from((*VALUES, *PIECES)))
    return tree


def at(tree: Any, path: Sequence[str | int]) -> Any:
    """Return the value at a path."""
    for part in path:
        tree = tree[part]
    return tree


def files_of(folder: Path) -> dict[Path, bytes]:
    """Return the files below a folder with their content."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", INPUTS)
def test_a_changed_input_comes_to_a_clean_answer(name: str, root: Path, tmp_path: Path) -> None:
    text, command, place = INPUTS[name]
    path = tmp_path / place
    (root / NEW_TACTIC.parent).mkdir(parents=True)
    shutil.copy(REPOSITORY / NEW_TACTIC, root / NEW_TACTIC)
    arguments = ["--root", str(root), *command, str(path)]
    before, references = files_of(tmp_path), root / "tactics" / "references.yaml"

    @settings(max_examples=25, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(changed_text(text))
    def feed(data: bytes) -> None:
        path.write_bytes(data)
        done = CliRunner().invoke(main, arguments)
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        assert done.exit_code in (0, 1)
        assert all(line.isprintable() for line in done.output.split("\n"))
        for file, content in files_of(tmp_path).items():
            if before.get(file) != content:
                assert file in (path, references) or file.parent in (root / "drafts", root / "build")
        shutil.rmtree(root / "drafts", ignore_errors=True)
        references.write_bytes(before[references])

    feed()


@settings(max_examples=60, derandomize=True)
@given(changed_tree(record_tree()))
def test_changed_values_give_a_record_or_problems(
    tmp_path_factory: pytest.TempPathFactory, tree: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "base-awesome.yaml"
    path.write_text(json.dumps(tree), encoding="utf-8")
    document = read_document(path, Record, root=None)
    assert (document.model is None) == bool(document.problems)


@settings(max_examples=60, derandomize=True)
@given(changed_tree(json.loads((VALID / RESULTS).read_text(encoding="utf-8"))))
def test_changed_results_load_or_are_refused(tmp_path_factory: pytest.TempPathFactory, tree: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "results.json"
    path.write_text(json.dumps(tree), encoding="utf-8")
    with contextlib.suppress(CatalogueError):
        assert load_results(path)


def hostile_record(identifier: str, piece: str) -> dict[str, Any]:
    """Return a record that has a text in every field that takes it."""
    tree = record_tree() | {"id": identifier}
    for path, value in list(values_of(tree)):
        if not isinstance(value, str) or path == ("id",):
            continue
        changed = copy.deepcopy(tree)
        at(changed, path[:-1])[path[-1]] = f"{value[:9]}{piece}{value[9:]}"
        with contextlib.suppress(ValidationError):
            record = Record.model_validate_json(json.dumps(changed), by_alias=True, by_name=False)
            tree = tree if any(record_findings(record)) else changed
    return tree


def test_pages_of_hostile_texts_are_safe(root: Path) -> None:
    for number, piece in enumerate(PIECES):
        path = root / "tactics" / f"hostile-{number}.yaml"
        path.write_text(json.dumps(hostile_record(path.stem, piece)), encoding="utf-8")
    for file in {problem.file for problem in checks.check(root).problems}:
        (root / file).unlink()
    catalogue = load_catalogue(root)
    assert len(catalogue.records) > len(PIECES) / 2
    for name, text in render_site(catalogue, {}, "https://example.org/site/", None).items():
        assert ".." not in Path(name).parts
        suffix = Path(name).suffix
        if suffix in (".md", ".svg", ".atom", ".html"):
            assert CANARY not in text, name
            assert 'href="javascript:' not in text, name
            assert 'src="http' not in text, name
        if suffix in (".svg", ".atom"):
            ElementTree.fromstring(text)
        elif suffix == ".json":
            json.loads(text)
        elif suffix == ".csv":
            rows = list(csv.reader(io.StringIO(text, newline="")))
            assert len({len(row) for row in rows}) <= 1
            assert not [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@", "\t", "\r")]


def alias_bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)]
    return "\n".join(lines).encode()


LARGE: dict[str, tuple[Callable[[], bytes], Rule]] = {
    "alias bomb": (alias_bomb, Rule.ALIAS),
    "recursive alias": (lambda: b"a: &a [*a]", Rule.ALIAS),
    "large": (lambda: b"a: b\n" * 400_000, Rule.FILE_TOO_LARGE),
    "deep flow lists": (lambda: b"a: " + b"[" * 900_000, Rule.NESTING_TOO_DEEP),
    "deep block lists": (lambda: b"- " * 400_000, Rule.NESTING_TOO_DEEP),
    "deep keys": (lambda: b"? " * 400_000, Rule.KEY_NOT_TEXT),
    "many items": (lambda: b"stages: [" + b"x," * 450_000 + b"]", Rule.TOO_MANY_VALUES),
    "one key many times": (lambda: b"a: b\n" * 190_000, Rule.DUPLICATE_KEY),
    "many documents": (lambda: b"---\n" * 200_000, Rule.SEVERAL_DOCUMENTS),
    "many accents": (lambda: b"e" + "\u0301".encode() * 400_000, Rule.NOT_NORMALISED),
    "one long number": (lambda: b"a: " + b"9" * 900_000, Rule.SILENT_CONVERSION),
    "open quote": (lambda: b"a: '" + b"b " * 400_000, Rule.YAML_SYNTAX),
    "zero bytes": (lambda: bytes(1000), Rule.FORBIDDEN_CHARACTER),
    "UTF-16": (lambda: record_text().encode("utf-16"), Rule.ENCODING),
    "UTF-8 with mark": (lambda: record_text().encode("utf-8-sig"), Rule.ENCODING),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_hostile_record_is_a_problem(name: str, root: Path) -> None:
    make, rule = LARGE[name]
    (root / "tactics" / "hostile.yaml").write_bytes(make())
    problems = checks.check(root).problems
    assert {problem.file for problem in problems} == {"tactics/hostile.yaml"}
    assert rule in {problem.rule for problem in problems}
    assert all(len(str(problem)) < 1000 for problem in problems)
    assert len(problems) <= text_file.PROBLEMS_SHOWN + 1


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b"[" * 900_000, Rule.NESTING_TOO_DEEP),
        (b"{" + b'"a": 1,' * 90_000 + b'"a": 1}', Rule.JSON_DUPLICATE_KEY),
        (b'{"a": {"b": 1, "b": 2}, "a": 3}', Rule.JSON_DUPLICATE_KEY),
        (b'{"a": [-Infinity]}', Rule.JSON_SYNTAX),
        (b'{"a": ' + b"9" * 10_000 + b"}", Rule.JSON_SYNTAX),
        (b'{"a": "\\ud800"}', Rule.FORBIDDEN_CHARACTER),
        (bytes(range(256)), Rule.ENCODING),
        (b"", Rule.JSON_SYNTAX),
    ],
    ids=[
        "deep lists",
        "repeated key",
        "repeated key within another",
        "infinity",
        "long number",
        "half a character",
        "binary",
        "nothing",
    ],
)
def test_a_hostile_results_file_is_a_problem(data: bytes, rule: Rule, tmp_path: Path) -> None:
    (tmp_path / "device.json").write_bytes(data)
    with pytest.raises(CatalogueError) as caught:
        load_results(tmp_path / "device.json")
    assert rule in {problem.rule for problem in caught.value.problems}


def test_a_named_pipe_and_a_device_are_refused_without_waiting(root: Path) -> None:
    os.mkfifo(root / "tactics" / "pipe.yaml")
    messages = [str(problem) for problem in checks.check(root).problems]
    assert messages == ["tactics/pipe.yaml:1:1: expected a regular file, got a named pipe"]
    device = read_document(Path("/dev/zero"), Record, root=None)
    assert [problem.rule for problem in device.problems] == [Rule.NOT_A_FILE]


def test_a_file_without_permission_is_a_problem(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: object, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(text_file.os, "open", refuse)
    messages = [str(problem) for problem in checks.check(root).problems]
    assert (
        "tactics/base-awesome.yaml:1:1: expected a file that can be read, got permission denied" in messages
    )


def test_a_folder_of_records_that_is_a_link_to_elsewhere_is_refused(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "tactics").symlink_to(VALID / "tactics")
    rules = {problem.rule for problem in checks.check(tmp_path / "root").problems}
    assert rules == {Rule.OUTSIDE_TREE}


@needs_any_name
@pytest.mark.parametrize(
    ("name", "shown"),
    [("a\nb.yaml", "a\\nb.yaml"), ("\u202ex.yml", "\\u202ex.yml"), ("\udcff.yaml", "\\udcff.yaml")],
    ids=["line end", "mark of direction", "not UTF-8"],
)
def test_a_name_that_no_terminal_shows_is_escaped(name: str, shown: str, root: Path) -> None:
    (root / "tactics" / name).write_text(record_text(), encoding="utf-8")
    for paths in ([], [root / "tactics" / name]):
        problems = checks.check(root, paths).problems if paths else checks.check(root).problems
        assert {problem.file for problem in problems} == {f"tactics/{shown}"}
        assert all(str(problem).isprintable() for problem in problems)


def test_a_recipe_that_is_nested_too_deep_is_named(root: Path) -> None:
    (root / "recipes" / "base_measured.py").write_text(f"x = {'not ' * 50_000}1\n", encoding="utf-8")
    messages = [str(problem) for problem in checks.check(root).problems]
    assert messages == ["recipes/base_measured.py:1:1: expected Python, got code that is nested too deep"]
