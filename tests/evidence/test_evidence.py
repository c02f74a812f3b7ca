"""Levels of evidence from claims and results."""

import pytest

from greentactics.evidence.level import Level, Mark, assess
from greentactics.evidence.runs import Doubt, Objection, objections, tactic_runs
from greentactics.models.results import DataInfo, DeviceInfo, MeterInfo
from greentactics.models.timings import CONTROL
from greentactics.models.vocabulary import Bound, ClaimDirection, ClaimKind, ClaimUnit, Quantity, ReadIn
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, claim, with_claims
from tests.examples.synthetic import METRICS, UNCHANGED, results

SMALL = (2.0, 2.0, -0.001, 2.0, 2.0)
WORSE = (0.8, 0.8, -0.001, 1.0, 1.0)
TWO_ARMS = ("baseline", "tactic")
OTHER_DEVICE = DeviceInfo(
    kind="cpu", name="Other Processor", cores=4, memory_bytes=2**33, system="Linux 6", machine="aarch64"
)

OTHER_DATA = DataInfo(
    name="Fashion-MNIST", sha256="d" * 64, train_count=55000, validation_count=5000, test_count=10000
)


def evidence(record, *entries):
    return assess(record, tactic_runs(record, entries, checksum=UNCHANGED), REAL.bibliography)


def doubt(entry):
    (run,) = tactic_runs(PRUNING, [entry])
    return run.doubt


ARGUED = {"value": None, "unit": None, "kind": ClaimKind.ARGUED}


def argued():
    return claim(**ARGUED)


def two_arms(factors, **changes):
    return results(arms=TWO_ARMS, factors={"tactic": factors}, **changes)


ACCURACY = claim(quantity=Quantity.QUALITY, unit=ClaimUnit.PERCENTAGE_POINTS, value=1.0)
COSTLIER = claim(direction=ClaimDirection.INCREASE)
SECOND_HAND = claim(source="han-2015", read_in=ReadIn.SECONDARY)


@pytest.mark.parametrize(
    ("record", "level", "reason"),
    [
        (with_claims(PRUNING), Level.E0, "argued"),
        (with_claims(PRUNING, argued()), Level.E0, "argued"),
        (with_claims(PRUNING, ACCURACY, COSTLIER), Level.E0, "argued"),
        (with_claims(DARK, COSTLIER), Level.E1, "one source"),
        (PRUNING, Level.E1, "one source"),
        (with_claims(SPARSITY, claim()), Level.E1, "one source"),
        (with_claims(PRUNING, claim(), claim(source="han-2015")), Level.E2, "figures from 2 sources"),
        (with_claims(PRUNING, claim(), claim(source="chen-2017")), Level.E1, "share authors"),
        (with_claims(PRUNING, claim(), SECOND_HAND), Level.E1, "one source"),
        (with_claims(PRUNING, SECOND_HAND), Level.E1, "a figure that was read second-hand only"),
    ],
)
def test_the_level_of_published_figures(record, level, reason) -> None:
    found = evidence(record)
    assert found.level is level
    assert reason in found.reasons[0]


def test_a_second_device_is_e4_of_a_metered_cost_but_the_same_processor_twice_is_not() -> None:
    first, second = metered(1.05), metered(1.05).model_copy(update={"device": OTHER_DEVICE})
    assert evidence(PRUNING, first, second).level is Level.E4
    assert evidence(PRUNING, first, first.model_copy(update={"device_slug": "twin"})).level is Level.E3


def test_a_second_subject_is_e4_of_a_modelled_cost_but_a_second_device_is_not() -> None:
    assert evidence(PRUNING, results(), results(device=OTHER_DEVICE)).level is Level.E3
    found = evidence(PRUNING, results(subject="digits_cnn"), results(subject="lenet_fashion"))
    assert (found.level, found.reasons[0]) == (Level.E4, "reproduced here on 2 subjects")


def test_every_run_that_counts_has_to_show_the_effect() -> None:
    lossy = two_arms(LOSSY, subject="digits_cnn")
    assert evidence(PRUNING, results(), lossy).level is Level.E1
    assert evidence(PRUNING, results(), lossy.model_copy(update={"dirty": True})).level is Level.E3


