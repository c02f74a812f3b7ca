"""The best rival, and how the tactic fares against it."""

import pytest

from greentactics.evidence.comparison import POINTS, TIMES_LOWER, Estimate
from greentactics.evidence.rivals import Against, best_rival, choice_metric, fares, rivals
from greentactics.evidence.runs import tactic_runs
from greentactics.models.results import MetricInfo
from tests.examples.records import PRUNING
from tests.examples.synthetic import METRICS, results

TACTIC = (7.4, 3.1, -0.005, 8.0, 4.0)


def chosen(**others) -> str | None:
    """Return the best of rivals given by the saving and the loss in points; the tolerance is 1 point."""
    factors = {arm: (saving, 3.1, -loss / 100, 8.0, 4.0) for arm, (saving, loss) in others.items()}
    arms = ("baseline", "tactic", *factors)
    made = results(arms=arms, factors=factors | {"tactic": TACTIC}, spread=0.0)
    return best_rival(made, PRUNING.recipe)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ({"cheap": (5.0, 0.5), "dear": (4.0, 0.0)}, "cheap"),
        ({"cheap": (5.0, 2.0), "dear": (4.0, 0.0)}, "dear"),
        ({"as_cheap": (5.03, 0.6), "better": (5.0, 0.2)}, "better"),
        ({"cheaper": (5.1, 0.6), "better": (5.0, 0.2)}, "cheaper"),
        ({"cheap": (5.0, 4.0), "least_lost": (4.0, 2.0)}, "least_lost"),
        ({"as_given": (9.0, 0.0)}, None),
        ({"dear": (4.0, 0.0), "tactic_and_dear": (9.0, 0.0)}, "dear"),
        ({"dear": (4.0, 0.0), "tactic_with_more": (9.0, 0.0)}, "dear"),
        ({}, None),
    ],
)
def test_the_best_rival_is_the_cheapest_within_the_tolerance(others, expected) -> None:
    assert chosen(**others) == expected


def test_the_best_rival_is_chosen_on_examples_that_are_not_those_of_the_test() -> None:
    """On the test examples the cheap rival lost little, on those of the choice much."""
    factors = {"tactic": TACTIC, "cheap": (6.0, 3.1, -0.001, 8.0, 4.0), "dear": (5.0, 3.1, -0.002, 8.0, 4.0)}
    made = results(arms=("baseline", *factors), factors=factors)
    assert (best_rival(made, PRUNING.recipe), choice_metric(made, PRUNING.recipe)) == (
        "cheap",
        "test_accuracy",
    )
    choice = {"baseline": 0.91, "tactic": 0.90, "cheap": 0.80, "dear": 0.905}
    info = MetricInfo(unit="fraction", better="higher", provenance="measured", description="Choice.")
    repeats = tuple(
        repeat.model_copy(update={"values": repeat.values | {"choice_accuracy": choice[repeat.arm]}})
        for repeat in made.repeats
    )
    metrics = METRICS | {"choice_accuracy": info}
    made = made.model_copy(update={"metrics": metrics, "repeats": repeats})
    assert best_rival(made, PRUNING.recipe) == "dear"
    (run,) = tactic_runs(PRUNING, [made])
    assert (run.best_rival.arm, run.best_rival.chosen_by) == ("dear", "choice_accuracy")


def test_a_rival_without_the_cost_is_none() -> None:
    made = results()
    repeats = tuple(
        repeat.model_copy(update={"values": {"test_accuracy": 0.9}}) if repeat.arm == "magnitude" else repeat
        for repeat in made.repeats
    )
    made = made.model_copy(update={"repeats": repeats})
    assert rivals(made) == ("magnitude", "weight_ordered")
    assert best_rival(made, PRUNING.recipe) == "weight_ordered"


def estimates(cost, quality) -> tuple[Estimate, Estimate]:
    return (
        Estimate(sum(cost) / 2, *cost, 5, TIMES_LOWER),
        Estimate(sum(quality) / 2, *quality, 5, POINTS),
    )


CHEAPER, EQUAL, DEARER = (1.1, 1.3), (0.9, 1.1), (0.8, 0.9)
FINER, SAME, COARSER, FAR_COARSER = (0.1, 0.3), (-0.3, 0.3), (-0.3, -0.1), (-3.0, -2.0)


@pytest.mark.parametrize(
    ("cost", "quality", "outcome"),
    [
        (CHEAPER, SAME, Against.WINS),
        (CHEAPER, FINER, Against.WINS),
        (CHEAPER, COARSER, Against.WINS),
        (CHEAPER, FAR_COARSER, Against.CHEAPER),
        (CHEAPER, (-1.5, 0.5), Against.CHEAPER),
        (EQUAL, FINER, Against.WINS),
        (EQUAL, SAME, Against.MATCHED),
        ((1.005, 1.05), SAME, Against.MATCHED),
        (EQUAL, COARSER, Against.BEATEN),
        (DEARER, FINER, Against.BEATEN),
        (DEARER, SAME, Against.BEATEN),
        (DEARER, COARSER, Against.BEATEN),
        (DEARER, (2.0, 3.0), Against.DEARER),
        (DEARER, (-0.5, 1.5), Against.DEARER),
    ],
)
def test_how_the_tactic_fares(cost, quality, outcome) -> None:
    made = estimates(cost, quality)
    assert fares(*made, "higher", 1.0, cost_differs=True) is outcome
    turned = estimates(cost, (-quality[1], -quality[0]))
    assert fares(*turned, "lower", 1.0, cost_differs=True) is outcome, "where less is better"


def test_a_cost_that_the_machine_cannot_tell_apart_decides_nothing() -> None:
    assert fares(*estimates(CHEAPER, SAME), "higher", 1.0, cost_differs=False) is Against.MATCHED
    assert fares(*estimates(DEARER, SAME), "higher", 1.0, cost_differs=False) is Against.MATCHED


def test_one_seed_tells_nothing() -> None:
    (run,) = tactic_runs(PRUNING, [results(seeds=1)])
    assert run.best_rival.outcome is None
