"""CITATION.cff has what version 1.2.0 of the format requires, and agrees with the package."""

from __future__ import annotations

import datetime
import tomllib

import yaml

from tests.examples.example_files import REPOSITORY

CITATION = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_the_required_fields_are_there() -> None:
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] in ("software", "dataset")
    for field in ("message", "title"):
        assert isinstance(CITATION[field], str)
        assert CITATION[field].strip()
    assert CITATION["authors"]
    for author in CITATION["authors"]:
        assert author.get("name") or (author.get("family-names") and author.get("given-names"))


def test_optional_fields_are_well_formed() -> None:
    assert datetime.date.fromisoformat(CITATION["date-released"])
    assert CITATION["license"] == PROJECT["license"].split(" AND ")
    assert len(CITATION["keywords"]) == len(set(CITATION["keywords"])) > 0


def test_it_is_of_this_version_and_these_authors() -> None:
    assert CITATION["version"] == PROJECT["version"]
    assert [author["name"] for author in CITATION["authors"]] == [one["name"] for one in PROJECT["authors"]]
    assert PROJECT["description"].removeprefix("A").rstrip(".") in CITATION["title"].replace(": a", ":")


def test_the_readme_cites_the_same() -> None:
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for field in ("title", "version", "date-released"):
        assert f"{{{CITATION[field]}}}" in readme
    assert f"{{{{{CITATION['authors'][0]['name']}}}}}" in readme
