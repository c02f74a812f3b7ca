"""Catalogues of right records whose every text is hostile, rendered to all pages and all files of the API."""

from __future__ import annotations

import csv
import io
import json
import xml.etree.ElementTree as ElementTree
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import yaml
from hypothesis import strategies as st
from pydantic import ValidationError

from greentactics.api.addresses import document_path
from greentactics.models.record import Record
from greentactics.records.checks import check
from greentactics.records.loading import load_catalogue
from greentactics.records.rules import record_findings
from greentactics.site.pages import render_site, write_site
from greentactics.text.files import decode
from tests.campaign.hostile import CANARY, TEXTS, VALUES
from tests.campaign.loader import as_yaml
from tests.campaign.mutation import Step, changed_tree, places, value_at
from tests.campaign.observing import ACCEPTED, Kind, require, tell
from tests.campaign.sandbox import Sandbox
from tests.campaign.seeds import RECORD_TREES

TOGETHER = 60
"""Records that are rendered at once."""
_ODD_IDS = (
    "index", "api", "tactics", "measurements", "find", "assets", "search", "recipes", "overview", "a",
    "b" * 80, "constructor", "prototype", "undefined", "null", "true", "length", "map",
)  # fmt: skip
_IDS = (*_ODD_IDS, *(f"hostile-{number}" for number in range(len(_ODD_IDS), TOGETHER)))
_STEPS = st.lists(
    st.tuples(
        st.integers(0, 9999),
        st.sampled_from(["write", "splice", "retype", "repeat", "empty", "drop", "fit", "fit"]),
        TEXTS,
        VALUES,
    ),
    max_size=9,
)
_LATE = RECORD_TREES[0] | {"created": "0001-01-01", "modified": "9999-12-31"}
_LATE["history"] = [{"date": "0001-01-01", "change": "First."}, {"date": "9999-12-31", "change": "Last."}]
_RECORDS = st.lists(
    st.tuples(st.sampled_from([*RECORD_TREES, _LATE]), _STEPS), min_size=TOGETHER, max_size=TOGETHER
)
_KEPT = frozenset({"id", "recipe", "relations"})
"""Fields that stay, so that records fit together."""


def _right(tree: Mapping[str, Any]) -> bool:
    """Tell whether a record follows all rules by itself."""
    try:
        record = Record.model_validate_json(json.dumps(tree), by_alias=True, by_name=False)
    except ValidationError:
        return False
    return not any(record_findings(record))


def _hostile_record(tree: dict[str, Any], steps: Sequence[Step], identifier: str) -> dict[str, Any]:
    """Return a record after those of the steps that leave it right; texts are asked first."""
    own = {name: value for name, value in tree.items() if name not in _KEPT} | {
        "former_ids": [f"was-{identifier[:70]}"]
    }
    right = own | {"id": identifier}
    for number, operation, text, value in steps:
        texts = [path for path in places(own) if isinstance(value_at(own, path), str)]
        spots = texts if operation in ("write", "splice") else list(places(own))
        # The step counts among the places it is meant for, which are counted here.
        position = list(places(own)).index(spots[number % len(spots)])
        changed = changed_tree(own, [(position, operation, text, value)])
        if _right(changed | {"id": identifier}):
            own, right = changed, changed | {"id": identifier}
    return right


def _feed(sandbox: Sandbox, drawn: list[tuple[dict[str, Any], list[Step]]]) -> list[str]:
    """Write records, check them, render those that are right, and look at every file."""
    refused: list[str] = []
    trees: dict[str, Path] = {}
    for (tree, steps), identifier in zip(drawn, _IDS, strict=True):
        hostile = _hostile_record(tree, steps, identifier)
        text = as_yaml(hostile)
        path = sandbox.root / "tactics" / f"{identifier}.yaml"
        path.write_text(text, encoding="utf-8", newline="")
        if decode(text.encode(), "x").problems:
            path.write_text(json.dumps(hostile), encoding="utf-8")
        trees[identifier] = path
    found = check(sandbox.root).problems
    for identifier in list(trees):
        if own := [problem for problem in found if problem.file == f"tactics/{identifier}.yaml"]:
            refused.append(" ".join(tell(own)))
            trees.pop(identifier).unlink()
    catalogue = load_catalogue(sandbox.root)
    files = render_site(catalogue, {}, "https://example.org/site/", None)
    for name, text in files.items():
        _look_at(name, text)
    for identifier in trees:
        record = catalogue.records[identifier]
        document = json.loads(files[document_path(identifier)])["record"]
        require(
            document["title"] == record.title and document["intent"] == record.intent,
            "JSON says something else",
        )
        require(yaml.safe_load(files[document_path(identifier, "yaml")]) == document, "YAML and JSON differ")
    (sandbox.desk / "static").mkdir()
    write_site(sandbox.desk / "site", files.items(), sandbox.desk / "static")
    return [*[ACCEPTED] * len(trees), *refused]


def _look_at(name: str, text: str) -> None:
    """Look at one rendered file: its path, its form, and that no record's tag stands in it."""
    path = PurePosixPath(name)
    require(not path.is_absolute() and ".." not in path.parts and "\\" not in name, f"a file at {name!a}")
    text.encode()
    if path.suffix in (".md", ".svg", ".atom", ".html"):
        require(CANARY not in text, f"{name}: a record's tag stands in it unescaped")
        require('href="javascript:' not in text and 'src="http' not in text, f"{name}: an address that acts")
    if path.suffix in (".svg", ".atom"):
        ElementTree.fromstring(text)
    elif path.suffix == ".json":
        json.loads(text, parse_constant=_refuse)
    elif path.suffix == ".csv":
        rows = list(csv.reader(io.StringIO(text, newline="")))
        require(len({len(row) for row in rows}) <= 1, f"{name}: rows of different lengths")
        acting = [cell for row in rows for cell in row if cell[:1] in ("=", "+", "@", "\t", "\r")]
        require(not acting, f"{name}: a cell that spreadsheets take for a formula: {acting[:1]}")


def _refuse(word: str) -> None:
    raise ValueError(f"{word} in JSON")


KINDS = [Kind("renderer", "catalogues of hostile records", 100, _RECORDS, _feed, TOGETHER, limit_s=10.0)]
