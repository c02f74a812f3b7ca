"""Tables in CSV: the same numbers as in the documents, and no formulas."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greentactics.api.tables import FORMULA_SIGNS, cell_text
from greentactics.site.pages import render_site
from tests.examples.records import DARK, PRUNING, REAL, ROOT, SPARSITY, catalogue
from tests.examples.synthetic import results, timing

ID = PRUNING.id
TABLES = ("tactics", "claims", "measurements", "latencies")
MADE_UP = catalogue(
    PRUNING,
    SPARSITY,
    DARK,
    results={ID: (results(timings=tuple(timing(seed, 2.0) for seed in range(3)), timing_sha256="e" * 64),)},
)
FILES = render_site(MADE_UP, {})
REAL_FILES = render_site(REAL, {})


def rows(name, files=FILES):
    return list(csv.DictReader(io.StringIO(files[f"api/v1/{name}.csv"], newline=""), strict=True))


def document():
    return json.loads(FILES[f"api/v1/tactics/{ID}.json"])


@pytest.mark.parametrize("name", TABLES)
def test_lines_and_fields_follow_rfc_4180(name) -> None:
    text = FILES[f"api/v1/{name}.csv"]
    assert text.endswith("\r\n")
    assert text.count("\n") == text.count("\r\n") == 1 + len(rows(name))
    for row in rows(name):
        assert None not in row
        assert None not in row.values()


def test_there_is_a_row_for_each_tactic_and_claim() -> None:
    assert [row["id"] for row in rows("tactics")] == sorted([ID, SPARSITY.id, DARK.id])
    assert len(rows("claims")) == sum(len(record.impact.claims) for record in (PRUNING, SPARSITY, DARK))


def test_measurements_and_latencies_are_those_of_the_document() -> None:
    (run,) = document()["results"]
    assert (len(run["comparisons"]), len(run["latency"])) == (5 * 3, 2)
    for row, entry in zip(rows("measurements"), run["comparisons"], strict=True):
        found = entry["against_baseline"]
        assert [row[name] for name in ("metric", "arm", "provenance", "estimate_unit", "unit")] == [
            *(entry[name] for name in ("metric", "arm", "provenance")),
            found["unit"],
            run["metrics"][entry["metric"]]["unit"],
        ]
        numbers = ("estimate", "estimate_low", "estimate_high", "n", "baseline_mean", "arm_mean")
        means = entry["baseline"]["value"], entry["treated"]["value"]
        assert [float(row[name]) for name in numbers] == [
            found["value"], *found["interval_95"], found["n"], *means,
        ]  # fmt: skip
        assert (row["counts_as_evidence"], row["date"]) == ("true", "2026-11-21")
    for row, entry in zip(rows("latencies"), run["latency"], strict=True):
        assert float(row["estimate"]) == entry["against_baseline"]["value"] == pytest.approx(2.0)
        assert float(row["baseline_median"]) == entry["baseline"]
        assert row["difference_shown"] == "true"


def test_the_headline_of_a_tactic_is_that_of_its_document() -> None:
    row = next(row for row in rows("tactics") if row["id"] == ID)
    shown = document()["reproduced"]
    assert float(row["reproduced_value"]) == shown["cost"]["against_baseline"]["value"]
    assert float(row["quality_low"]) == shown["quality"]["against_baseline"]["interval_95"][0]
    assert (row["reproduced_provenance"], row["quality_unit"]) == ("modelled", "percentage points")
    assert row["improves"] == "energy-efficiency resource-utilization"
    without = next(row for row in rows("tactics") if row["id"] == SPARSITY.id)
    assert {without[name] for name in without if name.startswith(("reproduced_", "quality_"))} == {""}


def test_one_claim_is_the_headline_and_carries_its_source() -> None:
    first, second = (row for row in rows("claims") if row["tactic"] == ID)
    assert (first["headline"], second["headline"]) == ("true", "false")
    assert (first["value"], first["unit"], first["doi"]) == ("3.7", "times", "10.1109/CVPR.2017.643")


def test_every_column_has_a_value_somewhere() -> None:
    """A column whose path leads nowhere would be empty throughout."""
    for name in TABLES:
        found = rows(name, REAL_FILES) + rows(name)
        empty = {column for column in found[0] if not any(row[column] for row in found)}
        assert empty <= {"not_comparable_because", "not_counted_because"}, name
    ranges = [row for row in rows("claims", REAL_FILES) if row["low"]]
    assert all(row["value"] == "" and float(row["low"]) <= float(row["high"]) for row in ranges)


def test_the_page_of_the_api_explains_each_column() -> None:
    page = (ROOT / "catalogue" / "pages" / "api" / "index.md").read_text(encoding="utf-8")
    for name in TABLES:
        section = page.split(f"### {name}.csv")[1].split("\n#")[0]
        assert set(rows(name)[0]) <= set(re.findall(r"`(\w+)`", section)), name


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (True, "true"),
        (-0.5, "-0.5"),
        (3, "3"),
        ("plain", "plain"),
        ("-5", "-5"),
        ("+1.5", "+1.5"),
        ("=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("-2+3+cmd|' /C calc'!A0", "'-2+3+cmd|' /C calc'!A0"),
        ("\t\n =1", "'=1"),
        ("\u202e=1", "'=1"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("two\nlines", "two lines"),
    ],
)
def test_cells(value, cell) -> None:
    assert cell_text(value) == cell


@given(st.text())
def test_no_cell_of_text_begins_a_formula(text) -> None:
    cell = cell_text(text)
    assert "\n" not in cell
    assert "\r" not in cell
    if cell.startswith(FORMULA_SIGNS):
        float(cell)


def test_a_record_full_of_formulas_is_text() -> None:
    record = PRUNING.model_copy(update={"title": '=HYPERLINK("http://x","y")', "summary": "@x"})
    (row,) = rows("tactics", render_site(catalogue(record), {}))
    assert row["title"] == '\'=HYPERLINK("http://x","y")'
