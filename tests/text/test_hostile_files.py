"""Whatever lies on the disk, a check ends quickly with a problem and never with a traceback."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greentactics.cli.check import render
from greentactics.models.bibliography import Bibliography
from greentactics.models.record import Record
from greentactics.records import checks
from greentactics.records.documents import read_document
from greentactics.records.loading import load_results
from greentactics.text import files as text_file
from greentactics.text import yaml_source
from greentactics.text.files import RECORD_BYTES, decode
from greentactics.text.json_source import parse_json
from greentactics.text.problems import CatalogueError, Rule
from tests.examples.example_files import VALID, copy_valid, needs_any_name, record_text

LONGEST_S = 2.0


def _alias_bomb() -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 9)}]" for level in range(1, 30)]
    return "\n".join(lines).encode()


def _full(line: str) -> bytes:
    """Repeat a line with a running number until the file is just under the limit."""
    size = len(line.format(0).encode())
    lines = (line.format(number) for number in range(RECORD_BYTES // size))
    return "".join(lines).encode()[:RECORD_BYTES]


HOSTILE: dict[str, tuple[Callable[[], bytes], set[Rule]]] = {
    "alias bomb": (_alias_bomb, {Rule.ANCHOR, Rule.ALIAS}),
    "python tag": (lambda: b"a: !!python/object/apply:os.system ['touch x']", {Rule.YAML_TAG}),
    "100 MB of zeros": (lambda: bytes(100_000_000), {Rule.FILE_TOO_LARGE}),
    "100 MB of text": (lambda: b"a: b\n" * 20_000_000, {Rule.FILE_TOO_LARGE}),
    "deep flow lists": (lambda: b"a: " + b"[" * 900_000, {Rule.NESTING_TOO_DEEP}),
    "deep flow mappings": (lambda: b"a: " + b"{b: " * 200_000, {Rule.NESTING_TOO_DEEP}),
    "deep block lists": (lambda: b"- " * 400_000, {Rule.NESTING_TOO_DEEP}),
    "deep question marks": (lambda: b"? " * 400_000, {Rule.KEY_NOT_TEXT, Rule.TOO_MANY_VALUES}),
    "deep list as key": (lambda: b"? " + b"[" * 900_000, {Rule.KEY_NOT_TEXT, Rule.TOO_MANY_VALUES}),
    "binary": (lambda: bytes(range(256)) * 1000, {Rule.ENCODING}),
    "zero bytes": (lambda: bytes(1000), {Rule.FORBIDDEN_CHARACTER}),
    "UTF-16": (lambda: record_text().encode("utf-16"), {Rule.ENCODING}),
    "UTF-8 with mark": (lambda: record_text().encode("utf-8-sig"), {Rule.ENCODING}),
    "Latin-1": (lambda: "title: é".encode("latin-1"), {Rule.ENCODING}),
    "surrogates": (lambda: b"title: \xed\xa0\x80", {Rule.ENCODING}),
    "many keys": (lambda: _full("k{}: v\n"), {Rule.TOO_MANY_VALUES}),
    "many unknown keys": (lambda: _full("k{}: v\n")[:30_000], {Rule.UNKNOWN_KEY}),
    "one key many times": (lambda: _full("a: b\n"), {Rule.DUPLICATE_KEY}),
    "many wrong items": (lambda: b"stages: [" + b"x," * 4_900 + b"]", {Rule.VOCABULARY}),
    "too many items": (lambda: b"stages: [" + b"x," * 450_000 + b"]", {Rule.TOO_MANY_VALUES}),
    "many lists": (lambda: b"tags: [" + b"[" + b"[x,x,x,x]," * 80_000, {Rule.TOO_MANY_VALUES}),
    "many refused values": (lambda: _full("- ~\n"), {Rule.SILENT_CONVERSION}),
    "many anchors": (lambda: _full("- &a{} b\n"), {Rule.ANCHOR}),
    "many documents": (lambda: _full("---\n"), {Rule.SEVERAL_DOCUMENTS}),
    "many tabs": (lambda: b"\t" * 900_000, {Rule.TAB}),
    "many lines with tabs": (lambda: _full("\ta: b\n"), {Rule.TAB}),
    "many accents": (lambda: b"e" + "\u0301".encode() * 400_000, {Rule.NOT_NORMALISED}),
    "unordered accents": (lambda: ("a" + "\u0301\u0316" * 200_000).encode(), {Rule.NOT_NORMALISED}),
    "one long word": (lambda: b"a" * 900_000, {Rule.WRONG_TYPE}),
    "one long number": (lambda: b"a: " + b"9" * 900_000, {Rule.SILENT_CONVERSION}),
    "one long key": (lambda: b"? " + b"a" * 900_000 + b"\n: b", {Rule.UNKNOWN_KEY}),
    "one long identifier": (lambda: b"id: " + b"a-" * 400_000, {Rule.BAD_ID, Rule.TEXT_TOO_LONG}),
    "open quote": (lambda: b"a: '" + b"b " * 400_000, {Rule.YAML_SYNTAX}),
    "only a comment": (lambda: b"# nothing\n" * 1000, {Rule.EMPTY_FILE}),
    "nothing": (lambda: b"", {Rule.EMPTY_FILE}),
    "a list": (lambda: b"- a\n- b\n", {Rule.WRONG_TYPE}),
    "a recursive alias": (lambda: b"a: &a [*a]", {Rule.ALIAS}),
}


def _timed_check(root: Path) -> checks.CheckReport:
    start = time.process_time()
    report = checks.check(root)
    assert time.process_time() - start < LONGEST_S
    return report


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_record_is_a_problem(name: str, tmp_path: Path) -> None:
    make, rules = HOSTILE[name]
    root = copy_valid(tmp_path)
    (root / "tactics" / "hostile.yaml").write_bytes(make())
    report = _timed_check(root)
    assert {problem.file for problem in report.problems} == {"tactics/hostile.yaml"}
    assert rules & {problem.rule for problem in report.problems}
    assert all(len(str(problem)) < 1000 for problem in report.problems)
    assert len(report.problems) <= text_file.PROBLEMS_SHOWN + 1
    assert not list(tmp_path.glob("**/x"))


@pytest.mark.parametrize("name", ["alias bomb", "deep flow lists", "binary", "many wrong items"])
def test_a_hostile_bibliography_is_a_problem(name: str, tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    (root / "tactics" / "references.yaml").write_bytes(HOSTILE[name][0]())
    assert "tactics/references.yaml" in {problem.file for problem in _timed_check(root).problems}


def test_a_named_pipe_is_refused_without_waiting(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    os.mkfifo(root / "tactics" / "pipe.yaml")
    messages = [str(problem) for problem in _timed_check(root).problems]
    assert messages == ["tactics/pipe.yaml:1:1: expected a regular file, got a named pipe"]


def test_a_device_is_refused(tmp_path: Path) -> None:
    document = read_document(Path("/dev/zero"), Record, root=None)
    assert [problem.rule for problem in document.problems] == [Rule.NOT_A_FILE]


def test_a_file_without_permission_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = copy_valid(tmp_path)

    def refuse(path: object, flags: int) -> int:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(text_file.os, "open", refuse)
    problems = checks.check(root).problems
    assert "tactics/base-awesome.yaml:1:1: expected a file that can be read, got permission denied" in [
        str(problem) for problem in problems
    ]


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
def test_a_name_that_no_terminal_shows_is_escaped(name: str, shown: str, tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    path = root / "tactics" / name
    path.write_text(record_text(), encoding="utf-8")
    for report in (checks.check(root), checks.check(root, [path]), checks.check(root, [Path("tactics")])):
        assert {problem.file for problem in report.problems} == {f"tactics/{shown}"}
        for form in ("text", "github", "json", "sarif"):
            assert render(report, form).encode().count(b"\xe2\x80\xae") == 0
        assert len(render(report, "text").splitlines()) == len(report.problems) + 1


def test_a_recipe_that_is_nested_too_deep_is_named(tmp_path: Path) -> None:
    root = copy_valid(tmp_path)
    (root / "recipes" / "base_measured.py").write_text(f"x = {'not ' * 50_000}1\n", encoding="utf-8")
    messages = [str(problem) for problem in _timed_check(root).problems]
    assert messages == ["recipes/base_measured.py:1:1: expected Python, got code that is nested too deep"]


JSON_HOSTILE: dict[str, tuple[Callable[[], bytes], Rule]] = {
    "deep lists": (lambda: b"[" * 1_100_000, Rule.TOO_MANY_VALUES),
    "deep lists below the limit": (lambda: b"[" * 900_000, Rule.NESTING_TOO_DEEP),
    "deep objects": (lambda: b'{"a":' * 400_000, Rule.NESTING_TOO_DEEP),
    "many objects": (lambda: b"[" + b"{}," * 15_000_000 + b"{}]", Rule.TOO_MANY_VALUES),
    "65 MB": (lambda: b'"' + b"a" * 65_000_000 + b'"', Rule.FILE_TOO_LARGE),
    "a long text": (lambda: b'"' + b"a" * 63_000_000 + b'"', Rule.WRONG_TYPE),
    "a repeated key": (lambda: b"{" + b'"a": 1,' * 900_000 + b'"a": 1}', Rule.JSON_DUPLICATE_KEY),
    "not a number": (lambda: b'{"a": NaN}', Rule.JSON_SYNTAX),
    "infinity": (lambda: b'{"a": [-Infinity]}', Rule.JSON_SYNTAX),
    "a long number": (lambda: b'{"a": ' + b"9" * 10_000 + b"}", Rule.JSON_SYNTAX),
    "binary": (lambda: bytes(range(256)) * 1000, Rule.ENCODING),
    "nothing": (lambda: b"", Rule.JSON_SYNTAX),
    "text after the end": (lambda: b"{} {}", Rule.JSON_SYNTAX),
    "half a character": (lambda: b'{"a": "\\ud800"}', Rule.FORBIDDEN_CHARACTER),
    "a null": (lambda: b"null", Rule.WRONG_TYPE),
}


@pytest.mark.parametrize("name", JSON_HOSTILE)
def test_a_hostile_results_file_is_a_problem(name: str, tmp_path: Path) -> None:
    make, rule = JSON_HOSTILE[name]
    path = tmp_path / "device.json"
    path.write_bytes(make())
    start = time.process_time()
    with pytest.raises(CatalogueError) as caught:
        load_results(path)
    assert time.process_time() - start < LONGEST_S
    assert rule in {problem.rule for problem in caught.value.problems}


def _read_bytes(data: bytes) -> None:
    """Read any bytes as record and as bibliography; only problems may come out."""
    try:
        source = decode(data, "x.yaml")
    except CatalogueError:
        return
    quick = yaml_source.tree_of_right_yaml(source)
    slow = yaml_source.parse_yaml(source)
    assert (quick is None) or (quick == slow.tree and not slow.problems)
    assert all(problem.line >= 1 and problem.column >= 1 for problem in slow.problems)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_give_only_problems(data: bytes) -> None:
    _read_bytes(data)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=300))
def test_random_text_gives_only_problems(text: str) -> None:
    _read_bytes(text.encode("utf-8", "replace"))


YAML_PIECES = st.sampled_from(
    [
        *("a", "b: ", "- ", "? ", ": ", "[", "]", "{", "}", ",", "&x ", "*x", "!t ", "!!str ", "<<: "),
        *("\n", "\n  ", "\t", "\r\n", "'", '"', "|\n", ">\n", "#", "---\n", "...\n", "%YAML 1.1\n"),
        *("~", "no", "1e3", "0123", "1.0"),
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.lists(YAML_PIECES, max_size=40).map("".join))
def test_random_yaml_gives_only_problems(text: str) -> None:
    _read_bytes(text.encode())


TEXTS = st.text(max_size=20)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(list(Record.model_fields)) | TEXTS, inner, max_size=6)
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_random_values_give_only_problems(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    path = tmp_path_factory.mktemp("random") / "record.yaml"
    path.write_text(json.dumps(value), encoding="utf-8")
    for model in (Record, Bibliography):
        document = read_document(path, model, root=None)
        assert (document.model is None) == bool(document.problems)


ESCAPES = [
    "\\0",
    "\\t",
    "\\x85",
    "\\L",
    "\\u200B",
    "\\u202E",
    "\\u2067",
    "\\uFEFF",
    "\\u3164",
    "\\uE000",
    "\\uFFFD",
]


@pytest.mark.parametrize("escape", [*ESCAPES, "\\U000E0041", "cafe\\u0301", "w\\u200Dord"])
@pytest.mark.parametrize("place", ["artifact_note: 'VALUE'", "'VALUE': x", "tags: [a, 'VALUE']"])
def test_escapes_pass_the_rules_for_raw_characters(escape: str, place: str) -> None:
    line = place.replace("'VALUE'", f'"some {escape} text"')
    source = decode(f"id: a\n{line}\n".encode(), "a.yaml")
    assert not source.problems
    assert yaml_source.tree_of_right_yaml(source) is None
    (problem,) = yaml_source.parse_yaml(source).problems
    assert problem.rule in (Rule.FORBIDDEN_CHARACTER, Rule.TAB, Rule.NOT_NORMALISED)
    assert (problem.line, problem.column) == (2, line.index('"') + 1)


@pytest.mark.parametrize(
    "escape", ["\\u0000", "\\t", "\\u0085", "\\u202e", "\\ud800", "\\udbff\\udfff", "e\\u0301"]
)
def test_escapes_in_json_pass_the_rules_for_raw_characters(escape: str) -> None:
    for text in (f'{{"a": [1, "x{escape}"]}}', f'{{"a": 1,\n "x{escape}": 2}}'):
        with pytest.raises(CatalogueError) as caught:
            parse_json(decode(text.encode(), "a.json"))
        (problem,) = caught.value.problems
        assert problem.rule in (Rule.FORBIDDEN_CHARACTER, Rule.TAB, Rule.NOT_NORMALISED)
        assert (problem.line, problem.column) != (1, 1)


def test_escapes_of_visible_characters_are_read() -> None:
    text = '"caf\\xe9, \\"so\\" \\U0001F468\\u200D\\U0001F469, \\u0645\\u06CC\\u200C\\u062E\\nnew line"'
    wanted = 'caf\xe9, "so" \U0001f468\u200d\U0001f469, \u0645\u06cc\u200c\u062e\nnew line'
    assert yaml_source.tree_of_right_yaml(decode(f"a: {text}\n".encode(), "a.yaml")) == {"a": wanted}
    assert parse_json(decode(json.dumps({"a": wanted}).encode(), "a.json")) == {"a": wanted}
