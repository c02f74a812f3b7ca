"""The tactic against its rivals."""

from greentactics.evidence.comparison import compare
from greentactics.evidence.runs import tactic_runs
from greentactics.site.impact import rival_rows
from tests.examples.records import PRUNING
from tests.examples.synthetic import CHANGED, FACTORS, results


def test_each_rival_is_compared_with_the_tactic_seed_by_seed() -> None:
    entry = results()
    rows = rival_rows(PRUNING, tactic_runs(PRUNING, [entry]))
    assert {row.rival for row in rows} == {"magnitude", "weight_ordered"}
    assert all(row.n == 5 for row in rows)
    energy = next(row for row in rows if row.rival == "magnitude" and row.metric == "energy_batch_1")
    estimate = compare(entry, "tactic", "energy_batch_1", "magnitude")
    ratios = [
        entry.values("magnitude", "energy_batch_1")[seed] / entry.values("tactic", "energy_batch_1")[seed]
        for seed in entry.seeds
    ]
    assert min(ratios) <= estimate.value <= max(ratios)
    assert f"{estimate.value:.2f}" in energy.compared or f"{estimate.value:.1f}" in energy.compared


def test_an_interval_that_holds_no_difference_says_so() -> None:
    entry = results()
    twins = tuple(
        repeat.model_copy(update={"values": dict(entry.repeats[1].values)})
        if repeat.arm in ("tactic", "magnitude")
        else repeat
        for repeat in entry.repeats
    )
    rows = rival_rows(PRUNING, tactic_runs(PRUNING, [entry.model_copy(update={"repeats": twins})]))
    assert rows
    assert all(row.compared.endswith("; no difference shown") for row in rows if row.rival == "magnitude")


def test_a_difference_from_one_of_many_rivals_may_be_chance() -> None:
    """One rival differs by a little more than its interval; eight others stand beside it, or none."""
    factors = FACTORS | {f"twin_{index}": FACTORS["tactic"] for index in range(8)}
    entry = results(arms=("baseline", *factors), factors=factors)
    values = entry.values("tactic", "energy_batch_1")
    near = {seed: value * step for (seed, value), step in zip(values.items(), STEPS, strict=True)}
    repeats = tuple(
        repeat.model_copy(update={"values": repeat.values | {"energy_batch_1": near[repeat.seed]}})
        if repeat.arm == "twin_0"
        else repeat
        for repeat in entry.repeats
    )
    for made, words in (
        (entry.model_copy(update={"repeats": repeats}), "; not shown among 10 comparisons"),
        (
            entry.model_copy(update={"repeats": tuple(r for r in repeats if r.arm in ALONE)}),
            "]",
        ),
    ):
        rows = rival_rows(PRUNING, tactic_runs(PRUNING, [made]))
        (row,) = (row for row in rows if (row.rival, row.metric) == ("twin_0", "energy_batch_1"))
        assert row.compared.endswith(words)


STEPS = (1.02, 1.05, 1.03, 1.0, 1.04)
ALONE = ("baseline", "tactic", "twin_0")


def test_stale_runs_are_left_out() -> None:
    assert rival_rows(PRUNING, tactic_runs(PRUNING, [results()], checksum=CHANGED)) == ()
