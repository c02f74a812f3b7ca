"""Levels of evidence from claims and results."""

import pytest

from greentactics.evidence.level import Level, assess
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


def argued():
    return claim(value=None, unit=None, kind=ClaimKind.ARGUED)


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


def test_a_second_device_is_e4_but_the_same_processor_twice_is_not() -> None:
    second = results(device=OTHER_DEVICE, device_slug="other")
    assert evidence(PRUNING, results(), second).level is Level.E4
    assert evidence(PRUNING, results(), results(device_slug="twin")).level is Level.E3


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
        made = results()
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
    assert (found.level, found.contested) == (Level.E1, False)
    assert not evidence(PRUNING, two_arms(WORSE, **changes)).contested


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
    assert (found.level, found.contested) == (level, bool(contested))
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
    ],
)
def test_which_claims_a_saving_of_two_times_contests(published, contested) -> None:
    assert evidence(with_claims(PRUNING, published), two_arms(SMALL)).contested is contested


def test_only_the_headline_claim_is_contested() -> None:
    record = with_claims(PRUNING, claim(value=1.5), claim(value=9.0))
    assert not evidence(record, two_arms(SMALL)).contested


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
