"""Characters that are written as escapes obey the rules for characters that are typed."""

from __future__ import annotations

import json

import pytest

from greentactics.text.files import decode
from greentactics.text.json_source import parse_json
from greentactics.text.problems import CatalogueError, Rule
from greentactics.text.yaml_source import parse_yaml

RULES = (Rule.FORBIDDEN_CHARACTER, Rule.TAB, Rule.NOT_NORMALISED)
UNSEEN = r"\0 \t \x85 \L \u200B \u202E \u2067 \uFEFF \u3164 \uE000 \uFFFD \U000E0041 cafe\u0301 w\u200Dord"


@pytest.mark.parametrize("escape", UNSEEN.split())
def test_escapes_in_yaml_pass_the_rules_for_raw_characters(escape: str) -> None:
    for place in ("artifact_note: VALUE", "VALUE: x", "tags: [a, VALUE]"):
        line = place.replace("VALUE", f'"some {escape} text"')
        source = decode(f"id: a\n{line}\n".encode(), "a.yaml")
        assert not source.problems
        (problem,) = parse_yaml(source).problems
        assert problem.rule in RULES
        assert (problem.line, problem.column) == (2, line.index('"') + 1)


@pytest.mark.parametrize(
    "escape", [r"\u0000", r"\t", r"\u0085", r"\u202e", r"\ud800", r"\udbff\udfff", r"e\u0301"]
)
def test_escapes_in_json_pass_the_rules_for_raw_characters(escape: str) -> None:
    for text in (f'{{"a": [1, "x{escape}"]}}', f'{{"a": 1,\n "x{escape}": 2}}'):
        with pytest.raises(CatalogueError) as caught:
            parse_json(decode(text.encode(), "a.json"))
        (problem,) = caught.value.problems
        assert problem.rule in RULES
        assert (problem.line, problem.column) != (1, 1)


def test_escapes_of_visible_characters_are_read() -> None:
    text = '"caf\\xe9, \\"so\\" \\U0001F468\\u200D\\U0001F469, \\u0645\\u06CC\\u200C\\u062E\\nnew line"'
    wanted = 'caf\xe9, "so" \U0001f468\u200d\U0001f469, \u0645\u06cc\u200c\u062e\nnew line'
    assert parse_yaml(decode(f"a: {text}\n".encode(), "a.yaml")).tree == {"a": wanted}
    assert parse_json(decode(json.dumps({"a": wanted}).encode(), "a.json")) == {"a": wanted}