def test_what_no_published_figure_counts_is_shown_and_not_reproduced() -> None:
    weights = with_claims(PRUNING, claim(quantity=Quantity.WEIGHTS))
    assert evidence(weights, results()).reasons[0] == "shown here on one subject"
    assert evidence(PRUNING, results()).reasons[0] == "reproduced here on one subject"


@pytest.mark.parametrize(
    ("rival", "level", "marks"),
    [
        ((7.4, 3.1, -0.005, 8.0, 4.0), Level.E3, (Mark.MATCHED,)),
        ((9.0, 3.1, -0.005, 8.0, 4.0), Level.E1, (Mark.BEATEN,)),
        ((5.0, 3.1, -0.005, 8.0, 4.0), Level.E3, ()),
    ],
)
def test_the_best_rival_marks_the_level_and_a_better_one_takes_it(rival, level, marks) -> None:
    factors = {"tactic": (7.4, 3.1, -0.005, 8.0, 4.0), "rival": rival}
    found = evidence(PRUNING, results(arms=("baseline", *factors), factors=factors))
    assert (found.level, found.marks) == (level, marks)
    assert found.text == ", ".join([level, *marks])
    if marks:
        assert found.reasons[-1] == f"on Example Processor 9000 {marks[0]} by its best rival, rival"


@pytest.mark.parametrize(
    ("models", "level"),
    [
        ((None, "family 26, model 2"), Level.E3),
        (("family 26, model 2", "family 26, model 2"), Level.E3),
        (("family 25, model 1", "family 26, model 2"), Level.E4),
        (("family 25, model 1", None, "family 26, model 2"), Level.E4),
    ],
)
def test_devices_of_one_name_are_two_only_where_both_tell_their_model(models, level) -> None:
    entries = []
    for model in models:
        made = metered(1.05)
        entries.append(made.model_copy(update={"device": made.device.model_copy(update={"model": model})}))
    assert evidence(PRUNING, *entries).level is level


@pytest.mark.parametrize(
    ("changes", "objection"),
    [
        ({"preset": "smoke"}, Objection.SMOKE_RUN),
        ({"dirty": True}, Objection.UNCOMMITTED_CHANGES),
        ({"commit": None}, Objection.NO_COMMIT),
        ({"recipe_sha256": "c" * 64}, Objection.RECIPE_CHANGED),
        ({"data": OTHER_DATA}, Objection.DATA_CHANGED),
        ({"complete": False}, Objection.INCOMPLETE),
        ({"seeds": 4}, Objection.FEW_SEEDS),
        ({"meter": MeterInfo(name="NVML (gpu-0)", energy="NVML")}, Objection.OTHER_METER),
    ],
)
def test_some_results_never_count(changes, objection) -> None:
    entry = results(**changes)
    assert objection in objections(entry, UNCHANGED)
    found = evidence(PRUNING, entry)
    assert (found.level, found.marks) == (Level.E1, ())
    assert not evidence(PRUNING, two_arms(WORSE, **changes)).marks


HARMFUL = with_claims(DARK, claim(direction=ClaimDirection.INCREASE, value=1.2)).model_copy(
    update={"recipe": PRUNING.recipe}
)
LOSSY = (7.4, 7.4, -0.03, 8.0, 4.0)
NONE = (1.0, 1.0, 0.0, 1.0, 1.0)
HALF = (0.5, 0.5, 0.01, 1.0, 1.0)


@pytest.mark.parametrize(
    ("record", "factors", "level", "contested"),
    [
        (PRUNING, (7.4, 3.1, -0.005, 8.0, 4.0), Level.E3, ""),
        (PRUNING, LOSSY, Level.E1, ""),
        (with_claims(PRUNING, argued()), NONE, Level.E0, ""),
        (PRUNING, SMALL, Level.E3, "below the claimed"),
        (with_claims(PRUNING, argued()), WORSE, Level.E0, "opposite side"),
        (HARMFUL, HALF, Level.E3, ""),
        (HARMFUL, SMALL, Level.E1, "opposite side"),
    ],
)
def test_an_effect_is_reproduced_or_contested_or_both(record, factors, level, contested) -> None:
    found = evidence(record, two_arms(factors))
    assert (found.level, found.marks) == (level, (Mark.CONTESTED,) if contested else ())
    assert contested in found.reasons[-1]


