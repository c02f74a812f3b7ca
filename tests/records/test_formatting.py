"""Formatting of records: keys in order, comments beside their keys, the same values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from greentactics.models.bibliography import Bibliography
from greentactics.models.record import Record
from greentactics.records.diagnosis import schema_tree
from greentactics.records.formatting import format_files, formatted, schema_line
from greentactics.text.files import decode
from greentactics.text.yaml_source import tree_of_right_yaml
from tests.examples.example_files import REPOSITORY, VALID, copy_valid, record_tree

HEAD = schema_line(Record)
FILES = sorted((REPOSITORY / "tactics").glob("*.yaml"))


def format_record(text: str) -> str | None:
    return formatted(decode(text.encode(), "a.yaml"), Record)


def values(text: str) -> dict[str, object] | None:
    return tree_of_right_yaml(decode(text.encode(), "a.yaml"))


def keys_in_order(tree: object, path: tuple[str | int, ...] = ()) -> bool:
    if isinstance(tree, list):
        return all(keys_in_order(item, (*path, index)) for index, item in enumerate(tree))
    if not isinstance(tree, dict):
        return True
    known = schema_tree(Record).keys(path)
    wanted = [key for key in known if key in tree] + [key for key in tree if key not in known]
    return list(tree) == wanted and all(keys_in_order(value, (*path, key)) for key, value in tree.items())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_files_of_the_repository_are_formatted(path: Path) -> None:
    model = Bibliography if path.name == "references.yaml" else Record
    source = decode(path.read_bytes(), path.name)
    assert formatted(source, model) == source.text, "run `greentactics check --fix`"


def test_keys_move_with_their_comments_and_values_keep_their_spelling() -> None:
    spaces = "   "
    text = f"""\
# about the identifier
id: a


# effects are not first
effects:  # two
  # first effect
  - reason: >-
      Text with "# a sign"
      and a fold.
    # which way
    direction: improves
    quality: energy-efficiency
  - {{direction: worsens, quality: safety, reason: 'it''s "quoted"'}}{spaces}

title: "A: title"
# about the kind
# in two lines
kind: awesome
# end
"""
    assert (
        format_record(text)
        == f"""{HEAD}
# about the identifier
id: a

title: "A: title"
# about the kind
# in two lines
kind: awesome

# effects are not first
effects:  # two
  # first effect
  - quality: energy-efficiency
    # which way
    direction: improves
    reason: >-
      Text with "# a sign"
      and a fold.
  - {{direction: worsens, quality: safety, reason: 'it''s "quoted"'}}
# end
"""
    )


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("id: a", "id: a\n"),
        ("\n\n# note\n\n\nid: a\n\n\n", "# note\n\nid: a\n"),
        ("title: b\r\nid: a\r\n", "id: a\ntitle: b\n"),
        ("# yaml-language-server: $schema=elsewhere.json\nid: a\n", "id: a\n"),
        ("zeal: 1\nid: a\n", "id: a\nzeal: 1\n"),
        ("problem: |\n  two\n\n\n  words  \n\n\nid: a\n", "id: a\nproblem: |\n  two\n\n\n  words  \n"),
        ("problem: |+\n  kept\n\n\nid: a\n", "id: a\nproblem: |+\n  kept\n\n\n"),
        (
            "solution: 'one\n  # two'\nproblem: one\n  two\n",
            "problem: one\n  two\nsolution: 'one\n  # two'\n",
        ),
        ("effects:\n-\n  reason: b\n  quality: c\n", "effects:\n-\n  quality: c\n  reason: b\n"),
        ("effects:\n- reason: b\n  # d\n  quality: c\n", "effects:\n  # d\n- quality: c\n  reason: b\n"),
    ],
)
def test_layout(text: str, found: str) -> None:
    assert format_record(text) == f"{HEAD}\n{found}"


@pytest.mark.parametrize("text", ["", "id: [", "id: &a b", "- a\n- b\n", "id: a\nid: b\n", "id: yes\n"])
def test_what_is_no_record_is_left_alone(text: str) -> None:
    assert format_record(text) is None


def test_references_are_sorted_and_set_apart() -> None:
    text = "# note\n\n\nb-2000:\n  type: book\n# about a\na-2000:\n  title: A\n  type: book\n"
    assert formatted(decode(text.encode(), "references.yaml"), Bibliography) == (
        f"{schema_line(Bibliography)}\n# note\n\n# about a\na-2000:\n  type: book\n  title: A\n\n"
        "b-2000:\n  type: book\n"
    )


def words_of(text: str) -> list[str]:
    """Return what stands between spaces; dashes of lists move from one line to another."""
    return text.split()


WORDS = st.sampled_from(
    ["plain", "with: colon", "it's", "a # sign", "1.5", "- dash", "two\nlines\n", "kept  \n"]
)


@st.composite
def disordered(draw: st.DrawFn) -> str:
    """A record with its keys shuffled at every depth, and with comments, blank lines and spaces put in."""

    def shuffled(tree: Any) -> Any:
        if isinstance(tree, dict):
            return {key: shuffled(tree[key]) for key in draw(st.permutations(list(tree)))}
        if isinstance(tree, list):
            return [shuffled(item) for item in tree]
        return tree

    tree = record_tree(draw(st.sampled_from(["base-awesome", "base-dark", "base-measured"])))
    tree["problem"], tree["solution"] = draw(WORDS), draw(WORDS)
    tree["effects"] += [{"quality": "safety", "direction": "worsens", "reason": draw(WORDS)}]
    text = yaml.safe_dump(shuffled(tree), sort_keys=False, width=draw(st.sampled_from([20, 100])))
    lines = text.splitlines()
    for number in draw(st.lists(st.integers(0, len(lines)), max_size=5)):
        column = draw(st.sampled_from([0, 2, 4]))
        lines.insert(number, draw(st.sampled_from(["", " " * column + f"# note {number}"])))
    return "\n".join(lines) + draw(st.sampled_from(["", "\n", "\n\n"]))


@given(disordered())
def test_whatever_the_order_only_the_order_changes(text: str) -> None:
    tree = values(text)
    found = format_record(text)
    if tree is None:
        assert found is None
        return
    assert found is not None
    changed = values(found)
    assert changed == tree
    assert keys_in_order(changed)
    assert format_record(found) == found
    assert sorted(words_of(found)) == sorted([*words_of(HEAD), *words_of(text)])


def test_files_are_changed_only_where_needed(tmp_path: Path) -> None:
    root = copy_valid(tmp_path).resolve()
    paths = sorted((root / "tactics").glob("*.yaml"))
    (root / "tactics" / "wrong.yaml").write_bytes(b"id: [")
    (root / "tactics" / "latin.yaml").write_bytes(b"id: \xe4")
    wrong = [root / "tactics" / "wrong.yaml", root / "tactics" / "latin.yaml", root / "tactics" / "none.yaml"]
    assert format_files(root, [*paths, *wrong]) == [f"tactics/{path.name}" for path in paths]
    assert format_files(root, [*paths, *wrong]) == []
    assert wrong[0].read_bytes() == b"id: ["
    before = (VALID / "tactics" / "base-dark.yaml").read_text(encoding="utf-8")
    after = (root / "tactics" / "base-dark.yaml").read_text(encoding="utf-8")
    assert values(after) == values(before)
