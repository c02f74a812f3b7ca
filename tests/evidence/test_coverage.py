"""The simulation behind the method page: what the intervals hold, and that the page shows it."""

import math
import re

import numpy as np
import pytest
from scipy.special import exp1

from greentactics.evidence.simulation import (
    DISTRIBUTIONS,
    Coverage,
    Noise,
    answers,
    crossed_table,
    log_ratios,
    simulate,
    simulate_crossed,
    table,
    true_difference,
    truth,
)
from tests.examples.example_files import REPOSITORY

PAGE = REPOSITORY / "catalogue" / "pages" / "method" / "index.md"
BLOCK = re.compile(r"^<!-- coverage -->$\n(.*)^<!-- /coverage -->$", re.MULTILINE | re.DOTALL)
COUNTS = (5, 10, 30)


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, int], Coverage]:
    return {(row.distribution, row.n): row for row in simulate(counts=COUNTS)}


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", ["normal", "skewed"])
def test_t_interval_holds_the_truth_as_often_as_it_says(rows, name: str, count: int) -> None:
    assert 0.93 <= rows[name, count].student <= 0.97


@pytest.mark.parametrize("count", COUNTS)
def test_tests_on_normal_values_keep_their_promises(rows, count: int) -> None:
    row = rows["normal", count]
    assert row.false_equivalence == pytest.approx(0.05, abs=0.015)
    assert row.power == pytest.approx(0.80, abs=0.025)
    assert row.power_by_estimate < row.power


def test_the_method_page_shows_what_comes_out(rows) -> None:
    block = BLOCK.search(PAGE.read_text(encoding="utf-8"))
    assert block is not None, f"{PAGE} lacks the lines <!-- coverage --> and <!-- /coverage -->"
    assert block[1].strip() == table(list(rows.values())), (
        "the table of the method page is old; python -m greentactics.evidence.simulation prints the new one"
    )


def test_the_crossed_interval_holds_what_seeds_alone_do_not() -> None:
    """Two rows of the page's second table, the one where seeds alone fall furthest among them."""
    rows = simulate_crossed(counts=(5,), spreads=((3.0, 0.0), (3.0, 0.1)))
    page = PAGE.read_text(encoding="utf-8")
    for row in rows:
        assert row.seeds_alone < 0.75
        assert 0.93 <= row.crossed <= 0.98
    missing = [line for line in crossed_table(rows).splitlines() if f"\n{line}\n" not in page]
    assert not missing, (
        "a table of the method page is old; python -m greentactics.evidence.simulation prints the new one"
    )


def test_answers_have_the_difference_that_is_called_true() -> None:
    generator = np.random.default_rng(5)
    for spreads in ((0.5, 0.0), (3.0, 0.1)):
        drawn = np.mean([answers(generator, 20, *spreads).mean() for _ in range(100)])
        assert drawn == pytest.approx(true_difference(*spreads), abs=4e-4)


def test_cumulants_agree_with_their_closed_forms() -> None:
    """The mean of log(1 + s X) for X standard exponential is e^(1/s) E1(1/s)."""
    assert Noise("exponential", 0.2).cumulants() == pytest.approx([0.2, 0.2**2, 2 * 0.2**3])
    for scale in (0.1, 0.2):
        expected = math.exp(1 / scale) * exp1(1 / scale)
        assert Noise("delay", scale).cumulants()[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_draws_have_the_moments_that_are_called_true(name: str) -> None:
    draws = log_ratios(name, np.random.default_rng(4), (1000, 200))
    mean, deviation, skewness = truth(name)
    standard = (draws - mean) / deviation
    moments = [np.mean(standard), np.mean(standard**2), np.mean(standard**3)]
    assert moments == pytest.approx([0, 1, skewness], abs=0.05 if skewness < 1 else 0.15)


def test_a_row_depends_on_the_seed_and_on_no_other_row() -> None:
    assert simulate(20, counts=(3, 6))[1] == simulate(20, counts=(6,))[0]
    assert simulate(200, counts=(5,), seed=1) != simulate(200, counts=(5,), seed=2)
