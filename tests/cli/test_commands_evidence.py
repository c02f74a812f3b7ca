"""The table of evidence, for people and for tools."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tests.examples.command_line import call
from tests.examples.records import DARK, PRUNING, SPARSITY, catalogue
from tests.examples.synthetic import SHA, results, timing

TIMING_SHA = "e" * 64


@pytest.fixture
def show(monkeypatch):
    """Show the evidence of a catalogue with one run of the pruning recipe."""

    def invoke(*arguments: str, **changes) -> str:
        entries = {PRUNING.id: (results(**changes),)}
        made_up = catalogue(PRUNING, SPARSITY, DARK, results=entries, sha256=SHA)
        made_up = dataclasses.replace(made_up, timing_sha256=TIMING_SHA)
        monkeypatch.setattr("greentactics.cli.evidence.load_catalogue", lambda root: made_up)
        finished = call(None, "evidence", *arguments)
        assert finished.exit_code == 0, finished.output
        return finished.output

    return invoke


def flat(text: str) -> str:
    """Join the cells of a table that the width has broken."""
    return " ".join(text.replace("│", " ").split())


def test_the_table_names_level_claim_reproduction_and_state(show) -> None:
    text = show()
    assert all(record.id in text for record in (PRUNING, SPARSITY, DARK))
    assert "E3" in text
    assert "counts" in text
    assert "energy 3.7x lower (AlexNet)" in flat(text)


def test_stale_results_are_called_so(show) -> None:
    text = show(recipe_sha256="c" * 64)
    assert "E3" not in text
    assert "stale" in text


def test_json_has_one_entry_a_tactic(show) -> None:
    entries = {entry["id"]: entry for entry in json.loads(show("--json", seeds=4))}
    assert set(entries) == {PRUNING.id, SPARSITY.id, DARK.id}
    found = entries[PRUNING.id]
    assert (found["level"], found["marks"]) == ("E1", [])
    assert found["results"][0]["not_counted_because"] == ["fewer than 5 seeds"]
    assert (found["results"][0]["counts"], found["results"][0]["stale"]) == (False, False)
    assert entries[SPARSITY.id]["results"] == []


def test_a_changed_protocol_is_told(show, monkeypatch) -> None:
    passes = tuple(timing(seed, 2.0) for seed in range(3))
    changes = {"timings": passes, "timing_sha256": "e" * 64}
    assert "timing stale" not in flat(show(**changes))
    monkeypatch.setattr("tests.cli.test_commands_evidence.TIMING_SHA", "f" * 64)
    assert "timing stale" in flat(show(**changes))
    (entry,) = [entry for entry in json.loads(show("--json", **changes)) if entry["id"] == PRUNING.id]
    assert entry["results"][0]["timing_stale"]