@pytest.mark.parametrize(
    ("published", "contested"),
    [
        (claim(value=1.9), False),
        (claim(bound=Bound.AT_MOST), False),
        (claim(bound=Bound.AT_LEAST), True),
        (claim(value=45.0, unit=ClaimUnit.PERCENT), False),
        (claim(value=60.0, unit=ClaimUnit.PERCENT), True),
        (claim(value=100.0, unit=ClaimUnit.PERCENT), False),
        (claim(value=5.0, unit=ClaimUnit.JOULE), False),
        (claim(quantity=Quantity.OPERATIONS), False),  # what is counted here is energy
    ],
)
def test_which_claims_a_saving_of_two_times_contests(published, contested) -> None:
    found = evidence(with_claims(PRUNING, published), two_arms(SMALL))
    assert (Mark.CONTESTED in found.marks) is contested


@pytest.mark.parametrize(
    ("published", "contested"),
    [
        ({"value": 1.0, "unit": ClaimUnit.PERCENTAGE_POINTS}, True),
        ({"value": 4.0, "unit": ClaimUnit.PERCENTAGE_POINTS}, False),
        ({"value": 1.0, "unit": ClaimUnit.PERCENTAGE_POINTS, "bound": Bound.AT_LEAST}, False),
        ({"value": 1.0, "unit": ClaimUnit.PERCENT}, False),
        (ARGUED | {"direction": ClaimDirection.NONE}, True),
        (ARGUED | {"direction": ClaimDirection.INCREASE}, True),
    ],
)
def test_which_claims_about_quality_a_loss_of_three_points_contests(published, contested) -> None:
    record = with_claims(PRUNING, claim(), claim(quantity=Quantity.QUALITY, **published))
    found = evidence(record, two_arms(LOSSY))
    assert found.marks == ((Mark.CONTESTED,) if contested else ())
    assert ("the quality's loss" in found.reasons[-1]) is contested


def test_a_loss_within_the_tolerance_leaves_a_quality_unchanged() -> None:
    same = claim(quantity=Quantity.QUALITY, direction=ClaimDirection.NONE, **ARGUED)
    assert evidence(with_claims(PRUNING, claim(), same), two_arms((7.4, 3.1, -0.005, 8.0, 4.0))).marks == ()


def test_only_the_headline_claim_is_contested() -> None:
    record = with_claims(PRUNING, claim(value=1.5), claim(value=9.0))
    assert not evidence(record, two_arms(SMALL)).marks


def metered(control: float | None):
    """Return results whose headline cost was metered, with a control that lies as far off as told."""
    info = METRICS["energy_batch_1"].model_copy(update={"provenance": "metered", "unit": "J"})
    found = two_arms(SMALL, metrics=METRICS | {"energy_batch_1": info})
    if control is None:
        return found
    again = []
    for repeat in (repeat for repeat in found.repeats if repeat.arm == "baseline"):
        energy = repeat.values["energy_batch_1"] * control ** (-1) ** repeat.seed
        again.append(repeat.model_copy(update={"arm": CONTROL, "values": {"energy_batch_1": energy}}))
    return found.model_copy(update={"repeats": (*found.repeats, *again)})


def test_a_metered_cost_needs_a_control_that_differs_less_than_the_effect() -> None:
    assert doubt(metered(None)) is Doubt.NO_CONTROL
    assert doubt(metered(1.05)) is None
    assert doubt(metered(2.5)) is Doubt.NO_DIFFERENCE
    side_by_side = metered(1.05).model_copy(update={"jobs": 2})
    assert doubt(side_by_side) is Doubt.SIDE_BY_SIDE
    levels = [evidence(PRUNING, metered(control)).level for control in (None, 1.05, 2.5)]
    assert levels == [Level.E1, Level.E3, Level.E1]
    assert metered(1.05).arms == TWO_ARMS, "the control is no arm"
