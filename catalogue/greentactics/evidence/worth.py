"""Which recipes a device should measure first: those of which a result of it would say most."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from greentactics.evidence.runs import Objection, needs_control
from greentactics.evidence.tactic import Tactic
from greentactics.models.results import DEFAULT_PRESET, Results

UNFINISHED, LIFTS, FIRST, FURTHER = range(4)
"""A result that this device has begun; one by which a measured cost stands on two devices; the first that
holds; and any other, for what one call takes and what a meter reads there."""


def by_worth(
    tactics: Mapping[str, Tactic], is_here: Callable[[str, Results], bool], preset: str = DEFAULT_PRESET
) -> dict[str, float]:
    """Return the tactics that a result of this device would help, in the order of what it is worth.

    Those that have one of the preset which holds and is complete are left out. Of equal worth, what took
    least time so far comes first; what was never measured comes last.

    Args:
        tactics: Those that have a record, with their committed results.
        is_here: Tells whether results of a tactic are those that this device would have.
        preset: Settings that are to be measured.

    Returns:
        By tactic how long one seed took where it was measured, s; as long as those did on average where it
        was not, and 1 where none was.
    """
    ranks = {}
    for name, tactic in tactics.items():
        if tactic.record.recipe is None:
            continue
        current = [run for run in tactic.committed if not run.stale and run.results.preset == preset]
        here = [run for run in current if is_here(name, run.results)]
        if any(Objection.INCOMPLETE not in run.against for run in here):
            continue
        if here:
            rank = UNFINISHED
        elif not current:
            rank = FIRST
        else:
            is_measured = any(needs_control(tactic.record, run.results) for run in current)
            rank = LIFTS if is_measured else FURTHER
        took_s = [_seed_s(run.results) for run in tactic.committed if run.results.preset == preset]
        ranks[name] = rank, min(took_s, default=float("inf"))
    known_s = [seed_s for _, seed_s in ranks.values() if seed_s < float("inf")]
    usual_s = sum(known_s) / len(known_s) if known_s else 1.0
    order = sorted(ranks, key=lambda name: (*ranks[name], name))
    return {name: seed_s if (seed_s := ranks[name][1]) < float("inf") else usual_s for name in order}


def _seed_s(results: Results) -> float:
    """Return how long the arms of one seed took, on average."""
    return sum(repeat.duration_s for repeat in results.repeats) / len(results.seeds)
