"""The verdict line in every state."""

import pytest

from greentactics.evidence.runs import tactic_runs
from greentactics.evidence.verdict import Verdict, verdict
from greentactics.models.datasets import KNOWN_SHA256
from greentactics.models.results import DataInfo, MetricInfo, Repeat
from greentactics.models.vocabulary import Bound, ClaimDirection, ClaimKind, ClaimUnit, Quantity
from greentactics.records.checks import metric_findings
from tests.examples.records import DARK, PRUNING, SPARSITY, claim, with_claims
from tests.examples.synthetic import METRICS, UNCHANGED, results, timing

TWO_ARMS = ("baseline", "tactic")


def two_arms(*factors, **changes):
    return results(arms=TWO_ARMS, factors={"tactic": factors}, **changes)


def verdict_line(record, entries=(), *, checksum=None) -> str:
    return found(record, entries, checksum=checksum).against_baseline


def found(record, entries=(), *, checksum=None) -> Verdict:
    return verdict(record, tactic_runs(record, entries, checksum=checksum))


ARGUED = with_claims(PRUNING, claim(value=None, unit=None, kind=ClaimKind.ARGUED))
OTHER_SOURCE = claim(source="han-2015")


def test_reproduced() -> None:
    line = verdict_line(PRUNING, [results()], checksum=UNCHANGED)
    assert line == (
        "modelled energy 7.4x lower [7.3, 7.5] at -0.6 points of accuracy [-0.7, -0.5] "
        "(5 seeds, Fashion-MNIST, batch 1); claimed 3.7x (AlexNet)"
    )


@pytest.mark.parametrize(
    ("record", "words"),
    [
        (PRUNING, "one source claims energy 3.7x lower (AlexNet)"),
        (SPARSITY, "2 sources give figures, the first weights 9x lower (AlexNet)"),
        (DARK, "one source claims compute about 300,000x higher (computation for deep-learning research)"),
        (with_claims(PRUNING, claim(), OTHER_SOURCE), "2 sources give figures, the first energy 3.7x lower"),
        (ARGUED, "the effect is argued, without a figure"),
        (with_claims(PRUNING), "no published figure"),
        (with_claims(PRUNING, claim(setting="11,791 jobs, a month")), "energy 3.7x lower (11,791 jobs)"),
    ],
)
def test_without_results_the_claim_stands_alone(record, words) -> None:
    assert verdict_line(record).startswith("No reproduction yet")
    assert words in verdict_line(record)


def test_smoke_results_are_never_shown() -> None:
    assert verdict_line(PRUNING, [results(preset="smoke")]).startswith("No reproduction yet")


def test_the_default_preset_leads() -> None:
    full = two_arms(2.0, 2.0, -0.002, 2.0, 2.0, preset="full", seeds=8)
    assert "7.4x lower" in verdict_line(PRUNING, [full, results()])
    assert "2.0x lower" in verdict_line(PRUNING, [full])


def test_stale_results_are_not_shown_and_said_to_be_stale() -> None:
    line = verdict_line(PRUNING, [results(recipe_sha256="c" * 64)], checksum=UNCHANGED)
    assert line.startswith("No current reproduction, as the recipe or its data have changed")
    assert "7.4" not in line


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dirty": True}, "not counted as evidence: uncommitted changes"),
        ({"complete": False}, "not counted as evidence: incomplete"),
        ({"seeds": 3}, "not counted as evidence: fewer than 5 seeds"),
        ({"seeds": 1}, "(1 seed, no interval, Fashion-MNIST, batch 1)"),
    ],
)
def test_results_that_do_not_count_say_why(changes, words) -> None:
    line = verdict_line(PRUNING, [results(**changes)], checksum=UNCHANGED)
    assert words in line
    assert not line.startswith("Contested")


