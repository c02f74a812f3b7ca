"""The table of the page on the smallest cost: its rows, and that the page shows what the results say."""

from __future__ import annotations

from pathlib import Path

import pytest

from greentactics.models.record import RecipeUse
from greentactics.models.results import Results
from greentactics.site import smallest_cost
from greentactics.site.smallest_cost import (
    NOT_MEASURED,
    PAGE,
    SHAPES,
    TYPES,
    block,
    filled,
    main,
    shapes_table,
    table,
    types_table,
)
from greentactics.text.problems import UserError
from tests.examples import synthetic
from tests.examples.example_files import REPOSITORY

RECIPE = RecipeUse(
    cost_metric="relative_int8_time_batch_64",
    cost_label="time",
    quality_metric="test_accuracy",
    quality_label="accuracy",
    quality_tolerance_points=0.5,
    why_different="It does not.",
)
VALUES = {  # time at batch 64 and at batch 1, MACs, accuracy
    "baseline": (1.0, 1.0, 2e6, 0.92),
    "tactic": (0.25, 0.5, 1e6, 0.918),
    "thin_net": (0.5, 0.8, 5e5, 0.91),
    "baseline_again": (1.0, 1.0, 2e6, 0.92),
}
NAMES = ("relative_int8_time_batch_64", "relative_int8_time_batch_1", "macs", "test_accuracy")


def results() -> Results:
    """Return results of two seeds that do not differ, so that every interval has no width."""
    made = synthetic.results(seeds=2, arms=("baseline",))
    repeats = tuple(
        repeat.model_copy(update={"arm": arm, "values": dict(zip(NAMES, values, strict=True))})
        for repeat in made.repeats
        for arm, values in VALUES.items()
    )
    cost, accuracy = made.metrics["energy_batch_1"], made.metrics["test_accuracy"]
    infos = dict.fromkeys(NAMES[:2], cost.model_copy(update={"unit": "ratio"}))
    infos |= {"macs": made.metrics["effective_macs"], "test_accuracy": accuracy}
    return made.model_copy(update={"repeats": repeats, "metrics": infos})


def test_rows_go_from_the_cheapest_to_the_dearest_without_the_control() -> None:
    lines = table(results(), RECIPE).replace("\u00a0", " ").splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    assert [row[0] for row in cells] == ["net", "---", "**tactic**", "thin net", "baseline"]
    assert cells[2][1:] == [
        "1 million", "4.0\u00d7 lower [4.0, 4.0]", "2.0\u00d7 lower [2.0, 2.0]",
        "91.80 %, \u22120.20 points [\u22120.20, \u22120.20]", "yes",
    ]  # fmt: skip
    assert cells[3][-1] == "not shown"
    assert cells[4][2:] == ["\u2013", "\u2013", "92.00 %", "\u2013"]
    assert lines[-1] == "*Fashion-MNIST, 2 seeds, Example Processor 9000; 95 % intervals over seeds.*"


def test_shapes_stand_beside_their_macs_with_the_range_over_seeds() -> None:
    found = results()
    assert shapes_table(found) == ""
    times = iter((0.3, 0.5))
    for repeat in found.repeats:
        if repeat.arm == "baseline":
            dense = {"net": "baseline", "relative_macs": 1.0}
            depthwise = {"net": "depthwise", "relative_macs": 0.1}
            dense |= dict.fromkeys(NAMES[:2], 1.0)
            depthwise |= dict.fromkeys(NAMES[:2], next(times))
            repeat.details[SHAPES] = [dense, depthwise]
    lines = shapes_table(found).replace("\u00a0", " ").splitlines()
    assert lines[-3] == "| depthwise | 10 % | 40 % (30 % to 50 %) | 40 % (30 % to 50 %) |"
    assert lines[-1].startswith("*Shares of the dense network's")


def test_types_stand_beside_what_they_cost_with_the_range_over_seeds() -> None:
    found = results()
    assert types_table(found) == ""
    times = iter((1.9, 2.1))
    for repeat in found.repeats:
        if repeat.arm == "baseline":
            chosen = {"activations": "uint8", "weights": "int8", "relative_time": 1.0}
            repeat.details[TYPES] = [chosen, {**chosen, "weights": "uint8", "relative_time": next(times)}]
    lines = types_table(found).replace("\u00a0", " ").splitlines()
    assert lines[-3] == "| uint8 | uint8 | 200 % (190 % to 210 %) |"
    assert lines[-1].startswith("*Shares of the time with the first choice")


def test_what_cannot_be_compared_is_a_dash() -> None:
    found = results()
    tactic = next(repeat for repeat in found.repeats if repeat.arm == "tactic")
    tactic.values["relative_int8_time_batch_1"] = 0.0
    assert "| \u2013 | 91.80" in table(found, RECIPE)


def test_without_usable_results_the_page_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smallest_cost, "headline_run", lambda *arguments: None)
    assert block(REPOSITORY) == NOT_MEASURED


def test_the_page_shows_what_the_results_say() -> None:
    page = (REPOSITORY / PAGE).read_text(encoding="utf-8")
    assert page == filled(page, block(REPOSITORY)), (
        "the table is old; python -m greentactics.site.smallest_cost renews it"
    )


def test_filling_keeps_all_but_the_text_between_the_marks() -> None:
    page = "before\n<!-- figures -->\nold\nrows\n<!-- /figures -->\nafter\n"
    assert filled(page, "new\n") == "before\n<!-- figures -->\nnew\n<!-- /figures -->\nafter\n"
    assert filled(filled(page, "new\n"), "old\nrows\n") == page


@pytest.mark.parametrize("page", ["no marks\n", "<!-- figures -->\n<!-- /figures -->\n" * 2])
def test_a_page_without_its_marks_is_named(page: str) -> None:
    with pytest.raises(UserError, match=r"smallest-cost\.md: expected once the lines <!-- figures -->"):
        filled(page, "")


def test_a_mistake_is_one_line_and_exit_code_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / PAGE
    path.parent.mkdir(parents=True)
    path.write_text("<!-- figures -->\n<!-- /figures -->\n", encoding="utf-8")
    assert main(tmp_path) == 1
    assert capsys.readouterr().err.startswith("error: no folder tactics/ in ")
