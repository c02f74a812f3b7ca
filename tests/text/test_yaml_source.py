"""YAML text to plain values and places."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from greentactics.text import yaml_source
from greentactics.text.files import decode
from greentactics.text.problems import Finding, Place, Rule
from greentactics.text.yaml_source import parse_yaml, plain_value, tree_of_right_yaml
from greentactics.text.yaml_text import scalar_text
from tests.examples.example_files import record_text


def _parse(text: str) -> yaml_source.YamlSource:
    return parse_yaml(decode(text.encode(), "x.yaml"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("words", "words"), ("0", 0), ("12", 12), ("-3", -3), ("1.5", 1.5), ("-0.25", -0.25),
        ("true", True), ("false", False), ("2026-01-31", "2026-01-31"), ("1611.05128", 1611.05128),
        ("10.1109/CVPR.2017.643", "10.1109/CVPR.2017.643"), ("5687-5695", "5687-5695"), ("1.2.3", "1.2.3"),
        ("v1", "v1"), ("yesterday", "yesterday"), ("nothing", "nothing"), ("- ", "- "),
        (".", "."), ("e5", "e5"),
    ],
)  # fmt: skip
def test_plain_scalars_with_one_meaning(text: str, value: object) -> None:
    found = plain_value(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "No", "NO", "yes", "on", "Off", "y", "N", "True", "FALSE", "~", "Null", "="),
        *("1e3", "1E3", "1.0e3", "1.5e+3", "0123", "00", "0o17", "0x1F", "0b101", "1_000", "1__0", "9" * 30),
        *("12:30", "12:30:00", "-1:30.5", "+1", "1.", ".5", ".inf", "-.INF", ".nan", ".NaN"),
        *("2026-01-31 12:00:00", "2026-01-31T12:00:00Z"),
    ],
)
def test_plain_scalars_that_yaml_programs_disagree_about(text: str) -> None:
    found = plain_value(text)
    assert isinstance(found, Finding)
    assert found.rule is Rule.SILENT_CONVERSION
    assert text[:20] in found.found
    assert f'"{text[:20]}' in found.cure


@pytest.mark.parametrize("style", ['"{}"', "'{}'", "|-\n  {}", ">-\n  {}"])
def test_quotes_make_text_of_everything(style: str) -> None:
    for word in ("no", "1e3", "0123", "12:30:00", "~", "null", "1"):
        assert _parse(f"key: {style.format(word)}").tree == {"key": word}


def test_everything_pyyaml_converts_is_refused_or_a_plain_number() -> None:
    pieces = ["0", "1", "7", "9", "_", ":", ".", "e", "+", "-", "x", "o", "b", "inf", "nan", "yes", "~", "T"]
    words = {
        a + b + c + d for a in pieces for b in ["", *pieces] for c in ["", *pieces] for d in ["", *pieces[:8]]
    }
    resolver = yaml.SafeLoader("")
    wrong = []
    for word in words:
        tag = resolver.resolve(yaml.ScalarNode, word, (True, False))
        if tag != "tag:yaml.org,2002:str" and isinstance(plain_value(word), str):
            wrong.append((word, tag))
    assert wrong == []


def test_places_of_keys_and_values() -> None:
    source = _parse("first: 1\nsecond:\n  - a\n  - inner: 'b'\n")
    assert source.problems == ()
    assert source.places.values["second", 1, "inner"] == Place(4, 12, "b")
    assert source.places.key(("second", 1, "inner")) == Place(4, 5, "inner")
    assert source.places.value(("second", 0, "missing")) == Place(3, 5, "a")


def test_places_count_characters_and_not_bytes() -> None:
    assert _parse("é𝄞: [ü, ö]").places.values["é𝄞", 1] == Place(1, 9, "ö")


def test_windows_line_ends_are_read() -> None:
    text = record_text().replace("\n", "\r\n")
    assert _parse(text).tree == _parse(record_text()).tree


def test_all_mistakes_of_a_file_are_found_at_once() -> None:
    source = _parse("a: &x 1\na: 2\nb: *x\nc: !t 3\n<<: {d: 1}\ne: 0x1\nno: 1\n")
    assert sorted(problem.rule for problem in source.problems) == sorted(
        [Rule.ANCHOR, Rule.DUPLICATE_KEY, Rule.ALIAS, Rule.YAML_TAG, Rule.MERGE_KEY, Rule.SILENT_CONVERSION,
         Rule.KEY_NOT_TEXT]
    )  # fmt: skip
    assert source.refused == {("b",), ("e",)}


@pytest.mark.parametrize(
    "text",
    [
        *("", "a", "- a", "a: &x 1", "a: *x", "a: !t 1", "a: 1\na: 2", "a: no", "no: a", "<<: a", "a: ["),
        *("a: 1\n---\nb: 2", "%YAML 1.1\n---\na: 1", "a:\tb", "? [a]\n: b", "a: " + "[" * 20 + "]" * 20),
    ],
)
def test_anything_unusual_has_no_values(text: str) -> None:
    assert tree_of_right_yaml(decode(text.encode(), "x.yaml")) is None


def test_without_the_parser_in_c(monkeypatch: pytest.MonkeyPatch) -> None:
    fast = _parse(record_text())
    monkeypatch.setattr(yaml_source, "_PARSER", yaml.SafeLoader)
    slow = _parse(record_text())
    assert (slow.tree, slow.places) == (fast.tree, fast.places)
    wrong = _parse("a: &x [*x, no]\na: 0x1\n")
    assert {problem.rule for problem in wrong.problems} == {
        Rule.ANCHOR, Rule.ALIAS, Rule.SILENT_CONVERSION, Rule.DUPLICATE_KEY
    }  # fmt: skip
    assert _parse("a: [").problems[0].rule is Rule.YAML_SYNTAX


@given(st.text(min_size=1).filter(str.isprintable))
def test_text_is_read_back_as_it_was_written(text: str) -> None:
    text = " ".join(text.split()) or "a"
    line = f"title: {scalar_text(text)}\n"
    source = decode(line.encode(), "a.yaml")
    assert "\n" not in line[:-1]
    assert source.problems or tree_of_right_yaml(source) == {"title": text}
