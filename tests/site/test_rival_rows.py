"""The tactic against its rivals."""

from greentactics.evidence.comparison import compare
from greentactics.evidence.runs import tactic_runs
from greentactics.site.impact import rival_rows
from tests.examples.records import PRUNING
from tests.examples.synthetic import CHANGED, results


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


def test_stale_runs_are_left_out() -> None:
    assert rival_rows(PRUNING, tactic_runs(PRUNING, [results()], checksum=CHANGED)) == ()
