"""Right inputs made wrong: steps that drop, double, retype, nest and splice, in values, in text and in bytes.

The steps are drawn, their effect is not: the same steps make the same input, and Hypothesis can leave steps
out until the shortest input with the same effect is found.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

from tests.campaign.hostile import POOLS, TEXTS, VALUES, YAML_PIECES

Step = tuple[int, str, str, object]
"""Where, counted round; what to do; a text and a value to do it with."""
Path = tuple[str | int, ...]


def _steps(operations: Sequence[str], texts: st.SearchStrategy[str], most: int) -> st.SearchStrategy[Any]:
    step = st.tuples(st.integers(0, 9999), st.sampled_from(operations), texts, VALUES)
    return st.lists(step, min_size=1, max_size=most)


def changed_trees(trees: Sequence[object]) -> st.SearchStrategy[Any]:
    """Values of right files after one to four changes."""
    return st.builds(changed_tree, st.sampled_from(trees), _steps([*_TREE, "nudge", "nudge"], TEXTS, 4))


def changed_texts(texts: Sequence[str], pieces: st.SearchStrategy[str] = TEXTS) -> st.SearchStrategy[str]:
    """Text of right files after one to four changes."""
    return st.builds(changed_text, st.sampled_from(texts), _steps(list(_TEXT), pieces, 4))


def changed_bytes(texts: Sequence[str]) -> st.SearchStrategy[bytes]:
    """Bytes of right files after one to three changes, or of no file at all."""
    step = st.tuples(
        st.integers(0, 9999), st.sampled_from(["insert", "replace", "cut"]), st.binary(max_size=8)
    )
    return st.builds(
        _changed_bytes, st.sampled_from(texts), st.lists(step, min_size=1, max_size=3)
    ) | st.binary(max_size=99)


def changed_yaml(texts: Sequence[str]) -> st.SearchStrategy[str]:
    """Text of right YAML files after one to four changes, some of them the tricks of YAML."""
    return changed_texts(texts, YAML_PIECES | TEXTS)


def places(tree: object, path: Path = ()) -> Iterator[Path]:
    """Yield the paths of all values below the root."""
    entries = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for part, value in entries:
        yield (*path, part)
        yield from places(value, (*path, part))


def value_at(tree: Any, path: Path) -> Any:
    """Return the value at a path."""
    for part in path:
        tree = tree[part]
    return tree


def changed_tree(tree: object, steps: Sequence[Step]) -> Any:
    """Return a copy of a tree after the steps."""
    tree = copy.deepcopy(tree)
    for number, operation, text, value in steps:
        paths = list(places(tree))
        if not paths:
            return tree
        *above, part = paths[number % len(paths)]
        _TREE[operation](value_at(tree, tuple(above)), part, text, copy.deepcopy(value))
    return tree


def _drop(owner: Any, part: Any, text: str, value: object) -> None:
    del owner[part]


def _double(owner: Any, part: Any, text: str, value: object) -> None:
    if isinstance(owner, list):
        owner.insert(part, copy.deepcopy(owner[part]))
    else:
        owner[f"{part}{text[:5]}"] = copy.deepcopy(owner[part])


def _retype(owner: Any, part: Any, text: str, value: object) -> None:
    owner[part] = value


def _write(owner: Any, part: Any, text: str, value: object) -> None:
    owner[part] = text


def _splice(owner: Any, part: Any, text: str, value: object) -> None:
    if isinstance(owner[part], str):
        middle = len(owner[part]) // 2
        owner[part] = owner[part][:middle] + text + owner[part][middle:]
    elif isinstance(owner[part], dict):
        owner[part][text] = value
    else:
        owner[part] = text


def _nest(owner: Any, part: Any, text: str, value: object) -> None:
    for level in range(1 + len(text) % 40):
        owner[part] = {text[:9]: owner[part]} if level % 2 else [owner[part]]


def _repeat(owner: Any, part: Any, text: str, value: object) -> None:
    if isinstance(owner[part], list | str):
        owner[part] = owner[part] * (3 + len(text) % 10)


def _empty(owner: Any, part: Any, text: str, value: object) -> None:
    owner[part] = type(owner[part])() if owner[part] is not None else ""


def _nudge(owner: Any, part: Any, text: str, value: object) -> None:
    old = owner[part]
    if isinstance(old, bool):
        owner[part] = not old
    elif isinstance(old, int | float):
        owner[part] = old + 1 if len(text) % 2 else old * 1.01
    elif isinstance(old, str):
        owner[part] = f"{old} x"
    elif isinstance(old, list):
        old.reverse()


def _fit(owner: Any, part: Any, text: str, value: object) -> None:
    """Put something of the same sort in place: an address for an address, a date for a date."""
    old = owner[part]
    sort = next((sort for sort, pattern in _SORTS.items() if isinstance(old, str) and pattern.match(old)), "")
    if isinstance(old, int | float) and not isinstance(old, bool):
        sort = "figure"
    if pool := POOLS.get(sort, ()):
        owner[part] = pool[sum(map(ord, text)) % len(pool)]


_SORTS = {
    "address": re.compile("https?://"),
    "date": re.compile("[0-9]{4}-[0-9]{2}-[0-9]{2}"),
    "doi": re.compile(r"10\.[0-9]{4}"),
    "id": re.compile("[a-z]+(-[a-z0-9]+)+$"),
}
_TREE: dict[str, Callable[[Any, Any, str, object], None]] = {
    "splice": _splice,
    "write": _write,
    "retype": _retype,
    "drop": _drop,
    "double": _double,
    "nest": _nest,
    "repeat": _repeat,
    "empty": _empty,
    "nudge": _nudge,
    "fit": _fit,
}
_TEXT = ("insert", "line", "value", "drop", "double", "swap", "indent", "repeat", "end")


def changed_text(text: str, steps: Sequence[Step]) -> str:
    """Return a text after the steps."""
    for number, operation, piece, _ in steps:
        if operation == "insert":
            place = number * len(text) // 10_000
            text = text[:place] + piece + text[place:]
            continue
        lines = text.split("\n")
        at = number % len(lines)
        key, sign, _ = lines[at].partition(": ")
        if operation == "line":
            lines[at] = piece
        elif operation == "value":
            lines[at] = f"{key}{sign or ': '}{piece}"
        elif operation == "drop":
            del lines[at]
        elif operation == "double":
            lines.insert(at, lines[at])
        elif operation == "swap":
            lines[at - 1], lines[at] = lines[at], lines[at - 1]
        elif operation == "indent":
            lines[at] = f"{' ' * (len(piece) % 7)}{lines[at]}"
        elif operation == "repeat":
            lines[at] = lines[at] * (2 + len(piece) % 100)
        else:
            lines = lines[:at]
        text = "\n".join(lines)
    return text


def _changed_bytes(text: str, steps: Sequence[tuple[int, str, bytes]]) -> bytes:
    data = text.encode("utf-8", "surrogatepass")
    for number, operation, piece in steps:
        place = number * len(data) // 10_000
        if operation == "cut":
            data = data[:place]
        else:
            end = place + len(piece) if operation == "replace" else place
            data = data[:place] + piece + data[end:]
    return data