def test_fallback_data_are_named() -> None:
    digits = DataInfo(
        name="digits", sha256=KNOWN_SHA256["digits"], train_count=1000, validation_count=297, test_count=500
    )
    assert "(5 seeds, digits, batch 1)" in verdict_line(PRUNING, [results(data=digits)])


def test_the_data_say_modelled_or_measured_and_not_the_label() -> None:
    mislabelled = PRUNING.recipe.model_copy(update={"cost_label": "measured energy"})
    record = PRUNING.model_copy(update={"recipe": mislabelled})
    assert verdict_line(record, [results()]).startswith("modelled energy 7.4x")
    metered = METRICS["energy_batch_1"].model_copy(update={"provenance": "metered", "unit": "J"})
    metrics = METRICS | {"energy_batch_1": metered}
    assert verdict_line(PRUNING, [results(metrics=metrics)]).startswith("no A/A control: metered energy 7.4x")


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ((2.5, 2.0, 0.0, 1.0, 1.0), "Contested: modelled energy 2.5x lower"),
        ((1.0, 1.0, 0.0, 1.0, 1.0), "Contested: no difference shown: modelled energy 1.0"),
        ((0.5, 1.0, 0.0, 1.0, 1.0), "Contested: modelled energy 2.0x higher ["),
        ((7.4, 3.1, -0.03, 8.0, 4.0), ", outside the tolerance of 1 ("),
        ((7.4, 3.1, -0.01, 8.0, 4.0), ", not shown to lie within the tolerance of 1 ("),
    ],
)
def test_doubt_contest_and_loss_are_said(factors, words) -> None:
    line = verdict_line(PRUNING, [two_arms(*factors)], checksum=UNCHANGED)
    assert words in line
    assert line.startswith("Contested") == words.startswith("Contested")


def test_a_contested_claim_about_quality_is_told() -> None:
    quality = claim(quantity=Quantity.QUALITY, value=1.0, unit=ClaimUnit.PERCENTAGE_POINTS)
    line = verdict_line(with_claims(PRUNING, claim(), quality), [two_arms(7.4, 3.1, -0.03, 8.0, 4.0)])
    assert line.startswith("Contested: modelled energy")
    assert line.endswith("claimed 3.7x (AlexNet), quality 1 point lower (AlexNet)")


def test_quality_that_was_not_measured_is_said() -> None:
    unknown = PRUNING.recipe.model_copy(update={"quality_metric": "recall", "quality_label": "recall"})
    line = verdict_line(PRUNING.model_copy(update={"recipe": unknown}), [results()])
    assert "(recall was not measured)" in line


def test_quality_that_is_no_fraction_is_a_ratio() -> None:
    info = METRICS["test_accuracy"].model_copy(update={"unit": "perplexity", "better": "lower"})
    line = verdict_line(PRUNING, [results(metrics=METRICS | {"test_accuracy": info})])
    assert "at accuracy 1.01x lower [" in line


def test_a_subject_with_another_quality_is_told_by_that_and_by_its_own_tolerance() -> None:
    made = results(subject="language_model", config={"tolerance": 0.05})
    loss = {"baseline": 3.0, "tactic": 3.02, "magnitude": 3.5, "weight_ordered": 3.01}
    info = MetricInfo(unit="nats", better="lower", provenance="measured", description="Loss.")
    repeats = list[Repeat]()
    for repeat in made.repeats:
        nats = loss[repeat.arm] + 0.001 * (repeat.seed % 2)
        values = {"energy_batch_1": repeat.values["energy_batch_1"], "choice_loss": nats, "test_loss": nats}
        details = {"missing": dict.fromkeys(PRUNING.recipe.also_metrics, "not modelled")}
        repeats.append(repeat.model_copy(update={"values": values, "details": details}))
    metrics = {"energy_batch_1": METRICS["energy_batch_1"], "choice_loss": info, "test_loss": info}
    made = made.model_copy(update={"metrics": metrics, "repeats": tuple(repeats)})
    told, words = found(PRUNING, [made]), "at +2.00 hundredths of a nat of loss [+2.00, +2.00] (5 seeds"
    assert words in told.against_baseline
    assert "weight ordered" in told.parts[1]  # of those within 5 hundredths, not the cheapest of all
    (run,) = tactic_runs(PRUNING, [made])
    assert (run.within_tolerance, run.tolerance_points, run.quality_label) == (True, 5.0, "loss")
    files = ("accuracy.json", results()), ("loss.json", made)
    assert not list(metric_findings(PRUNING, files))
    assert [finding.path for finding in metric_findings(PRUNING, files[1:])] == [("recipe", "quality_metric")]


