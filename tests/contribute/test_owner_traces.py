"""Traces of a result's owner: paths, addresses and names, which no results file may hold."""

from __future__ import annotations

import json

import pytest

from greentactics.contribute.accepting import personal_findings
from tests.examples.example_files import REPOSITORY


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("data read from /home/ada/data/x.npz", '"/home/ada/data/x.npz"'),
        ("~/runs/one", '"~/runs/one"'),
        (r"C:\Users\ada\data", r'"C:\Users\ada\data"'),
        (r"\\server\share", "a path of the machine"),
        ("ada@node7", '"ada@node7"'),
        ("host 192.168.1.17", "an address in a network"),
        ("00:1A:2b:3c:4d:5e", "an address in a network"),
        ("adas-macbook.local", "the name of a machine"),
    ],
)
def test_traces_of_the_owner_are_found_in_values_and_keys(text, what):
    for tree in ({"a": [{"b": text}]}, {"a": {text: 1}}):
        (finding,) = personal_findings(tree)
        assert what in finding[1]


@pytest.mark.parametrize("key", ["hostname", "user", "login", "node_name", "home"])
def test_keys_that_announce_a_name_are_found(key):
    assert [path for path, _ in personal_findings({"details": {key: "ada"}})] == [("details", key)]


def test_plain_words_are_no_trace():
    texts = ["Intel(R) Xeon(R) CPU @ 2.20GHz", "mean/median of 3/4", "recall@5", "https://example.org/a/b"]
    texts += ["kJ/h", "users", "2.13.0+cpu", "energy and/or time", "10:30:00"]
    assert list(personal_findings({"a": texts, "versions": {"opencv": "4.10.0.84"}})) == []


@pytest.mark.parametrize("part", ["a", "a-", "a.", "/", "/a", "~/", "\\", "\\\\a", "1.", "00:", "C:\\", "@"])
def test_long_texts_are_looked_through_in_a_single_pass(part):
    assert len(list(personal_findings({"a": part * 300_000}))) <= 1


def test_committed_results_hold_no_trace():
    paths = sorted((REPOSITORY / "recipes" / "results").glob("*/*.json"))
    assert paths
    for path in paths:
        assert not list(personal_findings(json.loads(path.read_text(encoding="utf-8")))), path
