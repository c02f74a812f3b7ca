"""Files that other programs read: citation, pins, settings of the editor, rules for links."""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from pathlib import Path

import pytest
import yaml

from greentactics.records.formatting import SCHEMA_COMMENT
from tests.examples.example_files import REPOSITORY

RECORDS = sorted((REPOSITORY / "tactics").glob("*.yaml"))
SETTINGS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_citation_is_valid_and_the_same_everywhere() -> None:
    citation = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    project = SETTINGS["project"]
    assert citation["cff-version"] == "1.2.0"
    assert citation["message"]
    assert datetime.date.fromisoformat(citation["date-released"])
    assert citation["version"] == project["version"]
    assert citation["license"] == project["license"].split(" AND ")
    assert [author["name"] for author in citation["authors"]] == [one["name"] for one in project["authors"]]
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for field in ("title", "version", "date-released"):
        assert f"{{{citation[field]}}}" in readme


def test_everything_is_pinned() -> None:
    lines = (REPOSITORY / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line)] == []
    names = {re.sub(r"[-_.]+", "-", line.partition("==")[0]).lower() for line in pins}
    extras = SETTINGS["project"]["optional-dependencies"].values()
    needed = [*SETTINGS["project"]["dependencies"], *(name for extra in extras for name in extra)]
    wanted = {re.match(r"[\w-]+", entry)[0].lower().replace("_", "-") for entry in needed}
    assert wanted - {"greentactics"} <= names


@pytest.mark.parametrize("path", RECORDS, ids=lambda path: path.name)
def test_the_first_line_of_each_record_names_its_schema_for_editors(path: Path) -> None:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    assert first.startswith(SCHEMA_COMMENT)
    assert (path.parent / first.removeprefix(SCHEMA_COMMENT)).is_file()


def test_the_settings_of_the_editor_name_schemas_that_exist() -> None:
    settings = json.loads((REPOSITORY / ".vscode" / "settings.json").read_text(encoding="utf-8"))
    for name in (*settings["yaml.schemas"], *(entry["url"] for entry in settings["json.schemas"])):
        assert (REPOSITORY / name).is_file()


def test_the_rules_for_links_can_be_read() -> None:
    rules = tomllib.loads((REPOSITORY / ".github" / "lychee.toml").read_text(encoding="utf-8"))
    for pattern in rules["exclude"]:
        re.compile(pattern)
    (remapped,) = rules["remap"]
    pattern, target = remapped.split()
    replaced = re.sub(pattern, target.replace("$1", r"\1"), "https://doi.org/10.1109/CVPR.2017.643")
    assert replaced == "https://doi.org/api/handles/10.1109/CVPR.2017.643"
