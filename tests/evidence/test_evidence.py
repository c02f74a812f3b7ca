"""Levels of evidence from claims and results."""

import pytest

from greentactics.evidence.level import Level, assess
from greentactics.evidence.runs import Doubt, Objection, objections, tactic_runs
from greentactics.models.results import DataInfo, DeviceInfo, MeterInfo
from greentactics.models.timings import CONTROL
from greentactics.models.vocabulary import Bound, ClaimDirection, ClaimKind, ClaimUnit, Quantity, ReadIn
from tests.examples.records import DARK, PRUNING, REAL, SPARSITY, claim, with_claims
from tests.examples.synthetic import METRICS, UNCHANGED, results

SMALL = {"tactic": (2.0, 2.0, -0.001, 2.0, 2.0)}
WORSE = {"tactic": (0.8, 0.8, -0.001, 1.0, 1.0)}
LOSSY = {"tactic": (7.4, 7.4, -0.03, 8.0, 4.0)}
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


def small(**changes):
    return results(arms=TWO_ARMS, factors=SMALL, **changes)


def test_an_argument_without_figure_is_e0() -> None:
    assert evidence(with_claims(PRUNING, argued())).level is Level.E0
    assert evidence(with_claims(PRUNING)).level is Level.E0


def test_a_figure_of_another_kind_of_effect_does_not_count() -> None:
    accuracy = claim(quantity=Quantity.QUALITY, unit=ClaimUnit.PERCENTAGE_POINTS, value=1.0)
    costlier = claim(direction=ClaimDirection.INCREASE)
    assert evidence(with_claims(PRUNING, accuracy, costlier)).level is Level.E0
    assert evidence(with_claims(DARK, costlier)).level is Level.E1


def test_one_source_with_figures_is_e1() -> None:
    assert evidence(PRUNING).level is Level.E1
    assert evidence(with_claims(SPARSITY, claim())).level is Level.E1


def test_two_sources_are_e2_only_without_a_common_author() -> None:
    assert evidence(with_claims(PRUNING, claim(), claim(source="han-2015"))).level is Level.E2
    same_authors = evidence(with_claims(PRUNING, claim(), claim(source="chen-2017")))
    assert same_authors.level is Level.E1
    assert "share authors" in same_authors.reasons[0]


def test_what_was_read_second_hand_is_no_second_source() -> None:
    second_hand = claim(source="han-2015", read_in=ReadIn.SECONDARY)
    assert evidence(with_claims(PRUNING, claim(), second_hand)).level is Level.E1
    alone = evidence(with_claims(PRUNING, second_hand))
    assert (alone.level, alone.reasons) == (Level.E1, ("a figure that was read second-hand only",))


def test_five_seeds_with_saving_at_acceptable_quality_are_e3() -> None:
    found = evidence(PRUNING, results())
    assert (found.level, found.contested) == (Level.E3, False)


def test_a_second_device_is_e4_but_the_same_processor_twice_is_not() -> None:
    second = results(device=OTHER_DEVICE, device_slug="other")
    assert evidence(PRUNING, results(), second).level is Level.E4


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
    assert evidence(PRUNING, results(), results(device_slug="twin")).level is Level.E3


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
    worse = results(arms=TWO_ARMS, factors=WORSE, **changes)
    assert not evidence(PRUNING, worse).contested


def test_a_loss_outside_the_tolerance_is_no_reproduction() -> None:
    found = evidence(PRUNING, results(arms=TWO_ARMS, factors=LOSSY))
    assert (found.level, found.contested) == (Level.E1, False)


def test_an_interval_that_holds_no_effect_is_no_reproduction() -> None:
    none = {"tactic": (1.0, 1.0, 0.0, 1.0, 1.0)}
    found = evidence(with_claims(PRUNING, argued()), results(arms=TWO_ARMS, factors=none))
    assert (found.level, found.contested) == (Level.E0, False)


def test_a_smaller_effect_than_claimed_is_reproduced_and_contested() -> None:
    found = evidence(PRUNING, small())
    assert (found.level, found.contested) == (Level.E3, True)
    assert "below the claimed" in found.reasons[1]


def test_the_opposite_sign_is_contested_and_not_reproduced() -> None:
    found = evidence(with_claims(PRUNING, argued()), results(arms=TWO_ARMS, factors=WORSE))
    assert (found.level, found.contested) == (Level.E0, True)
    assert "opposite side" in found.reasons[1]


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
    assert evidence(with_claims(PRUNING, published), small()).contested is contested


def test_only_the_headline_claim_is_contested() -> None:
    assert not evidence(with_claims(PRUNING, claim(value=1.5), claim(value=9.0)), small()).contested


def test_a_dark_tactic_is_reproduced_when_the_harm_shows() -> None:
    harmful = with_claims(DARK, claim(direction=ClaimDirection.INCREASE, value=1.2))
    harmful = harmful.model_copy(update={"recipe": PRUNING.recipe})
    half = {"tactic": (0.5, 0.5, 0.01, 1.0, 1.0)}
    found = evidence(harmful, results(arms=TWO_ARMS, factors=half))
    assert (found.level, found.contested) == (Level.E3, False)
    assert evidence(harmful, small()).contested


def metered(control: float | None):
    """Return results whose headline cost was metered, with a control that lies as far off as told."""
    info = METRICS["energy_batch_1"].model_copy(update={"provenance": "metered", "unit": "J"})
    found = results(arms=TWO_ARMS, factors=SMALL, metrics=METRICS | {"energy_batch_1": info})
    if control is None:
        return found
    again = [
        repeat.model_copy(
            update={
                "arm": CONTROL,
                "values": {
                    "energy_batch_1": repeat.values["energy_batch_1"] * control ** (-1) ** repeat.seed
                },
            }
        )
        for repeat in found.repeats
        if repeat.arm == "baseline"
    ]
    return found.model_copy(update={"repeats": (*found.repeats, *again)})


def test_a_metered_cost_needs_a_control_that_differs_less_than_the_effect() -> None:
    assert doubt(metered(None)) is Doubt.NO_CONTROL
    assert doubt(metered(1.05)) is None
    assert doubt(metered(2.5)) is Doubt.NO_DIFFERENCE
    side_by_side = metered(1.05).model_copy(update={"jobs": 2})
    assert doubt(side_by_side) is Doubt.SIDE_BY_SIDE
    levels = [evidence(PRUNING, metered(control)).level for control in (None, 1.05, 2.5)]
    assert levels == [Level.E1, Level.E3, Level.E1]


def test_the_control_is_no_arm() -> None:
    assert metered(1.05).arms == TWO_ARMS