def test_the_results_that_count_come_before_the_others() -> None:
    dirty = two_arms(9.0, 3.1, -0.005, 8.0, 4.0, dirty=True, seeds=8)
    assert verdict_line(PRUNING, [dirty, results()]).startswith("modelled energy 7.4x")


@pytest.mark.parametrize(
    ("published", "words"),
    [
        (claim(bound=Bound.AT_MOST), "claimed up to 3.7x (AlexNet)"),
        (claim(value=60.0, unit=ClaimUnit.PERCENT), "claimed 60 % (AlexNet)"),
        (claim(value=2.0, unit=ClaimUnit.JOULE, setting="one image"), "claimed 2 J (one image)"),
        (claim(direction=ClaimDirection.INCREASE), "; no published figure"),
        (claim(value=None, unit=None, kind=ClaimKind.ARGUED), "; claimed without a figure"),
        (claim(quantity=Quantity.WEIGHTS, value=9.0), "claimed weights 9x lower (AlexNet)"),
    ],
)
def test_forms_of_the_claim(published, words) -> None:
    assert verdict_line(with_claims(PRUNING, published), [results()]).endswith(words)


BETTER, WORSE = (9.0, 3.1, -0.004, 8.0, 4.0), (7.4, 3.1, -0.005, 8.0, 4.0)


@pytest.mark.parametrize(
    ("factors", "words"),
    [
        ({"tactic": BETTER, "group_norm": WORSE}, "Against the best rival, group norm: modelled energy 1.2"),
        ({"tactic": BETTER, "group_norm": WORSE}, ": the tactic wins"),
        ({"tactic": WORSE, "group_norm": BETTER}, "x higher ["),
        ({"tactic": WORSE, "group_norm": BETTER}, ": the tactic is beaten"),
        ({"tactic": WORSE}, "No rival was run"),
    ],
)
def test_the_best_rival_is_named_with_figures_and_outcome(factors, words) -> None:
    shown = found(PRUNING, [results(arms=("baseline", *factors), factors=factors)])
    assert words in shown.against_rival
    assert shown.line.startswith(f"{shown.against_baseline}. {shown.against_rival}. ")


def test_a_habit_to_avoid_has_no_rival_and_what_was_not_reproduced_one_part() -> None:
    dark = DARK.model_copy(update={"recipe": PRUNING.recipe})
    assert found(dark, [results()]).against_rival is None
    assert len(found(PRUNING).parts) == 1


def test_time_is_told_engine_by_engine() -> None:
    passes = tuple(
        timing(seed, factor, engine=engine)
        for engine, factor in (("pytorch", 1.25), ("onnxruntime", 1.0), ("onnxruntime_int8", 1.0))
        for seed in range(3)
    )
    device = results().device.name
    timed = found(PRUNING, [results(timings=passes)]).felt
    assert timed.startswith(f"Time on {device}: 1.25x faster [")
    assert timed.endswith("] in PyTorch; no difference shown in ONNX Runtime and ONNX Runtime with 8 bits")
    assert found(PRUNING, [results()]).felt == f"Not timed on {device}"
    (stale,) = tactic_runs(PRUNING, [results(timings=passes, timing_sha256="c" * 64)], timing_sha256="d" * 64)
    assert "by a protocol that has changed" in verdict(PRUNING, [stale]).felt
